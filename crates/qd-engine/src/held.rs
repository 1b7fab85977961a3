//! The leases this process holds: what to renew, and how to reach an attempt whose lease is gone.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use qd_store::{Fence, Lease};
use qd_types::JobId;
use tokio_util::sync::CancellationToken;

/// Leases in hand.
#[derive(Default)]
pub(crate) struct Held {
    // Each use is one map operation.
    leases: Mutex<HashMap<JobId, (Fence, CancellationToken)>>,
}

impl Held {
    /// Adds a lease; the token fires when it is revoked.
    pub(crate) fn add(&self, job: JobId, lease: &Lease) -> CancellationToken {
        let revoked = CancellationToken::new();
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        leases.insert(job, (lease.fence, revoked.clone()));
        revoked
    }

    /// Forgets a lease, unless the job was claimed anew meanwhile.
    pub(crate) fn remove(&self, job: JobId, fence: Fence) {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        if leases.get(&job).is_some_and(|(held, _)| *held == fence) {
            leases.remove(&job);
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<(JobId, Fence)> {
        let leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        leases.iter().map(|(job, (fence, _))| (*job, *fence)).collect()
    }

    /// How many.
    pub(crate) fn count(&self) -> usize {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Tells the attempts of these jobs that their leases are gone.
    pub(crate) fn revoke(&self, jobs: impl IntoIterator<Item = JobId>) {
        let leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        for job in jobs {
            if let Some((_, revoked)) = leases.get(&job) {
                revoked.cancel();
            }
        }
    }
}
