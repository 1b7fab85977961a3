//! Answers of people to jobs that wait: what is said, and what becomes of it.

use qd_types::{AnsweredBy, Hooks, Job, JobId, StepId, Verdict};

use crate::Idempotency;

/// What a person says to a job that waits.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Which job.
    pub job: JobId,
    /// Which question of it; without one, the one that is open.
    pub step: Option<StepId>,
    /// What they say.
    pub verdict: Verdict,
    /// Who they are.
    pub by: AnsweredBy,
    /// Who is told of the job's steps from now on, in place of what was said before.
    pub hooks: Option<Hooks>,
    /// The caller's key, if any.
    pub idempotency: Option<Idempotency>,
}

/// What became of an [`Answer`].
#[derive(Debug, Clone)]
pub enum Answered {
    /// It stands in the journal, and the job goes on, or has failed because it was sent back too often.
    Taken(Box<Job>),
    /// The same was said before: this is the job by now.
    Replayed(Box<Job>),
    /// The caller's key is known for another body; that one answered or made this job.
    Conflict {
        /// The job of the other body.
        job: JobId,
    },
    /// Something else was said before.
    Otherwise {
        /// Of which question.
        step: StepId,
    },
    /// The job does not wait with this question.
    NotWaiting(Box<Job>),
    /// There is no such job.
    Unknown,
}
