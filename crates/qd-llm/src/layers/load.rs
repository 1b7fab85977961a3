//! How busy and how quick a deployment is, and whether its key is any good: what a balancer looks at.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::Blame;
use crate::{Answer, CallError};

/// How fast a latency of the past fades.
const FADES: Duration = Duration::from_secs(10);
/// What a failure counts for at least: who fails at once is not quick.
const FAILURE: Duration = Duration::from_secs(5);
/// How long a deployment is left out whose key or model name was refused, while others carry on.
const OUT: Duration = Duration::from_secs(600);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Load {
    under_way: AtomicUsize,
    // Held for a few sums.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Seconds; rises at once and falls slowly.
    latency: f64,
    at: Duration,
    out_until: Duration,
}

impl Load {
    /// Counts a call until the guard goes.
    pub(crate) fn begin(&self) -> UnderWay<'_> {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(self)
    }

    /// Calls under way.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// How long a further call will probably take, in seconds.
    pub(crate) fn score(&self, now: Duration) -> f64 {
        let mut state = self.lock();
        state.fade(now);
        let busy = u32::try_from(self.under_way()).unwrap_or(u32::MAX);
        // Nobody knows how quick a fresh one is; it is tried first.
        state.latency * (f64::from(busy) + 1.0)
    }

    /// Whether its key or its model's name was refused of late.
    pub(crate) fn is_out(&self, now: Duration) -> bool {
        now < self.lock().out_until
    }

    /// Takes in what came of a call. Answers whether the deployment is out from now on, and was not before.
    pub(crate) fn note(&self, answer: &Result<Answer, CallError>, took: Duration, now: Duration) -> bool {
        let mut state = self.lock();
        match answer {
            Ok(_) => {
                state.out_until = Duration::ZERO;
                state.observe(took.as_secs_f64(), now);
                false
            }
            Err(error) => match Blame::of(error.code) {
                Blame::Access => {
                    let was_out = now < state.out_until;
                    state.out_until = now + OUT;
                    !was_out
                }
                Blame::Provider | Blame::Answer | Blame::Quota | Blame::RateLimit => {
                    state.observe(took.max(FAILURE).as_secs_f64(), now);
                    false
                }
                Blame::Window | Blame::Request | Blame::Guard | Blame::NoCall => false,
            },
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn fade(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.at);
        self.at = self.at.max(now);
        self.latency *= (-passed.as_secs_f64() / FADES.as_secs_f64()).exp();
    }

    fn observe(&mut self, seconds: f64, now: Duration) {
        let keep = (-now.saturating_sub(self.at).as_secs_f64() / FADES.as_secs_f64()).exp();
        self.at = self.at.max(now);
        self.latency =
            if seconds > self.latency { seconds } else { self.latency * keep + seconds * (1.0 - keep) };
    }
}

/// A call under way.
pub(crate) struct UnderWay<'a>(&'a Load);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
