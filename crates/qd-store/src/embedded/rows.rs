//! The seam between the transitions and where rows are kept. A method is one small read or write inside the
//! transaction that the caller has open; none of them decides anything.

mod batches;
mod schedules;

use qd_types::{
    ConversationId, CrewName, Day, DeliveryId, Failure, Hooks, Job, JobId, JobOutput, JobStatus, KeyId,
    Logged, NanoDollars, Priority, Progress, Seq, TenantId, Timestamp, Usage, Waiting,
};

use crate::{
    AuditHead, Audited, Delivery, DeliveryStatus, EndpointState, Error, Idempotency, ScopeSpend, SpendScope,
    StoredCrew, StoredKey, Tried, Turn,
};

pub(crate) use batches::{BatchKey, BatchRow, BatchRows, Stage};
pub(crate) use schedules::ScheduleRows;

/// Place of a job in the order of acceptance.
pub(crate) type RowId = i64;

/// What a claim changes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Started {
    pub(crate) attempt: u32,
    pub(crate) epoch: u64,
    pub(crate) started_at: Timestamp,
}

/// What a record changes: the sums so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spent {
    pub(crate) usage: Usage,
    pub(crate) cost: NanoDollars,
    pub(crate) progress: Progress,
    /// Crashes since the last entry: zero once there is a new one.
    pub(crate) crashes: u32,
}

impl Spent {
    /// What a job spent so far.
    pub(crate) fn of(job: &Job) -> Self {
        Self { usage: job.usage, cost: job.cost, progress: job.progress.clone(), crashes: job.crashes }
    }
}

/// What the end of an attempt, a promotion, a rescue, a cancel or an expiry changes.
#[derive(Debug, Clone)]
pub(crate) struct Settled {
    pub(crate) status: JobStatus,
    pub(crate) retry_at: Option<Timestamp>,
    pub(crate) waiting: Option<Box<Waiting>>,
    pub(crate) finished_at: Option<Timestamp>,
    pub(crate) output: Option<JobOutput>,
    pub(crate) error: Option<Failure>,
    pub(crate) crashes: u32,
    pub(crate) in_doubt: bool,
}

/// What entries add to the money of one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Charge {
    pub(crate) usage: Usage,
    pub(crate) cost: NanoDollars,
    /// What failed calls may have cost.
    pub(crate) possible: NanoDollars,
    /// How much of it was set aside before, and comes off the slices.
    pub(crate) from_slices: NanoDollars,
}

/// Where a delivery stands.
#[derive(Debug, Clone)]
pub(crate) struct Tries {
    pub(crate) status: DeliveryStatus,
    pub(crate) tries: u32,
    pub(crate) next_at: Option<Timestamp>,
    pub(crate) last: Option<Tried>,
    pub(crate) ended_at: Option<Timestamp>,
}

/// A known idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Remembered {
    pub(crate) row: RowId,
    pub(crate) body_hash: [u8; 32],
    pub(crate) expires_at: Timestamp,
}

/// What the schedule must know of a job that is not over.
#[derive(Debug, Clone)]
pub(crate) struct OpenJob {
    pub(crate) row: RowId,
    pub(crate) id: JobId,
    pub(crate) tenant: TenantId,
    pub(crate) crew: CrewName,
    pub(crate) priority: Priority,
    pub(crate) conversation: Option<ConversationId>,
    pub(crate) status: JobStatus,
    /// `run_at` of a scheduled job, `retry_at` of a retrying one, of a waiting one when something is to be done about it.
    pub(crate) due: Option<Timestamp>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) attempt: u32,
    pub(crate) epoch: u64,
    pub(crate) crashes: u32,
    pub(crate) in_doubt: bool,
    pub(crate) last_seq: Seq,
    /// Since when it is queued, as far as rows tell: its acceptance or `run_at`.
    pub(crate) queued_since: Timestamp,
}

/// Messages of a conversation that are kept; older ones go as new ones come.
pub(crate) const KEPT_TURNS: usize = 200;

/// Days for which it is kept what was spent.
pub(crate) const KEPT_SPEND: i32 = 400;

/// Texts of a page of jobs, in bytes, after which it ends early.
pub(crate) const PAGE_BYTES: usize = 4 << 20;

