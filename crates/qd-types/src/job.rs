//! A job as the store keeps it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    AgentId, BatchId, ConversationId, CrewName, CrewVersion, Failure, Hooks, JobId, JobStatus, NanoDollars,
    Priority, TaskId, TenantId, Timestamp, Usage, Waiting,
};

/// Values for a crew's variables.
pub type Input = serde_json::Map<String, Value>;

/// One durable request to execute a crew.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// UUIDv7, made when it was accepted.
    pub id: JobId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Which crew.
    pub crew: CrewName,
    /// Pinned when it was accepted.
    pub crew_version: CrewVersion,
    /// Semantics of the machine it is pinned to.
    pub machine_version: u32,
    /// Where it stands.
    pub status: JobStatus,
    /// How urgent.
    pub priority: Priority,
    /// How often a worker took it up.
    pub attempt: u32,
    /// Tries that one step of it may have.
    pub max_attempts: u32,
    /// Consecutive attempts that ended without finish, release or a new journal entry.
    pub crashes: u32,
    /// Whose history it continues.
    pub conversation: Option<ConversationId>,
    /// Values for the crew's variables.
    pub input: Input,
    /// Set when succeeded.
    pub output: Option<JobOutput>,
    /// Set when failed; while retrying, why.
    pub error: Option<Failure>,
    /// Sum over its calls.
    pub usage: Usage,
    /// Sum over its calls with a known price.
    pub cost: NanoDollars,
    /// How far it is.
    pub progress: Progress,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// Not before this.
    pub run_at: Option<Timestamp>,
    /// When it is tried again, while retrying.
    pub retry_at: Option<Timestamp>,
    /// What it asks, while waiting.
    pub waiting: Option<Box<Waiting>>,
    /// When it fails if not finished.
    pub expires_at: Option<Timestamp>,
    /// When a worker first took it up.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Bound of its running time.
    pub timeout_seconds: u32,
    /// The most that its calls may cost; without one, what the configuration says of its crew.
    pub budget: Option<NanoDollars>,
    /// Who is told of its end.
    pub webhook_url: Option<String>,
    /// Who is told of its steps besides.
    pub hooks: Option<Arc<Hooks>>,
    /// The failed job that this one runs again.
    pub redrive_of: Option<JobId>,
    /// The input of a batch that it was made for.
    pub batch: Option<BatchPlace>,
    /// The caller's own labels.
    pub metadata: BTreeMap<String, String>,
}

/// A place in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BatchPlace {
    /// Which batch.
    pub batch: BatchId,
    /// Which of its inputs, counted from 0.
    pub index: u32,
}

impl Job {
    /// When a worker could first have taken it up, had one been free.
    #[must_use]
    pub fn first_ready_at(&self) -> Timestamp {
        self.run_at.map_or(self.created_at, |at| at.max(self.created_at))
    }
}

/// What a crew produced.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct JobOutput {
    /// The last task output that is not empty.
    pub raw: String,
    /// The same as JSON, where the task declares it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// One for each task, in the order of the crew file.
    pub tasks: Vec<TaskOutput>,
}

/// What one task produced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskOutput {
    /// The task.
    pub name: TaskId,
    /// Who did it.
    pub agent: AgentId,
    /// Its text.
    pub raw: String,
    /// The same as JSON, where the task declares it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
}

/// How far a job is, in tasks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Finished tasks.
    pub completed_tasks: u32,
    /// All tasks of the crew.
    pub total_tasks: u32,
    /// The one under way, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_task: Option<TaskId>,
}
