//! Schedules: what is to be executed again and again. When that is, whoever looks after them works out; the store keeps
//! it, and sees to it that no tick makes two jobs.

use std::collections::BTreeMap;
use std::time::Duration;

use qd_types::{
    ConversationId, CrewName, Input, Job, JobId, NanoDollars, Priority, ScheduleName, TenantId, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::NewJob;

/// Version of [`ScheduleSpec`] as it is stored.
pub(crate) const SPEC_VERSION: u32 = 1;

/// What becomes of ticks that nobody was there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// They are left out.
    Skip,
    /// The last one runs, late.
    #[default]
    RunOnce,
    /// The last ones run, up to a bound, one after the other.
    RunAll,
}

impl Missed {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::Skip, Self::RunOnce, Self::RunAll];

    /// The word used in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::RunOnce => "run_once",
            Self::RunAll => "run_all",
        }
    }
}

/// What to execute, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScheduleSpec {
    /// A cron expression of five fields.
    pub cron: String,
    /// Name of the zone by whose clock it is due.
    pub zone: String,
    /// Which crew; the version is the newest at each tick.
    pub crew: CrewName,
    /// Values for the crew's variables.
    pub input: Input,
    /// How urgent.
    pub priority: Priority,
    /// Whose history its jobs continue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationId>,
    /// Bound of each job's running time.
    pub timeout_seconds: u32,
    /// Tries of each step.
    pub max_attempts: u32,
    /// The most that the calls of each job may cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<NanoDollars>,
    /// The caller's labels, for its jobs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Who is told of each job's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_url: Option<String>,
    /// What becomes of ticks that nobody was there for.
    pub missed: Missed,
}

/// Which schedules to list, by name.
#[derive(Debug, Clone, Default)]
pub struct ScheduleQuery {
    /// Where the page before ended.
    pub after: Option<ScheduleName>,
    /// At most this many.
    pub limit: usize,
}

/// One page of schedules.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SchedulePage {
    /// By name.
    pub schedules: Vec<Schedule>,
    /// The last of them, if there are others after it.
    pub next: Option<ScheduleName>,
}

/// A schedule as the store keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its name.
    pub name: ScheduleName,
    /// One more at each change by its tenant.
    pub revision: u64,
    /// What to execute, and when.
    pub spec: ScheduleSpec,
    /// Whether it is left alone.
    pub paused: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its tenant changed it last.
    pub updated_at: Timestamp,
    /// The next tick; none while it is paused.
    pub next_at: Option<Timestamp>,
    /// When somebody has to look at it: at its next tick, or for another try of one that could not be run.
    pub due_at: Option<Timestamp>,
    /// The last tick that made a job.
    pub last_at: Option<Timestamp>,
    /// That job.
    pub last_job: Option<JobId>,
    /// Times that ticks were left out or given up; what was left out at once counts as one.
    pub missed: u64,
    /// Tries of the next tick that failed.
    pub tries: u32,
    /// Why the last try failed; none once a tick made a job again.
    pub error: Option<String>,
}

/// A schedule to keep.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSchedule {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its name.
    pub name: ScheduleName,
    /// What to execute, and when.
    pub spec: ScheduleSpec,
    /// Whether it is left alone.
    pub paused: bool,
    /// Its next tick, unless it is paused.
    pub next_at: Option<Timestamp>,
}

/// What became of a [`NewSchedule`].
#[derive(Debug, Clone, PartialEq)]
pub enum SchedulePut {
    /// There is a new one.
    Created(Box<Schedule>),
    /// It is in the place of the one of that name, whose history it keeps.
    Replaced(Box<Schedule>),
    /// There is one of that name, which was not to be replaced.
    Taken,
    /// The tenant has as many as it may have.
    Full {
        /// How many.
        kept: usize,
    },
}

/// A tick to be carried out: the schedule must stand as whoever worked this out has seen it.
#[derive(Debug, Clone)]
pub struct ScheduleTick {
    /// Whose schedule.
    pub tenant: TenantId,
    /// Which.
    pub name: ScheduleName,
    /// As it was seen.
    pub revision: u64,
    /// Its next tick as it was seen.
    pub seen: Timestamp,
    /// What is done.
    pub act: TickAct,
}

/// What is done with a tick.
#[derive(Debug, Clone)]
pub enum TickAct {
    /// A job is made.
    Run {
        /// The tick that it is made for.
        at: Timestamp,
        /// The job. Its idempotency key is the store's to choose: the schedule and the tick.
        job: Box<NewJob>,
        /// The tick after it.
        next_at: Option<Timestamp>,
        /// Whether ticks before it are left out.
        leaves_out: bool,
    },
    /// No job is made.
    LeaveOut {
        /// The tick to go on with.
        next_at: Option<Timestamp>,
        /// Why, if that is anybody's fault.
        error: Option<String>,
    },
    /// It cannot be run now and is tried again.
    TryAgain {
        /// When, from now.
        after: Duration,
        /// Why.
        error: String,
    },
}

/// What became of a [`ScheduleTick`].
#[derive(Debug, Clone)]
pub enum Ticked {
    /// It made this job, now or already before.
    Made(Box<Job>),
    /// As it was asked, without a job.
    Noted,
    /// The queue has no room for its job. Nothing was changed.
    NoRoom {
        /// Whether it is the tenant's own share that is used up.
        is_quota: bool,
    },
    /// The schedule is not as it was seen. Nothing was changed.
    Stale,
}

/// Schedules that somebody has to look at.
#[derive(Debug, Clone, Default)]
pub struct DueSchedules {
    /// The longest due first.
    pub schedules: Vec<Schedule>,
    /// When the next one will be that is not yet.
    pub next_due: Option<Timestamp>,
}
