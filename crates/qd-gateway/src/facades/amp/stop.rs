//! Stopping a kickoff.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use qd_store::Cancelled;
use qd_types::{Code, JobStatus};
use serde_json::json as value;

use super::{Kickoff, answered};
use crate::access::Caller;
use crate::context::{Context, Shared};
use crate::openapi::{Answer, Operation, Schema};
use crate::problem::Problem;
use crate::routes::json;

/// `POST /v1/crews/{name}/stop/{id}`.
pub(crate) async fn stop(State(context): State<Shared>, caller: Caller, kickoff: Kickoff) -> Response {
    answered(cancel(&context, &caller, &kickoff).await)
}

async fn cancel(context: &Context, caller: &Caller, kickoff: &Kickoff) -> Result<Response, Problem> {
    let id = kickoff.job(&caller.tenant, context).await?.id;
    match context.store.cancel(&caller.tenant, id).await? {
        Cancelled::Now(_) => Ok(json(StatusCode::OK, &value!({ "status": "stopped", "kickoffId": id }))),
        Cancelled::Already(job) => {
            let detail = format!("Cannot stop execution. Current state: {}", state(job.status));
            Ok(json(StatusCode::BAD_REQUEST, &value!({ "detail": detail })))
        }
        Cancelled::Unknown => Err(Problem::not_found("kickoff", &id.to_string())),
    }
}

/// That API's words for jobs that are over.
fn state(status: JobStatus) -> &'static str {
    match status {
        JobStatus::Succeeded => "SUCCESS",
        JobStatus::Failed => "FAILURE",
        JobStatus::Cancelled => "REVOKED",
        JobStatus::Scheduled | JobStatus::Queued => "PENDING",
        JobStatus::Running | JobStatus::Retrying | JobStatus::Waiting => "STARTED",
    }
}

pub(crate) fn about() -> Operation {
    Operation::new("facades", "stopKickoff", "stop a kickoff, as with CrewAI AMP")
        .path("name", "The crew.", Schema::name())
        .path("id", "The kickoff.", Schema::job_id())
        .answers(200, Answer::json("It is stopped.", "AmpStopped"))
        .answers(400, Answer::json("It is over already.", "AmpNotStopped"))
        .fails(&[Code::NotFound, Code::StoreUnavailable])
}

pub(super) fn schemas() -> Vec<(&'static str, Schema)> {
    let stopped =
        Schema::object().field("status", Schema::words(["stopped"])).field("kickoffId", Schema::job_id());
    let refused = Schema::object().field("detail", Schema::text());
    vec![("AmpStopped", stopped), ("AmpNotStopped", refused)]
}
