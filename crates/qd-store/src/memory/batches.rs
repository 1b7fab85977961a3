//! Batches as maps.

use std::collections::{BTreeMap, HashMap};

use qd_types::{
    BatchId, Class, Code, Failure, Job, JobId, JobStatus, NanoDollars, TenantId, Timestamp, Usage,
};

use super::rows::MemoryRows;
use crate::embedded::{BatchKey, BatchRow, BatchRows, PAGE_BYTES, RowId, Stage};
use crate::{
    Batch, BatchCounts, BatchPage, BatchQuery, BatchStatus, Cursor, Error, Idempotency, ItemInput, ItemPage,
    ItemQuery, ItemResult, ItemStatus, NewBatch, NewItem,
};

enum Item {
    Waiting(ItemInput),
    Started { job: JobId, is_over: bool },
    Invalid(String),
}

struct Kept {
    row: BatchRow,
    begun_at: Timestamp,
    key: Option<(String, [u8; 32])>,
    items: Vec<Item>,
}

/// Batches in the order in which they were begun.
#[derive(Default)]
pub(super) struct MemoryBatches {
    rows: BTreeMap<RowId, Kept>,
    ids: HashMap<BatchId, RowId>,
}

impl MemoryBatches {
    fn of(&self, id: BatchId) -> Option<&Kept> {
        self.ids.get(&id).and_then(|row| self.rows.get(row))
    }

    fn seen(&self, tenant: &TenantId, id: BatchId) -> Option<&Kept> {
        let is_seen = |kept: &&Kept| kept.row.stage == Stage::Accepted && kept.row.batch.tenant == *tenant;
        self.of(id).filter(is_seen)
    }

    fn kept(&mut self, row: RowId) -> Result<&mut Kept, Error> {
        let missing = || Error::Unreadable { what: format!("row {row} of the batches is missing") };
        self.rows.get_mut(&row).ok_or_else(missing)
    }

    /// Whether a batch still needs its jobs.
    pub(super) fn needs(&self, id: BatchId) -> bool {
        self.of(id).is_some_and(|kept| kept.row.stage == Stage::Accepted)
    }
}

impl MemoryRows {
    /// One batch.
    pub(super) fn read_batch(&self, tenant: &TenantId, id: BatchId) -> Option<Batch> {
        self.batches.seen(tenant, id).map(|kept| self.shown(kept))
    }

    fn shown(&self, kept: &Kept) -> Batch {
        let mut open: Vec<(JobStatus, u32)> = Vec::new();
        for item in &kept.items {
            let Item::Started { job, is_over: false } = item else { continue };
            let Some(job) = self.job_of(*job) else { continue };
            match open.iter_mut().find(|(status, _)| *status == job.status) {
                Some((_, count)) => *count += 1,
                None => open.push((job.status, 1)),
            }
        }
        Batch { open, ..kept.row.batch.clone() }
    }

    fn job_of(&self, id: JobId) -> Option<&Job> {
        self.ids.get(&id).and_then(|row| self.jobs.get(row))
    }

    /// A page of batches, newest first.
    pub(super) fn batch_page(&self, tenant: &TenantId, query: &BatchQuery) -> BatchPage {
        let below = query.cursor.map_or(RowId::MAX, |cursor| cursor.0);
        let matches = |kept: &Kept| {
            let batch = &kept.row.batch;
            kept.row.stage == Stage::Accepted
                && batch.tenant == *tenant
                && query.status.is_none_or(|status| batch.status == status)
                && query.crew.as_ref().is_none_or(|crew| batch.crew == *crew)
        };
        let mut rows = self.batches.rows.range(..below).rev().filter(|(_, kept)| matches(kept));
        let found: Vec<_> = rows.by_ref().take(query.limit).collect();
        let next = found.last().map(|(row, _)| Cursor(**row)).filter(|_| rows.next().is_some());
        BatchPage { batches: found.into_iter().map(|(_, kept)| self.shown(kept)).collect(), next }
    }

