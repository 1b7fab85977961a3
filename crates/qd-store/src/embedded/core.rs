//! Every transition of a job, written once for the backends inside one process.
//!
//! A method reads and writes rows first and changes the schedule last, so that a failed write leaves the schedule as it
//! was; a backend whose transaction fails as a whole rebuilds the schedule from its rows.

mod accept;
mod access;
mod attempt;
mod batches;
mod crews;
mod dead;
mod housekeeping;
mod human;
mod outbox;
mod schedules;
mod spend;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use qd_env::Env;
use qd_types::{CrewName, JobId, JobStatus, LogItem, Logged, TenantId, Timestamp};

use super::recent::RecentHour;
use super::rows::{DurableRows, OpenJob, RowId, Rows, Settled};
use super::schedule::{Hold, Schedule};
use crate::policy::Sharing;
use crate::{CacheRoom, CrewRecent, Error, Fence, Incarnation, Stats, Subscription, TenantShares};
use outbox::Outbox;

/// Bounds that the transitions obey.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) max_depth: usize,
    pub(crate) sharing: Sharing,
    pub(crate) tenants: TenantShares,
    /// How long a lease lasts without renewal; `None`: as long as the process.
    pub(crate) lease: Option<Duration>,
    pub(crate) idempotency_window: Duration,
    pub(crate) retention: Duration,
    pub(crate) conversation_ttl: Duration,
    pub(crate) cache: CacheRoom,
    pub(crate) subscriptions: Arc<[Subscription]>,
    /// Batches of a tenant that are not over.
    pub(crate) open_batches: usize,
    /// Schedules of a tenant.
    pub(crate) schedules: usize,
}

/// What others should hear of once the transaction is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notice {
    /// A job's log or status grew.
    Changed(JobId),
    /// A job became ready.
    Work,
    /// A job became ready that a spare slot is for.
    SpareWork,
    /// Deliveries were written, or come due at another time.
    Deliveries,
    /// A batch may make jobs.
    Batches,
    /// A worker lost a lease.
    Revoked(JobId, Fence),
}

/// Rows, schedule and rules together.
pub(crate) struct Core<R> {
    pub(crate) rows: R,
    schedule: Schedule,
    env: Env,
    limits: Limits,
    incarnation: Incarnation,
    next_row: RowId,
    notices: Vec<Notice>,
    taken_over: usize,
    outbox: Outbox,
    /// The batch that made jobs last.
    batch_turn: RowId,
    // Shared with those who read it; held for one note or one look.
    recent: Arc<Mutex<RecentHour>>,
}

impl<R: Rows> Core<R> {
    /// Rows without any open job.
    pub(crate) fn new(rows: R, env: Env, limits: Limits, incarnation: Incarnation, next_row: RowId) -> Self {
        let schedule = Schedule::new(limits.sharing, limits.tenants.clone());
        let recent = Arc::new(Mutex::new(RecentHour::since(env.now())));
        let outbox = Outbox::new(Arc::clone(&limits.subscriptions));
        let (notices, taken_over, batch_turn) = (Vec::new(), 0, 0);
        Self {
            rows,
            schedule,
            env,
            limits,
            incarnation,
            next_row,
            notices,
            taken_over,
            outbox,
            batch_turn,
            recent,
        }
    }

    /// What to tell after the commit.
    pub(crate) fn take_notices(&mut self) -> Vec<Notice> {
        if self.schedule.take_spare_wanted() {
            self.notices.push(Notice::SpareWork);
        }
        std::mem::take(&mut self.notices)
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats {
            queued: self.schedule.depth(),
            running: self.schedule.held(),
            delayed: self.schedule.delayed(),
            waiting: self.schedule.waiting(),
            scheduled: self.schedule.scheduled(),
            levels: self.schedule.levels(),
            taken_over: self.taken_over,
            bytes: 0,
        }
    }

