//! Batches: taken in piece by piece, fed into the queue as there is room, over with their last job.
//!
//! An input and its job change in one transaction, whichever of them moves: so no crash loses an input or makes two jobs
//! of it, and what a batch counts is never apart from its jobs.

use qd_types::{BatchId, BatchPlace, Job, JobStatus, NanoDollars, TenantId, Timestamp, Usage};

use super::super::rows::{BatchRow, Rows, Stage};
use super::{Core, Notice};
use crate::{
    BatchAccepted, BatchCancelled, BatchOpened, BatchStatus, Delivery, Destination, Error, Event, Fed,
    Idempotency, ItemInput, NewBatch, NewItem, NewJob, OtherBody,
};

/// Batches looked at for one round of feeding; the next one goes on behind them.
const LOOKED_AT: usize = 256;
/// Jobs that one batch makes before it is the next one's turn.
const BITE: usize = 8;

impl<R: Rows> Core<R> {
    /// Begins to take a batch in.
    pub(crate) fn open_batch(&mut self, new: &NewBatch) -> Result<BatchOpened, Error> {
        let open = self.rows.count_open_batches(&new.tenant)?;
        if open >= self.limits.open_batches {
            return Ok(BatchOpened::Full { open });
        }
        self.rows.insert_batch(new, self.env.now())?;
        Ok(BatchOpened::Opened)
    }

    /// Adds inputs; `false` if the batch is not being taken in any more.
    pub(crate) fn add_items(&mut self, id: BatchId, items: &[NewItem]) -> Result<bool, Error> {
        let Some(mut kept) = self.taken_in(id)? else { return Ok(false) };
        let counts = &mut kept.batch.counts;
        let from = counts.total;
        for item in items {
            counts.total += 1;
            match item {
                NewItem::Valid(_) => counts.pending += 1,
                NewItem::Invalid(_) => counts.invalid += 1,
            }
        }
        self.rows.add_items(&kept, from, items)?;
        self.rows.put_batch(&kept)?;
        Ok(true)
    }

    /// The batch is whole: it is accepted, or found to be known, or to hold nothing.
    pub(crate) fn accept_batch(
        &mut self,
        id: BatchId,
        idempotency: Option<&Idempotency>,
    ) -> Result<BatchAccepted, Error> {
        let Some(mut kept) = self.taken_in(id)? else { return Ok(BatchAccepted::Unknown) };
        let known = match idempotency {
            Some(idempotency) => self.replay_batch(&kept.batch.tenant.clone(), idempotency)?,
            None => None,
        };
        let refused = known.or_else(|| (kept.batch.counts.pending == 0).then_some(BatchAccepted::Empty));
        if let Some(refused) = refused {
            self.leave(kept)?;
            return Ok(refused);
        }
        kept.stage = Stage::Accepted;
        kept.batch.created_at = self.env.now();
        self.rows.put_batch(&kept)?;
        if let Some(idempotency) = idempotency {
            self.rows.put_batch_key(kept.row, idempotency)?;
        }
        self.note_batches();
        Ok(BatchAccepted::Created(Box::new(kept.batch)))
    }

    /// The answer for a known key.
    pub(crate) fn replay_batch(
        &mut self,
        tenant: &TenantId,
        idempotency: &Idempotency,
    ) -> Result<Option<BatchAccepted>, Error> {
        let Some(key) = self.rows.batch_key(tenant, &idempotency.key)? else { return Ok(None) };
        if key.body_hash != idempotency.body_hash && idempotency.on_other_body == OtherBody::Refuse {
            return Ok(Some(BatchAccepted::Conflict { batch: key.batch }));
        }
        let kept = self.rows.batch(key.batch)?;
        Ok(kept.map(|kept| BatchAccepted::Replayed(Box::new(kept.batch))))
    }

    /// Whoever took it in has given up.
    pub(crate) fn discard_batch(&mut self, id: BatchId) -> Result<(), Error> {
        match self.taken_in(id)? {
            Some(kept) => self.leave(kept),
            None => Ok(()),
        }
    }

    fn taken_in(&mut self, id: BatchId) -> Result<Option<BatchRow>, Error> {
        Ok(self.rows.batch(id)?.filter(|kept| kept.stage == Stage::TakenIn))
    }

    fn leave(&mut self, mut kept: BatchRow) -> Result<(), Error> {
        kept.stage = Stage::Left;
        self.rows.put_batch(&kept)
    }

    /// Makes jobs of inputs that wait, batches in turns, as long as there is room for them.
    pub(crate) fn feed_batches(&mut self, max: usize) -> Result<Fed, Error> {
        let mut fed = Fed::default();
        let mut hungry = self.rows.hungry_batches(self.batch_turn, LOOKED_AT)?;
        if hungry.len() < LOOKED_AT {
            let others = self.rows.hungry_batches(0, LOOKED_AT - hungry.len())?;
            hungry.extend(others.into_iter().filter(|other| other.row <= self.batch_turn));
        }
        let mut turn = self.batch_turn;
        let looked_at = hungry.last().map(|last| last.row).filter(|_| hungry.len() == LOOKED_AT);
        while !hungry.is_empty() && fed.started.len() < max {
            let mut still = Vec::with_capacity(hungry.len());
            for mut kept in hungry {
                let bite = BITE.min(max - fed.started.len());
                // One whose bite the end of the round cuts short is the first of the next.
                let is_whole = bite == BITE || fed.started.is_empty();
                let room = self.room_for_batches(&kept.batch.tenant);
                fed.is_held_back |= room == 0;
                let wanted = bite.min(room).min(free_places(&kept));
                let made = self.feed(&mut kept, wanted, &mut fed)?;
                if made > 0 && is_whole {
                    turn = kept.row;
                }
                // One that got all it asked for may want more.
                if made > 0 && made == wanted {
                    still.push(kept);
                }
            }
            hungry = still;
        }
        // Where none of so many had room, the next round looks behind them.
        self.batch_turn = looked_at.filter(|_| fed.started.is_empty()).unwrap_or(turn);
        fed.more = fed.started.len() >= max;
        Ok(fed)
    }

