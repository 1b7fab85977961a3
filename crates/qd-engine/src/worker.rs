//! Claims jobs for free slots and starts their attempts.
//!
//! A claim is made when there is a slot and reason to believe that something waits for it: a hint, a claim that was filled
//! to the brim, or the poll. So an idle worker does nothing and a busy one claims in batches. Jobs of tenants of which few
//! run may take a spare slot, so there are two kinds of slots and of reasons.

mod slots;

use std::sync::Arc;

use futures::FutureExt;
use qd_store::{Claimed, Room};

use crate::attempt;
use crate::engine::Shared;
use crate::worker::slots::{Slot, Slots};

/// What may wait, as far as is known.
#[derive(Debug, Clone, Copy)]
struct Hopes {
    /// A job for any slot.
    any: bool,
    /// A job for a spare slot.
    spare: bool,
}

const NOTHING: Hopes = Hopes { any: false, spare: false };
const EVERYTHING: Hopes = Hopes { any: true, spare: true };

/// Runs until the engine stops and every attempt has ended.
pub(crate) async fn run(shared: Arc<Shared>) {
    let slots = Slots::new(shared.options.slots, shared.options.spare_slots);
    let mut hopes = EVERYTHING;
    while let Some(next) = wait(&shared, &slots, hopes).await {
        hopes = match next {
            Next::Hoped(hopes) => hopes,
            Next::Claim => {
                // Attempts that end in the same commit give their slots back together: one claim serves them all.
                tokio::task::yield_now().await;
                if shared.stopping.is_cancelled() {
                    break;
                }
                claim(&shared, &slots, hopes).await
            }
        };
    }
    // Every slot back means every attempt has ended.
    slots.all_free().await;
}

/// What the worker was waiting for.
enum Next {
    /// Something may wait now.
    Hoped(Hopes),
    /// Something may wait, and there is a slot for it.
    Claim,
}

/// Nothing once the engine stops.
async fn wait(shared: &Shared, slots: &Slots, hopes: Hopes) -> Option<Next> {
    tokio::select! {
        // Nothing is claimed any more once the engine stops. No other branch starves: what hints bring is hoped for once.
        biased;
        () = shared.stopping.cancelled() => None,
        () = slots.free(), if hopes.any => Some(Next::Claim),
        () = slots.spare_free(), if hopes.spare => Some(Next::Claim),
        () = shared.store.work(), if !hopes.any => Some(Next::Hoped(Hopes { any: true, ..hopes })),
        () = shared.store.spare_work(), if !hopes.spare => Some(Next::Hoped(Hopes { spare: true, ..hopes })),
        () = slots.spare_returned(), if !hopes.spare => Some(Next::Hoped(Hopes { spare: true, ..hopes })),
        () = tokio::time::sleep(shared.options.poll) => Some(Next::Hoped(EVERYTHING)),
    }
}

/// Claims for all slots that are free and answers what may wait then.
async fn claim(shared: &Arc<Shared>, slots: &Slots, hopes: Hopes) -> Hopes {
    let room = slots.room();
    match shared.store.claim(&shared.worker, room).await {
        Ok(claimed) => {
            let got = claimed.len();
            start_all(shared, slots, room, claimed);
            // What was filled to the brim may be followed by more; where there was no room nothing was learned.
            Hopes {
                any: if room.any == 0 { hopes.any } else { got >= room.any },
                spare: got >= room.any + room.spare,
            }
        }
        Err(error) => {
            tracing::error!(%error, "could not claim jobs");
            NOTHING
        }
    }
}

fn start_all(shared: &Arc<Shared>, slots: &Slots, room: Room, claimed: Vec<Claimed>) {
    for (n, claimed) in claimed.into_iter().enumerate() {
        let slot = slots.take(room, n);
        let shared = Arc::clone(shared);
        let env = shared.env.clone();
        env.spawn(async move {
            run_one(&shared, claimed, &slot).await;
        });
    }
}

async fn run_one(shared: &Arc<Shared>, claimed: Claimed, slot: &Slot) {
    let (job, fence) = (claimed.job.id, claimed.lease.fence);
    let revoked = shared.held.add(job, &claimed.lease);
    let _busy = shared.observer.busy(slot.is_spare());
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
