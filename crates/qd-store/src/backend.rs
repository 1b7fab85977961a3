//! The ports that a backend implements, by noun. All times come from the backend's clock; every method is durable when
//! it returns (where the backend is durable at all); batches are atomic per item.
//!
//! Backends hold no metrics, tracing or retries: `store.rs` does that once, for all of them.

use std::time::Duration;

use async_trait::async_trait;
use qd_types::{
    BatchId, ConversationId, CrewName, CrewVersion, DeliveryId, Job, JobId, JobStatus, KeyId, Logged,
    ScheduleName, Seq, TenantId, Timestamp, WorkerId,
};

use crate::{
    Act, Actor, Answer, Answered, AuditHead, Audited, Batch, BatchAccepted, BatchCancelled, BatchOpened,
    BatchPage, BatchQuery, CacheKey, Cancelled, Claimed, CrewRecent, DayUsage, DeadGroup, DeadQuery,
    Delivery, DeliveryPage, DeliveryQuery, Discard, DueSchedules, EndpointState, Enqueued, Error, Fed, Fence,
    Finish, Idempotency, ItemPage, ItemQuery, JobQuery, KeyAdded, NewBatch, NewCrew, NewItem, NewJob, NewKey,
    NewSchedule, Page, Published, Recent, Record, Refused, Revocation, Room, Schedule, SchedulePage,
    SchedulePut, ScheduleQuery, ScheduleTick, ScopeSpend, Settlement, Slice, SliceAsk, SliceReturn,
    SpendScope, Stats, StoredConversation, StoredCrew, StoredKey, TakeDeliveries, TakenDeliveries, Tick,
    Ticked, UsageQuery,
};

/// Everything a backend is.
pub trait Backend:
    Jobs + Crews + Conversations + Spend + Cache + Access + Outbox + DeadLetters + Batches + Schedules
{
}

impl<T> Backend for T where
    T: Jobs + Crews + Conversations + Spend + Cache + Access + Outbox + DeadLetters + Batches + Schedules
{
}

/// Jobs: their queue, leases, journal and history.
#[async_trait]
pub trait Jobs: Send + Sync {
    /// Accepts jobs; one answer for each.
    async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>, Error>;

    /// What [`Jobs::enqueue`] would answer for a known idempotency key; `None` for one that is not known. For requests
    /// that were fine when they were first made and would not be accepted now.
    async fn replay(&self, tenant: &TenantId, idempotency: &Idempotency) -> Result<Option<Enqueued>, Error>;

    /// Hands out ready jobs under leases, fairly: those for any slot first.
    async fn claim(&self, worker: &WorkerId, room: Room) -> Result<Vec<Claimed>, Error>;

    /// Says that the worker lives and holds these; answers those that it must let go of.
    async fn renew(&self, worker: &WorkerId, held: Vec<(JobId, Fence)>) -> Result<Vec<Revocation>, Error>;

    /// Appends to the jobs' logs; answers the last place of each.
    async fn record(&self, records: Vec<Record>) -> Result<Vec<Result<Seq, Refused>>, Error>;

    /// Ends attempts; answers the status of each job.
    async fn finish(&self, finishes: Vec<Finish>) -> Result<Vec<Result<JobStatus, Refused>>, Error>;

    /// Takes a person's answer: it is journaled and the job queued, in one transaction.
    async fn answer(&self, tenant: &TenantId, answer: Answer) -> Result<Answered, Error>;

    /// Cancels a job that is not over.
    async fn cancel(&self, tenant: &TenantId, job: JobId) -> Result<Cancelled, Error>;

    /// One bounded round of housekeeping: promotes, rescues, expires, reminds, prunes at most `limit` each. Any process may call it.
    async fn tick(&self, limit: usize) -> Result<Tick, Error>;

    /// One job.
    async fn job(&self, tenant: &TenantId, job: JobId) -> Result<Option<Job>, Error>;

    /// A page of jobs.
    async fn jobs(&self, tenant: &TenantId, query: JobQuery) -> Result<Page, Error>;

    /// Up to `limit` log items after a place; `None` if there is no such job.
    async fn log(
        &self,
        tenant: &TenantId,
        job: JobId,
        after: Seq,
        limit: usize,
    ) -> Result<Option<Vec<Logged>>, Error>;

    /// Counts, cheap enough for every health check. Fails with [`Error::Broken`] once the store is not to be trusted.
    async fn stats(&self) -> Result<Stats, Error>;

    /// What happened in the last hour, cheap enough for every look at a dashboard: no row is read.
    async fn recent(&self) -> Result<Recent, Error>;

    /// The same of crews of a tenant, one answer for each, and how many jobs they have: no row is read. Of thousands of
    /// crews, those whose last job ended longest ago are forgotten.
    async fn recent_of(&self, tenant: &TenantId, crews: Vec<CrewName>) -> Result<Vec<CrewRecent>, Error>;
}

/// Published crew versions: immutable.
#[async_trait]
pub trait Crews: Send + Sync {
    /// Stores a spec as the next version, if the newest one is as expected and does not say the same already.
    async fn publish(&self, crew: NewCrew) -> Result<Published, Error>;

