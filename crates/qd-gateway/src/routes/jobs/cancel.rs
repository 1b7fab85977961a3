//! Stopping a job.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use qd_store::Cancelled;
use qd_types::{Code, JobStatus};

use crate::access::Caller;
use crate::context::Shared;
use crate::openapi::{Answer, Operation};
use crate::problem::Problem;
use crate::routes::{PathJob, json};
use crate::view::JobView;

/// `POST /v1/jobs/{id}/cancel`. Repeating it is harmless; a job that succeeded or failed cannot be cancelled any more.
pub(crate) async fn cancel(
    State(context): State<Shared>,
    caller: Caller,
    PathJob(id): PathJob,
) -> Result<Response, Problem> {
    match context.store.cancel(&caller.tenant, id).await? {
        Cancelled::Now(job) => Ok(json(StatusCode::ACCEPTED, &JobView::from(&*job))),
        Cancelled::Already(job) if job.status == JobStatus::Cancelled => {
            Ok(json(StatusCode::ACCEPTED, &JobView::from(&*job)))
        }
        Cancelled::Already(job) => {
            let detail = format!(
                "job {id} has {} already and cannot be cancelled any more; read it for its outcome",
                job.status
            );
            Err(Problem::new(Code::JobOver, detail))
        }
        Cancelled::Unknown => Err(Problem::not_found("job", &id.to_string())),
    }
}

pub(crate) fn about() -> Operation {
    Operation::new("jobs", "cancelJob", "stop it")
        .about("Repeating it is harmless. A running job stops at its next step, and says so once it has.")
        .of_job()
        .answers(202, Answer::json("The job as it is now.", "Job").links("id", &["readJob", "redriveJob"]))
        .fails(&[Code::JobOver])
}
