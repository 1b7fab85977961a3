//! What is asked of a store and what it answers.

pub(crate) mod batches;
pub(crate) mod dead;
pub(crate) mod human;
pub(crate) mod schedules;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use qd_types::{
    Ask, Code, ConversationId, CrewName, CrewVersion, Failure, Hooks, Input, Job, JobId, JobOutput,
    JobStatus, LogItem, Logged, NanoDollars, Priority, Progress, TenantId, Timestamp, Usage, WorkerId,
};
use serde::{Deserialize, Serialize};

/// A job to accept.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Its id, made by whoever accepts it.
    pub id: JobId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Which crew.
    pub crew: CrewName,
    /// Which version of it.
    pub crew_version: CrewVersion,
    /// Which semantics of the machine.
    pub machine_version: u32,
    /// Tasks of that version, for the progress shown before it starts.
    pub total_tasks: u32,
    /// Values for the crew's variables.
    pub input: Input,
    /// How urgent.
    pub priority: Priority,
    /// Whose history it continues.
    pub conversation: Option<ConversationId>,
    /// Not before this.
    pub run_at: Option<Timestamp>,
    /// Fails if not finished by then.
    pub expires_at: Option<Timestamp>,
    /// Bound of its running time.
    pub timeout_seconds: u32,
    /// Tries of each step.
    pub max_attempts: u32,
    /// The most that its calls may cost.
    pub budget: Option<NanoDollars>,
    /// The caller's labels.
    pub metadata: BTreeMap<String, String>,
    /// Who is told of its end.
    pub webhook_url: Option<String>,
    /// Who is told of its steps besides.
    pub hooks: Option<Arc<Hooks>>,
    /// The job it runs again.
    pub redrive_of: Option<JobId>,
    /// The caller's key, if any.
    pub idempotency: Option<Idempotency>,
}

impl NewJob {
    /// The job as it stands once accepted at `now`.
    #[must_use]
    pub fn accepted(&self, now: Timestamp) -> Job {
        let later = self.run_at.is_some_and(|at| at > now);
        Job {
            id: self.id,
            tenant: self.tenant.clone(),
            crew: self.crew.clone(),
            crew_version: self.crew_version,
            machine_version: self.machine_version,
            status: if later { JobStatus::Scheduled } else { JobStatus::Queued },
            priority: self.priority,
            attempt: 0,
            max_attempts: self.max_attempts,
            crashes: 0,
            conversation: self.conversation.clone(),
            input: self.input.clone(),
            output: None,
            error: None,
            usage: Usage::default(),
            cost: NanoDollars::default(),
            progress: Progress { total_tasks: self.total_tasks, ..Progress::default() },
            created_at: now,
            run_at: self.run_at,
            retry_at: None,
            waiting: None,
            expires_at: self.expires_at,
            started_at: None,
            finished_at: None,
            timeout_seconds: self.timeout_seconds,
            budget: self.budget,
            webhook_url: self.webhook_url.clone(),
            hooks: self.hooks.clone(),
            redrive_of: self.redrive_of,
            batch: None,
            metadata: self.metadata.clone(),
        }
    }
}

/// Makes a repeated request harmless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The route it was given to: the same key on another route is another key.
    pub scope: String,
    /// The caller's key.
    pub key: String,
    /// Hash of the parsed body in canonical form.
    pub body_hash: [u8; 32],
    /// What to do when the body differs.
    pub on_other_body: OtherBody,
}

/// What to do with a known key and another body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherBody {
    /// Answer [`Enqueued::Conflict`].
    Refuse,
    /// Answer the existing job, as the contract of `/tasks` says.
    Replay,
}

/// What became of a [`NewJob`].
#[derive(Debug, Clone)]
pub enum Enqueued {
    /// It is durable.
    Created(Box<Job>),
    /// Its key is known: this is the job it made.
    Replayed(Box<Job>),
    /// Its key is known for another body; that one made this job.
    Conflict {
        /// The job of the other body.
        job: JobId,
    },
    /// The tenant has as many jobs queued as it may have; nothing was stored and the key is not burnt.
    OverQuota {
        /// Jobs that it has queued now.
        depth: usize,
        /// When to try again.
        retry_after: Duration,
    },
    /// The queue is full; nothing was stored and the key is not burnt.
    Full {
        /// Jobs queued now.
        depth: usize,
        /// When to try again.
        retry_after: Duration,
    },
}

/// Random and new after init, restore or rollback: leases of an older life of the data are void.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Incarnation(pub u64);

/// Proof of holding a lease; checked in the transaction of every write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fence {
    /// Life of the data.
    pub incarnation: Incarnation,
    /// One more at each claim of the job.
    pub epoch: u64,
}

