//! The places for jobs in this process: slots for whatever is next, and spare ones for tenants of which few jobs run.
//! Who is entitled to a spare one is for the store to say.

use std::sync::Arc;

use qd_store::Room;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Jobs of one claim, of either kind.
const CLAIM_MAX: usize = 64;

/// See the module. One task takes; whoever holds a [`Slot`] gives back.
pub(crate) struct Slots {
    any: Arc<Semaphore>,
    spare: Arc<Semaphore>,
    spare_returned: Arc<Notify>,
    sizes: (usize, usize),
}

/// A place that is taken, until this is dropped.
pub(crate) struct Slot {
    permit: Option<OwnedSemaphorePermit>,
    /// Told of its return; only spare ones need that.
    returned: Option<Arc<Notify>>,
}

impl Slot {
    /// Whether it is a spare one.
    pub(crate) fn is_spare(&self) -> bool {
        self.returned.is_some()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // First free, then told.
        drop(self.permit.take());
        if let Some(returned) = &self.returned {
            returned.notify_one();
        }
    }
}

impl Slots {
    /// All free. At most as many are spare as there are others: so a tenant that has all of those is given no spare one.
    pub(crate) fn new(any: usize, spare: usize) -> Self {
        let spare = spare.min(any);
        Self {
            any: Arc::new(Semaphore::new(any)),
            spare: Arc::new(Semaphore::new(spare)),
            spare_returned: Arc::default(),
            sizes: (any, spare),
        }
    }

    /// Waits until there is a slot for whatever is next.
    pub(crate) async fn free(&self) {
        let _ = self.any.acquire().await;
    }

    /// Waits until there is a spare slot.
    pub(crate) async fn spare_free(&self) {
        let _ = self.spare.acquire().await;
    }

    /// Waits until a spare slot came back; returns at once if one did since the last wait.
    pub(crate) async fn spare_returned(&self) {
        self.spare_returned.notified().await;
    }

    /// What there is room for now, in one claim.
    pub(crate) fn room(&self) -> Room {
        let free = |slots: &Semaphore| slots.available_permits().min(CLAIM_MAX);
        Room { any: free(&self.any), spare: free(&self.spare) }
    }

    /// A slot for the `n`-th job of what was claimed for a room, which begins with those for any slot.
    pub(crate) fn take(&self, room: Room, n: usize) -> Slot {
        let (slots, returned) = if n < room.any {
            (&self.any, None)
        } else {
            (&self.spare, Some(Arc::clone(&self.spare_returned)))
        };
        Slot { permit: Arc::clone(slots).try_acquire_owned().ok(), returned }
    }

    /// Waits until all are free.
    pub(crate) async fn all_free(&self) {
        for (slots, size) in [(&self.any, self.sizes.0), (&self.spare, self.sizes.1)] {
            let _ = slots.acquire_many(u32::try_from(size).unwrap_or(u32::MAX)).await;
        }
    }
}
