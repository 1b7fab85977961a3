//! A batch and what became of its inputs, as the API shows them.

use std::collections::BTreeMap;

use qd_store::{Batch, BatchStatus, ItemResult, ItemStatus};
use qd_types::{JobStatus, Priority};
use serde::Serialize;
use serde_json::{Value, json};

use super::job::{ErrorView, OutputView, UsageView};
use super::time::Rfc3339;
use crate::openapi::Schema;

/// A batch.
#[derive(Serialize)]
pub(crate) struct BatchView<'a> {
    id: String,
    crew: &'a str,
    crew_version: u32,
    status: &'static str,
    priority: u8,
    concurrency: u32,
    max_attempts: u32,
    timeout_seconds: u32,
    budget_usd: Option<String>,
    counts: CountsView,
    usage: UsageView,
    cost_usd: String,
    created_at: Rfc3339,
    finished_at: Option<Rfc3339>,
    metadata: &'a BTreeMap<String, String>,
}

/// Its inputs by where they stand.
#[derive(Serialize)]
struct CountsView {
    total: u32,
    pending: u32,
    scheduled: u32,
    queued: u32,
    running: u32,
    retrying: u32,
    waiting: u32,
    succeeded: u32,
    failed: u32,
    cancelled: u32,
    invalid: u32,
}

impl<'a> From<&'a Batch> for BatchView<'a> {
    fn from(batch: &'a Batch) -> Self {
        Self {
            id: batch.id.to_string(),
            crew: batch.crew.as_str(),
            crew_version: batch.crew_version.0,
            status: batch.status.as_str(),
            priority: batch.priority.get(),
            concurrency: batch.concurrency,
            max_attempts: batch.max_attempts,
            timeout_seconds: batch.timeout_seconds,
            budget_usd: batch.budget.map(|budget| budget.to_string()),
            counts: CountsView::from(batch),
            usage: UsageView::from(&batch.usage),
            cost_usd: batch.cost.to_string(),
            created_at: Rfc3339(batch.created_at),
            finished_at: batch.finished_at.map(Rfc3339),
            metadata: &batch.metadata,
        }
    }
}

impl From<&Batch> for CountsView {
    fn from(batch: &Batch) -> Self {
        let open = |status: JobStatus| {
            batch.open.iter().filter(|(found, _)| *found == status).map(|(_, count)| count).sum()
        };
        Self {
            total: batch.counts.total,
            pending: batch.counts.pending,
            scheduled: open(JobStatus::Scheduled),
            queued: open(JobStatus::Queued),
            running: open(JobStatus::Running),
            retrying: open(JobStatus::Retrying),
            waiting: open(JobStatus::Waiting),
            succeeded: batch.counts.succeeded,
            failed: batch.counts.failed,
            cancelled: batch.counts.cancelled,
            invalid: batch.counts.invalid,
        }
    }
}

/// The batch as `GET /v1/batches/{id}` shows it, for others who show it: webhooks.
#[must_use]
pub fn batch_json(batch: &Batch) -> Value {
    // Texts and numbers: there is nothing in it that JSON does not have.
    serde_json::to_value(BatchView::from(batch)).unwrap_or_default()
}

/// An input that was not accepted, in the answer to a new batch.
#[derive(Serialize)]
pub(crate) struct InvalidInputView<'a> {
    index: u32,
    message: &'a str,
}

impl<'a> From<&'a ItemResult> for InvalidInputView<'a> {
    fn from(item: &'a ItemResult) -> Self {
        let message = item.error.as_ref().map_or("", |failure| &failure.message);
        Self { index: item.index, message }
    }
}

/// What became of one input.
#[derive(Serialize)]
pub(crate) struct ResultView<'a> {
    index: u32,
    status: &'static str,
    job_id: Option<String>,
    output: Option<OutputView<'a>>,
    error: Option<ErrorView<'a>>,
    cost_usd: String,
}

impl<'a> From<&'a ItemResult> for ResultView<'a> {
    fn from(item: &'a ItemResult) -> Self {
        Self {
            index: item.index,
            status: item.status.as_str(),
            job_id: item.job.map(|id| id.to_string()),
            output: item.output.as_ref().map(OutputView::from),
            error: item.error.as_ref().map(ErrorView::from),
            cost_usd: item.cost.to_string(),
        }
    }
}

