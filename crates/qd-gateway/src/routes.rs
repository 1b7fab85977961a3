//! The native API, one file a noun, and what they share: ids in paths and JSON answers.

pub(crate) mod audit;
pub(crate) mod batches;
pub(crate) mod breakers;
pub(crate) mod conversations;
pub(crate) mod crews;
pub(crate) mod docs;
pub(crate) mod events;
pub(crate) mod health;
pub(crate) mod index;
pub(crate) mod jobs;
pub(crate) mod keys;
mod list_query;
pub(crate) mod metrics;
pub(crate) mod new_job;
pub(crate) mod prefer;
pub(crate) mod schedules;
pub(crate) mod stats;
pub(crate) mod steps;
pub(crate) mod usage;
pub(crate) mod webhooks;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use qd_types::{Code, ConversationId, Job, JobId, TenantId};
use serde::Serialize;

use crate::body::{Fields, pointer};
use crate::context::Context;
use crate::problem::{Problem, shown};

/// The last captured part of the path as text. What cannot be decoded names nothing.
pub(crate) struct Name(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = shown(parts.uri.path());
        let taken = Path::<String>::from_request_parts(parts, state).await;
        taken
            .map(|Path(name)| Self(name))
            .map_err(|_| Problem::new(Code::NotFound, format!("the path `{path}` holds no readable name")))
    }
}

/// The job that the path names.
pub(crate) struct PathJob(pub(crate) JobId);

impl<S: Send + Sync> FromRequestParts<S> for PathJob {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Name(text) = Name::from_request_parts(parts, state).await?;
        // Only the hyphenated form that answers show, in either case.
        let id = Some(text.as_str()).filter(|text| text.len() == 36).and_then(JobId::parse);
        id.map(Self).ok_or_else(|| Problem::not_found("job", &text))
    }
}

impl Context {
    /// A job of a tenant that must be there.
    pub(crate) async fn job(&self, tenant: &TenantId, id: JobId) -> Result<Job, Problem> {
        let job = self.store.job(tenant, id).await?;
        job.ok_or_else(|| Problem::not_found("job", &id.to_string()))
    }
}

/// The name of a conversation or of the user whose it is.
pub(crate) fn conversation_field(
    fields: &mut Fields,
    field: &'static str,
    required: bool,
) -> Option<ConversationId> {
    let text = if required { fields.required_text(field) } else { fields.text(field) }?;
    match ConversationId::parse(&text) {
        Ok(id) => Some(id),
        Err(wrong) => {
            fields.error(pointer("", field), format!("{}; it takes 1 to 128 characters", wrong.reason));
            None
        }
    }
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, view: &impl Serialize) -> Response {
    match serde_json::to_vec(view) {
        Ok(bytes) => {
            let mut response = Response::new(Body::from(bytes));
            *response.status_mut() = status;
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, const { HeaderValue::from_static("application/json") });
            response
        }
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            Problem::new(Code::Internal, "the answer could not be written").into_response()
        }
    }
}