/// A worker's claim of a job.
#[derive(Debug, Clone)]
pub struct Lease {
    /// The proof.
    pub fence: Fence,
    /// Whose it is.
    pub worker: WorkerId,
    /// When it ends unless renewed; `None` where it lasts as long as this process.
    pub until: Option<Timestamp>,
}

/// How many jobs a claim may hand out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Jobs whose turn it is.
    pub any: usize,
    /// Further ones, by how few jobs of their tenant run: with `n` of these left, a job of the tenant of which the fewest
    /// run, if those are fewer than `n`; of one tenant its most urgent.
    pub spare: usize,
}

impl From<usize> for Room {
    /// For jobs whose turn it is.
    fn from(any: usize) -> Self {
        Self { any, spare: 0 }
    }
}

/// A job in a worker's hands.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The job, with this attempt counted.
    pub job: Job,
    /// The lease.
    pub lease: Lease,
    /// Everything that happened in it so far, this claim included.
    pub log: Vec<Logged>,
    /// The attempt before ended without finish or release: what was ready then may have been sent.
    pub in_doubt: bool,
}

/// Things to append to a job's log.
#[derive(Debug, Clone)]
pub struct Record {
    /// Which job.
    pub job: JobId,
    /// Proof of the lease.
    pub fence: Fence,
    /// What happened, in order.
    pub items: Vec<LogItem>,
    /// How far the job is now.
    pub progress: Progress,
}

/// The end of an attempt, with what happened last: one transaction.
#[derive(Debug, Clone)]
pub struct Finish {
    /// Which job.
    pub job: JobId,
    /// Proof of the lease.
    pub fence: Fence,
    /// What happened since the last record.
    pub items: Vec<LogItem>,
    /// How far the job is now.
    pub progress: Progress,
    /// How the attempt ends.
    pub outcome: Outcome,
    /// What the conversation gains, if the job succeeded and has one.
    pub history: Vec<Turn>,
    /// Whether all that was in doubt at the claim has been started again and accounted for. If not, a job that goes on
    /// later is still in doubt.
    pub doubt_settled: bool,
}

/// How an attempt ends.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// With the crew's output.
    Succeeded(JobOutput),
    /// The job goes on later.
    Retry {
        /// When, counted by the store's clock from the commit.
        after: Duration,
        /// Why.
        failure: Failure,
    },
    /// The job waits for a person and holds no worker.
    Wait(Box<Ask>),
    /// The job goes back to the queue as if nothing had happened: its worker stops.
    Release,
    /// For good.
    Failed(Failure),
    /// By request.
    Cancelled,
}

/// Why a write of an attempt was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Somebody else holds the job now, or nobody does.
    Stale,
    /// The job is over.
    Terminal,
}

/// A lease that its worker must let go of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// Which job.
    pub job: JobId,
    /// Why.
    pub why: Revoked,
}

/// Why a lease is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoked {
    /// It ran out and the job may be in other hands.
    Lost,
    /// The job was cancelled.
    Cancelled,
}

/// What became of a request to cancel.
#[derive(Debug, Clone)]
pub enum Cancelled {
    /// The job is cancelled now.
    Now(Box<Job>),
    /// The job was over already.
    Already(Box<Job>),
    /// There is no such job.
    Unknown,
}

/// What one round of housekeeping did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tick {
    /// Delayed jobs that are queued now.
    pub promoted: usize,
    /// Jobs taken from dead workers.
    pub rescued: usize,
    /// Jobs failed because their time was up.
    pub expired: usize,
    /// Reminders of questions that nobody has answered yet.
    pub reminded: usize,
    /// Questions that nobody is waited for any more to answer.
    pub given_up: usize,
    /// Jobs that failed in this round, expired ones and those that crashed their worker too often: crew and code.
    pub failed: Vec<(CrewName, Code)>,
    /// Finished jobs and old history deleted.
    pub pruned: usize,
    /// When there is something to do again, if that is known.
    pub next_due: Option<Timestamp>,
    /// More was due than one round may do.
    pub more: bool,
}

/// A conversation as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredConversation {
    /// The newest messages that were asked for, oldest of them first.
    pub messages: Vec<StoredMessage>,
    /// When a job added to it last.
    pub last_at: Timestamp,
    /// When it is forgotten unless another job adds to it.
    pub expires_at: Timestamp,
}

/// A message, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// What was said.
    pub turn: Turn,
    /// When the job that said it finished; `None` for messages of an older release.
    pub at: Option<Timestamp>,
    /// That job; `None` for messages of an older release.
    pub job: Option<JobId>,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Who said it.
    pub role: TurnRole,
    /// What.
    pub text: String,
}

/// Who said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnRole {
    /// The person.
    User,
    /// The crew.
    Assistant,
}
