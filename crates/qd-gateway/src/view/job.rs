//! The job as the native API shows it.

use std::collections::BTreeMap;

use qd_types::{
    Class, Code, Failure, Input, Job, JobOutput, JobStatus, Priority, Progress, TaskOutput, Timestamp, Usage,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::human::WaitingView;
use super::time::Rfc3339;
use crate::openapi::Schema;

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
    budget_usd: Option<String>,
    created_at: Rfc3339,
    run_at: Option<Rfc3339>,
    retry_at: Option<Rfc3339>,
    waiting: Option<WaitingView<'a>>,
    expires_at: Option<Rfc3339>,
    started_at: Option<Rfc3339>,
    finished_at: Option<Rfc3339>,
    duration_ms: Option<u64>,
    timeout_seconds: u32,
    redrive_of: Option<String>,
    batch_id: Option<String>,
    batch_index: Option<u32>,
    progress: ProgressView<'a>,
    metadata: &'a BTreeMap<String, String>,
}

/// What a job produced.
#[derive(Serialize)]
pub(crate) struct OutputView<'a> {
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
            budget_usd: job.budget.map(|budget| budget.to_string()),
            created_at: Rfc3339(job.created_at),
            run_at: job.run_at.map(Rfc3339),
            retry_at: job.retry_at.map(Rfc3339),
            waiting: job.waiting.as_deref().map(WaitingView::from),
            expires_at: job.expires_at.map(Rfc3339),
            started_at: job.started_at.map(Rfc3339),
            finished_at: job.finished_at.map(Rfc3339),
            duration_ms: duration_ms(job),
            timeout_seconds: job.timeout_seconds,
            redrive_of: job.redrive_of.map(|id| id.to_string()),
            batch_id: job.batch.map(|place| place.batch.to_string()),
            batch_index: job.batch.map(|place| place.index),
            progress: ProgressView::from(&job.progress),
            metadata: &job.metadata,
        }
    }
}

