//! A reservoir before simulated providers that refuse, in a time of the test's own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::{Need, Reservoir};
use crate::limits::{Seen, SeenLimits, Window};

const MINUTE: f64 = 60.0;

fn at(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// A provider's own limit of requests.
#[derive(Clone, Copy)]
struct Provider {
    limit: f64,
    /// Whether all comes back at each full minute rather than little by little.
    windowed: bool,
    level: f64,
    at: f64,
}

impl Provider {
    fn new(limit: u32, windowed: bool) -> Self {
        Self { limit: f64::from(limit), windowed, level: f64::from(limit), at: 0.0 }
    }

    /// Whether a call is let in at `now`, and what the answer says.
    fn call(&mut self, now: f64) -> (bool, SeenLimits) {
        if self.windowed {
            if (now / MINUTE).floor() > (self.at / MINUTE).floor() {
                self.level = self.limit;
            }
        } else {
            self.level = (self.level + (now - self.at) * self.limit / MINUTE).min(self.limit);
        }
        self.at = now;
        let is_in = self.level >= 1.0;
        if is_in {
            self.level -= 1.0;
        }
        let reset = if self.windowed {
            MINUTE - now % MINUTE
        } else {
            (self.limit - self.level) * MINUTE / self.limit
        };
        let seen = Seen {
            limit: Some(self.limit as u64),
            remaining: Some(self.level as u64),
            resets_in: Some(at(reset)),
            per: Window::Minute,
        };
        (is_in, SeenLimits { requests: Some(seen), ..SeenLimits::default() })
    }
}

/// Calls of `seconds` length, offered `factor` times the limit for five minutes, 50 at once at most. Answers the calls
/// let in and those refused, both after the first five seconds.
fn overload(limit: u32, windowed: bool, seconds: f64, factor: f64) -> (u32, u32) {
    let reservoir = Reservoir::new(None, None);
    let mut provider = Provider::new(limit, windowed);
    // When, and what happens: a call is made, or its answer comes.
    let mut agenda: BTreeMap<(u64, u32), Option<(super::Taken, SeenLimits)>> = BTreeMap::new();
    let key = |time: f64, n: u32| ((time * 1e6) as u64, n);
    let (mut made, mut refused, mut n, mut waiting) = (0, 0, 0, 0_u32);
    let mut starts: BTreeMap<(u64, u32), super::Taken> = BTreeMap::new();
    let step = MINUTE / (f64::from(limit) * factor);
    let mut next_arrival = 0.0;
    loop {
        let candidates = [
            Some((next_arrival * 1e6) as u64),
            agenda.keys().next().map(|key| key.0),
            starts.keys().next().map(|key| key.0),
        ];
        let now_us = candidates.into_iter().flatten().min().unwrap();
        let now = now_us as f64 / 1e6;
        if now > 300.0 {
            break;
        }
        if let Some(entry) = agenda.first_entry().filter(|entry| entry.key().0 == now_us) {
            let (taken, seen) = entry.remove().unwrap();
            taken.settle(None, &seen, at(now));
            waiting -= 1;
        } else if let Some(entry) = starts.first_entry().filter(|entry| entry.key().0 == now_us) {
            let taken = entry.remove();
            let (is_in, seen) = provider.call(now);
            if now > 5.0 {
                *if is_in { &mut made } else { &mut refused } += 1;
            }
            n += 1;
            agenda.insert(key(now + seconds, n), Some((taken, seen)));
        } else {
            next_arrival += step;
            if waiting < 50
                && let Ok((taken, wait)) = reservoir.take(Need::default(), at(15.0), at(now))
            {
                waiting += 1;
                n += 1;
                starts.insert(key(now + wait.as_secs_f64(), n), taken);
            }
        }
    }
    (made, refused)
}

#[test]
fn a_learned_limit_is_used_up_and_not_run_into() {
    for (limit, windowed, seconds) in [
        (60, false, 0.1),
        (600, false, 0.1),
        (600, false, 2.0),
        (6_000, false, 0.1),
        (600, true, 0.1),
        (6_000, true, 0.5),
    ] {
        let (made, refused) = overload(limit, windowed, seconds, 3.0);
        let could = f64::from(limit) * 295.0 / MINUTE;
        let name = format!(
            "{limit} a minute, windowed {windowed}, calls of {seconds} s: {made} made, {refused} refused"
        );
        assert!(f64::from(refused) <= 0.01 * f64::from(made), "{name}");
        assert!(f64::from(made) >= 0.95 * could, "{name} of {could}");
    }
}

#[test]
fn turns_are_given_in_order_and_those_beyond_the_patience_take_nothing() {
    let reservoir = Reservoir::new(Some(60), None);
    let mut held = Vec::new();
    for n in 0..75 {
        let (taken, wait) = reservoir.take(Need::default(), at(15.0), at(0.0)).unwrap();
        assert_eq!(wait.as_secs(), u64::from(n >= 60) * (n - 59_u64.min(n)), "call {n}");
        held.push(taken);
    }
    for _ in 0..3 {
        assert_eq!(reservoir.take(Need::default(), at(15.0), at(0.0)).unwrap_err(), at(16.0));
    }
    // One that was not made leaves its place to the next.
    held.pop().unwrap().give_back(at(0.0));
    assert_eq!(reservoir.take(Need::default(), at(15.0), at(0.0)).unwrap().1, at(15.0));
}

#[test]
fn tokens_are_reserved_and_what_was_not_used_is_given_back() {
    let reservoir = Reservoir::new(None, Some(1_000));
    let need = Need { input: 100.0, output: 500.0 };
    let (taken, wait) = reservoir.take(need, at(15.0), at(0.0)).unwrap();
    assert_eq!(wait, at(0.0));
    assert_eq!(reservoir.wait(need, at(0.0)), at(12.0), "200 of 600 are missing");
    taken.settle(Some(Need { input: 90.0, output: 10.0 }), &SeenLimits::default(), at(0.0));
    assert_eq!(reservoir.wait(need, at(0.0)), at(0.0));
    // More than there can ever be waits for all there is, and not for ever.
    let huge = Need { input: 5_000.0, output: 0.0 };
    assert_eq!(reservoir.wait(huge, at(0.0)), at(6.0));
}

#[test]
fn a_refusal_closes_for_as_long_as_it_says_and_no_longer_than_a_day() {
    let reservoir = Reservoir::new(None, None);
    reservoir.refused(Some(at(20.0)), at(100.0));
    reservoir.refused(Some(at(1.0)), at(100.0));
    assert_eq!(reservoir.take(Need::default(), at(15.0), at(100.0)).unwrap_err(), at(20.0));
    assert_eq!(reservoir.take(Need::default(), at(15.0), at(110.0)).unwrap().1, at(10.0));
    assert!(reservoir.take(Need::default(), at(0.0), at(120.0)).is_ok());
    reservoir.refused(Some(Duration::MAX), at(200.0));
    assert_eq!(reservoir.wait(Need::default(), at(200.0)), at(86_400.0));
}

#[test]
fn refusals_that_do_not_say_how_long_close_only_when_there_is_nothing_else() {
    let reservoir = Reservoir::new(None, None);
    let waits = |count: u32| {
        (0..count).map(|_| reservoir.refused(None, at(10.0))).for_each(drop);
        reservoir.wait(Need::default(), at(10.0))
    };
    for _ in 0..50 {
        assert_eq!(waits(4), at(0.0), "among answers each is a moment's");
        reservoir.answered();
    }
    assert_eq!((waits(5), waits(1), waits(1), waits(99)), (at(1.0), at(2.0), at(4.0), at(30.0)));
}

#[test]
fn what_an_operator_allows_and_what_the_provider_allows_both_hold() {
    let reservoir = Reservoir::new(Some(10), None);
    let (taken, _) = reservoir.take(Need::default(), at(0.0), at(0.0)).unwrap();
    let seen =
        Seen { limit: Some(1_000), remaining: Some(999), resets_in: Some(at(0.06)), per: Window::Minute };
    taken.settle(None, &SeenLimits { requests: Some(seen), ..SeenLimits::default() }, at(1.0));
    let made = (0..100).filter(|_| reservoir.take(Need::default(), at(0.0), at(1.0)).is_ok()).count();
    assert_eq!(made, 9);
}

fn nonsense() -> impl Strategy<Value = SeenLimits> {
    let number = || {
        prop_oneof![Just(None), (0..1_000_000_000_000_000_u64).prop_map(Some), (0..100_u64).prop_map(Some)]
    };
    let seen = (number(), number(), prop_oneof![Just(None), (0..100_000_u64).prop_map(Some)], any::<bool>());
    seen.prop_map(|(limit, remaining, resets, day)| {
        let per = if day { Window::Day } else { Window::Minute };
        let seen = Seen { limit, remaining, resets_in: resets.map(Duration::from_secs), per };
        SeenLimits { requests: Some(seen), tokens: Some(seen), input_tokens: Some(seen), output_tokens: None }
    })
}

proptest! {
    #[test]
    fn nothing_that_a_provider_says_makes_waits_endless(said in proptest::collection::vec(nonsense(), 1..20)) {
        let reservoir = Reservoir::new(Some(100), Some(10_000));
        let need = Need { input: 50.0, output: 50.0 };
        for (n, seen) in said.iter().enumerate() {
            let now = Duration::from_secs(n as u64 * 10);
            if let Ok((taken, _)) = reservoir.take(need, Duration::from_secs(15), now) {
                taken.settle(Some(need), seen, now + Duration::from_secs(1));
            }
            let wait = reservoir.wait(need, now + Duration::from_secs(1));
            prop_assert!(wait <= Duration::from_secs(2 * 86_400), "{wait:?} after {seen:?}");
        }
        prop_assert_eq!(Arc::strong_count(&reservoir), 1);
        prop_assert_eq!(reservoir.lock().under_way, (0.0, Need::default()));
    }
}
