//! Reading: filters, pages, counts, published crews.

use std::fmt;
use std::str::FromStr;

use qd_types::{CrewName, CrewVersion, Job, JobStatus, Timestamp};

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

/// What publishing a crew did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// The version that holds the spec.
    pub version: CrewVersion,
    /// Whether it is a new one.
    pub created: bool,
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
}
