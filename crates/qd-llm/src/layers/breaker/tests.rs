//! The breaker over time, and against a model of itself.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::{Breaker, BreakerOptions, Forced, Permit, Standing, Verdict};

fn at(seconds: u64) -> Duration {
    Duration::from_secs(1_000 + seconds)
}

fn breaker() -> Arc<Breaker> {
    Breaker::new(BreakerOptions::default())
}

fn fail(breaker: &Arc<Breaker>, now: Duration) {
    breaker.acquire(now).expect("leave").settle(Verdict::Failure(None), now);
}

fn tripped() -> Arc<Breaker> {
    let breaker = breaker();
    (0..5).for_each(|n| fail(&breaker, at(n)));
    breaker
}

#[test]
fn five_failures_within_a_minute_open_it_and_fewer_do_not() {
    let breaker = breaker();
    // One every 15 seconds: never five within 60.
    for n in 0..40 {
        fail(&breaker, at(n * 15));
    }
    assert_eq!(breaker.standing(at(600)), Standing::Closed);
    assert_eq!(tripped().standing(at(5)), Standing::Open);
}

#[test]
fn a_busy_provider_that_fails_now_and_then_is_not_down() {
    let breaker = breaker();
    for n in 0..600 {
        let now = Duration::from_millis(1_000_000 + n * 100);
        let verdict = if n % 10 == 0 { Verdict::Failure(None) } else { Verdict::Success };
        breaker.acquire(now).expect("closed").settle(verdict, now);
    }
    assert_eq!(breaker.standing(at(60)), Standing::Closed);
    // Then it goes down: half of the window's calls have failed within as many calls again.
    let made = (0..1_000)
        .take_while(|_| breaker.acquire(at(60)).map(|p| p.settle(Verdict::Failure(None), at(60))).is_ok());
    assert!(made.count() < 600);
}

#[test]
fn an_open_breaker_says_how_long_and_then_lets_one_probe_through() {
    let breaker = tripped();
    assert_eq!(breaker.acquire(at(10)).err(), Some(Duration::from_secs(24)));
    let probe = breaker.acquire(at(34)).expect("the time is up");
    assert_eq!(breaker.standing(at(34)), Standing::HalfOpen);
    assert!(breaker.acquire(at(34)).is_err(), "one probe at a time");
    drop(probe);
    let probe = breaker.acquire(at(35)).expect("a probe without verdict gives its place back");
    probe.settle(Verdict::Success, at(36));
    assert_eq!(breaker.standing(at(36)), Standing::Closed);
    assert!((0..10).all(|_| breaker.acquire(at(36)).is_ok()));
}

#[test]
fn each_failed_probe_adds_half_of_the_time_up_to_its_bound_and_a_success_resets_it() {
    let breaker = tripped();
    let mut now = at(4);
    for expected in [30.0, 45.0, 67.5, 101.25, 151.875, 227.8125, 300.0, 300.0] {
        let wait = breaker.acquire(now).expect_err("open");
        assert_eq!(wait, Duration::from_secs_f64(expected));
        now += wait;
        fail(&breaker, now);
    }
    now += Duration::from_secs(300);
    breaker.acquire(now).expect("a probe").settle(Verdict::Success, now);
    (0..5).for_each(|_| fail(&breaker, now));
    assert_eq!(breaker.acquire(now).err(), Some(Duration::from_secs(30)));
}

#[test]
fn the_providers_own_wish_counts_when_it_is_longer() {
    for (asked, expected) in [(5, 30), (90, 90), (100_000_000, 86_400)] {
        let breaker = breaker();
        (0..4).for_each(|_| fail(&breaker, at(0)));
        let permit = breaker.acquire(at(0)).unwrap();
        permit.settle(Verdict::Failure(Some(Duration::from_secs(asked))), at(0));
        assert_eq!(breaker.acquire(at(0)).err(), Some(Duration::from_secs(expected)));
    }
}

#[test]
fn verdicts_of_calls_from_before_say_nothing_now() {
    let breaker = breaker();
    let late: Vec<Permit> = (0..20).map(|_| breaker.acquire(at(0)).unwrap()).collect();
    (0..5).for_each(|_| fail(&breaker, at(1)));
    let mut late = late.into_iter();
    late.next().unwrap().settle(Verdict::Success, at(2));
    assert_eq!(breaker.standing(at(2)), Standing::Open, "a late success does not close it");
    breaker.acquire(at(40)).expect("a probe").settle(Verdict::Success, at(41));
    late.for_each(|permit| permit.settle(Verdict::Failure(None), at(42)));
    assert_eq!(breaker.standing(at(42)), Standing::Closed, "late failures do not open it again");
}

