//! Asks the breakers of provider and deployment before a call and tells them what came of it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use qd_env::Env;
use qd_types::{ChatRequest, Code};

use super::breaker::{Breaker, Verdict};
use crate::error::{Blame, Kind};
use crate::{Answer, CallError, CallScope, ChatModel};

/// How long a deployment whose money or day quota is used up is left alone, unless it says for how long.
const QUOTA_OPEN: Duration = Duration::from_secs(600);

/// See the module.
pub(crate) struct Breaking {
    pub(crate) inner: Arc<dyn ChatModel>,
    pub(crate) env: Env,
    /// Of the provider's address: only connections that fail count.
    pub(crate) provider: Arc<Breaker>,
    /// Of the model there.
    pub(crate) deployment: Arc<Breaker>,
    /// `provider/model`, for messages.
    pub(crate) name: Arc<str>,
}

#[async_trait]
impl ChatModel for Breaking {
    async fn call(&self, request: &ChatRequest, scope: &CallScope) -> Result<Answer, CallError> {
        let now = self.env.monotonic();
        let provider = self.provider.acquire(now).map_err(|wait| self.refusal(wait))?;
        let deployment = self.deployment.acquire(now).map_err(|wait| self.refusal(wait))?;
        // Dropped with this future, the permits count as neutral.
        let answer = self.inner.call(request, scope).await;
        let now = self.env.monotonic();
        provider.settle(of_provider(&answer), now);
        deployment.settle(of_deployment(&answer), now);
        answer
    }
}

impl Breaking {
    fn refusal(&self, wait: Duration) -> CallError {
        let message = format!(
            "model `{}` failed too often of late and is left alone; the next look is in {} s",
            self.name,
            wait.as_secs_f64().ceil()
        );
        CallError { retry_after: Some(wait), ..CallError::new(Kind::CircuitOpen, message) }
    }
}

fn of_provider(answer: &Result<Answer, CallError>) -> Verdict {
    match answer {
        Err(error) if error.code == Code::ModelUnreachable => Verdict::Failure(None),
        Err(error) if Blame::of(error.code) == Blame::NoCall => Verdict::Neutral,
        // Whatever it said, somebody is there.
        Ok(_) | Err(_) => Verdict::Success,
    }
}

pub(crate) fn of_deployment(answer: &Result<Answer, CallError>) -> Verdict {
    let Err(error) = answer else { return Verdict::Success };
    match Blame::of(error.code) {
        Blame::Provider => Verdict::Failure(error.retry_after),
        Blame::Quota => Verdict::Trip(error.retry_after.unwrap_or(QUOTA_OPEN)),
        // A limit is a limit and a bad request is ours; neither says that the provider is ill.
        Blame::RateLimit
        | Blame::Access
        | Blame::Window
        | Blame::Answer
        | Blame::Request
        | Blame::Guard
        | Blame::NoCall => Verdict::Neutral,
    }
}

#[cfg(test)]
mod tests {
    use qd_types::Code;

    use super::{of_deployment, of_provider};
    use crate::error::Kind;
    use crate::layers::breaker::Verdict;
    use crate::{Answer, CallError};

    #[test]
    fn failures_of_the_provider_count_and_limits_and_bad_requests_do_not() {
        for (kind, deployment, provider) in [
            (Kind::Unreachable, Verdict::Failure(None), Verdict::Failure(None)),
            (Kind::Timeout, Verdict::Failure(None), Verdict::Success),
            (Kind::ServerError, Verdict::Failure(None), Verdict::Success),
            (Kind::Overloaded, Verdict::Failure(None), Verdict::Success),
            (Kind::StreamInterrupted, Verdict::Failure(None), Verdict::Success),
            (Kind::RateLimited, Verdict::Neutral, Verdict::Success),
            (Kind::Quota, Verdict::Trip(super::QUOTA_OPEN), Verdict::Success),
            (Kind::Auth, Verdict::Neutral, Verdict::Success),
            (Kind::ContextLength, Verdict::Neutral, Verdict::Success),
            (Kind::InvalidRequest, Verdict::Neutral, Verdict::Success),
            (Kind::BadOutput, Verdict::Neutral, Verdict::Success),
            (Kind::OutOfTime, Verdict::Neutral, Verdict::Neutral),
            (Kind::Cancelled, Verdict::Neutral, Verdict::Neutral),
        ] {
            let answer: Result<Answer, CallError> = Err(CallError::new(kind, "no"));
            assert_eq!((of_deployment(&answer), of_provider(&answer)), (deployment, provider), "{kind:?}");
        }
        assert_eq!(Kind::Quota.code(), Code::ModelQuota);
    }
}
