//! Running a job again that failed or was cancelled; `dead_letters.rs` does so with many.

pub(crate) mod dead_letters;

use axum::body::{Body, HttpBody as _};
use axum::extract::State;
use axum::response::Response;
use http::{Request, StatusCode};
use qd_store::OtherBody;
use qd_types::{Code, Input, Job, JobStatus};
use serde_json::json;

use super::{JOB_LINKS, made_answer};
use crate::access::Caller;
use crate::body::{self, Fields};
use crate::context::{Context, Shared};
use crate::crews::{CrewBookError, Published};
use crate::openapi::{Answer, Operation, Schema};
use crate::problem::Problem;
use crate::routes::PathJob;
use crate::submit::{self, Submission};

/// `POST /v1/jobs/{id}/redrive`: a new job with the same input under the newest version of the crew, which may have
/// been mended meanwhile. The old job stays as it is; its journal is not used again.
pub(crate) async fn redrive(
    State(context): State<Shared>,
    caller: Caller,
    PathJob(id): PathJob,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let key = submit::header_key(request.headers())?.map(str::to_owned);
    let input = edited(request, &context).await?;
    // The same key for another job is another body.
    let idempotency = key.map(|key| {
        let hash = body::canonical_hash(&match &input {
            Some(input) => json!([id.to_string(), input]),
            None => json!(id.to_string()),
        });
        submit::idempotency("POST /v1/jobs/{id}/redrive", &key, hash, OtherBody::Refuse)
    });
    let failed = context.job(&caller.tenant, id).await?;
    if !matches!(failed.status, JobStatus::Failed | JobStatus::Cancelled) {
        let detail = format!(
            "job {id} is {}; only a job that failed or was cancelled can be run again",
            failed.status
        );
        return Err(Problem::new(Code::JobNotFailed, detail));
    }
    let asked = again(&context, &failed, input).await;
    let made = submit::accept(&context, &caller.tenant, idempotency, asked).await?;
    Ok(submit::marked(made_answer(&made.job, StatusCode::ACCEPTED), made.replayed))
}

/// The input that takes the place of the old one, if the request has a body.
async fn edited(request: Request<Body>, context: &Context) -> Result<Option<Input>, Problem> {
    // Many clients name a content type whatever they send.
    if request.body().is_end_stream() {
        return Ok(None);
    }
    let mut fields = Fields::of(body::json(request, context).await?)?;
    let input = fields.object("input");
    fields.finish()?;
    Ok(input)
}

/// What the failed job asked for, except when it should begin and expire: those moments are past.
async fn again(context: &Context, failed: &Job, edited: Option<Input>) -> Result<Submission, Problem> {
    let crew = newest(context, failed).await?;
    let input = edited.unwrap_or_else(|| failed.input.clone());
    let errors = submit::input_errors(&crew, &input);
    if !errors.is_empty() {
        return Err(Problem::of_fields(errors));
    }
    Ok(Submission {
        priority: failed.priority,
        conversation: failed.conversation.clone(),
        timeout_seconds: Some(failed.timeout_seconds),
        max_attempts: Some(failed.max_attempts),
        budget: failed.budget,
        metadata: failed.metadata.clone(),
        webhook_url: failed.webhook_url.clone(),
        hooks: failed.hooks.clone(),
        redrive_of: Some(failed.id),
        ..Submission::of(crew, input)
    })
}

async fn newest(context: &Context, failed: &Job) -> Result<std::sync::Arc<Published>, Problem> {
    let name = &failed.crew;
    match context.crews.newest(&failed.tenant, name).await {
        Err(CrewBookError::Unusable(why)) => Err(Problem::new(Code::InvalidCrew, why.to_string())),
        other => other?.ok_or_else(|| {
            let detail = format!("the job's crew `{name}` is not published any more");
            Problem::new(Code::UnknownCrew, detail)
        }),
    }
}

pub(crate) fn about() -> Operation {
    let made = Answer::json("The new job.", "Job").header("Location").header("Idempotent-Replayed");
    Operation::new("jobs", "redriveJob", "run it again, if it failed or was cancelled")
        .about("A new job with the same input, or the one of the body, under the newest version of the crew.")
        .of_job()
        .idempotent()
        .body("Redrive", &[("another input", json!({ "input": { "topic": "tides" } }))])
        .body_is_optional()
        .answers(202, made.links("id", JOB_LINKS))
        .fails(&[
            Code::JobNotFailed,
            Code::UnknownCrew,
            Code::InvalidCrew,
            Code::ValidationFailed,
            Code::QueueFull,
        ])
}

pub(crate) fn schemas() -> Vec<(&'static str, Schema)> {
    let input = Schema::object().about("In place of the failed job's input.");
    vec![("Redrive", Schema::object().about("How a job is run again.").may("input", input).closed())]
}