    /// One version, the newest without a number.
    async fn crew(
        &self,
        tenant: &TenantId,
        name: &CrewName,
        version: Option<CrewVersion>,
    ) -> Result<Option<StoredCrew>, Error>;

    /// The newest version of each crew, by name.
    async fn crews(&self, tenant: &TenantId) -> Result<Vec<StoredCrew>, Error>;
}

/// Failed jobs that nobody has dealt with: neither run again (a job with its id as `redrive_of`) nor discarded.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// By crew, code and task; at most [`crate::DEAD_GROUPS_MAX`], the largest first.
    async fn dead_groups(&self, tenant: &TenantId, query: DeadQuery) -> Result<Vec<DeadGroup>, Error>;

    /// How many there are.
    async fn dead_count(&self, tenant: &TenantId, query: DeadQuery) -> Result<u64, Error>;

    /// The jobs, oldest first. Fewer than asked for if they are large.
    async fn dead_jobs(&self, tenant: &TenantId, query: DeadQuery, limit: usize) -> Result<Vec<Job>, Error>;

    /// Takes jobs off the dead letters and writes that into the audit log; answers those that were some.
    async fn discard(&self, discard: Discard) -> Result<Vec<JobId>, Error>;
}

/// Conversations: history that jobs share. Grows in the transaction that finishes a job.
#[async_trait]
pub trait Conversations: Send + Sync {
    /// The conversation with its newest `limit` messages; `None` if nothing was said yet or its time is up.
    async fn conversation(
        &self,
        tenant: &TenantId,
        conversation: &ConversationId,
        limit: usize,
    ) -> Result<Option<StoredConversation>, Error>;

    /// Deletes what was said; `false` if there was nothing. Jobs of the conversation go on, without a past.
    async fn forget(&self, tenant: &TenantId, conversation: &ConversationId) -> Result<bool, Error>;
}

/// Money: slices of budgets, and what was spent. Spending itself is recorded by [`Jobs::record`] and [`Jobs::finish`].
#[async_trait]
pub trait Spend: Send + Sync {
    /// Takes a slice of a budget, durably: spent, reserved and granted together never exceed it. Slices of a process that
    /// died without returning them count as spent.
    async fn lease_slice(&self, ask: SliceAsk) -> Result<Slice, Error>;

    /// Gives back what is left of slices.
    async fn return_slices(&self, left: Vec<SliceReturn>) -> Result<(), Error>;

    /// How much of a scope's money is gone.
    async fn scope_spend(&self, scope: SpendScope) -> Result<ScopeSpend, Error>;

    /// What crews used by day, newest day first, then by name.
    async fn usage(&self, tenant: &TenantId, query: UsageQuery) -> Result<Vec<DayUsage>, Error>;
}

/// Deliveries of webhooks. The transitions of [`Jobs`] write them, in their own transactions.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Adds a delivery that no transition wrote: somebody tries an endpoint.
    async fn post_delivery(&self, delivery: Delivery) -> Result<(), Error>;

    /// Hands out deliveries that are due, lanes in turns, the longest due first inside of each. They are with whoever took
    /// them until they are settled; what a process took that died is due again.
    async fn take_deliveries(&self, ask: TakeDeliveries) -> Result<TakenDeliveries, Error>;

    /// Notes how tries went.
    async fn settle_deliveries(&self, settlements: Vec<Settlement>) -> Result<(), Error>;

    /// Makes a delivery due at once, with all its tries before it; `None` if there is no such one.
    async fn resend(&self, tenant: &TenantId, delivery: DeliveryId) -> Result<Option<Delivery>, Error>;

    /// One delivery.
    async fn delivery(&self, tenant: &TenantId, delivery: DeliveryId) -> Result<Option<Delivery>, Error>;

    /// A page of deliveries.
    async fn deliveries(&self, tenant: &TenantId, query: DeliveryQuery) -> Result<DeliveryPage, Error>;

    /// What is remembered of endpoints of the configuration, by name.
    async fn endpoints(&self, tenant: &TenantId) -> Result<Vec<EndpointState>, Error>;

    /// Remembers how an endpoint stands.
    async fn set_endpoint(&self, tenant: &TenantId, state: EndpointState) -> Result<(), Error>;
}

/// Batches: inputs that become jobs as there is room. The transitions of [`Jobs`] note the ends of their jobs, and of the
/// batches with them, in their own transactions.
#[async_trait]
pub trait Batches: Send + Sync {
    /// Begins to take a batch in. Nobody sees it until it is accepted; a process that dies before leaves nothing.
    async fn open_batch(&self, batch: NewBatch) -> Result<BatchOpened, Error>;

    /// Adds inputs to a batch that is taken in; `false` if it is not any more.
    async fn add_items(&self, batch: BatchId, items: Vec<NewItem>) -> Result<bool, Error>;

