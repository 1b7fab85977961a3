//! Jobs: making one, reading one, listing them.

use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::Response;
use http::{HeaderValue, Request, StatusCode, header};
use qd_store::OtherBody;
use qd_types::{Code, Job};
use serde::Serialize;

use super::{PathJob, json, list_query, new_job, prefer};
use crate::body;
use crate::context::Shared;
use crate::problem::Problem;
use crate::submit::{self, IDEMPOTENT_REPLAYED, Submission};
use crate::view::JobView;

/// `POST /v1/jobs`.
pub(crate) async fn create(
    State(context): State<Shared>,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let key = submit::header_key(request.headers())?.map(str::to_owned);
    let wait = prefer::wait(request.headers());
    let body = body::json(request, &context).await?;
    let body_hash = key.is_some().then(|| body::canonical_hash(&body));
    let idempotency = key
        .zip(body_hash)
        .map(|(key, hash)| submit::idempotency("POST /v1/jobs", &key, hash, OtherBody::Refuse));
    let made = match new_job::read(body, &context).await {
        Ok(submission) => {
            let new = Submission { idempotency, ..submission }.into_job(context.env.job_id(), &context);
            submit::enqueue(&context, new).await?
        }
        Err(problem) => submit::replay_or(problem, &context, idempotency.as_ref()).await?,
    };
    let (job, replayed) = (made.job, made.replayed);
    // It is a preference: with too many waiting already, the job is answered as it is.
    let place = wait.and_then(|_| context.watchers.try_acquire().ok());
    let wait = wait.filter(|_| place.is_some());
    let job = match wait {
        Some(span) => {
            // Watch first, then read: an end in between is not missed.
            let watch = context.store.watch(job.id);
            let seen = Box::new(context.job(job.id).await?);
            prefer::until_over(&context, watch, seen, span).await?
        }
        None => job,
    };
    let finished = wait.is_some() && job.status.is_terminal();
    let mut response = made_answer(&job, if finished { StatusCode::OK } else { StatusCode::ACCEPTED });
    if let Some(span) = wait {
        response.headers_mut().insert(&prefer::PREFERENCE_APPLIED, prefer::applied(span));
    }
    if replayed {
        mark_replayed(&mut response);
    }
    Ok(response)
}

/// The answer that names a job just made.
pub(crate) fn made_answer(job: &Job, status: StatusCode) -> Response {
    let mut response = json(status, &JobView::from(job));
    if let Ok(location) = HeaderValue::try_from(format!("/v1/jobs/{}", job.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// Says that an earlier request made the job.
pub(crate) fn mark_replayed(response: &mut Response) {
    response.headers_mut().insert(&IDEMPOTENT_REPLAYED, const { HeaderValue::from_static("true") });
}

/// `GET /v1/jobs/{id}`.
pub(crate) async fn read(State(context): State<Shared>, PathJob(id): PathJob) -> Result<Response, Problem> {
    let job = context.job(id).await?;
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
    parameters: Result<Query<Vec<(String, String)>>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Query(parameters) = parameters
        .map_err(|_| Problem::new(Code::InvalidRequest, "the query of the address cannot be read"))?;
    let page = context.store.jobs(&context.tenant, list_query::read(parameters)?).await?;
    let jobs = page.jobs.iter().map(JobView::from).collect();
    let view = ListView { jobs, next_cursor: page.next.map(|cursor| cursor.to_string()) };
    Ok(json(StatusCode::OK, &view))
}
