//! The job as the native API shows it.

use std::collections::BTreeMap;

use qd_types::{
    Class, Code, Failure, Input, Job, JobOutput, JobStatus, Progress, TaskOutput, Timestamp, Usage,
};
use serde::Serialize;
use serde_json::Value;

use super::time::Rfc3339;

/// A job.
#[derive(Serialize)]
pub(crate) struct JobView<'a> {
    id: String,
    crew: &'a str,
    crew_version: u32,
    status: JobStatus,
    priority: u8,
    attempt: u32,
    max_attempts: u32,
    conversation_id: Option<&'a str>,
    input: &'a Input,
    output: Option<OutputView<'a>>,
    error: Option<ErrorView<'a>>,
    usage: UsageView,
    cost_usd: String,
    created_at: Rfc3339,
    run_at: Option<Rfc3339>,
    retry_at: Option<Rfc3339>,
    expires_at: Option<Rfc3339>,
    started_at: Option<Rfc3339>,
    finished_at: Option<Rfc3339>,
    duration_ms: Option<u64>,
    timeout_seconds: u32,
    redrive_of: Option<String>,
    progress: ProgressView<'a>,
    metadata: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
struct OutputView<'a> {
    raw: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    json: Option<&'a Value>,
    tasks: Vec<TaskView<'a>>,
}

#[derive(Serialize)]
struct TaskView<'a> {
    name: &'a str,
    agent: &'a str,
    raw: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    json: Option<&'a Value>,
}

/// A failure, in jobs, events and steps.
#[derive(Serialize)]
pub(crate) struct ErrorView<'a> {
    code: Code,
    class: Class,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<&'a str>,
    retryable: bool,
}

/// What was used, in jobs, events and steps.
#[derive(Serialize)]
pub(crate) struct UsageView {
    model_calls: u32,
    tool_calls: u32,
    input_tokens: u64,
    cache_read_tokens: u64,
    cache_write_tokens: u64,
    output_tokens: u64,
    reasoning_tokens: u64,
    total_tokens: u64,
    unpriced_calls: u32,
}

#[derive(Serialize)]
struct ProgressView<'a> {
    completed_tasks: u32,
    total_tasks: u32,
    current_task: Option<&'a str>,
}

impl<'a> From<&'a Job> for JobView<'a> {
    fn from(job: &'a Job) -> Self {
        Self {
            id: job.id.to_string(),
            crew: job.crew.as_str(),
            crew_version: job.crew_version.0,
            status: job.status,
            priority: job.priority.get(),
            attempt: job.attempt,
            max_attempts: job.max_attempts,
            conversation_id: job.conversation.as_ref().map(|c| c.as_str()),
            input: &job.input,
            output: job.output.as_ref().map(OutputView::from),
            error: job.error.as_ref().map(ErrorView::from),
            usage: UsageView::from(&job.usage),
            cost_usd: job.cost.to_string(),
            created_at: Rfc3339(job.created_at),
            run_at: job.run_at.map(Rfc3339),
            retry_at: job.retry_at.map(Rfc3339),
            expires_at: job.expires_at.map(Rfc3339),
            started_at: job.started_at.map(Rfc3339),
            finished_at: job.finished_at.map(Rfc3339),
            duration_ms: duration_ms(job),
            timeout_seconds: job.timeout_seconds,
            redrive_of: job.redrive_of.map(|id| id.to_string()),
            progress: ProgressView::from(&job.progress),
            metadata: &job.metadata,
        }
    }
}

/// From its first start to its end; nothing for a job that is not over or never started.
pub(crate) fn duration_ms(job: &Job) -> Option<u64> {
    let (started, finished): (Timestamp, Timestamp) = (job.started_at?, job.finished_at?);
    u64::try_from(finished.since(started).as_millis()).ok()
}

impl<'a> From<&'a JobOutput> for OutputView<'a> {
    fn from(output: &'a JobOutput) -> Self {
        let tasks = output.tasks.iter().map(TaskView::from).collect();
        Self { raw: &output.raw, json: output.json.as_ref(), tasks }
    }
}

impl<'a> From<&'a TaskOutput> for TaskView<'a> {
    fn from(task: &'a TaskOutput) -> Self {
        Self {
            name: task.name.as_str(),
            agent: task.agent.as_str(),
            raw: &task.raw,
            json: task.json.as_ref(),
        }
    }
}

impl<'a> From<&'a Failure> for ErrorView<'a> {
    fn from(failure: &'a Failure) -> Self {
        Self {
            code: failure.code,
            class: failure.class,
            message: &failure.message,
            task: failure.task.as_ref().map(|task| task.as_str()),
            retryable: failure.class.is_retryable(),
        }
    }
}

impl From<&Usage> for UsageView {
    fn from(usage: &Usage) -> Self {
        Self {
            model_calls: usage.model_calls,
            tool_calls: usage.tool_calls,
            input_tokens: usage.input_tokens,
            cache_read_tokens: usage.cache_read_tokens,
            cache_write_tokens: usage.cache_write_tokens,
            output_tokens: usage.output_tokens,
            reasoning_tokens: usage.reasoning_tokens,
            total_tokens: usage.total_tokens(),
            unpriced_calls: usage.unpriced_calls,
        }
    }
}

impl<'a> From<&'a Progress> for ProgressView<'a> {
    fn from(progress: &'a Progress) -> Self {
        Self {
            completed_tasks: progress.completed_tasks,
            total_tasks: progress.total_tasks,
            current_task: progress.current_task.as_ref().map(|task| task.as_str()),
        }
    }
}