    /// What became of inputs.
    pub(super) fn item_page(&self, tenant: &TenantId, id: BatchId, query: &ItemQuery) -> Option<ItemPage> {
        let kept = self.batches.seen(tenant, id)?;
        let is_cancelled = kept.row.batch.status == BatchStatus::Cancelled;
        let results = (0..).zip(&kept.items).skip(query.from as usize).filter_map(|(index, item)| {
            let result = self.result(index, item, is_cancelled)?;
            query.status.is_none_or(|status| status == result.status).then_some(result)
        });
        let (mut page, mut bytes) = (ItemPage::default(), 0);
        for result in results {
            if page.items.len() == query.limit || bytes >= PAGE_BYTES {
                page.next = Some(result.index);
                break;
            }
            bytes += result.output.as_ref().map_or(0, |output| output.raw.len());
            page.items.push(result);
        }
        Some(page)
    }

    fn result(&self, index: u32, item: &Item, is_cancelled: bool) -> Option<ItemResult> {
        let empty = |status| ItemResult {
            index,
            status,
            job: None,
            output: None,
            error: None,
            cost: NanoDollars::default(),
        };
        match item {
            Item::Waiting(_) if is_cancelled => Some(empty(ItemStatus::Of(JobStatus::Cancelled))),
            Item::Waiting(_) => Some(empty(ItemStatus::Pending)),
            Item::Invalid(why) => {
                let failure = Failure::new(Code::ValidationFailed, Class::Permanent, why);
                Some(ItemResult { error: Some(failure), ..empty(ItemStatus::Invalid) })
            }
            Item::Started { job, .. } => {
                let job = self.job_of(*job)?;
                Some(ItemResult {
                    job: Some(job.id),
                    output: job.output.clone(),
                    error: job.error.clone(),
                    cost: job.cost,
                    ..empty(ItemStatus::Of(job.status))
                })
            }
        }
    }
}

impl BatchRows for MemoryRows {
    fn insert_batch(&mut self, new: &NewBatch, now: Timestamp) -> Result<(), Error> {
        let row = self.batches.rows.last_key_value().map_or(1, |(row, _)| row + 1);
        let batch = Batch {
            id: new.id,
            tenant: new.tenant.clone(),
            crew: new.crew.clone(),
            crew_version: new.crew_version,
            status: BatchStatus::Running,
            priority: new.priority,
            concurrency: new.concurrency,
            timeout_seconds: new.timeout_seconds,
            max_attempts: new.max_attempts,
            budget: new.budget,
            metadata: new.metadata.clone(),
            webhook_url: new.webhook_url.clone(),
            counts: BatchCounts::default(),
            open: Vec::new(),
            usage: Usage::default(),
            cost: NanoDollars::default(),
            created_at: now,
            finished_at: None,
        };
        let (machine_version, total_tasks) = (new.machine_version, new.total_tasks);
        let stored = BatchRow { row, stage: Stage::TakenIn, machine_version, total_tasks, batch };
        self.batches.ids.insert(new.id, row);
        let kept = Kept { row: stored, begun_at: now, key: None, items: Vec::new() };
        self.batches.rows.insert(row, kept);
        Ok(())
    }

    fn count_open_batches(&mut self, tenant: &TenantId) -> Result<usize, Error> {
        let is_open = |kept: &&Kept| {
            kept.row.stage != Stage::Left
                && kept.row.batch.finished_at.is_none()
                && kept.row.batch.tenant == *tenant
        };
        Ok(self.batches.rows.values().filter(is_open).count())
    }

    fn batch(&mut self, id: BatchId) -> Result<Option<BatchRow>, Error> {
        Ok(self.batches.of(id).map(|kept| kept.row.clone()))
    }

    fn put_batch(&mut self, batch: &BatchRow) -> Result<(), Error> {
        self.batches.kept(batch.row)?.row = batch.clone();
        Ok(())
    }

