//! Reading: filters, pages, counts, published crews.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use qd_types::{CrewName, CrewVersion, Job, JobStatus, NanoDollars, Priority, Timestamp};

/// Which jobs to list, newest first.
#[derive(Debug, Clone, Default)]
pub struct JobQuery {
    /// Only in this status.
    pub status: Option<JobStatus>,
    /// Only of this crew.
    pub crew: Option<CrewName>,
    /// Only accepted after this moment.
    pub created_after: Option<Timestamp>,
    /// Only accepted before this moment.
    pub created_before: Option<Timestamp>,
    /// Where the page before ended.
    pub cursor: Option<Cursor>,
    /// At most this many.
    pub limit: usize,
}

/// A place in a list. Opaque to callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub i64);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{:x}", self.0)
    }
}

/// A text that is no cursor of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not one that a list has returned")]
pub struct InvalidCursor;

impl FromStr for Cursor {
    type Err = InvalidCursor;
    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let digits =
            text.strip_prefix('c').filter(|d| !d.is_empty() && d.len() <= 15).ok_or(InvalidCursor)?;
        i64::from_str_radix(digits, 16).ok().filter(|row| *row >= 0).map(Self).ok_or(InvalidCursor)
    }
}

/// One page of jobs.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Newest first.
    pub jobs: Vec<Job>,
    /// Where the next page starts, if there may be one.
    pub next: Option<Cursor>,
}

/// A crew version as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCrew {
    /// The crew.
    pub name: CrewName,
    /// Its version.
    pub version: CrewVersion,
    /// Hash of the canonical spec.
    pub hash: String,
    /// The canonical spec, JSON.
    pub spec: String,
    /// When it was published.
    pub created_at: Timestamp,
}

/// Jobs by where they stand, without reading them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Ready for a worker, or next in a conversation.
    pub queued: usize,
    /// In a worker's hands.
    pub running: usize,
    /// Scheduled or retrying.
    pub delayed: usize,
    /// Asking a person.
    pub waiting: usize,
    /// Of the delayed ones, those that no worker took up yet.
    pub scheduled: usize,
    /// The queued ones by priority, from 1 to 5.
    pub levels: [LevelStats; Priority::LEVELS],
    /// Jobs that were queued again when the store was opened, because their process had ended.
    pub taken_over: usize,
    /// Bytes of the store's files; 0 for one in memory.
    pub bytes: u64,
}

impl Stats {
    /// Jobs that wait for their next try.
    #[must_use]
    pub fn retrying(&self) -> usize {
        self.delayed - self.scheduled.min(self.delayed)
    }

    /// Since when the longest queued job has been queued.
    #[must_use]
    pub fn oldest(&self) -> Option<Timestamp> {
        self.levels.iter().filter_map(|level| level.oldest).min()
    }
}

/// Queued jobs of one priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LevelStats {
    /// How many.
    pub queued: usize,
    /// Since when the longest queued of them has been queued. After a restart this is its acceptance (or `run_at`).
    pub oldest: Option<Timestamp>,
}

/// What happened lately: over the last hour, or since the store was opened if that is less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recent {
    /// How far back it reaches.
    pub window: Duration,
    /// Jobs that succeeded.
    pub succeeded: u64,
    /// Jobs that failed, expired ones included.
    pub failed: u64,
    /// Jobs that were cancelled.
    pub cancelled: u64,
    /// Model calls that were answered.
    pub model_calls: u64,
    /// Their tokens.
    pub tokens: u64,
    /// Their price, where it is known.
    pub cost: NanoDollars,
    /// From acceptance (or `run_at`) to the end, of jobs that a worker ended.
    pub durations: Distribution,
    /// From acceptance (or `run_at`) until a worker first took a job up.
    pub waits: Distribution,
}

/// What happened lately to the jobs of one crew, over the same span as [`Recent`], and how many it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CrewRecent {
    /// Jobs that are not over, those included that begin later or ask a person.
    pub open: usize,
    /// Jobs that succeeded.
    pub succeeded: u64,
    /// Jobs that failed, expired ones included.
    pub failed: u64,
    /// Jobs that were cancelled.
    pub cancelled: u64,
    /// From acceptance (or `run_at`) to the end, on average; `None` if no worker ended a job.
    pub average: Option<Duration>,
}

/// Spans of time, summed up. Percentiles are up to an eighth too high, never too low.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Distribution {
    /// How many there were.
    pub count: u64,
    /// Their average.
    pub average: Duration,
    /// Half of them were no longer than this.
    pub p50: Duration,
    /// 95 % of them were no longer than this.
    pub p95: Duration,
    /// 99 % of them were no longer than this.
    pub p99: Duration,
}
