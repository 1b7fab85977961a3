//! When a failed step is tried again: a pure decision.

use std::time::Duration;

use qd_env::Rng;
use qd_types::{Class, Failure};

use crate::RetryPolicy;

/// No provider's wish is followed for longer than this.
const WAIT_MAX: Duration = Duration::from_secs(24 * 3600);

/// What to do after a failed try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Try again after this long.
    Again(Duration),
    /// Give up with this failure.
    GiveUp(Failure),
}

/// Decides after a step's `tries`-th try (from 1) has failed, when it may have `max_tries`.
pub(crate) fn decide(
    policy: &RetryPolicy,
    failure: &Failure,
    tries: u32,
    max_tries: u32,
    rng: &mut Rng,
) -> Decision {
    if !failure.class.is_retryable() {
        return Decision::GiveUp(failure.clone());
    }
    if tries >= max_tries {
        let mut last = failure.clone();
        last.class = Class::Exhausted;
        last.message = format!("{}; gave up after {tries} tries", failure.message);
        return Decision::GiveUp(last);
    }
    Decision::Again(wait(policy, failure, tries, rng))
}

fn wait(policy: &RetryPolicy, failure: &Failure, tries: u32, rng: &mut Rng) -> Duration {
    if let Some(asked) = failure.retry_after_ms.map(Duration::from_millis).filter(|asked| !asked.is_zero()) {
        // Never earlier than asked; a little later, so that not everybody comes back at the same moment.
        let asked = asked.min(WAIT_MAX);
        return asked + rng.jitter(asked.mul_f64(0.1));
    }
    // An overloaded provider gets twice the room.
    let base = if failure.class == Class::Overloaded { policy.base * 2 } else { policy.base };
    let doubled = base.saturating_mul(1 << tries.saturating_sub(1).min(20));
    rng.jitter(doubled.min(policy.cap))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use qd_env::Rng;
    use qd_types::{Class, Code, Failure};

    use super::{Decision, WAIT_MAX, decide};
    use crate::RetryPolicy;

    fn failure(class: Class, retry_after_ms: Option<u64>) -> Failure {
        Failure { retry_after_ms, ..Failure::new(Code::ModelOverloaded, class, "busy") }
    }

    #[test]
    fn waits_grow_to_the_cap_and_never_pass_it() {
        let policy = RetryPolicy::default();
        let mut rng = Rng::labelled(1, "test");
        for (class, tries, most) in [
            (Class::Transient, 1, 1_000),
            (Class::Transient, 3, 4_000),
            (Class::Overloaded, 3, 8_000),
            (Class::RateLimited, 30, 60_000),
        ] {
            let waits: Vec<_> = (0..200)
                .map(|_| match decide(&policy, &failure(class, None), tries, 99, &mut rng) {
                    Decision::Again(wait) => wait,
                    Decision::GiveUp(failure) => panic!("{failure}"),
                })
                .collect();
            let longest = waits.iter().max().unwrap();
            assert!(
                *longest <= Duration::from_millis(most) && *longest > Duration::from_millis(most / 2),
                "{class:?}"
            );
        }
    }

    #[test]
    fn wish_of_the_provider_is_kept_and_bounded() {
        let mut rng = Rng::labelled(1, "test");
        for (asked, least, most) in [(5_000, 5_000, 5_500), (u64::MAX, 24 * 3_600_000, 27 * 3_600_000)] {
            let asked = failure(Class::RateLimited, Some(asked));
            let Decision::Again(wait) = decide(&RetryPolicy::default(), &asked, 1, 5, &mut rng) else {
                panic!()
            };
            assert!(wait >= Duration::from_millis(least) && wait <= Duration::from_millis(most), "{wait:?}");
            assert!(wait <= WAIT_MAX.mul_f64(1.11));
        }
    }

    #[test]
    fn permanent_failures_and_the_last_try_give_up() {
        let mut rng = Rng::labelled(1, "test");
        for class in [Class::Quota, Class::Permanent, Class::Exhausted, Class::Cancelled, Class::Bug] {
            let permanent = failure(class, Some(1));
            assert_eq!(
                decide(&RetryPolicy::default(), &permanent, 1, 5, &mut rng),
                Decision::GiveUp(permanent)
            );
        }
        match decide(&RetryPolicy::default(), &failure(Class::Transient, None), 5, 5, &mut rng) {
            Decision::GiveUp(last) => {
                assert_eq!(last.class, Class::Exhausted);
                assert!(last.message.ends_with("gave up after 5 tries"), "{}", last.message);
            }
            Decision::Again(_) => panic!("tried too often"),
        }
    }
}