    /// Accepts a batch that is whole, unless its key is known or it holds nothing to execute: then it is gone.
    async fn accept_batch(
        &self,
        batch: BatchId,
        idempotency: Option<Idempotency>,
    ) -> Result<BatchAccepted, Error>;

    /// Gives a batch up that is taken in.
    async fn discard_batch(&self, batch: BatchId) -> Result<(), Error>;

    /// What [`Batches::accept_batch`] would answer for a known idempotency key; `None` for one that is not known.
    async fn replay_batch(
        &self,
        tenant: &TenantId,
        idempotency: Idempotency,
    ) -> Result<Option<BatchAccepted>, Error>;

    /// Makes jobs of at most `max` inputs that wait, tenants' room and batches' concurrency allowing; an input and its job
    /// in one transaction. Any process may call it.
    async fn feed_batches(&self, max: usize) -> Result<Fed, Error>;

    /// Cancels a batch: what waits never starts, and jobs that are not over are cancelled.
    async fn cancel_batch(&self, tenant: &TenantId, batch: BatchId) -> Result<BatchCancelled, Error>;

    /// One batch.
    async fn batch(&self, tenant: &TenantId, batch: BatchId) -> Result<Option<Batch>, Error>;

    /// A page of batches.
    async fn batches(&self, tenant: &TenantId, query: BatchQuery) -> Result<BatchPage, Error>;

    /// What became of inputs, in their order; `None` if there is no such batch.
    async fn batch_items(
        &self,
        tenant: &TenantId,
        batch: BatchId,
        query: ItemQuery,
    ) -> Result<Option<ItemPage>, Error>;
}

/// Schedules: kept here, worked out by whoever looks after them.
#[async_trait]
pub trait Schedules: Send + Sync {
    /// Keeps a schedule, also in the place of one of that name if it `replaces`.
    async fn put_schedule(&self, new: NewSchedule, replaces: bool) -> Result<SchedulePut, Error>;

    /// Begins with this tick, or leaves the schedule alone where there is none; `None` if there is no such schedule.
    /// Repeating it changes nothing.
    async fn pause_schedule(
        &self,
        tenant: &TenantId,
        name: &ScheduleName,
        next_at: Option<Timestamp>,
    ) -> Result<Option<Schedule>, Error>;

    /// Deletes a schedule; `false` if there was none. Its jobs go on.
    async fn delete_schedule(&self, tenant: &TenantId, name: &ScheduleName) -> Result<bool, Error>;

    /// Carries a tick out, unless somebody else has or the schedule was changed: the job and that it was made are one
    /// transaction.
    async fn tick_schedule(&self, tick: ScheduleTick) -> Result<Ticked, Error>;

    /// At most `limit` schedules of any tenant that somebody has to look at now.
    async fn due_schedules(&self, limit: usize) -> Result<DueSchedules, Error>;

    /// One schedule.
    async fn schedule(&self, tenant: &TenantId, name: &ScheduleName) -> Result<Option<Schedule>, Error>;

    /// Those of a tenant, by name.
    async fn schedules(&self, tenant: &TenantId, query: ScheduleQuery) -> Result<SchedulePage, Error>;
}

/// Results that are kept for whoever asks the same again. What is in here may go at any time.
#[async_trait]
pub trait Cache: Send + Sync {
    /// What is kept under a key, unless its time is up.
    async fn cached(&self, tenant: &TenantId, key: &CacheKey) -> Result<Option<Vec<u8>>, Error>;

    /// Keeps something for so long, in place of what the key stood for before. When there is no room, what would go first
    /// anyway makes it; what is larger than all the room is not kept.
    async fn cache(
        &self,
        tenant: &TenantId,
        key: &CacheKey,
        value: Vec<u8>,
        ttl: Duration,
    ) -> Result<(), Error>;
}

/// Keys, and the log of privileged acts. Whoever checks keys holds them all, and asks for [`Access::audit_head`] to learn
/// of changes: every change of a key is an act.
#[async_trait]
pub trait Access: Send + Sync {
    /// Keeps a key, bounds the life of the one that it takes the place of, and writes it down: all or nothing.
    async fn add_key(&self, key: NewKey, by: Actor) -> Result<KeyAdded, Error>;

    /// Ends a key's life and writes it down; `None` if there is no such key, or not of this tenant where one is given.
    /// Repeating it changes nothing.
    async fn revoke_key(
        &self,
        tenant: Option<&TenantId>,
        id: KeyId,
        by: Actor,
    ) -> Result<Option<StoredKey>, Error>;

    /// Every key of every tenant, oldest first, those that are over included, and the end of the audit log at that moment.
    async fn keys(&self) -> Result<(Vec<StoredKey>, AuditHead), Error>;

    /// Writes an act down.
    async fn audit(&self, act: Act) -> Result<Audited, Error>;

    /// Up to `limit` acts after a place, oldest first.
    async fn audited(&self, after: u64, limit: usize) -> Result<Vec<Audited>, Error>;

    /// The end of the audit log, as it was noted when the last act was written.
    async fn audit_head(&self) -> Result<AuditHead, Error>;
}
