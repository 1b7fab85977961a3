//! Jobs: making one, reading one, listing them.

pub(crate) mod cancel;
pub(crate) mod redrive;
pub(crate) mod resume;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderValue, Request, StatusCode, header};
use qd_store::OtherBody;
use qd_types::{Code, Job};
use serde::Serialize;
use serde_json::json as value;

use super::{PathJob, json, list_query, new_job, prefer};
use crate::access::Caller;
use crate::body;
use crate::context::Shared;
use crate::openapi::{Answer, Operation, Schema};
use crate::options::WAIT_MAX;
use crate::problem::Problem;
use crate::query::Parameters;
use crate::submit;
use crate::view::{JobView, job};

/// `POST /v1/jobs`.
pub(crate) async fn create(
    State(context): State<Shared>,
    caller: Caller,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let key = submit::header_key(request.headers())?.map(str::to_owned);
    let wait = prefer::wait(request.headers());
    let body = body::json(request, &context).await?;
    let body_hash = key.is_some().then(|| body::canonical_hash(&body));
    let idempotency = key
        .zip(body_hash)
        .map(|(key, hash)| submit::idempotency("POST /v1/jobs", &key, hash, OtherBody::Refuse));
    let asked = new_job::read(body, &caller.tenant, &context).await;
    let made = submit::accept(&context, &caller.tenant, idempotency, asked).await?;
    let (job, replayed) = (made.job, made.replayed);
    // It is a preference: with too many waiting already, the job is answered as it is.
    let place = wait.and_then(|_| context.watchers.take(&caller.tenant, 1));
    let wait = wait.filter(|_| place.is_some());
    let job = match wait {
        Some(span) => {
            // Watch first, then read: an end in between is not missed.
            let watch = context.store.watch(job.id);
            let seen = Box::new(context.job(&caller.tenant, job.id).await?);
            prefer::until_over(&context, watch, seen, span).await?
        }
        None => job,
    };
    let finished = wait.is_some() && job.status.is_terminal();
    let mut response = made_answer(&job, if finished { StatusCode::OK } else { StatusCode::ACCEPTED });
    if let Some(span) = wait {
        response.headers_mut().insert(&prefer::PREFERENCE_APPLIED, prefer::applied(span));
    }
    Ok(submit::marked(response, replayed))
}

/// The answer that names a job just made.
pub(crate) fn made_answer(job: &Job, status: StatusCode) -> Response {
    let mut response = json(status, &JobView::from(job));
    if let Ok(location) = HeaderValue::try_from(format!("/v1/jobs/{}", job.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// `GET /v1/jobs/{id}`.
pub(crate) async fn read(
    State(context): State<Shared>,
    caller: Caller,
    PathJob(id): PathJob,
) -> Result<Response, Problem> {
    let job = context.job(&caller.tenant, id).await?;
    Ok(json(StatusCode::OK, &JobView::from(&job)))
}

#[derive(Serialize)]
struct ListView<'a> {
    jobs: Vec<JobView<'a>>,
    next_cursor: Option<String>,
}

/// `GET /v1/jobs`.
pub(crate) async fn list(
    State(context): State<Shared>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let page = context.store.jobs(&caller.tenant, list_query::read(parameters)?).await?;
    let jobs = page.jobs.iter().map(JobView::from).collect();
    let view = ListView { jobs, next_cursor: page.next.map(|cursor| cursor.to_string()) };
    Ok(json(StatusCode::OK, &view))
}

/// What can be done with a job, as links.
pub(crate) const JOB_LINKS: &[&str] = &["readJob", "followJob", "readSteps", "cancelJob"];

pub(crate) fn about_create() -> Operation {
    let examples = [
        ("research", value!({ "crew": "research", "input": { "topic": "tides" } })),
        (
            "later, urgent and bounded",
            value!({
                "crew": "research", "input": { "topic": "tides" }, "priority": 5, "conversation_id": "ann",
                "run_at": "2030-03-01T12:00:00Z", "expires_at": "2030-03-01T18:00:00Z", "timeout_seconds": 600,
                "max_attempts": 3, "metadata": { "order": "4711" },
            }),
        ),
    ];
    let made = |about| {
        let answer = Answer::json(about, "Job").header("Location").header("Idempotent-Replayed");
        answer.header("Preference-Applied").links("id", JOB_LINKS)
    };
    Operation::new("jobs", "createJob", "execute a crew")
        .about("Accepted means durable. With `Prefer: wait=N` the answer is the finished job if it is over within N seconds.")
        .idempotent()
        .header(
            "Prefer",
            "`wait=N` waits up to N seconds for the end of the job.",
            Schema::text().example("wait=10").about(&format!("At most {} seconds are granted.", WAIT_MAX.as_secs())),
        )
        .body("NewJob", &examples)
        .answers(202, made("The job was accepted."))
        .answers(200, made("The job is over; only with `Prefer: wait`."))
        .fails(&[Code::NotSupported, Code::UnknownCrew, Code::InvalidCrew, Code::QueueFull])
}

pub(crate) fn about_read() -> Operation {
    let job = Answer::json("The job.", "Job")
        .example(job::example())
        .links("id", &["followJob", "readSteps", "cancelJob", "redriveJob"]);
    Operation::new("jobs", "readJob", "a job").of_job().answers(200, job)
}

pub(crate) fn about_list() -> Operation {
    list_query::describe(Operation::new("jobs", "listJobs", "list jobs, newest first"))
        .about(
            "Pages follow one another by `cursor`: send `next_cursor` of the page before until it is null.",
        )
        .answers(200, Answer::json("A page of jobs.", "JobList"))
        .fails(&[Code::ValidationFailed, Code::StoreUnavailable])
}

pub(crate) fn schemas() -> Vec<(&'static str, Schema)> {
    let list =
        Schema::object().about("A page of jobs.").field("jobs", Schema::list(Schema::named("Job"))).field(
            "next_cursor",
            list_query::cursor_schema().nullable().about("Of the next page; null at the end."),
        );
    vec![("JobList", list)]
}
