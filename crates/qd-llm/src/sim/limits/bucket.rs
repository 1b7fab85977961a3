//! A bucket that refills evenly. Exact: in whole nanoseconds, so that what its header tells and what it does never differ.

use std::time::Duration;

/// Takes up to `limit` at once, and is whole again `window` after it was empty.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    limit: u64,
    window: u128,
    /// When it is whole, in nanoseconds; in the past if it is.
    whole_at: u128,
}

impl Bucket {
    pub(super) fn new(limit: u64, window: Duration) -> Self {
        Self { limit, window: window.as_nanos(), whole_at: 0 }
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// What can be taken now.
    pub(super) fn remaining(&self, now: Duration) -> u64 {
        let left = self.window - self.missing(now);
        u64::try_from(left * u128::from(self.limit) / self.window).unwrap_or(self.limit)
    }

    /// Until it is whole.
    pub(super) fn reset(&self, now: Duration) -> Duration {
        span(self.missing(now))
    }

    /// Until so much can be taken; never if it is more than there ever is.
    pub(super) fn wait_for(&self, count: u64, now: Duration) -> Option<Duration> {
        (count <= self.limit)
            .then(|| span((self.missing(now) + self.refill_time(count)).saturating_sub(self.window)))
    }

    /// Takes what [`Bucket::wait_for`] says is there.
    pub(super) fn take(&mut self, count: u64, now: Duration) {
        self.whole_at = self.whole_at.max(now.as_nanos()) + self.refill_time(count);
    }

    /// Of what was taken, only so much was needed.
    pub(super) fn give_back(&mut self, taken: u64, needed: u64) {
        let unneeded = self.refill_time(taken).saturating_sub(self.refill_time(needed));
        self.whole_at = self.whole_at.saturating_sub(unneeded);
    }

    fn missing(&self, now: Duration) -> u128 {
        self.whole_at.saturating_sub(now.as_nanos()).min(self.window)
    }

    /// Rounded up; [`Bucket::remaining`] rounds down, so both mean the same.
    fn refill_time(&self, count: u64) -> u128 {
        (u128::from(count) * self.window).div_ceil(u128::from(self.limit.max(1)))
    }
}

fn span(nanos: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};

    use super::Bucket;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn it_empties_and_refills_evenly() {
        let at = Duration::from_secs;
        let mut bucket = Bucket::new(3, MINUTE);
        assert_eq!((bucket.remaining(at(5)), bucket.reset(at(5))), (3, Duration::ZERO));
        bucket.take(3, at(5));
        assert_eq!((bucket.remaining(at(5)), bucket.reset(at(5))), (0, MINUTE));
        assert_eq!(bucket.wait_for(1, at(5)), Some(at(20)));
        assert_eq!(bucket.remaining(at(24)), 0);
        assert_eq!(bucket.remaining(at(25)), 1);
        assert_eq!(bucket.wait_for(4, at(5)), None, "more than there ever is");
        bucket.give_back(3, 1);
        assert_eq!(bucket.remaining(at(5)), 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn what_remains_can_be_taken_and_no_more(
            limit in 1_u64..5_000_000,
            takes in proptest::collection::vec((any::<u32>(), 0_u64..90_000_000_000), 1..40),
        ) {
            let mut bucket = Bucket::new(limit, MINUTE);
            let mut now = Duration::ZERO;
            for (share, pause) in takes {
                now += Duration::from_nanos(pause);
                let remaining = bucket.remaining(now);
                prop_assert_eq!(bucket.wait_for(remaining, now), Some(Duration::ZERO));
                if remaining < limit {
                    let wait = bucket.wait_for(remaining + 1, now).unwrap();
                    prop_assert!(wait > Duration::ZERO);
                    prop_assert!(bucket.remaining(now + wait) > remaining, "the wait is long enough");
                    prop_assert_eq!(bucket.remaining(now + wait - Duration::from_nanos(1)), remaining, "and no longer");
                }
                bucket.take(u64::from(share) % (remaining + 1), now);
                prop_assert_eq!(bucket.remaining(now + bucket.reset(now)), limit);
            }
        }
    }
}