/// Where rows are kept.
pub(crate) trait Rows: BatchRows + DeadRows + ScheduleRows {
    /// Adds an accepted job.
    fn insert(&mut self, row: RowId, job: &Job) -> Result<(), Error>;
    /// Reads a job; it is there.
    fn load(&mut self, row: RowId) -> Result<Job, Error>;
    /// Finds a job by its id.
    fn find(&mut self, tenant: &TenantId, id: JobId) -> Result<Option<RowId>, Error>;
    /// The status of a job that nobody holds, for a precise refusal.
    fn status_of(&mut self, id: JobId) -> Result<Option<JobStatus>, Error>;
    /// Marks a job as running.
    fn start(&mut self, row: RowId, started: Started) -> Result<(), Error>;
    /// Writes the sums.
    fn spend(&mut self, row: RowId, spent: &Spent) -> Result<(), Error>;
    /// Writes a status.
    fn settle(&mut self, row: RowId, settled: &Settled) -> Result<(), Error>;
    /// Writes what a waiting job asks.
    fn wait(&mut self, row: RowId, waiting: &Waiting) -> Result<(), Error>;
    /// Writes who is told of a job's steps from now on.
    fn set_hooks(&mut self, row: RowId, hooks: &Hooks) -> Result<(), Error>;
    /// Adds to a job's log.
    fn append(&mut self, row: RowId, logged: &Logged) -> Result<(), Error>;
    /// Reads a job's log after a place.
    fn log(&mut self, row: RowId, after: Seq, limit: usize) -> Result<Vec<Logged>, Error>;
    /// Looks an idempotency key up.
    fn key(&mut self, tenant: &TenantId, idempotency: &Idempotency) -> Result<Option<Remembered>, Error>;
    /// Remembers an idempotency key; `false` if it is known: then nothing is changed.
    fn remember(
        &mut self,
        tenant: &TenantId,
        idempotency: &Idempotency,
        stored: Remembered,
    ) -> Result<bool, Error>;
    /// Forgets an idempotency key whose time is over.
    fn forget_key(&mut self, tenant: &TenantId, idempotency: &Idempotency) -> Result<(), Error>;
    /// Adds to a conversation, unless it outlived `forgotten_before`: then it starts anew.
    fn say(
        &mut self,
        tenant: &TenantId,
        conversation: &ConversationId,
        job: JobId,
        turns: &[Turn],
        now: Timestamp,
        forgotten_before: Timestamp,
    ) -> Result<(), Error>;
    /// Deletes a conversation; `false` if there was none, or it outlived `forgotten_before`.
    fn forget(
        &mut self,
        tenant: &TenantId,
        conversation: &ConversationId,
        forgotten_before: Timestamp,
    ) -> Result<bool, Error>;
    /// Adds to what a crew spent on a day, and takes what was set aside off the slices of crew and tenant.
    fn charge(&mut self, tenant: &TenantId, crew: &CrewName, day: Day, charge: &Charge) -> Result<(), Error>;
    /// How a scope stands.
    fn scope_spend(&mut self, scope: &SpendScope) -> Result<ScopeSpend, Error>;
    /// Adds to what workers hold of a scope's money, and to what of it got lost; never below zero.
    fn hold_slice(&mut self, scope: &SpendScope, held: NanoDollars, lost: NanoDollars) -> Result<(), Error>;
    /// Adds a delivery.
    fn post(&mut self, delivery: &Delivery) -> Result<(), Error>;
    /// Lanes behind a place that have something pending, in order.
    fn pending_lanes(&mut self, after: &str, limit: usize) -> Result<Vec<String>, Error>;
    /// Pending deliveries of a lane that are due, the longest due first.
    fn due_deliveries(&mut self, lane: &str, now: Timestamp, limit: usize) -> Result<Vec<Delivery>, Error>;
    /// When the next pending delivery that is not due yet will be.
    fn next_delivery(&mut self, now: Timestamp) -> Result<Option<Timestamp>, Error>;
    /// Reads a delivery.
    fn delivery(&mut self, tenant: &TenantId, id: DeliveryId) -> Result<Option<Delivery>, Error>;
    /// Writes where a delivery stands.
    fn settle_delivery(&mut self, id: DeliveryId, tries: &Tries) -> Result<(), Error>;
    /// Remembers how an endpoint stands.
    fn set_endpoint(&mut self, tenant: &TenantId, state: &EndpointState) -> Result<(), Error>;
    /// Deletes at most `limit` each of: jobs finished before that no pending delivery and no batch needs, deliveries ended before, keys expired at `now`, conversations silent since before.
    fn prune(
        &mut self,
        now: Timestamp,
        finished_before: Timestamp,
        silent_before: Timestamp,
        limit: usize,
    ) -> Result<usize, Error>;
}

/// Where keys and the audit log are kept.
pub(crate) trait AccessRows {
    /// Reads a key.
    fn kept_key(&mut self, id: KeyId) -> Result<Option<StoredKey>, Error>;
    /// How many keys are kept.
    fn count_keys(&mut self) -> Result<usize, Error>;
    /// Writes a key, over what is known of it.
    fn put_key(&mut self, key: &StoredKey) -> Result<(), Error>;
    /// Forgets keys that were over before a moment.
    fn prune_keys(&mut self, over_before: Timestamp) -> Result<(), Error>;
    /// The end of the audit log.
    fn audit_head(&mut self) -> Result<AuditHead, Error>;
    /// Adds to the audit log.
    fn append_audit(&mut self, row: &Audited) -> Result<(), Error>;
}

/// Where published crews are kept.
pub(crate) trait CrewRows {
    /// The newest version of a crew.
    fn newest_crew(&mut self, tenant: &TenantId, name: &CrewName) -> Result<Option<StoredCrew>, Error>;
    /// How many crews a tenant has.
    fn count_crews(&mut self, tenant: &TenantId) -> Result<usize, Error>;
    /// Adds a version.
    fn add_crew(&mut self, tenant: &TenantId, crew: &StoredCrew) -> Result<(), Error>;
}

/// Which failed jobs somebody has dealt with.
pub(crate) trait DeadRows {
    /// Whether a job failed and nobody has dealt with it.
    fn is_dead(&mut self, row: RowId) -> Result<bool, Error>;
    /// Whether somebody has dealt with a job.
    fn is_dealt_with(&mut self, row: RowId) -> Result<bool, Error>;
    /// Somebody has.
    fn deal_with(&mut self, row: RowId) -> Result<(), Error>;
}

/// Rows that outlive their process: a schedule can be built from them.
pub(crate) trait DurableRows: Rows {
    /// Shows every job that is not over, in any order.
    fn each_open(&mut self, visit: &mut dyn FnMut(OpenJob)) -> Result<(), Error>;
    /// Leaves batches to be deleted that a process which is gone was taking in.
    fn leave_unaccepted(&mut self) -> Result<(), Error>;
    /// Counts everything that a process which is gone still held of budgets as lost.
    fn lose_slices(&mut self) -> Result<(), Error>;
}
