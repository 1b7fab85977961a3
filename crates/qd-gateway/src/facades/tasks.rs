//! The tasks facade: `POST /tasks` gives the default crew a task, `GET /tasks/{id}` asks for the result.
//!
//! A repeated `idempotency_key` in the body gives the existing job whatever else the body says, as the contract of
//! this API has it; the `Idempotency-Key` header is strict as everywhere, and wins.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{Request, StatusCode};
use qd_store::OtherBody;
use qd_types::{Code, Job, JobStatus};
use serde::Serialize;
use serde_json::{Value, json as value};

use super::asked_of_default_crew;
use crate::access::Caller;
use crate::body::{self, Fields};
use crate::context::Shared;
use crate::openapi::{Answer, Operation, Schema};
use crate::problem::Problem;
use crate::routes::{PathJob, conversation_field, jobs::JOB_LINKS, json};
use crate::submit::{self, KEY_RULE, Submission};
use crate::view::job::duration_ms;

const ANONYMOUS: &str = "anonymous";

#[derive(Serialize)]
struct TaskView<'a> {
    task_id: String,
    status: &'static str,
    result: Option<&'a str>,
    error: Option<&'a str>,
    cost_usd: f64,
    duration_ms: Option<u64>,
}

/// `POST /tasks`.
pub(crate) async fn create(
    State(context): State<Shared>,
    caller: Caller,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let header_key = submit::header_key(request.headers())?.map(str::to_owned);
    let body = body::json(request, &context).await?;
    let keyed = header_key.is_some() || body.get("idempotency_key").is_some_and(Value::is_string);
    let hash = keyed.then(|| body::canonical_hash(&body));

    let mut fields = Fields::of(body)?;
    let task = fields.required_text("task");
    let user = conversation_field(&mut fields, "user_id", false);
    let body_key = fields.text("idempotency_key");
    if body_key.as_ref().is_some_and(|key| !submit::is_key(key)) {
        fields.error("/idempotency_key".to_owned(), KEY_RULE);
    }
    fields.finish()?;

    let on_other_body = if header_key.is_some() { OtherBody::Refuse } else { OtherBody::Replay };
    let idempotency = header_key
        .or(body_key)
        .zip(hash)
        .map(|(key, hash)| submit::idempotency("POST /tasks", &key, hash, on_other_body));
    let user = user.map_or_else(|| ANONYMOUS.to_owned(), |user| user.to_string());
    let metadata = BTreeMap::from([("user_id".to_owned(), user)]);
    let asked = asked_of_default_crew(&caller.tenant, &context, "task", task.unwrap_or_default()).await;
    let asked = asked.map(|submission| Submission { metadata, ..submission });
    let made = submit::accept(&context, &caller.tenant, idempotency, asked).await?;
    Ok(submit::marked(json(StatusCode::ACCEPTED, &TaskView::from(&*made.job)), made.replayed))
}

/// `GET /tasks/{id}`.
pub(crate) async fn read(
    State(context): State<Shared>,
    caller: Caller,
    PathJob(id): PathJob,
) -> Result<Response, Problem> {
    let job = context.job(&caller.tenant, id).await?;
    Ok(json(StatusCode::OK, &TaskView::from(&job)))
}

impl<'a> From<&'a Job> for TaskView<'a> {
    fn from(job: &'a Job) -> Self {
        Self {
            task_id: job.id.to_string(),
            status: status(job.status),
            result: job.output.as_ref().map(|output| output.raw.as_str()),
            error: super::error_text(job),
            cost_usd: job.cost.to_dollars(),
            duration_ms: duration_ms(job),
        }
    }
}

fn status(status: JobStatus) -> &'static str {
    match status {
        JobStatus::Scheduled | JobStatus::Queued => "pending",
        JobStatus::Running | JobStatus::Retrying | JobStatus::Waiting => "running",
        JobStatus::Succeeded => "complete",
        JobStatus::Failed | JobStatus::Cancelled => "failed",
    }
}

pub(crate) fn about_create() -> Operation {
    let given = Answer::json("It is queued.", "Task").header("Idempotent-Replayed");
    Operation::new("facades", "createTask", "give the default crew a task")
        .about(
            "A repeated `idempotency_key` of the body gives the task that was made the first time, whatever else the \
             body says; the header is strict, and wins.",
        )
        .idempotent()
        .body("NewTask", &[("task", value!({ "task": "Count to three" }))])
        .answers(202, given.links("task_id", &["readTask"]).links("task_id", JOB_LINKS))
        .fails(&[Code::CrewUnavailable, Code::QueueFull])
}

pub(crate) fn about_read() -> Operation {
    let task = Answer::json("The task as it is now.", "Task");
    Operation::new("facades", "readTask", "its result").of_job().answers(200, task)
}

pub(crate) fn schemas() -> Vec<(&'static str, Schema)> {
    let new = Schema::object()
        .field("task", Schema::said().example("Count to three"))
        .may("user_id", Schema::name().by_default(ANONYMOUS))
        .may("idempotency_key", submit::key_schema())
        .closed();
    let task = Schema::object()
        .field("task_id", Schema::job_id().about("The job underneath."))
        .field("status", Schema::words(["pending", "running", "complete", "failed"]))
        .field("result", Schema::text().nullable())
        .field("error", Schema::text().nullable())
        .field("cost_usd", Schema::any().with("type", "number"))
        .field("duration_ms", Schema::count().nullable());
    vec![("NewTask", new), ("Task", task)]
}
