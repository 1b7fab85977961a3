//! The systems facade: `POST /crews/{system}/tasks` gives one crew of a system a task and waits for its result,
//! `GET /crews/{system}/metrics` tells how its crews do (`systems/metrics.rs`).
//!
//! A system is a named set of crews of the configuration; `default` holds all crews that a tenant has.

pub(crate) mod metrics;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{Request, StatusCode};
use qd_store::OtherBody;
use qd_types::{Code, CrewName, Job, JobStatus, Priority, TenantId};
use serde_json::json as value;

use super::{ChosenBy, error_text, text_input};
use crate::access::Caller;
use crate::body::{self, Fields};
use crate::context::{Context, Shared};
use crate::crews::Published;
use crate::openapi::{Answer, Operation, Schema};
use crate::options::{Options, WAIT_MAX};
use crate::problem::{Problem, shown};
use crate::routes::new_job::TIMEOUT_SECONDS_MAX;
use crate::routes::{Name, jobs::JOB_LINKS, json, prefer};
use crate::submit::{self, Submission};

/// The system that holds all crews.
const ALL: &str = "default";

/// Names that are told of those that there are; more of them help nobody.
const NAMED_MAX: usize = 20;

/// How urgent a task is, in this API's words.
const PRIORITIES: [(&str, i64); 3] = [("low", 1), (MEDIUM, 3), ("high", 5)];
const MEDIUM: &str = "medium";

/// `POST /crews/{system}/tasks`.
pub(crate) async fn create(
    State(context): State<Shared>,
    caller: Caller,
    Name(system): Name,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let crews = crews_of(&context.options, &system)?;
    let key = submit::header_key(request.headers())?.map(str::to_owned);
    let body = body::json(request, &context).await?;
    let idempotency = key.map(|key| {
        let scope = format!("POST /crews/{system}/tasks");
        submit::idempotency(&scope, &key, body::canonical_hash(&body), OtherBody::Refuse)
    });
    let asked = read(body, &caller.tenant, &context, &system, crews).await;
    let made = submit::accept(&context, &caller.tenant, idempotency, asked).await?;
    let mut job = made.job;
    // With too many waiting already, the job is answered as it is.
    if let Some(_place) = context.watchers.take(&caller.tenant, 1) {
        // Watch first, then read: an end in between is not missed.
        let watch = context.store.watch(job.id);
        *job = context.job(&caller.tenant, job.id).await?;
        let span = Duration::from_secs(job.timeout_seconds.into()).min(WAIT_MAX);
        job = prefer::until_over(&context, watch, job, span).await?;
    }
    Ok(submit::marked(answer(&job), made.replayed))
}

/// Reads the body of a tenant's request.
async fn read(
    body: serde_json::Value,
    tenant: &TenantId,
    context: &Context,
    system: &str,
    crews: Option<&[CrewName]>,
) -> Result<Submission, Problem> {
    let mut fields = Fields::of(body)?;
    let description = fields.required_text("description").unwrap_or_default();
    let name = fields.required_text("crew_name").unwrap_or_default();
    let priority = priority(&mut fields);
    let timeout = fields.integer("timeout", 1, TIMEOUT_SECONDS_MAX);
    fields.finish()?;
    let crew = crew(context, tenant, system, crews, &name).await?;
    let input = text_input(&crew, "description", description, ChosenBy::Field("crew_name"))?;
    let timeout_seconds = timeout.and_then(|n| u32::try_from(n).ok());
    Ok(Submission { priority, timeout_seconds, ..Submission::of(crew, input) })
}

fn priority(fields: &mut Fields) -> Priority {
    let word = fields.text("priority").unwrap_or_else(|| MEDIUM.to_owned());
    let level = PRIORITIES.iter().find(|(known, _)| *known == word).map(|(_, level)| *level);
    if level.is_none() {
        let message = format!("`{}` is no priority; it takes low, medium or high", shown(&word));
        fields.error("/priority".to_owned(), message);
    }
    level.and_then(|level| Priority::new(level).ok()).unwrap_or_default()
}

/// The crews of a system; `None` for the one that holds all.
fn crews_of<'a>(options: &'a Options, system: &str) -> Result<Option<&'a [CrewName]>, Problem> {
    if system == ALL {
        return Ok(None);
    }
    options.systems.get(system).map(|crews| Some(crews.as_slice())).ok_or_else(|| {
        let known = listed(std::iter::once(ALL).chain(options.systems.keys().map(String::as_str)));
        Problem::new(Code::NotFound, format!("there is no system `{}`; there are {known}", shown(system)))
    })
}

