//! The port of batches.

use async_trait::async_trait;
use qd_types::{BatchId, TenantId};

use super::super::batches::read;
use super::SqliteBackend;
use crate::{
    Batch, BatchAccepted, BatchCancelled, BatchOpened, BatchPage, BatchQuery, Batches, Error, Fed,
    Idempotency, ItemPage, ItemQuery, NewBatch, NewItem,
};

#[async_trait]
impl Batches for SqliteBackend {
    async fn open_batch(&self, batch: NewBatch) -> Result<BatchOpened, Error> {
        self.writer.call(move |core| core.open_batch(&batch)).await
    }

    async fn add_items(&self, batch: BatchId, items: Vec<NewItem>) -> Result<bool, Error> {
        self.writer.call(move |core| core.add_items(batch, &items)).await
    }

    async fn accept_batch(
        &self,
        batch: BatchId,
        idempotency: Option<Idempotency>,
    ) -> Result<BatchAccepted, Error> {
        self.writer.call(move |core| core.accept_batch(batch, idempotency.as_ref())).await
    }

    async fn discard_batch(&self, batch: BatchId) -> Result<(), Error> {
        self.writer.call(move |core| core.discard_batch(batch)).await
    }

    async fn replay_batch(
        &self,
        tenant: &TenantId,
        idempotency: Idempotency,
    ) -> Result<Option<BatchAccepted>, Error> {
        let tenant = tenant.clone();
        self.writer.call(move |core| core.replay_batch(&tenant, &idempotency)).await
    }

    async fn feed_batches(&self, max: usize) -> Result<Fed, Error> {
        self.writer.call(move |core| core.feed_batches(max)).await
    }

    async fn cancel_batch(&self, tenant: &TenantId, batch: BatchId) -> Result<BatchCancelled, Error> {
        let tenant = tenant.clone();
        self.writer.call(move |core| core.cancel_batch(&tenant, batch)).await
    }

    async fn batch(&self, tenant: &TenantId, batch: BatchId) -> Result<Option<Batch>, Error> {
        let tenant = tenant.clone();
        self.readers.read(move |connection| read::batch(connection, &tenant, batch)).await
    }

    async fn batches(&self, tenant: &TenantId, query: BatchQuery) -> Result<BatchPage, Error> {
        let tenant = tenant.clone();
        self.readers.read(move |connection| read::page(connection, &tenant, &query)).await
    }

    async fn batch_items(
        &self,
        tenant: &TenantId,
        batch: BatchId,
        query: ItemQuery,
    ) -> Result<Option<ItemPage>, Error> {
        let tenant = tenant.clone();
        self.readers.read(move |connection| read::items(connection, &tenant, batch, &query)).await
    }
}
