//! Claims jobs for free slots and starts their attempts.
//!
//! A claim is made when there is a slot and reason to believe that something waits: a hint, a claim that was filled to
//! the brim, or the poll. So an idle worker does nothing and a busy one claims in batches.

use std::sync::Arc;

use futures::FutureExt;
use qd_store::Claimed;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::attempt;
use crate::engine::Shared;

/// Jobs of one claim.
const CLAIM_MAX: usize = 64;

/// Runs until the engine stops and every attempt has ended.
pub(crate) async fn run(shared: Arc<Shared>) {
    let slots = Arc::new(Semaphore::new(shared.options.slots));
    while !shared.stopping.is_cancelled() {
        let Some(first) = free_slot(&shared, &slots).await else { break };
        // Attempts that end in the same commit give their slots back together: one claim serves them all.
        tokio::task::yield_now().await;
        let free = 1 + slots.available_permits().min(CLAIM_MAX - 1);
        match shared.store.claim(&shared.worker, free).await {
            Ok(claimed) => {
                let filled = claimed.len() == free;
                start_all(&shared, &slots, first, claimed);
                if !filled {
                    wait_for_work(&shared).await;
                }
            }
            Err(error) => {
                tracing::error!(%error, "could not claim jobs");
                wait_for_work(&shared).await;
            }
        }
    }
    let all = u32::try_from(shared.options.slots).unwrap_or(u32::MAX);
    // Every slot back means every attempt has ended.
    let _ = slots.acquire_many(all).await;
}

async fn free_slot(shared: &Shared, slots: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    tokio::select! {
        permit = Arc::clone(slots).acquire_owned() => permit.ok(),
        () = shared.stopping.cancelled() => None,
    }
}

async fn wait_for_work(shared: &Shared) {
    tokio::select! {
        () = shared.store.work() => {}
        () = tokio::time::sleep(shared.options.poll) => {}
        () = shared.stopping.cancelled() => {}
    }
}

fn start_all(
    shared: &Arc<Shared>,
    slots: &Arc<Semaphore>,
    first: OwnedSemaphorePermit,
    claimed: Vec<Claimed>,
) {
    let mut first = Some(first);
    for claimed in claimed {
        let permit = first.take().or_else(|| Arc::clone(slots).try_acquire_owned().ok());
        let shared = Arc::clone(shared);
        let env = shared.env.clone();
        env.spawn(async move {
            run_one(&shared, claimed).await;
            drop(permit);
        });
    }
}

async fn run_one(shared: &Arc<Shared>, claimed: Claimed) {
    let (job, fence) = (claimed.job.id, claimed.lease.fence);
    let revoked = shared.held.add(job, &claimed.lease);
    let _slot = shared.observer.slot();
    let claimed = Arc::new(claimed);
    let attempt = attempt::run(Arc::clone(shared), Arc::clone(&claimed), revoked);
    // A bug in one job must not take its neighbours along.
    if std::panic::AssertUnwindSafe(attempt).catch_unwind().await.is_err() {
        attempt::fail_after_panic(shared, &claimed).await;
    }
    shared.held.remove(job, fence);
    shared.spend.close_job(&claimed.job);
    shared.store.let_go(job, fence);
}
