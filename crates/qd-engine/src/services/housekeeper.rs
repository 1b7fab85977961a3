//! Promotes what is due, rescues what lost its worker, expires and prunes: the store's `tick`, again and again.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::Shared;

/// Jobs of each kind in one round, so that no round holds the store up.
const ROUND: usize = 500;

/// Runs until the engine stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    loop {
        let pause = round(&shared).await;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shared.stopping.cancelled() => break,
        }
    }
}

/// One round; answers how long to wait for the next.
async fn round(shared: &Shared) -> Duration {
    match shared.store.tick(ROUND).await {
        Ok(tick) if tick.more => Duration::ZERO,
        Ok(tick) => {
            if tick.rescued > 0 {
                tracing::warn!(jobs = tick.rescued, "took over jobs whose worker did not renew its lease");
            }
            let due = tick.next_due.map(|at| at.since(shared.env.now()));
            due.unwrap_or(shared.options.tick).clamp(Duration::from_millis(5), shared.options.tick)
        }
        Err(error) => {
            tracing::error!(%error, "housekeeping failed");
            shared.options.tick
        }
    }
}
