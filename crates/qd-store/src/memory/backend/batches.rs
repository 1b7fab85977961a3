//! The port of batches.

use async_trait::async_trait;
use qd_types::{BatchId, TenantId};

use super::MemoryBackend;
use crate::{
    Batch, BatchAccepted, BatchCancelled, BatchOpened, BatchPage, BatchQuery, Batches, Error, Fed,
    Idempotency, ItemPage, ItemQuery, NewBatch, NewItem,
};

#[async_trait]
impl Batches for MemoryBackend {
    async fn open_batch(&self, batch: NewBatch) -> Result<BatchOpened, Error> {
        self.change(|core| core.open_batch(&batch))
    }

    async fn add_items(&self, batch: BatchId, items: Vec<NewItem>) -> Result<bool, Error> {
        self.change(|core| core.add_items(batch, &items))
    }

    async fn accept_batch(
        &self,
        batch: BatchId,
        idempotency: Option<Idempotency>,
    ) -> Result<BatchAccepted, Error> {
        self.change(|core| core.accept_batch(batch, idempotency.as_ref()))
    }

    async fn discard_batch(&self, batch: BatchId) -> Result<(), Error> {
        self.change(|core| core.discard_batch(batch))
    }

    async fn replay_batch(
        &self,
        tenant: &TenantId,
        idempotency: Idempotency,
    ) -> Result<Option<BatchAccepted>, Error> {
        self.change(|core| core.replay_batch(tenant, &idempotency))
    }

    async fn feed_batches(&self, max: usize) -> Result<Fed, Error> {
        self.change(|core| core.feed_batches(max))
    }

    async fn cancel_batch(&self, tenant: &TenantId, batch: BatchId) -> Result<BatchCancelled, Error> {
        self.change(|core| core.cancel_batch(tenant, batch))
    }

    async fn batch(&self, tenant: &TenantId, batch: BatchId) -> Result<Option<Batch>, Error> {
        Ok(self.lock().rows.read_batch(tenant, batch))
    }

    async fn batches(&self, tenant: &TenantId, query: BatchQuery) -> Result<BatchPage, Error> {
        Ok(self.lock().rows.batch_page(tenant, &query))
    }

    async fn batch_items(
        &self,
        tenant: &TenantId,
        batch: BatchId,
        query: ItemQuery,
    ) -> Result<Option<ItemPage>, Error> {
        Ok(self.lock().rows.item_page(tenant, batch, &query))
    }
}