/// A crew of a system, in its newest version.
async fn crew(
    context: &Context,
    tenant: &TenantId,
    system: &str,
    crews: Option<&[CrewName]>,
    name: &str,
) -> Result<Arc<Published>, Problem> {
    let is_in = crews.is_none_or(|crews| crews.iter().any(|crew| crew.as_str() == name));
    if let Some(name) = CrewName::parse(name).ok().filter(|_| is_in)
        && let Some(found) = context.crews.newest(tenant, &name).await?
    {
        return Ok(found);
    }
    let known = names(context, tenant, crews).await?;
    let known = listed(known.iter().map(CrewName::as_str));
    let detail = format!("there is no crew `{}` in the system `{system}`; there are {known}", shown(name));
    Err(Problem::new(Code::NotFound, detail))
}

/// The names of a system's crews.
async fn names(
    context: &Context,
    tenant: &TenantId,
    crews: Option<&[CrewName]>,
) -> Result<Vec<CrewName>, Problem> {
    if let Some(crews) = crews {
        return Ok(crews.to_vec());
    }
    context.crews.provide(tenant).await?;
    Ok(context.store.crews(tenant).await?.into_iter().map(|crew| crew.name).collect())
}

/// The first of some names.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names = names.map(shown);
    let told: Vec<String> = names.by_ref().take(NAMED_MAX).collect();
    let more = if names.next().is_some() { ", …" } else { "" };
    format!("{}{more}", told.join(", "))
}

fn answer(job: &Job) -> Response {
    let id = job.id.to_string();
    match job.status {
        JobStatus::Succeeded => {
            let result = job.output.as_ref().map_or("", |output| output.raw.as_str());
            json(StatusCode::OK, &value!({ "status": "success", "result": result, "job_id": id }))
        }
        JobStatus::Failed | JobStatus::Cancelled => {
            let detail = error_text(job).unwrap_or_default();
            json(StatusCode::INTERNAL_SERVER_ERROR, &value!({ "detail": detail, "job_id": id }))
        }
        JobStatus::Scheduled
        | JobStatus::Queued
        | JobStatus::Running
        | JobStatus::Retrying
        | JobStatus::Waiting => json(StatusCode::ACCEPTED, &value!({ "status": "accepted", "job_id": id })),
    }
}

pub(crate) fn about() -> Operation {
    let examples = [
        ("task", value!({ "description": "Which tide is it?", "crew_name": "assistant" })),
        (
            "urgent and bounded",
            value!({
                "description": "Which tide is it?", "crew_name": "assistant", "priority": "high", "timeout": 60,
            }),
        ),
    ];
    let told =
        |about, schema| Answer::json(about, schema).header("Idempotent-Replayed").links("job_id", JOB_LINKS);
    of_system(Operation::new("facades", "createSystemTask", "give a crew of a system a task"))
        .about(
            "The answer is awaited for `timeout` seconds, at most 60; the job goes on if it is not over by then. What \
             a job failed for is told by the job.",
        )
        .idempotent()
        .body("NewSystemTask", &examples)
        .answers(200, told("It succeeded.", "SystemTask"))
        .answers(202, told("It goes on.", "SystemTaskAccepted"))
        .answers(500, told("The job failed or was cancelled.", "SystemTaskFailed"))
        .fails(&[Code::InvalidCrew, Code::CrewUnavailable, Code::QueueFull, Code::QuotaExceeded])
}

/// What the routes of this API share.
fn of_system(operation: Operation) -> Operation {
    let about = "Name of a system of the configuration, or `default`, which holds all crews.";
    operation.path("system", about, Schema::text().example(ALL)).fails(&[Code::NotFound])
}

pub(crate) fn schemas() -> Vec<(&'static str, Schema)> {
    let id = || Schema::job_id().about("The job underneath.");
    let timeout = Schema::whole(1, TIMEOUT_SECONDS_MAX)
        .about("Longest running time of the job, in seconds; queued and waiting time do not count.")
        .by_default(Options::default().default_timeout_seconds);
    let crew = Schema::name().pattern(r"\S").about("Name of a crew of the system.").example("assistant");
    let new = Schema::object()
        .field("description", Schema::said().about("The text of the task.").example("Which tide is it?"))
        .field("crew_name", crew)
        .may("priority", Schema::words(PRIORITIES.map(|(word, _)| word)).by_default(MEDIUM))
        .may("timeout", timeout)
        .closed();
    let done = Schema::object()
        .field("status", Schema::words(["success"]))
        .field("result", Schema::text())
        .field("job_id", id());
    let accepted = Schema::object().field("status", Schema::words(["accepted"])).field("job_id", id());
    let failed = Schema::object().field("detail", Schema::text().about("Why.")).field("job_id", id());
    let mut all = vec![
        ("NewSystemTask", new),
        ("SystemTask", done),
        ("SystemTaskAccepted", accepted),
        ("SystemTaskFailed", failed),
    ];
    all.extend(metrics::schemas());
    all
}
