//! The life of a job as one table: which status may follow which.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a job stands. Terminal ones are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    /// Waits for its `run_at`.
    Scheduled,
    /// Ready for a worker.
    Queued,
    /// A worker holds its lease.
    Running,
    /// Waits for its next try at `retry_at`.
    Retrying,
    /// Waits for a person or an event; holds no worker.
    Waiting,
    /// Has its output.
    Succeeded,
    /// Has its error; what the dead-letter list shows.
    Failed,
    /// Was stopped by request.
    Cancelled,
}

impl JobStatus {
    /// Every status, in the order of a job's life.
    pub const ALL: [Self; 8] = [
        Self::Scheduled,
        Self::Queued,
        Self::Running,
        Self::Retrying,
        Self::Waiting,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// What may come next. The one table behind the store, the documents and the conformance suite.
    #[must_use]
    pub fn transitions(self) -> &'static [Self] {
        use JobStatus::{Cancelled, Failed, Queued, Retrying, Running, Scheduled, Succeeded, Waiting};
        match self {
            Scheduled => &[Queued, Failed, Cancelled],
            Queued => &[Running, Failed, Cancelled],
            // Back to queued: the worker died or gave the job back.
            Running => &[Queued, Retrying, Waiting, Succeeded, Failed, Cancelled],
            Retrying | Waiting => &[Queued, Failed, Cancelled],
            Succeeded | Failed | Cancelled => &[],
        }
    }

    /// Whether `next` may follow.
    #[must_use]
    pub fn allows(self, next: Self) -> bool {
        self.transitions().contains(&next)
    }

    /// Whether the job is over.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        self.transitions().is_empty()
    }

    /// The word used in the API, the store and the logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Waiting => "waiting",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownStatus(pub String);

impl fmt::Display for UnknownStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = JobStatus::ALL.map(JobStatus::as_str).join(", ");
        write!(f, "`{}` is no job status; one of {known}", self.0)
    }
}

impl std::error::Error for UnknownStatus {}

impl FromStr for JobStatus {
    type Err = UnknownStatus;
    fn from_str(word: &str) -> Result<Self, UnknownStatus> {
        Self::ALL.into_iter().find(|s| s.as_str() == word).ok_or_else(|| UnknownStatus(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::JobStatus;

    #[test]
    fn terminal_statuses_are_final_and_every_other_one_can_end() {
        for status in JobStatus::ALL {
            let ends = status.transitions().iter().any(|next| next.is_terminal());
            assert_eq!(ends, !status.is_terminal(), "{status}");
        }
    }

    #[test]
    fn words_round_trip() {
        for status in JobStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
    }
}
