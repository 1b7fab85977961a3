//! Dead letters: failed jobs that nobody has dealt with yet, by running them again or by discarding them.

use qd_types::{Code, CrewName, JobId, TaskId, TenantId, Timestamp};

use crate::Actor;

/// Groups of one answer; those with the most jobs go first.
pub const DEAD_GROUPS_MAX: usize = 200;
/// Jobs that are listed, or discarded, at once.
pub const DEAD_JOBS_MAX: usize = 1_000;

/// Which dead letters are meant; all without a condition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadQuery {
    /// Only of this crew.
    pub crew: Option<CrewName>,
    /// Only those that failed with this code.
    pub code: Option<Code>,
    /// Only those that failed in this task.
    pub task: Option<TaskId>,
    /// Only those that failed after this moment.
    pub failed_after: Option<Timestamp>,
    /// Only those that failed before this moment.
    pub failed_before: Option<Timestamp>,
    /// Only those that were accepted after this job, which is kept.
    pub after: Option<JobId>,
}

/// Failed jobs with the same cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadGroup {
    /// Of which crew.
    pub crew: CrewName,
    /// Why they failed.
    pub code: Code,
    /// In which task, if in one.
    pub task: Option<TaskId>,
    /// How many there are.
    pub count: u64,
    /// When the first of them failed.
    pub first_at: Timestamp,
    /// When the last of them failed.
    pub last_at: Timestamp,
    /// The one that was accepted last.
    pub newest: JobId,
    /// What it failed with, in words.
    pub message: String,
}

/// Jobs that are not to be run again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discard {
    /// Whose they are.
    pub tenant: TenantId,
    /// Which. What is no dead letter is passed over.
    pub jobs: Vec<JobId>,
    /// Why, for the audit log.
    pub reason: String,
    /// Who says so.
    pub by: Actor,
}
