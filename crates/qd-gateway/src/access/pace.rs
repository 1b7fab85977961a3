//! How often something may happen: the generic cell rate algorithm, as a pure function of the time.
//!
//! A pace lets `burst` happen at once and then one every interval: never more than `burst + rate × time` in any stretch
//! of time. Its whole state is one moment, the one at which everything that was taken will have been earned.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// So many a second, so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    interval_ns: u64,
    burst: u32,
}

/// What a taker is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It may.
    Yes {
        /// What it may do at once after this.
        left: u32,
        /// When everything is earned again.
        full_in: Duration,
    },
    /// It may not yet.
    No {
        /// When to come again.
        retry_after: Duration,
    },
}

const SECOND_NS: u64 = 1_000_000_000;

impl Pace {
    /// `per_second` must be above zero; a burst of zero is one of one.
    #[must_use]
    pub fn new(per_second: f64, burst: u32) -> Self {
        let interval = Duration::try_from_secs_f64(1.0 / per_second).unwrap_or(Duration::from_secs(3600));
        Self { interval_ns: nanos(interval).max(1), burst: burst.max(1) }
    }

    /// The most that happens at once.
    pub(crate) fn burst(self) -> u32 {
        self.burst
    }

    /// The time in which a whole burst is earned, in seconds, rounded up.
    pub(crate) fn window_seconds(self) -> u64 {
        self.span_ns().div_ceil(SECOND_NS).max(1)
    }

    fn span_ns(self) -> u64 {
        self.interval_ns.saturating_mul(u64::from(self.burst))
    }

    /// One more at `now`, when everything so far is earned at `due`: the new `due`, or `None` for no.
    pub(crate) fn take(self, due: u64, now: u64) -> (Option<u64>, Taken) {
        let due = due.max(now).saturating_add(self.interval_ns);
        let ahead = due - now;
        let Some(room) = self.span_ns().checked_sub(ahead) else {
            return (None, Taken::No { retry_after: Duration::from_nanos(ahead - self.span_ns()) });
        };
        let left = u32::try_from(room / self.interval_ns).unwrap_or(u32::MAX);
        (Some(due), Taken::Yes { left, full_in: Duration::from_nanos(ahead) })
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Somebody's pace as it stands, for any number of takers at once.
#[derive(Debug, Default)]
pub(crate) struct Bucket(AtomicU64);

impl Bucket {
    /// Takes one, if there is one.
    pub(crate) fn take(&self, pace: Pace, now: Duration) -> Taken {
        let now = nanos(now);
        let mut due = self.0.load(Ordering::Relaxed);
        loop {
            let (next, taken) = pace.take(due, now);
            let Some(next) = next else { return taken };
            match self.0.compare_exchange_weak(due, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return taken,
                Err(other) => due = other,
            }
        }
    }

    /// Gives one back that was taken in vain.
    pub(crate) fn give_back(&self, pace: Pace) {
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |due| {
            Some(due.saturating_sub(pace.interval_ns))
        });
    }

    /// Whether nothing of it is used up.
    pub(crate) fn is_full(&self, now: Duration) -> bool {
        self.0.load(Ordering::Relaxed) <= nanos(now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn burst_is_taken_at_once_and_earned_again_evenly() {
        let (pace, bucket) = (Pace::new(10.0, 3), Bucket::default());
        let now = ms(5_000);
        for left in [2, 1, 0] {
            let full_in = ms(100) * (3 - left);
            assert_eq!(bucket.take(pace, now), Taken::Yes { left, full_in });
        }
        assert_eq!(bucket.take(pace, now), Taken::No { retry_after: ms(100) });
        assert_eq!(bucket.take(pace, now + ms(60)), Taken::No { retry_after: ms(40) });
        assert!(matches!(bucket.take(pace, now + ms(100)), Taken::Yes { left: 0, .. }));
        assert!(!bucket.is_full(now + ms(399)) && bucket.is_full(now + ms(400)));
        assert!(matches!(bucket.take(pace, now + ms(9_000)), Taken::Yes { left: 2, .. }));
    }

    #[test]
    fn what_was_given_back_can_be_taken_again() {
        let (pace, bucket) = (Pace::new(1.0, 1), Bucket::default());
        assert!(matches!(bucket.take(pace, ms(0)), Taken::Yes { .. }));
        bucket.give_back(pace);
        assert!(matches!(bucket.take(pace, ms(0)), Taken::Yes { .. }));
        assert!(matches!(bucket.take(pace, ms(0)), Taken::No { .. }));
    }

    #[test]
    fn takers_at_once_get_no_more_than_the_burst() {
        let (pace, bucket) = (Pace::new(1.0, 100), Bucket::default());
        let taken = std::thread::scope(|scope| {
            let take = || (0..100).filter(|_| matches!(bucket.take(pace, ms(0)), Taken::Yes { .. })).count();
            let takers: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            takers.into_iter().map(|taker| taker.join().unwrap()).sum::<usize>()
        });
        assert_eq!(taken, 100);
    }

    #[test]
    fn odd_paces_are_harmless() {
        for pace in [Pace::new(1e12, 0), Pace::new(1e-12, 1), Pace::new(0.0, u32::MAX)] {
            let bucket = Bucket::default();
            assert!(matches!(bucket.take(pace, ms(1)), Taken::Yes { .. }), "{pace:?}");
            assert!(pace.window_seconds() >= 1 && pace.burst() >= 1);
        }
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_what_was_earned_since(
            per_second in 1_u32..2_000,
            burst in 1_u32..50,
            waits in prop::collection::vec(0_u64..40_000, 1..400),
        ) {
            let pace = Pace::new(f64::from(per_second), burst);
            let bucket = Bucket::default();
            let mut now = Duration::from_secs(7);
            let mut taken: Vec<Duration> = Vec::new();
            for wait in waits {
                now += Duration::from_micros(wait);
                match bucket.take(pace, now) {
                    Taken::Yes { .. } => taken.push(now),
                    Taken::No { retry_after } => {
                        // Whoever comes when it was told to is let in, unless others were faster; a moment before, never.
                        let before = now + retry_after - Duration::from_nanos(1);
                        let early = pace.take(bucket.0.load(Ordering::Relaxed), nanos(before)).0;
                        let then = pace.take(bucket.0.load(Ordering::Relaxed), nanos(now + retry_after)).0;
                        prop_assert!(early.is_none() && then.is_some());
                    }
                }
            }
            for (first, from) in taken.iter().enumerate() {
                for (last, to) in taken.iter().enumerate().skip(first) {
                    let earned = (*to - *from).as_secs_f64() * f64::from(per_second);
                    let most = f64::from(burst) + earned + 1e-6 * earned + 1e-9;
                    prop_assert!((last - first + 1) as f64 <= most + 1e-3, "{} in {:?}", last - first + 1, *to - *from);
                }
            }
        }
    }
}
