//! Gives slices of budgets back that nobody uses, so that a process which dies takes no more along than it needs.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::Shared;

/// A slice that nobody used for this long goes back.
const UNUSED: Duration = Duration::from_secs(5);

/// Runs until the engine stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(UNUSED) => shared.spend.give_back(false).await,
            () = shared.stopping.cancelled() => break,
        }
    }
}
