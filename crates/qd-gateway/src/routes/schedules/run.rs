//! Running a schedule now, whatever its timetable says.

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use qd_store::{OtherBody, Schedule};
use qd_types::Code;

use super::{PathSchedule, of_schedule};
use crate::access::Caller;
use crate::context::{Context, Shared};
use crate::crews::CrewBookError;
use crate::openapi::{Answer, Operation};
use crate::problem::Problem;
use crate::routes::jobs::{JOB_LINKS, made_answer};
use crate::submit::{self, Submission};

/// `POST /v1/schedules/{name}/run`: a job as the next tick would make it. Its ticks stay as they are.
pub(crate) async fn run(
    State(context): State<Shared>,
    caller: Caller,
    PathSchedule(name): PathSchedule,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // The path is all there is to hash: the same key for another schedule is another body.
    let idempotency = submit::header_key(&headers)?.map(|key| {
        let hash = crate::body::canonical_hash(&name.as_str().into());
        submit::idempotency("POST /v1/schedules/{name}/run", key, hash, OtherBody::Refuse)
    });
    let schedule = context.schedule(&caller.tenant, &name).await?;
    let asked = submission(&context, &schedule).await;
    let made = submit::accept(&context, &caller.tenant, idempotency, asked).await?;
    Ok(submit::marked(made_answer(&made.job, StatusCode::ACCEPTED), made.replayed))
}

async fn submission(context: &Context, schedule: &Schedule) -> Result<Submission, Problem> {
    let spec = &schedule.spec;
    let crew = match context.crews.newest(&schedule.tenant, &spec.crew).await {
        Err(CrewBookError::Unusable(why)) => return Err(Problem::new(Code::InvalidCrew, why.to_string())),
        other => other?.ok_or_else(|| {
            let detail = format!("the schedule's crew `{}` is not published any more", spec.crew);
            Problem::new(Code::UnknownCrew, detail)
        })?,
    };
    let errors = submit::input_errors(&crew, &spec.input);
    if !errors.is_empty() {
        return Err(Problem::of_fields(errors));
    }
    Ok(Submission {
        priority: spec.priority,
        conversation: spec.conversation.clone(),
        timeout_seconds: Some(spec.timeout_seconds),
        max_attempts: Some(spec.max_attempts),
        budget: spec.budget,
        metadata: spec.metadata.clone(),
        webhook_url: spec.webhook_url.clone(),
        ..Submission::of(crew, spec.input.clone())
    })
}

pub(crate) fn about() -> Operation {
    let made = Answer::json("The job.", "Job").header("Location").header("Idempotent-Replayed");
    of_schedule(Operation::new("schedules", "runSchedule", "run it now, besides its ticks"))
        .about("Also while it is paused. Its ticks stay as they are.")
        .idempotent()
        .answers(202, made.links("id", JOB_LINKS))
        .fails(&[Code::UnknownCrew, Code::InvalidCrew, Code::ValidationFailed, Code::QueueFull])
}
