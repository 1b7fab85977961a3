//! The handle's side of batches.

use qd_types::{BatchId, TenantId};

use super::Store;
use crate::observe::Op;
use crate::{
    Batch, BatchAccepted, BatchCancelled, BatchOpened, BatchPage, BatchQuery, Error, Fed, Idempotency,
    ItemPage, ItemQuery, NewBatch, NewItem,
};

impl Store {
    /// See [`crate::Batches::open_batch`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn open_batch(&self, batch: NewBatch) -> Result<BatchOpened, Error> {
        self.observer.call(Op::OpenBatch, self.backend.open_batch(batch)).await
    }

    /// See [`crate::Batches::add_items`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn add_items(&self, batch: BatchId, items: Vec<NewItem>) -> Result<bool, Error> {
        self.observer.call(Op::AddItems, self.backend.add_items(batch, items)).await
    }

    /// See [`crate::Batches::accept_batch`].
    ///
    /// # Errors
    /// If the backend cannot carry it out; nobody sees the batch then.
    pub async fn accept_batch(
        &self,
        batch: BatchId,
        idempotency: Option<Idempotency>,
    ) -> Result<BatchAccepted, Error> {
        self.observer.call(Op::AcceptBatch, self.backend.accept_batch(batch, idempotency)).await
    }

    /// See [`crate::Batches::discard_batch`].
    ///
    /// # Errors
    /// If the backend cannot carry it out; housekeeping deletes the batch then.
    pub async fn discard_batch(&self, batch: BatchId) -> Result<(), Error> {
        self.observer.call(Op::DiscardBatch, self.backend.discard_batch(batch)).await
    }

    /// See [`crate::Batches::replay_batch`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn replay_batch(
        &self,
        tenant: &TenantId,
        idempotency: Idempotency,
    ) -> Result<Option<BatchAccepted>, Error> {
        self.observer.call(Op::ReplayBatch, self.backend.replay_batch(tenant, idempotency)).await
    }

    /// See [`crate::Batches::feed_batches`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn feed_batches(&self, max: usize) -> Result<Fed, Error> {
        let fed = self.observer.call(Op::FeedBatches, self.backend.feed_batches(max)).await?;
        self.observer.fed(&fed);
        Ok(fed)
    }

    /// See [`crate::Batches::cancel_batch`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn cancel_batch(&self, tenant: &TenantId, batch: BatchId) -> Result<BatchCancelled, Error> {
        let cancelled = self.observer.call(Op::CancelBatch, self.backend.cancel_batch(tenant, batch)).await?;
        self.observer.batch_cancelled(&cancelled);
        Ok(cancelled)
    }

    /// See [`crate::Batches::batch`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn batch(&self, tenant: &TenantId, batch: BatchId) -> Result<Option<Batch>, Error> {
        self.observer.call(Op::Batch, self.backend.batch(tenant, batch)).await
    }

    /// See [`crate::Batches::batches`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn batches(&self, tenant: &TenantId, query: BatchQuery) -> Result<BatchPage, Error> {
        self.observer.call(Op::Batches, self.backend.batches(tenant, query)).await
    }

    /// See [`crate::Batches::batch_items`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn batch_items(
        &self,
        tenant: &TenantId,
        batch: BatchId,
        query: ItemQuery,
    ) -> Result<Option<ItemPage>, Error> {
        self.observer.call(Op::BatchItems, self.backend.batch_items(tenant, batch, query)).await
    }

    /// Waits for a hint that a batch may make jobs.
    pub async fn batches_changed(&self) {
        self.live.batches().await;
    }
}
