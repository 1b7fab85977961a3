//! Where batches are kept.

use qd_types::{BatchId, JobId, TenantId, Timestamp};

use super::RowId;
use crate::{Batch, Error, Idempotency, ItemInput, NewBatch, NewItem};

/// How far a batch is in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It is being taken in. Nobody sees it.
    TakenIn,
    /// It was accepted.
    Accepted,
    /// It is to be deleted. Nobody sees it.
    Left,
}

impl Stage {
    /// Every stage. The place is how it is stored.
    pub(crate) const ALL: [Self; 3] = [Self::TakenIn, Self::Accepted, Self::Left];
}

/// A batch with what only the store knows of it. Its jobs by status are not filled in.
#[derive(Debug, Clone)]
pub(crate) struct BatchRow {
    pub(crate) row: RowId,
    pub(crate) stage: Stage,
    pub(crate) machine_version: u32,
    pub(crate) total_tasks: u32,
    pub(crate) batch: Batch,
}

/// A batch's idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchKey {
    pub(crate) batch: BatchId,
    pub(crate) body_hash: [u8; 32],
}

/// Where batches and their inputs are kept.
pub(crate) trait BatchRows {
    /// Adds a batch that is taken in.
    fn insert_batch(&mut self, batch: &NewBatch, now: Timestamp) -> Result<(), Error>;
    /// Batches of a tenant that are taken in or not over.
    fn count_open_batches(&mut self, tenant: &TenantId) -> Result<usize, Error>;
    /// Reads a batch in any stage.
    fn batch(&mut self, id: BatchId) -> Result<Option<BatchRow>, Error>;
    /// Writes what changes in a batch: stage, status, counts, sums, times.
    fn put_batch(&mut self, batch: &BatchRow) -> Result<(), Error>;
    /// Looks the key of an accepted batch up.
    fn batch_key(&mut self, tenant: &TenantId, key: &str) -> Result<Option<BatchKey>, Error>;
    /// Notes the key of a batch that is being accepted.
    fn put_batch_key(&mut self, row: RowId, idempotency: &Idempotency) -> Result<(), Error>;
    /// Adds inputs behind the first `from`.
    fn add_items(&mut self, batch: &BatchRow, from: u32, items: &[NewItem]) -> Result<(), Error>;
    /// Batches behind a row that have inputs waiting and may have more jobs, in order.
    fn hungry_batches(&mut self, after: RowId, limit: usize) -> Result<Vec<BatchRow>, Error>;
    /// The first inputs that wait.
    fn waiting_items(&mut self, row: RowId, limit: usize) -> Result<Vec<(u32, ItemInput)>, Error>;
    /// An input has its job; what it says is kept there from now on.
    fn start_item(&mut self, row: RowId, index: u32, job: JobId) -> Result<(), Error>;
    /// The job of an input is over.
    fn end_item(&mut self, row: RowId, index: u32) -> Result<(), Error>;
    /// Jobs of a batch that are not over.
    fn open_jobs(&mut self, row: RowId) -> Result<Vec<JobId>, Error>;
    /// Leaves batches to be deleted that were over before and that no pending delivery needs, and those whose taking in
    /// began before `begun_before`. Deletes at most `limit` inputs of what is left, and the batches that have none.
    fn prune_batches(
        &mut self,
        finished_before: Timestamp,
        begun_before: Timestamp,
        limit: usize,
    ) -> Result<usize, Error>;
}