/// The words of statuses of batches.
pub(crate) fn status_schema() -> Schema {
    Schema::words(BatchStatus::ALL.map(BatchStatus::as_str))
}

/// The words of statuses of inputs.
pub(crate) fn item_status_schema() -> Schema {
    Schema::words(ItemStatus::all().map(ItemStatus::as_str))
}

fn batch_schema() -> Schema {
    let words = [
        "total",
        "pending",
        "scheduled",
        "queued",
        "running",
        "retrying",
        "waiting",
        "succeeded",
        "failed",
        "cancelled",
        "invalid",
    ];
    let counts = words.into_iter().fold(Schema::object(), |counts, word| counts.field(word, Schema::count()));
    let about = "Its inputs by where they stand. `pending` ones have no job yet, `invalid` ones never will; the others stand as their jobs.";
    Schema::object()
        .field("id", Schema::job_id().about("UUIDv7."))
        .field("crew", Schema::text())
        .field("crew_version", Schema::count().about("Pinned when the batch was accepted."))
        .field("status", status_schema())
        .field("priority", Schema::whole(1, Priority::LEVELS as i64))
        .field("concurrency", Schema::count().about("Most jobs of it at once that are not over."))
        .field("max_attempts", Schema::count().about("Most tries of one step."))
        .field("timeout_seconds", Schema::count().about("Longest running time of each job."))
        .field(
            "budget_usd",
            Schema::dollars().nullable().about("The most that the calls of each job may cost."),
        )
        .field("counts", counts.about(about))
        .field("usage", Schema::named("Usage"))
        .field("cost_usd", Schema::dollars().about("Sum over its jobs that are over."))
        .field("created_at", Schema::moment().about("When it was accepted."))
        .field("finished_at", Schema::moment().nullable().about("When the last of its inputs had its end."))
        .field("metadata", Schema::map(Schema::text()).about("Your own labels."))
}

/// What the document says of batches.
pub(crate) fn schemas() -> Vec<(&'static str, Schema)> {
    let invalid = Schema::object().field("index", Schema::count()).field("message", Schema::text());
    let made = batch_schema()
        .about("A batch, and the first inputs that were not accepted.")
        .field("invalid_inputs", Schema::list(invalid).about("The first of them; the results tell of all."));
    let result = Schema::object()
        .about("What became of one input.")
        .field("index", Schema::count().about("Its place among the inputs, from 0."))
        .field("status", item_status_schema())
        .field("job_id", Schema::job_id().nullable())
        .field("output", Schema::named("JobOutput").nullable().about("Set when succeeded."))
        .field(
            "error",
            Schema::named("Failure").nullable().about("Why it failed, is tried again, or is invalid."),
        )
        .field("cost_usd", Schema::dollars());
    vec![
        ("Batch", batch_schema().about("Many inputs for one crew.")),
        ("MadeBatch", made),
        ("BatchResult", result),
    ]
}

/// A batch as the document shows one.
pub(crate) fn example() -> Value {
    json!({
        "id": "0198c0de-0000-7000-8000-000000000002",
        "crew": "research",
        "crew_version": 3,
        "status": "running",
        "priority": 1,
        "concurrency": 32,
        "max_attempts": 5,
        "timeout_seconds": 300,
        "budget_usd": null,
        "counts": {
            "total": 1000, "pending": 700, "scheduled": 0, "queued": 16, "running": 16, "retrying": 0, "waiting": 0,
            "succeeded": 260, "failed": 5, "cancelled": 0, "invalid": 3,
        },
        "usage": {
            "model_calls": 265, "tool_calls": 0, "input_tokens": 63600, "cache_read_tokens": 0,
            "cache_write_tokens": 0, "output_tokens": 3180, "reasoning_tokens": 0, "total_tokens": 66780,
            "unpriced_calls": 0,
        },
        "cost_usd": "0.2385",
        "created_at": "2030-03-01T12:00:00.000Z",
        "finished_at": null,
        "metadata": { "run": "7" },
    })
}
