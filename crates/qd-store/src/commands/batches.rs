//! Batches: many inputs for one crew. They wait in a table of their own and become jobs as there is room, so that neither
//! the queue nor whoever else uses it is filled up by one request.
//!
//! A batch is taken in piece by piece and is nobody's business until it is accepted as a whole.

use std::collections::BTreeMap;

use qd_types::{
    BatchId, CrewName, CrewVersion, Failure, Input, JobId, JobOutput, JobStatus, NanoDollars, Priority,
    TenantId, Timestamp, Usage,
};

use crate::Cursor;

/// Where a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BatchStatus {
    /// Some of its inputs wait, or have jobs that are not over.
    Running,
    /// Every input has an end.
    Finished,
    /// It was stopped by request: what waited never started.
    Cancelled,
}

impl BatchStatus {
    /// Every status. The place is how it is stored.
    pub const ALL: [Self; 3] = [Self::Running, Self::Finished, Self::Cancelled];

    /// The word used in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A batch to take in: what all its jobs have in common.
#[derive(Debug, Clone)]
pub struct NewBatch {
    /// Its id, made by whoever takes it in.
    pub id: BatchId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Which crew.
    pub crew: CrewName,
    /// Which version of it.
    pub crew_version: CrewVersion,
    /// Which semantics of the machine.
    pub machine_version: u32,
    /// Tasks of that version.
    pub total_tasks: u32,
    /// How urgent its jobs are that say nothing else.
    pub priority: Priority,
    /// Jobs of it that are not over, at most.
    pub concurrency: u32,
    /// Bound of each job's running time.
    pub timeout_seconds: u32,
    /// Tries of each step.
    pub max_attempts: u32,
    /// The most that the calls of each job may cost.
    pub budget: Option<NanoDollars>,
    /// The caller's labels.
    pub metadata: BTreeMap<String, String>,
    /// Who is told of its end.
    pub webhook_url: Option<String>,
}

/// An input to take in.
#[derive(Debug, Clone, PartialEq)]
pub enum NewItem {
    /// One that can be executed.
    Valid(ItemInput),
    /// One that cannot, and why: it is kept to be told of.
    Invalid(String),
}

/// What an input of a batch says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ItemInput {
    /// Values for the crew's variables.
    pub input: Input,
    /// How urgent, if not as the batch.
    pub priority: Option<Priority>,
    /// The caller's labels, for its job.
    pub metadata: BTreeMap<String, String>,
}

/// What became of a batch that is to be taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchOpened {
    /// Items may be added.
    Opened,
    /// The tenant has as many batches that are not over as it may have.
    Full {
        /// How many.
        open: usize,
    },
}

/// What became of a batch once it was whole.
#[derive(Debug, Clone)]
pub enum BatchAccepted {
    /// It is durable, and its inputs become jobs.
    Created(Box<Batch>),
    /// Its key is known: this is the batch that was made first. The new one is gone.
    Replayed(Box<Batch>),
    /// Its key is known for another body; that one made this batch. The new one is gone.
    Conflict {
        /// The batch of the other body.
        batch: BatchId,
    },
    /// It has no input that could be executed, and is gone.
    Empty,
    /// It is not being taken in, or not any more.
    Unknown,
}

/// A batch as the store keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// UUIDv7.
    pub id: BatchId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Which crew.
    pub crew: CrewName,
    /// Pinned when it was taken in.
    pub crew_version: CrewVersion,
    /// Where it stands.
    pub status: BatchStatus,
    /// How urgent its jobs are that say nothing else.
    pub priority: Priority,
    /// Jobs of it that are not over, at most.
    pub concurrency: u32,
    /// Bound of each job's running time.
    pub timeout_seconds: u32,
    /// Tries of each step.
    pub max_attempts: u32,
    /// The most that the calls of each job may cost.
    pub budget: Option<NanoDollars>,
    /// The caller's labels.
    pub metadata: BTreeMap<String, String>,
    /// Who is told of its end.
    pub webhook_url: Option<String>,
    /// Its inputs by where they stand.
    pub counts: BatchCounts,
    /// Those whose jobs are not over, by the status of the job.
    pub open: Vec<(JobStatus, u32)>,
    /// Sum over its jobs that are over.
    pub usage: Usage,
    /// Sum over its jobs that are over, of calls with a known price.
    pub cost: NanoDollars,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When the last of its inputs had its end.
    pub finished_at: Option<Timestamp>,
}

