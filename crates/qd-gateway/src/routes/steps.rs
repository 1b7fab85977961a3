//! A job's journal.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use qd_types::{JobId, Logged, TenantId};
use serde_json::json;

use super::{PathJob, json};
use crate::access::Caller;
use crate::context::{Context, Shared};
use crate::openapi::{Answer, Operation};
use crate::problem::Problem;
use crate::view::step;

/// Log items read at once.
const PAGE: usize = 500;

/// `GET /v1/jobs/{id}/steps`. Bounded by what one job may do.
pub(crate) async fn steps(
    State(context): State<Shared>,
    caller: Caller,
    PathJob(id): PathJob,
) -> Result<Response, Problem> {
    let job = context.job(&caller.tenant, id).await?;
    let log = log(&context, &caller.tenant, id).await?;
    let steps = step::steps(&job, &log);
    Ok(json(
        StatusCode::OK,
        &json!({ "job_id": id, "attempt": job.attempt, "steps": steps, "by": step::shares(&log) }),
    ))
}

/// A job's whole log, page by page.
pub(crate) async fn log(context: &Context, tenant: &TenantId, id: JobId) -> Result<Vec<Logged>, Problem> {
    let mut log: Vec<Logged> = Vec::new();
    loop {
        let after = log.last().map_or(0, |logged| logged.seq);
        let Some(page) = context.store.log(tenant, id, after, PAGE).await? else {
            return Err(Problem::not_found("job", &id.to_string()));
        };
        let last = page.len() < PAGE;
        log.extend(page);
        if last {
            return Ok(log);
        }
    }
}

pub(crate) fn about() -> Operation {
    Operation::new("jobs", "readSteps", "its journal")
        .about("Every model and tool call with what it cost, and the tries that failed before.")
        .of_job()
        .answers(200, Answer::json("The steps, in the order of their first appearance.", "StepList"))
}