/// The job as `GET /v1/jobs/{id}` shows it, for others who show it: webhooks.
#[must_use]
pub fn job_json(job: &Job) -> Value {
    // Texts, numbers and lists: there is nothing in it that JSON does not have.
    serde_json::to_value(JobView::from(job)).unwrap_or_default()
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

/// What the document says of jobs and their parts.
pub(crate) fn schemas() -> Vec<(&'static str, Schema)> {
    let moment = |about: &str| Schema::moment().nullable().about(about);
    let job = Schema::object()
        .about("One durable request to execute a crew.")
        .field("id", Schema::job_id().about("UUIDv7: sorts roughly by acceptance."))
        .field("crew", Schema::text())
        .field("crew_version", Schema::count().about("Pinned when the job was accepted."))
        .field("status", Schema::named("JobStatus"))
        .field("priority", Schema::whole(1, Priority::LEVELS as i64))
        .field("attempt", Schema::count().about("How often a worker took it up."))
        .field("max_attempts", Schema::count().about("Most tries of one step."))
        .field("conversation_id", Schema::text().nullable())
        .field("input", Schema::object().about("Values for the crew's variables."))
        .field("output", Schema::named("JobOutput").nullable().about("Set when succeeded."))
        .field("error", Schema::named("Failure").nullable().about("Set when failed; while retrying, why."))
        .field("usage", Schema::named("Usage"))
        .field("cost_usd", Schema::dollars().about("Sum over its calls with a known price."))
        .field(
            "budget_usd",
            Schema::dollars()
                .nullable()
                .about("The most that its calls may cost, if it has a bound of its own."),
        )
        .field("created_at", Schema::moment().about("When it was accepted."))
        .field("run_at", moment("Not before this."))
        .field("retry_at", moment("When it is tried again, while retrying."))
        .field("waiting", Schema::named("Waiting").nullable().about("What it asks a person, while waiting."))
        .field("expires_at", moment("When it fails if it is not finished."))
        .field("started_at", moment("When a worker first took it up."))
        .field("finished_at", moment("When it ended."))
        .field("duration_ms", Schema::count().nullable().about("From its first start to its end."))
        .field("timeout_seconds", Schema::count().about("Longest running time."))
        .field("redrive_of", Schema::job_id().nullable().about("The job that this one runs again."))
        .field("batch_id", Schema::job_id().nullable().about("The batch that it is of."))
        .field("batch_index", Schema::count().nullable().about("Its input's place in that batch, from 0."))
        .field("progress", Schema::named("Progress"))
        .field("metadata", Schema::map(Schema::text()).about("Your own labels."));
    let mut all = vec![("Job", job)];
    all.extend(output_schemas());
    all.extend(part_schemas());
    all
}

/// A job as the document shows one.
pub(crate) fn example() -> Value {
    json!({
        "id": "0198c0de-0000-7000-8000-000000000001",
        "crew": "research",
        "crew_version": 3,
        "status": "succeeded",
        "priority": 1,
        "attempt": 1,
        "max_attempts": 5,
        "conversation_id": null,
        "input": { "topic": "tides" },
        "output": {
            "raw": "Two a day, mostly.",
            "tasks": [{ "name": "report", "agent": "writer", "raw": "Two a day, mostly." }],
        },
        "error": null,
        "usage": {
            "model_calls": 1, "tool_calls": 0, "input_tokens": 240, "cache_read_tokens": 0,
            "cache_write_tokens": 0, "output_tokens": 12, "reasoning_tokens": 0, "total_tokens": 252,
            "unpriced_calls": 0,
        },
        "cost_usd": "0.0009",
        "budget_usd": "0.25",
        "created_at": "2030-03-01T12:00:00.000Z",
        "run_at": null,
        "retry_at": null,
        "waiting": null,
        "expires_at": null,
        "started_at": "2030-03-01T12:00:00.004Z",
        "finished_at": "2030-03-01T12:00:07.250Z",
        "duration_ms": 7246,
        "timeout_seconds": 300,
        "redrive_of": null,
        "batch_id": null,
        "batch_index": null,
        "progress": { "completed_tasks": 1, "total_tasks": 1, "current_task": null },
        "metadata": { "order": "4711" },
    })
}

fn output_schemas() -> [(&'static str, Schema); 2] {
    let json = || Schema::any().about("The same as JSON, where the task declares it.");
    let output = Schema::object()
        .about("What the crew produced.")
        .field("raw", Schema::text().about("The last task's text that is not empty."))
        .optional("json", json())
        .field("tasks", Schema::list(Schema::named("TaskOutput")));
    let task = Schema::object()
        .about("What one task produced.")
        .field("name", Schema::text())
        .field("agent", Schema::text())
        .field("raw", Schema::text())
        .optional("json", json());
    [("JobOutput", output), ("TaskOutput", task)]
}

fn part_schemas() -> [(&'static str, Schema); 3] {
    let failure = Schema::object()
        .about("Why a job or a call failed.")
        .field("code", Schema::named("ErrorCode"))
        .field("class", Schema::named("FailureClass"))
        .field("message", Schema::text().about("For people."))
        .optional("task", Schema::text().about("Where it happened."))
        .field("retryable", Schema::yes_or_no().about("Whether another try can help."));
    let usage = [
        "model_calls",
        "tool_calls",
        "input_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "output_tokens",
        "reasoning_tokens",
        "total_tokens",
        "unpriced_calls",
    ];
    let usage = usage.into_iter().fold(Schema::object(), |usage, name| usage.field(name, Schema::count()));
    let usage = usage.about("What was used. Unpriced calls are those without a known price.");
    let progress = Schema::object()
        .about("How far it is, in tasks.")
        .field("completed_tasks", Schema::count())
        .field("total_tasks", Schema::count())
        .field("current_task", Schema::text().nullable());
    [("Failure", failure), ("Usage", usage), ("Progress", progress)]
}
