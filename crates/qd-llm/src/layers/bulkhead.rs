//! So many calls at once, and no more: one slow provider must not take every slot of the process.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use qd_types::{Billed, ChatRequest};
use tokio::sync::Semaphore;

use crate::error::Kind;
use crate::{Answer, CallError, CallScope, ChatModel};

/// When those come back that waited for as long as they may.
const COME_BACK: Duration = Duration::from_secs(5);

/// See the module.
pub(crate) struct Bulkhead {
    pub(crate) inner: Arc<dyn ChatModel>,
    /// Taken in this order: of the deployment first, so that those who wait for a slow model hold no place of its provider,
    /// which others need.
    pub(crate) places: [Arc<Semaphore>; 2],
    /// `provider/model`, for messages.
    pub(crate) name: Arc<str>,
}

#[async_trait]
impl ChatModel for Bulkhead {
    async fn call(&self, request: &ChatRequest, scope: &CallScope) -> Result<Answer, CallError> {
        let wait = async {
            let mut held = Vec::with_capacity(self.places.len());
            for places in &self.places {
                // Never closed.
                held.extend(places.acquire().await.ok());
            }
            held
        };
        let patience = scope.patience.min(scope.timeout.unwrap_or(scope.patience));
        let Ok(_held) = tokio::time::timeout(patience, wait).await else {
            let message = format!("model `{}` is busy with as many calls as it may have at once", self.name);
            return Err(CallError { retry_after: Some(COME_BACK), ..CallError::new(Kind::Busy, message) });
        };
        if !scope.is_wanted() {
            let message = "the call was not made because its job is no longer this worker's";
            return Err(CallError::new(Kind::Cancelled, message).billed(Billed::No));
        }
        self.inner.call(request, scope).await
    }
}

#[cfg(test)]
mod tests;