#[test]
fn neutral_verdicts_and_dropped_permits_change_nothing() {
    let breaker = breaker();
    for n in 0..100 {
        breaker.acquire(at(n)).unwrap().settle(Verdict::Neutral, at(n));
        drop(breaker.acquire(at(n)).unwrap());
    }
    assert_eq!(breaker.standing(at(100)), Standing::Closed);
    let off = Breaker::new(BreakerOptions { failures: 0, ..BreakerOptions::default() });
    (0..100).for_each(|_| fail(&off, at(0)));
    assert_eq!(off.standing(at(0)), Standing::Closed);
}

#[derive(Debug, Clone)]
enum Act {
    Acquire,
    Settle(usize, Verdict),
    Drop(usize),
    Pass(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let verdict = prop_oneof![
        Just(Verdict::Success),
        Just(Verdict::Failure(None)),
        (0..200_u64).prop_map(|s| Verdict::Failure(Some(Duration::from_secs(s)))),
        Just(Verdict::Neutral)
    ];
    prop_oneof![
        4 => Just(Act::Acquire),
        4 => (0..8_usize, verdict).prop_map(|(which, verdict)| Act::Settle(which, verdict)),
        1 => (0..8_usize).prop_map(Act::Drop),
        2 => (0..40_u64).prop_map(Act::Pass),
    ]
}

proptest! {
    /// Whatever happens: never more probes than allowed, never a call while it is open, and it never stays shut once
    /// nobody probes and its time is up.
    #[test]
    fn it_never_floods_and_never_sticks(acts in prop::collection::vec(act(), 1..200)) {
        let options = BreakerOptions { probes: 2, ..BreakerOptions::default() };
        let breaker = Breaker::new(options);
        let (mut now, mut held) = (at(0), Vec::<(Permit, u64)>::new());
        for act in acts {
            match act {
                Act::Acquire => {
                    let standing = breaker.standing(now);
                    let answer = breaker.acquire(now);
                    match standing {
                        Standing::Open => prop_assert!(answer.is_err()),
                        Standing::Closed => prop_assert!(answer.is_ok()),
                        Standing::HalfOpen => {
                            let generation = breaker.lock().generation;
                            let probing = held.iter().filter(|(_, of)| *of == generation).count();
                            prop_assert_eq!(answer.is_ok(), probing < 2);
                        }
                    }
                    if let Ok(permit) = answer {
                        let generation = permit.generation;
                        held.push((permit, generation));
                    }
                }
                Act::Settle(which, verdict) if which < held.len() => held.swap_remove(which).0.settle(verdict, now),
                Act::Drop(which) if which < held.len() => drop(held.swap_remove(which)),
                Act::Pass(seconds) => now += Duration::from_secs(seconds),
                Act::Settle(..) | Act::Drop(_) => {}
            }
        }
        held.clear();
        now += Duration::from_secs(86_400);
        prop_assert!(breaker.acquire(now).is_ok());
    }
}

#[test]
fn an_operator_decides_whatever_calls_show_until_it_is_left_to_them_again() {
    let breaker = Breaker::new(BreakerOptions { failures: 1, share: 0.0, ..BreakerOptions::default() });
    let at = Duration::from_secs;
    breaker.force(Some(Forced::Open));
    assert_eq!((breaker.acquire(at(0)).is_err(), breaker.standing(at(0))), (true, Standing::Open));
    breaker.force(Some(Forced::Closed));
    for _ in 0..9 {
        breaker.acquire(at(1)).unwrap().settle(Verdict::Failure(None), at(1));
    }
    assert_eq!((breaker.standing(at(1)), breaker.forced()), (Standing::Closed, Some(Forced::Closed)));
    let late = breaker.acquire(at(1)).unwrap();
    breaker.force(None);
    late.settle(Verdict::Failure(None), at(2));
    assert_eq!(breaker.standing(at(2)), Standing::Closed, "what began before counts no more");
    breaker.acquire(at(2)).unwrap().settle(Verdict::Failure(None), at(2));
    assert_eq!(breaker.standing(at(2)), Standing::Open);
}

#[test]
fn a_busy_provider_that_goes_down_is_left_alone_after_twenty_failures_in_a_row() {
    let breaker = breaker();
    for n in 0..5_000 {
        breaker.acquire(at(n / 100)).unwrap().settle(Verdict::Success, at(n / 100));
    }
    // Failures among successes say little.
    for _ in 0..100 {
        (0..19).for_each(|_| fail(&breaker, at(50)));
        breaker.acquire(at(50)).unwrap().settle(Verdict::Success, at(50));
    }
    assert_eq!(breaker.standing(at(50)), Standing::Closed);
    (0..20).for_each(|_| fail(&breaker, at(50)));
    assert_eq!(breaker.standing(at(50)), Standing::Open);
}