/// Inputs of a batch by where they stand: each is counted once besides in `total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BatchCounts {
    /// All.
    pub total: u32,
    /// Without a job yet.
    pub pending: u32,
    /// With a job that is not over.
    pub open: u32,
    /// With a job that succeeded.
    pub succeeded: u32,
    /// With a job that failed.
    pub failed: u32,
    /// With a job that was cancelled, or never started because the batch was.
    pub cancelled: u32,
    /// Not to be executed.
    pub invalid: u32,
}

impl BatchCounts {
    /// A job of it is over.
    pub(crate) fn end(&mut self, status: JobStatus) {
        self.open = self.open.saturating_sub(1);
        match status {
            JobStatus::Succeeded => self.succeeded += 1,
            JobStatus::Failed => self.failed += 1,
            JobStatus::Cancelled => self.cancelled += 1,
            JobStatus::Scheduled
            | JobStatus::Queued
            | JobStatus::Running
            | JobStatus::Retrying
            | JobStatus::Waiting => self.open += 1,
        }
    }

    /// Whether every input has its end.
    pub(crate) fn are_over(&self) -> bool {
        self.pending == 0 && self.open == 0
    }
}

/// What one round of feeding did.
#[derive(Debug, Clone, Default)]
pub struct Fed {
    /// Jobs that were made: of which crew, how urgent.
    pub started: Vec<(CrewName, Priority)>,
    /// More could be made at once.
    pub more: bool,
    /// Inputs wait for room in the queue. Nobody says when there is some.
    pub is_held_back: bool,
}

/// What became of a request to cancel a batch.
#[derive(Debug, Clone)]
pub enum BatchCancelled {
    /// It is cancelled now, with every job of it that was not over.
    Now {
        /// As it is now.
        batch: Box<Batch>,
        /// How many jobs those were.
        jobs: usize,
    },
    /// It was over already.
    Already(Box<Batch>),
    /// There is no such batch.
    Unknown,
}

/// Which batches to list, newest first.
#[derive(Debug, Clone, Default)]
pub struct BatchQuery {
    /// Only in this status.
    pub status: Option<BatchStatus>,
    /// Only of this crew.
    pub crew: Option<CrewName>,
    /// Where the page before ended.
    pub cursor: Option<Cursor>,
    /// At most this many.
    pub limit: usize,
}

/// One page of batches.
#[derive(Debug, Clone, Default)]
pub struct BatchPage {
    /// Newest first.
    pub batches: Vec<Batch>,
    /// Where the next page starts, if there may be one.
    pub next: Option<Cursor>,
}

/// Where an input of a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemStatus {
    /// It waits for its job to be made.
    Pending,
    /// It is not to be executed.
    Invalid,
    /// As its job. `Cancelled` without a job: the batch was cancelled before there was one.
    Of(JobStatus),
}

impl ItemStatus {
    /// The word used in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Invalid => "invalid",
            Self::Of(status) => status.as_str(),
        }
    }

    /// Every status.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Pending, Self::Invalid].into_iter().chain(JobStatus::ALL.map(Self::Of))
    }
}

/// Which inputs of a batch to read, in their order.
#[derive(Debug, Clone, Copy, Default)]
pub struct ItemQuery {
    /// From this one on.
    pub from: u32,
    /// Only in this status.
    pub status: Option<ItemStatus>,
    /// At most this many; fewer where their texts are long.
    pub limit: usize,
}

/// What became of an input of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemResult {
    /// Its place, counted from 0.
    pub index: u32,
    /// Where it stands.
    pub status: ItemStatus,
    /// Its job, if there is one.
    pub job: Option<JobId>,
    /// What the job produced.
    pub output: Option<JobOutput>,
    /// Why the job failed or is tried again, or why the input is invalid.
    pub error: Option<Failure>,
    /// What the job's calls cost so far.
    pub cost: NanoDollars,
}

/// A part of a batch's results.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ItemPage {
    /// In the order of the inputs.
    pub items: Vec<ItemResult>,
    /// From where to go on, if there may be more.
    pub next: Option<u32>,
}
