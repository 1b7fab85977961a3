//! Bounds the extra load that tries after the first put on a deployment: a fifth of the calls made of late. A provider in
//! trouble is not helped by everybody asking twice.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use qd_env::Env;
use qd_types::ChatRequest;

use crate::error::Kind;
use crate::{Answer, CallError, CallScope, ChatModel};

/// Tries that each call pays for.
const SHARE: f64 = 0.2;
/// What is always there, so that few calls can be tried again as well, and comes back within `WINDOW`.
const LEAST: f64 = 10.0;
/// What has been saved up is forgotten over about this time.
const WINDOW: Duration = Duration::from_secs(10);
/// When those come back that were one too many.
const COME_BACK: Duration = Duration::from_secs(5);

/// What a deployment may still be asked again.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    // Held for a few sums.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Always there, in part.
    least: f64,
    /// Paid in by calls.
    saved: f64,
    at: Duration,
}

impl RetryBudget {
    pub(crate) fn new() -> Arc<Self> {
        let state = State { least: LEAST, saved: 0.0, at: Duration::ZERO };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// Counts a call; whether it may be made.
    fn take(&self, is_retry: bool, now: Duration) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_sub(state.at).as_secs_f64() / WINDOW.as_secs_f64();
        state.at = state.at.max(now);
        state.least = (state.least + passed * LEAST).min(LEAST);
        state.saved *= (-passed).exp();
        if !is_retry {
            state.saved += SHARE;
            return true;
        }
        let purse = if state.saved >= 1.0 { &mut state.saved } else { &mut state.least };
        let is_enough = *purse >= 1.0;
        if is_enough {
            *purse -= 1.0;
        }
        is_enough
    }
}

/// See the module.
pub(crate) struct Retrying {
    pub(crate) inner: Arc<dyn ChatModel>,
    pub(crate) env: Env,
    pub(crate) budget: Arc<RetryBudget>,
    /// `provider/model`, for messages.
    pub(crate) name: Arc<str>,
}

#[async_trait]
impl ChatModel for Retrying {
    async fn call(&self, request: &ChatRequest, scope: &CallScope) -> Result<Answer, CallError> {
        if !self.budget.take(scope.number > 1, self.env.monotonic()) {
            let message = format!(
                "so many calls to model `{}` were tried again of late that this one has to wait",
                self.name
            );
            return Err(CallError { retry_after: Some(COME_BACK), ..CallError::new(Kind::Busy, message) });
        }
        self.inner.call(request, scope).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{LEAST, RetryBudget};

    #[test]
    fn tries_again_are_a_fifth_of_the_calls_and_a_few_besides() {
        for per_second in [1_u32, 20, 1_000] {
            let budget = RetryBudget::new();
            let (mut calls, mut again) = (0_u32, 0_u32);
            for n in 0..per_second * 60 {
                let now = Duration::from_secs_f64(f64::from(n) / f64::from(per_second));
                calls += u32::from(budget.take(false, now));
                // Every call fails and wants to be tried again.
                again += u32::from(budget.take(true, now));
            }
            assert_eq!(calls, per_second * 60);
            let most = 0.2 * f64::from(calls) + 7.0 * LEAST;
            let least = 0.15 * f64::from(calls);
            let name = format!("{again} of {calls}, {per_second} a second");
            assert!((least.min(f64::from(calls))..=most).contains(&f64::from(again)), "{name}");
        }
    }

    #[test]
    fn who_fails_alone_is_tried_again_and_never_shut_out_for_good() {
        let budget = RetryBudget::new();
        for n in 0..10 {
            assert!(budget.take(true, Duration::ZERO), "{n}");
        }
        assert!(!budget.take(true, Duration::ZERO));
        assert!(budget.take(true, Duration::from_secs(1)));
        assert!(!budget.take(true, Duration::from_secs(1)));
    }
}
