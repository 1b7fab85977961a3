//! The chat facade: `POST /chat` says something, `GET /chat/{id}` asks for the answer. The conversation is the user's.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{Request, StatusCode};
use qd_store::OtherBody;
use qd_types::{Code, Job, JobStatus, Priority};
use serde::Serialize;
use serde_json::json as value;

use super::asked_of_default_crew;
use crate::access::Caller;
use crate::body::{self, Fields};
use crate::context::Shared;
use crate::openapi::{Answer, Operation, Schema};
use crate::problem::Problem;
use crate::routes::{PathJob, conversation_field, jobs::JOB_LINKS, json, new_job};
use crate::submit::{self, Submission};
use crate::view::time::Rfc3339;

#[derive(Serialize)]
struct SubmittedView {
    job_id: String,
    status: &'static str,
    submitted_at: Rfc3339,
}

#[derive(Serialize)]
struct ChatView<'a> {
    job_id: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    submitted_at: Rfc3339,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<Rfc3339>,
}

/// `POST /chat`. The route that load is measured on: one call of the store, nothing hashed without a key.
pub(crate) async fn create(
    State(context): State<Shared>,
    caller: Caller,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let key = submit::header_key(request.headers())?.map(str::to_owned);
    let body = body::json(request, &context).await?;
    let idempotency = key
        .map(|key| submit::idempotency("POST /chat", &key, body::canonical_hash(&body), OtherBody::Refuse));

    let mut fields = Fields::of(body)?;
    let user = conversation_field(&mut fields, "user_id", true);
    let message = fields.required_text("message");
    let priority =
        fields.integer("priority", 1, new_job::PRIORITY_MAX).and_then(|level| Priority::new(level).ok());
    fields.finish()?;

    let asked = asked_of_default_crew(&caller.tenant, &context, "message", message.unwrap_or_default()).await;
    let asked = asked.map(|submission| Submission {
        priority: priority.unwrap_or_default(),
        conversation: user,
        ..submission
    });
    let made = submit::accept(&context, &caller.tenant, idempotency, asked).await?;
    let view = SubmittedView {
        job_id: made.job.id.to_string(),
        status: status(made.job.status),
        submitted_at: Rfc3339(made.job.created_at),
    };
    Ok(submit::marked(json(StatusCode::ACCEPTED, &view), made.replayed))
}

/// `GET /chat/{id}`.
pub(crate) async fn read(
    State(context): State<Shared>,
    caller: Caller,
    PathJob(id): PathJob,
) -> Result<Response, Problem> {
    let job = context.job(&caller.tenant, id).await?;
    Ok(json(StatusCode::OK, &ChatView::from(&job)))
}

impl<'a> From<&'a Job> for ChatView<'a> {
    fn from(job: &'a Job) -> Self {
        Self {
            job_id: job.id.to_string(),
            status: status(job.status),
            response: job.output.as_ref().map(|output| output.raw.as_str()),
            error: super::error_text(job),
            submitted_at: Rfc3339(job.created_at),
            completed_at: job.finished_at.map(Rfc3339),
        }
    }
}

fn status(status: JobStatus) -> &'static str {
    match status {
        JobStatus::Scheduled | JobStatus::Queued => "queued",
        JobStatus::Running | JobStatus::Retrying | JobStatus::Waiting => "processing",
        JobStatus::Succeeded => "completed",
        JobStatus::Failed | JobStatus::Cancelled => "failed",
    }
}

pub(crate) fn about_create() -> Operation {
    let said = Answer::json("It is queued.", "ChatSubmitted").header("Idempotent-Replayed");
    Operation::new("facades", "createChat", "say something to the default crew")
        .about("What one user says is one conversation.")
        .idempotent()
        .body("NewChat", &[("chat", value!({ "user_id": "ann", "message": "Which tide is it?" }))])
        .answers(202, said.links("job_id", &["readChat"]).links("job_id", JOB_LINKS))
        .fails(&[Code::CrewUnavailable, Code::QueueFull])
}

pub(crate) fn about_read() -> Operation {
    let chat = Answer::json("What was answered, or how far it is.", "Chat");
    Operation::new("facades", "readChat", "its answer").of_job().answers(200, chat)
}

pub(crate) fn schemas() -> Vec<(&'static str, Schema)> {
    let id = || Schema::job_id().about("The job underneath.");
    let status = || Schema::words(["queued", "processing", "completed", "failed"]);
    let new = Schema::object()
        .field("user_id", Schema::name().pattern(r"\S").about("Whose conversation it is.").example("ann"))
        .field("message", Schema::said().example("Which tide is it?"))
        .may("priority", new_job::priority_schema())
        .closed();
    let submitted = Schema::object()
        .field("job_id", id())
        .field("status", status())
        .field("submitted_at", Schema::moment());
    let chat = Schema::object()
        .field("job_id", id())
        .field("status", status())
        .optional("response", Schema::text().about("Once completed."))
        .optional("error", Schema::text().about("Once failed: why."))
        .field("submitted_at", Schema::moment())
        .optional("completed_at", Schema::moment().about("Once it is over."));
    vec![("NewChat", new), ("ChatSubmitted", submitted), ("Chat", chat)]
}
