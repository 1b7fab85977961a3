//! Feeds batches: makes jobs of their inputs as there is room. What the room is, the store decides, in the transaction that
//! makes the jobs.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::Shared;

/// Jobs of one round, so that no round holds the store up.
const ROUND: usize = 100;
/// Between two looks while inputs wait for room in the queue: nobody says when there is some.
const HELD_BACK: Duration = Duration::from_millis(100);
/// Between two looks when a hint may have got lost.
const LOOK_MAX: Duration = Duration::from_secs(5);
/// After a store that could not answer.
const STORE_AWAY: Duration = Duration::from_secs(1);

/// Runs until the engine stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    while !shared.stopping.is_cancelled() {
        let pause = round(&shared).await;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shared.store.batches_changed() => {}
            () = shared.stopping.cancelled() => {}
        }
    }
}

/// One round; answers how long to wait for the next.
async fn round(shared: &Shared) -> Duration {
    match shared.store.feed_batches(ROUND).await {
        Ok(fed) if fed.more => Duration::ZERO,
        Ok(fed) if fed.is_held_back => HELD_BACK,
        Ok(_) => LOOK_MAX,
        Err(error) => {
            tracing::error!(%error, "could not make jobs of batches");
            STORE_AWAY
        }
    }
}
