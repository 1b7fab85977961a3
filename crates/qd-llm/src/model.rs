//! The seam of the crate: who can be asked, with what around the request, and what comes back.
//!
//! Policies (retries, limits, caches) will be further `ChatModel`s around one; providers are the innermost ones.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use qd_types::{ChatReply, ChatRequest, JobId, NanoDollars, StepId, TenantId, Usage};
use tokio_util::sync::CancellationToken;

use crate::{CallError, SeenLimits};

/// Somebody who answers chat requests.
#[async_trait]
pub trait ChatModel: Send + Sync {
    /// Makes one call, or fails; never tries twice. Dropping the future ends the call.
    ///
    /// The request's `model` is not read again: whoever resolved the name chose this object.
    async fn call(&self, request: &ChatRequest, scope: &CallScope) -> Result<Answer, CallError>;
}

/// An answer and what it took.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The answer itself.
    pub reply: ChatReply,
    /// One model call with its tokens; `unpriced_calls` is 1 if no price is known.
    pub usage: Usage,
    /// What it cost; nothing if no price is known.
    pub cost: NanoDollars,
    /// What the provider said of its limits.
    pub limits: SeenLimits,
    /// Which deployment answered: `provider/model`.
    pub deployment: Option<Arc<str>>,
}

/// How long a call waits for its turn unless it is told otherwise.
const PATIENCE: Duration = Duration::from_secs(15);

/// On whose behalf a call is made, and within what bounds.
#[derive(Clone)]
pub struct CallScope {
    /// Whose job it is.
    pub tenant: TenantId,
    /// The job; none for calls outside of one.
    pub job: Option<JobId>,
    /// The step of the job.
    pub step: StepId,
    /// Which try of the step, from 1.
    pub number: u32,
    /// What is left until an outer deadline; cutting a call there gives `job_timeout`, class exhausted.
    pub timeout: Option<Duration>,
    /// How long the call may wait for its turn or for a place before it is refused.
    pub patience: Duration,
    /// Deployments that failed at this step: others are asked first.
    pub avoid: Vec<Arc<str>>,
    /// Ends the call when somebody asks for it.
    pub cancel: CancellationToken,
    /// Asked right before the call is made, after every wait for a place; without it every call is wanted.
    pub wanted: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
    /// Listens to the answer while it comes; without it nothing is pushed.
    pub deltas: Option<Arc<dyn DeltaSink>>,
}

impl CallScope {
    /// A scope of the default tenant without job, deadline or listener; the first try of `step`.
    #[must_use]
    pub fn of_step(step: StepId) -> Self {
        Self {
            tenant: TenantId::default(),
            job: None,
            step,
            number: 1,
            timeout: None,
            patience: PATIENCE,
            avoid: Vec::new(),
            cancel: CancellationToken::new(),
            wanted: None,
            deltas: None,
        }
    }

    /// Whether the call is still to be made.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted())
    }

    /// `job/step/try`, the value of `X-Quarterdeck-Call` and the key of the simulator's ledger. Without a job its place
    /// is `-`; what a header cannot carry is percent-encoded.
    #[must_use]
    pub fn call_id(&self) -> String {
        let mut id = self.job.map_or_else(|| "-".to_owned(), |job| job.to_string());
        id.push('/');
        for byte in self.step.as_str().bytes() {
            match byte {
                b'%' => id.push_str("%25"),
                b'!'..=b'~' => id.push(char::from(byte)),
                other => write!(id, "%{other:02X}").expect("writing to a String cannot fail"),
            }
        }
        write!(id, "/{}", self.number).expect("writing to a String cannot fail");
        id
    }
}

/// Takes the pieces of an answer as they come. Must be quick and must not block: the call waits for it.
pub trait DeltaSink: Send + Sync {
    /// `text` stands `offset` bytes into the answer.
    fn push(&self, offset: u64, text: &str);
}

#[cfg(test)]
mod tests {
    use qd_types::{JobId, StepId};

    use super::CallScope;

    #[test]
    fn call_ids_fit_into_a_header_and_keep_their_slashes() {
        let mut scope = CallScope::of_step(StepId::new("draft/turn-3/model"));
        assert_eq!(scope.call_id(), "-/draft/turn-3/model/1");
        scope.job = JobId::parse("0198c0de-0000-7000-8000-000000000001");
        scope.step = StepId::new("prüfen 100%/turn-1/model");
        scope.number = 2;
        assert_eq!(
            scope.call_id(),
            "0198c0de-0000-7000-8000-000000000001/pr%C3%BCfen%20100%25/turn-1/model/2"
        );
    }
}
