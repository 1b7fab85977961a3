//! Takes what a call will use out of the reservoir before it is made, waits for its turn, and settles afterwards.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use qd_env::Env;
use qd_types::{Billed, ChatRequest};

use super::reservoir::{Need, Reservoir, Taken};
use crate::error::{Blame, Kind};
use crate::estimate::Estimator;
use crate::{Answer, CallError, CallScope, ChatModel};

/// See the module.
pub(crate) struct Pacing {
    pub(crate) inner: Arc<dyn ChatModel>,
    pub(crate) env: Env,
    pub(crate) reservoir: Arc<Reservoir>,
    pub(crate) estimator: Arc<Estimator>,
    /// The model's own bound of answers, for requests that set none.
    pub(crate) max_tokens: Option<u32>,
    /// `provider/model`, for messages.
    pub(crate) name: Arc<str>,
}

#[async_trait]
impl ChatModel for Pacing {
    async fn call(&self, request: &ChatRequest, scope: &CallScope) -> Result<Answer, CallError> {
        let need = self.need(request);
        let patience = scope.patience.min(scope.timeout.unwrap_or(scope.patience));
        let taken = self.reservoir.take(need, patience, self.env.monotonic());
        let (taken, wait) = taken.map_err(|wait| self.refusal(wait))?;
        let taken = Waiting { taken: Some(taken), env: &self.env }.out(wait).await;
        let answer = self.inner.call(request, scope).await;
        self.settle(request, &taken, &answer);
        answer
    }
}

/// A call that waits for its turn; dropped meanwhile, it leaves its turn to others.
struct Waiting<'a> {
    taken: Option<Taken>,
    env: &'a Env,
}

impl Waiting<'_> {
    async fn out(mut self, wait: Duration) -> Taken {
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        self.taken.take().expect("it is there until the wait is over")
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(taken) = &self.taken {
            taken.give_back(self.env.monotonic());
        }
    }
}

impl Pacing {
    fn need(&self, request: &ChatRequest) -> Need {
        let output =
            request.max_tokens.or(self.max_tokens).map_or_else(|| self.estimator.answer(), f64::from);
        Need { input: self.estimator.prompt(request), output }
    }

    fn refusal(&self, wait: Duration) -> CallError {
        let message = format!(
            "model `{}` has been sent as much as its limits allow; the next call may be made in {} s",
            self.name,
            wait.as_secs_f64().ceil()
        );
        CallError { retry_after: Some(wait), ..CallError::new(Kind::Busy, message) }
    }

    fn settle(&self, request: &ChatRequest, taken: &Taken, answer: &Result<Answer, CallError>) {
        let now = self.env.monotonic();
        match answer {
            Ok(answer) => {
                self.estimator.learn(request, &answer.usage);
                self.reservoir.answered();
                taken.settle(Some(Need::of(&answer.usage)), &answer.limits, now);
            }
            Err(error) if !error.was_made() => taken.give_back(now),
            Err(error) => {
                // A call that failed has used its place among the requests, and tokens only if it may be billed.
                let used = (error.billed == Billed::No).then_some(Need::default());
                taken.settle(used, &error.limits, now);
                if Blame::of(error.code) == Blame::RateLimit {
                    self.reservoir.refused(error.retry_after, now);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
