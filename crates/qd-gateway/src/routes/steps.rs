//! A job's journal.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::json;

use super::{PathJob, json};
use crate::access::Caller;
use crate::context::Shared;
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
    let mut log = Vec::new();
    loop {
        let after = log.last().map_or(0, |logged: &qd_types::Logged| logged.seq);
        let Some(page) = context.store.log(&caller.tenant, id, after, PAGE).await? else {
            return Err(Problem::not_found("job", &id.to_string()));
        };
        let last = page.len() < PAGE;
        log.extend(page);
        if last {
            break;
        }
    }
    let steps = step::steps(&job, &log);
    Ok(json(
        StatusCode::OK,
        &json!({ "job_id": id, "attempt": job.attempt, "steps": steps, "by": step::shares(&log) }),
    ))
}

pub(crate) fn about() -> Operation {
    Operation::new("jobs", "readSteps", "its journal")
        .about("Every model and tool call with what it cost, and the tries that failed before.")
        .of_job()
        .answers(200, Answer::json("The steps, in the order of their first appearance.", "StepList"))
}
