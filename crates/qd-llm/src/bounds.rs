//! The times that a call may take, and the race between a call, its deadlines and its cancellation.

use std::future::Future;
use std::time::Duration;

use qd_types::Billed;

use crate::error::Kind;
use crate::{CallError, CallScope, ModelOptions, ProviderOptions};

/// How long each part of a call may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    stream: bool,
    first_token: Duration,
    pub(crate) idle: Duration,
    total: Duration,
    unary: Duration,
    pub(crate) body_bytes: usize,
}

impl Bounds {
    /// The provider's bounds, tightened by the model's.
    pub(crate) fn of(provider: &ProviderOptions, model: &ModelOptions) -> Self {
        let most =
            model.timeout_seconds.and_then(|s| Duration::try_from_secs_f64(s).ok()).unwrap_or(Duration::MAX);
        Self {
            stream: provider.stream,
            first_token: provider.first_token_timeout.min(most),
            idle: provider.idle_timeout,
            total: provider.total_timeout.min(most),
            unary: provider.unary_timeout.min(most),
            body_bytes: provider.max_body_bytes,
        }
    }

    pub(crate) fn streams(&self) -> bool {
        self.stream
    }

    /// Bound of the whole call.
    pub(crate) fn whole(&self) -> Duration {
        if self.stream { self.total } else { self.unary }
    }

    /// Bound of the time to the first piece.
    pub(crate) fn first(&self) -> Duration {
        if self.stream { self.first_token } else { self.unary }
    }

    pub(crate) fn stood_still(&self) -> CallError {
        let wait = self.idle.as_secs_f64();
        CallError::new(Kind::Timeout, format!("the answer stood still for {wait} s"))
    }

    pub(crate) fn no_first_token(&self) -> CallError {
        let wait = self.first().as_secs_f64();
        CallError::new(Kind::Timeout, format!("sent nothing of an answer within {wait} s"))
    }
}

/// Runs a call until it is done, its time is over, or somebody cancels it. Whatever ends it, nothing of it runs on.
pub(crate) async fn within<T>(
    whole: Duration,
    scope: &CallScope,
    work: impl Future<Output = Result<T, CallError>>,
) -> Result<T, CallError> {
    let outer = scope.timeout.unwrap_or(Duration::MAX);
    if outer.is_zero() {
        return Err(out_of_time(outer).billed(Billed::No));
    }
    tokio::select! {
        // A call that is done counts as done even if its time ends in the same moment: it is paid for.
        biased;
        result = work => result,
        () = scope.cancel.cancelled() => Err(CallError::new(Kind::Cancelled, "the call was cancelled")),
        () = tokio::time::sleep(whole.min(outer)) => Err(if outer < whole {
            out_of_time(outer)
        } else {
            let seconds = whole.as_secs_f64();
            CallError::new(Kind::Timeout, format!("the answer was not complete within {seconds} s"))
        }),
    }
}

fn out_of_time(left: Duration) -> CallError {
    let seconds = left.as_secs_f64();
    CallError::new(
        Kind::OutOfTime,
        format!("no answer within the {seconds} s that were left of the job's time"),
    )
}