    fn batch_key(&mut self, tenant: &TenantId, key: &str) -> Result<Option<BatchKey>, Error> {
        let found = self.batches.rows.values().find_map(|kept| {
            let (known, body_hash) = kept.key.as_ref()?;
            let is_it = kept.row.stage == Stage::Accepted && kept.row.batch.tenant == *tenant && known == key;
            is_it.then_some(BatchKey { batch: kept.row.batch.id, body_hash: *body_hash })
        });
        Ok(found)
    }

    fn put_batch_key(&mut self, row: RowId, idempotency: &Idempotency) -> Result<(), Error> {
        self.batches.kept(row)?.key = Some((idempotency.key.clone(), idempotency.body_hash));
        Ok(())
    }

    fn add_items(&mut self, batch: &BatchRow, _from: u32, items: &[NewItem]) -> Result<(), Error> {
        let items = items.iter().map(|item| match item {
            NewItem::Valid(input) => Item::Waiting(input.clone()),
            NewItem::Invalid(why) => Item::Invalid(why.clone()),
        });
        self.batches.kept(batch.row)?.items.extend(items);
        Ok(())
    }

    fn hungry_batches(&mut self, after: RowId, limit: usize) -> Result<Vec<BatchRow>, Error> {
        let is_hungry = |kept: &&Kept| {
            let batch = &kept.row.batch;
            kept.row.stage == Stage::Accepted
                && batch.counts.pending > 0
                && batch.counts.open < batch.concurrency
        };
        let behind = self.batches.rows.range(after + 1..).map(|(_, kept)| kept);
        Ok(behind.filter(is_hungry).take(limit).map(|kept| kept.row.clone()).collect())
    }

    fn waiting_items(&mut self, row: RowId, limit: usize) -> Result<Vec<(u32, ItemInput)>, Error> {
        let items = (0..).zip(&self.batches.kept(row)?.items);
        let waiting = items.filter_map(|(index, item)| match item {
            Item::Waiting(input) => Some((index, input.clone())),
            Item::Started { .. } | Item::Invalid(_) => None,
        });
        Ok(waiting.take(limit).collect())
    }

    fn start_item(&mut self, row: RowId, index: u32, job: JobId) -> Result<(), Error> {
        if let Some(item) = self.batches.kept(row)?.items.get_mut(index as usize) {
            *item = Item::Started { job, is_over: false };
        }
        Ok(())
    }

    fn end_item(&mut self, row: RowId, index: u32) -> Result<(), Error> {
        if let Some(Item::Started { is_over, .. }) = self.batches.kept(row)?.items.get_mut(index as usize) {
            *is_over = true;
        }
        Ok(())
    }

    fn open_jobs(&mut self, row: RowId) -> Result<Vec<JobId>, Error> {
        let open = |item: &Item| match item {
            Item::Started { job, is_over: false } => Some(*job),
            Item::Started { .. } | Item::Waiting(_) | Item::Invalid(_) => None,
        };
        Ok(self.batches.kept(row)?.items.iter().filter_map(open).collect())
    }

    fn prune_batches(
        &mut self,
        finished_before: Timestamp,
        begun_before: Timestamp,
        limit: usize,
    ) -> Result<usize, Error> {
        let outbox = &self.outbox;
        let is_old = |kept: &Kept| match kept.row.stage {
            Stage::TakenIn => kept.begun_at < begun_before,
            Stage::Accepted => {
                let batch = &kept.row.batch;
                batch.finished_at.is_some_and(|at| at < finished_before) && !outbox.needs_batch(batch.id)
            }
            Stage::Left => false,
        };
        for kept in self.batches.rows.values_mut().filter(|kept| is_old(kept)).take(limit) {
            kept.row.stage = Stage::Left;
        }
        let mut pruned = 0;
        for kept in self.batches.rows.values_mut().filter(|kept| kept.row.stage == Stage::Left) {
            let left = kept.items.len().saturating_sub(limit - pruned);
            pruned += kept.items.len() - left;
            kept.items.truncate(left);
        }
        self.batches.rows.retain(|_, kept| kept.row.stage != Stage::Left || !kept.items.is_empty());
        let rows = &self.batches.rows;
        self.batches.ids.retain(|_, row| rows.contains_key(row));
        Ok(pruned)
    }
}