    /// What is remembered of the last hour of a tenant's crews, and how many jobs they have.
    pub(crate) fn recent_of(&self, tenant: &TenantId, crews: &[CrewName]) -> Vec<CrewRecent> {
        let (hour, now) = (self.recent(), self.env.now());
        let of = |crew: &CrewName| {
            let open = self.schedule.open_of(tenant, crew);
            CrewRecent { open, ..hour.of_crew(&(tenant.clone(), crew.clone()), now) }
        };
        crews.iter().map(of).collect()
    }

    /// What is remembered of the last hour, for those who read it without this.
    pub(crate) fn shared_recent(&self) -> Arc<Mutex<RecentHour>> {
        Arc::clone(&self.recent)
    }

    fn recent(&self) -> MutexGuard<'_, RecentHour> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fence(&self, epoch: u64) -> Fence {
        Fence { incarnation: self.incarnation, epoch }
    }

    /// What to tell whoever holds a job once its lease is taken away; to be noted after the rows are written.
    fn revocation(&mut self, row: RowId) -> Option<Notice> {
        self.schedule.hold(row)?;
        let entry = self.schedule.get(row)?;
        Some(Notice::Revoked(entry.id, self.fence(entry.epoch())))
    }

    fn status_item(&self, seq: u64, attempt: u32, status: JobStatus) -> Logged {
        Logged {
            seq,
            at: self.env.now(),
            attempt,
            item: LogItem::Status { status, at: None, failure: None, ask: None },
        }
    }

    fn note_work(&mut self) {
        if self.notices.last() != Some(&Notice::Work) {
            self.notices.push(Notice::Work);
        }
    }

    fn lease_end(&self, now: Timestamp) -> Option<Timestamp> {
        self.limits.lease.map(|span| now.plus(span))
    }
}

impl<R: DurableRows> Core<R> {
    /// Builds the schedule at the start. A job that was running lost its worker with the process before: it is queued
    /// again, or fails if that happened too often. Answers how many those were.
    pub(crate) fn take_over(&mut self) -> Result<usize, Error> {
        let running = self.load_open()?;
        // What it held for calls may have been spent; what it could not have been is not known.
        self.rows.lose_slices()?;
        self.rows.leave_unaccepted()?;
        for job in &running {
            self.schedule.add(job);
            self.lost_worker(job.row)?;
        }
        self.taken_over = running.len();
        Ok(running.len())
    }

    /// Rebuilds the schedule from the rows after a failed write. It only reads: the disk may be full. Running jobs stay
    /// with their workers, who may try their write again; hints of earlier commands are kept.
    pub(crate) fn rebuild(&mut self) -> Result<(), Error> {
        let spare_left = self.schedule.spare_left();
        self.schedule = Schedule::new(self.limits.sharing, self.limits.tenants.clone());
        let until = self.lease_end(self.env.now());
        for job in self.load_open()? {
            let row = self.rows.load(job.row)?;
            self.schedule.add(&job);
            self.schedule.unplace(job.row);
            self.schedule.place_held(job.row, Hold::of(row, until));
        }
        self.schedule.still_left_spare(spare_left);
        Ok(())
    }

    /// Adds every open job to the schedule as it is read, so that a million of them are in memory once. Answers those
    /// that somebody held.
    fn load_open(&mut self) -> Result<Vec<OpenJob>, Error> {
        let Self { rows, schedule, next_row, .. } = self;
        let mut running = Vec::new();
        rows.each_open(&mut |job| {
            *next_row = (*next_row).max(job.row + 1);
            if job.status == JobStatus::Running {
                running.push(job);
            } else {
                schedule.add(&job);
            }
        })?;
        if self.schedule.depth() > 0 {
            self.notices.push(Notice::Work);
        }
        Ok(running)
    }
}

impl Settled {
    /// Back among the queued ones.
    pub(crate) fn queued() -> Self {
        Self {
            status: JobStatus::Queued,
            retry_at: None,
            waiting: None,
            finished_at: None,
            output: None,
            error: None,
            crashes: 0,
            in_doubt: false,
        }
    }

    /// Over, without an output.
    pub(crate) fn over(status: JobStatus, at: Timestamp, error: Option<qd_types::Failure>) -> Self {
        Self { status, finished_at: Some(at), error, ..Self::queued() }
    }
}