    /// Makes jobs of the first inputs of a batch that wait; answers how many.
    fn feed(&mut self, kept: &mut BatchRow, wanted: usize, fed: &mut Fed) -> Result<usize, Error> {
        if wanted == 0 {
            return Ok(0);
        }
        let items = self.rows.waiting_items(kept.row, wanted)?;
        let made = items.len();
        for (index, item) in items {
            let place = BatchPlace { batch: kept.batch.id, index };
            let new = self.job_of(kept, item);
            let job = Job { batch: Some(place), ..new.accepted(self.env.now()) };
            self.rows.start_item(kept.row, index, job.id)?;
            self.admit(&job)?;
            kept.batch.counts.pending -= 1;
            kept.batch.counts.open += 1;
            fed.started.push((job.crew, job.priority));
        }
        self.rows.put_batch(kept)?;
        Ok(made)
    }

    fn job_of(&self, kept: &BatchRow, item: ItemInput) -> NewJob {
        let batch = &kept.batch;
        NewJob {
            id: self.env.job_id(),
            tenant: batch.tenant.clone(),
            crew: batch.crew.clone(),
            crew_version: batch.crew_version,
            machine_version: kept.machine_version,
            total_tasks: kept.total_tasks,
            input: item.input,
            priority: item.priority.unwrap_or(batch.priority),
            conversation: None,
            run_at: None,
            expires_at: None,
            timeout_seconds: batch.timeout_seconds,
            max_attempts: batch.max_attempts,
            budget: batch.budget,
            metadata: item.metadata,
            webhook_url: None,
            hooks: None,
            redrive_of: None,
            idempotency: None,
        }
    }

    /// Jobs that batches may add for a tenant. A quarter of the queue, and of what the tenant may have queued, is left to
    /// those who come without a batch.
    fn room_for_batches(&self, tenant: &TenantId) -> usize {
        let share = |most: usize| (most - most / 4).max(1);
        let of_queue = share(self.limits.max_depth).saturating_sub(self.schedule.depth());
        let (queued, most) = self.schedule.queued_of(tenant);
        most.map_or(of_queue, |most| of_queue.min(share(most).saturating_sub(queued)))
    }

    /// A job of a batch is over; so is the batch, if it was the last.
    pub(super) fn leave_batch(
        &mut self,
        place: BatchPlace,
        status: JobStatus,
        usage: Usage,
        cost: NanoDollars,
        now: Timestamp,
    ) -> Result<(), Error> {
        let Some(mut kept) = self.rows.batch(place.batch)? else { return Ok(()) };
        self.rows.end_item(kept.row, place.index)?;
        kept.batch.counts.end(status);
        kept.batch.usage += usage;
        kept.batch.cost += cost;
        self.close_batch(&mut kept, now)?;
        self.rows.put_batch(&kept)?;
        self.note_batches();
        Ok(())
    }

    /// Cancels a batch with all its jobs.
    pub(crate) fn cancel_batch(&mut self, tenant: &TenantId, id: BatchId) -> Result<BatchCancelled, Error> {
        let of_tenant = |kept: &BatchRow| kept.stage == Stage::Accepted && kept.batch.tenant == *tenant;
        let Some(mut kept) = self.rows.batch(id)?.filter(of_tenant) else {
            return Ok(BatchCancelled::Unknown);
        };
        if kept.batch.status != BatchStatus::Running {
            return Ok(BatchCancelled::Already(Box::new(kept.batch)));
        }
        kept.batch.status = BatchStatus::Cancelled;
        kept.batch.counts.cancelled += std::mem::take(&mut kept.batch.counts.pending);
        let now = self.env.now();
        self.close_batch(&mut kept, now)?;
        self.rows.put_batch(&kept)?;
        // The end of the last one is the batch's.
        let open = self.rows.open_jobs(kept.row)?;
        for job in &open {
            self.cancel(tenant, *job)?;
        }
        let kept = self.rows.batch(id)?.unwrap_or(kept);
        Ok(BatchCancelled::Now { batch: Box::new(kept.batch), jobs: open.len() })
    }

    /// Ends a batch once every input has its end, and writes who is to be told.
    fn close_batch(&mut self, kept: &mut BatchRow, now: Timestamp) -> Result<(), Error> {
        let batch = &mut kept.batch;
        if !batch.counts.are_over() || batch.finished_at.is_some() {
            return Ok(());
        }
        batch.finished_at = Some(now);
        if batch.status == BatchStatus::Running {
            batch.status = BatchStatus::Finished;
        }
        let endpoints = self.endpoints_for(Event::BatchFinished, &batch.crew);
        let url = batch.webhook_url.clone().map(Destination::Url);
        for destination in endpoints.into_iter().chain(url) {
            let (id, tenant) = (self.env.delivery_id(), batch.tenant.clone());
            let told = Delivery::new(id, tenant, None, Event::BatchFinished, destination, now);
            self.post(&Delivery { batch: Some(batch.id), ..told })?;
        }
        Ok(())
    }

    fn note_batches(&mut self) {
        if self.notices.last() != Some(&Notice::Batches) {
            self.notices.push(Notice::Batches);
        }
    }
}

fn free_places(kept: &BatchRow) -> usize {
    let counts = &kept.batch.counts;
    kept.batch.concurrency.saturating_sub(counts.open).min(counts.pending) as usize
}
