//! The API of CrewAI's platform over the same jobs, under `/v1/crews/{name}`: whoever calls a deployed crew there changes
//! the URL, and the token for a key.
//!
//! A kickoff is a job. Its URLs for news are remembered, also by `resume`, which may replace them. Errors carry that API's
//! `error` and `message` beside the members that every problem has.

mod hooks;
pub(crate) mod kickoff;
mod news;
pub(crate) mod resume;
pub(crate) mod status;
pub(crate) mod stop;

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;
use qd_types::{CrewName, Job, JobId, TenantId};
use serde_json::json as value;

pub use news::amp_json;

use crate::context::Context;
use crate::crews::Published;
use crate::openapi::Schema;
use crate::problem::Problem;
use crate::routes::json;

/// What a job that asks a person is called there.
const PENDING: &str = "Pending Human Input";

/// The crew and the kickoff that a path names, in either order of the words between.
pub(crate) struct Kickoff {
    crew: String,
    id: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Kickoff {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let taken = Path::<(String, String)>::from_request_parts(parts, state).await;
        let missing = |_| Problem::not_found("kickoff", "").told_as_amp_does();
        taken.map(|Path((crew, id))| Self { crew, id }).map_err(missing)
    }
}

impl Kickoff {
    /// Its job: of this tenant and of this crew.
    async fn job(&self, tenant: &TenantId, context: &Context) -> Result<Job, Problem> {
        job(&self.crew, &self.id, tenant, context).await
    }
}

async fn job(crew: &str, id: &str, tenant: &TenantId, context: &Context) -> Result<Job, Problem> {
    let unknown = || Problem::not_found("kickoff", id);
    let id = Some(id).filter(|id| id.len() == 36).and_then(JobId::parse).ok_or_else(unknown)?;
    let found = context.store.job(tenant, id).await?;
    found.filter(|job| job.crew.as_str() == crew).ok_or_else(unknown)
}

/// The newest version of a crew.
async fn crew(name: &str, tenant: &TenantId, context: &Context) -> Result<Arc<Published>, Problem> {
    let unknown = || Problem::not_found("crew", name);
    let name = CrewName::parse(name).map_err(|_| unknown())?;
    context.crews.newest(tenant, &name).await?.ok_or_else(unknown)
}

/// As that API tells it.
fn answered(outcome: Result<Response, Problem>) -> Response {
    outcome.unwrap_or_else(|problem| problem.told_as_amp_does().into_response())
}

/// A refusal that has a status of its own there.
fn refused(error: &str, message: &str) -> Response {
    json(StatusCode::BAD_REQUEST, &value!({ "error": error, "message": message }))
}

/// What the document says of it.
pub(crate) fn schemas() -> Vec<(&'static str, Schema)> {
    let refused = Schema::object()
        .about("Why a request is refused.")
        .field("error", Schema::text())
        .field("message", Schema::text());
    let mut all = vec![("AmpRefusal", refused)];
    all.extend(kickoff::schemas());
    all.extend(status::schemas());
    all.extend(resume::schemas());
    all.extend(stop::schemas());
    all
}
