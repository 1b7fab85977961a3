//! The handle's side of dead letters.

use qd_types::{Job, JobId, TenantId};

use super::Store;
use crate::observe::Op;
use crate::{DeadGroup, DeadQuery, Discard, Error};

impl Store {
    /// See [`crate::DeadLetters::dead_groups`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn dead_groups(&self, tenant: &TenantId, query: DeadQuery) -> Result<Vec<DeadGroup>, Error> {
        self.observer.call(Op::DeadGroups, self.backend.dead_groups(tenant, query)).await
    }

    /// See [`crate::DeadLetters::dead_count`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn dead_count(&self, tenant: &TenantId, query: DeadQuery) -> Result<u64, Error> {
        self.observer.call(Op::DeadCount, self.backend.dead_count(tenant, query)).await
    }

    /// See [`crate::DeadLetters::dead_jobs`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn dead_jobs(
        &self,
        tenant: &TenantId,
        query: DeadQuery,
        limit: usize,
    ) -> Result<Vec<Job>, Error> {
        self.observer.call(Op::DeadJobs, self.backend.dead_jobs(tenant, query, limit)).await
    }

    /// See [`crate::DeadLetters::discard`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn discard(&self, discard: Discard) -> Result<Vec<JobId>, Error> {
        self.observer.call(Op::Discard, self.backend.discard(discard)).await
    }
}
