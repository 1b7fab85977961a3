//! Accepting jobs and cancelling them.

use std::time::Duration;

use qd_types::{Class, Code, ConversationId, Failure, Job, JobId, JobStatus, LogItem, Logged, TenantId};

use super::super::rows::{OpenJob, Remembered, RowId, Rows, Settled};
use super::attempt::before;
use super::outbox::About;
use super::{Core, Notice};
use crate::{Cancelled, Enqueued, Error, Idempotency, NewJob, OtherBody};

/// What a client is told to wait when the queue is full: long enough not to hammer, short enough to catch a gap.
const FULL_RETRY_AFTER: Duration = Duration::from_secs(2);

impl<R: Rows> Core<R> {
    /// Accepts one job.
    pub(crate) fn enqueue(&mut self, new: &NewJob) -> Result<Enqueued, Error> {
        let now = self.env.now();
        // A job that is run again was accepted once; refusing it would lose it. Once, and as it was: not more and more of them.
        let failed = match new.redrive_of {
            Some(failed) => self.rows.find(&new.tenant, failed)?,
            None => None,
        };
        let is_owed = match failed {
            Some(failed) => !self.rows.is_dealt_with(failed)? && self.rows.load(failed)?.input == new.input,
            None => false,
        };
        let refusal = if is_owed { None } else { self.no_room_for(&new.tenant) };
        if let Some(idempotency) = &new.idempotency {
            let known = match refusal {
                // What was accepted is answered, also when nothing more is.
                Some(_) => self.replay(&new.tenant, idempotency)?,
                None => self.take_key(&new.tenant, idempotency, self.next_row)?,
            };
            if let Some(answer) = known {
                return Ok(answer);
            }
        }
        if let Some(refusal) = refusal {
            return Ok(refusal);
        }
        let job = new.accepted(now);
        if let Some(failed) = failed {
            self.rows.deal_with(failed)?;
        }
        self.admit(&job)?;
        Ok(Enqueued::Created(Box::new(job)))
    }

    /// Adds a job that nothing stands against.
    pub(super) fn admit(&mut self, job: &Job) -> Result<(), Error> {
        let row = self.next_row;
        self.rows.insert(row, job)?;
        self.next_row += 1;
        self.schedule.add(&OpenJob {
            row,
            id: job.id,
            tenant: job.tenant.clone(),
            crew: job.crew.clone(),
            priority: job.priority,
            conversation: job.conversation.clone(),
            status: job.status,
            due: if job.status == JobStatus::Scheduled { job.run_at } else { None },
            expires_at: job.expires_at,
            attempt: 0,
            epoch: 0,
            crashes: 0,
            in_doubt: false,
            last_seq: 0,
            queued_since: job.created_at,
        });
        if job.status == JobStatus::Queued {
            self.note_work();
        }
        Ok(())
    }

    /// The refusal of a tenant's job, if the queue or the tenant's share of it is full.
    fn no_room_for(&self, tenant: &TenantId) -> Option<Enqueued> {
        let retry_after = FULL_RETRY_AFTER;
        if let Some(depth) = self.schedule.full_of(tenant) {
            return Some(Enqueued::OverQuota { depth, retry_after });
        }
        let depth = self.schedule.depth();
        (depth >= self.limits.max_depth).then_some(Enqueued::Full { depth, retry_after })
    }

    /// Gives a key to a row, or the answer for it if it is known.
    pub(super) fn take_key(
        &mut self,
        tenant: &TenantId,
        idempotency: &Idempotency,
        row: RowId,
    ) -> Result<Option<Enqueued>, Error> {
        let expires_at = self.env.now().plus(self.limits.idempotency_window);
        let stored = Remembered { row, body_hash: idempotency.body_hash, expires_at };
        if self.rows.remember(tenant, idempotency, stored)? {
            return Ok(None);
        }
        let known = self.replay(tenant, idempotency)?;
        if known.is_none() {
            // Its time is over.
            self.rows.forget_key(tenant, idempotency)?;
            self.rows.remember(tenant, idempotency, stored)?;
        }
        Ok(known)
    }

    /// The answer for a known key.
    pub(crate) fn replay(
        &mut self,
        tenant: &TenantId,
        idempotency: &Idempotency,
    ) -> Result<Option<Enqueued>, Error> {
        let Some(stored) = self.rows.key(tenant, idempotency)? else { return Ok(None) };
        // The window ends only once the job is over: a retried request must never make a second live job.
        if stored.expires_at <= self.env.now() && self.schedule.get(stored.row).is_none() {
            return Ok(None);
        }
        let job = self.rows.load(stored.row)?;
        if stored.body_hash != idempotency.body_hash && idempotency.on_other_body == OtherBody::Refuse {
            return Ok(Some(Enqueued::Conflict { job: job.id }));
        }
        Ok(Some(Enqueued::Replayed(Box::new(job))))
    }

    /// Cancels one job.
    pub(crate) fn cancel(&mut self, tenant: &TenantId, id: JobId) -> Result<Cancelled, Error> {
        let Some(row) = self.rows.find(tenant, id)? else { return Ok(Cancelled::Unknown) };
        if self.schedule.get(row).is_none() {
            return Ok(Cancelled::Already(Box::new(self.rows.load(row)?)));
        }
        let revocation = self.revocation(row);
        let failure = Failure::new(Code::JobCancelled, Class::Cancelled, "the job was cancelled by request");
        let job = self.end(row, JobStatus::Cancelled, failure)?;
        self.notices.extend(revocation);
        Ok(Cancelled::Now(Box::new(job)))
    }

    /// Deletes what was said in a conversation.
    pub(crate) fn forget(&mut self, tenant: &TenantId, conversation: &ConversationId) -> Result<bool, Error> {
        let forgotten_before = before(self.env.now(), self.limits.conversation_ttl);
        self.rows.forget(tenant, conversation, forgotten_before)
    }

    /// Ends a job from outside an attempt.
    pub(super) fn end(&mut self, row: i64, status: JobStatus, failure: Failure) -> Result<Job, Error> {
        let now = self.env.now();
        let (seq, crashes) =
            self.schedule.get(row).map_or((1, 0), |entry| (entry.last_seq() + 1, entry.crashes()));
        let item = LogItem::Status { status, at: None, failure: Some(failure.clone()), ask: None };
        let logged = Logged { seq, at: now, attempt: 0, item };
        self.rows.append(row, &logged)?;
        let error = (status == JobStatus::Failed).then_some(failure);
        self.rows.settle(row, &Settled { crashes, ..Settled::over(status, now, error) })?;
        let job = self.rows.load(row)?;
        let about = About::of(&job);
        self.announce(&about, status, now)?;
        self.tell(&about, &logged)?;
        if let Some(place) = job.batch {
            self.leave_batch(place, status, job.usage, job.cost, now)?;
        }
        self.schedule.remove(row);
        self.recent().note_end(now, &(job.tenant.clone(), job.crew.clone()), status, None);
        self.notices.push(Notice::Changed(job.id));
        self.note_work();
        Ok(job)
    }
}
