//! Deliveries of webhooks: what was sent to whom, and sending it again.

use axum::extract::{FromRequestParts, Query, State};
use axum::response::Response;
use http::StatusCode;
use http::request::Parts;
use qd_store::{Cursor, DeliveryQuery, DeliveryStatus, Event};
use qd_types::{Code, DeliveryId, JobId};
use serde::Serialize;

use crate::access::Caller;
use crate::body::pointer;
use crate::context::{Context, Shared};
use crate::openapi::{Answer, Operation, Schema};
use crate::problem::{FieldError, Problem, shown};
use crate::routes::{Name, PathJob, json, list_query};
use crate::view::delivery::{self, DeliveryView};

const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 500;

/// The delivery that the path names.
pub(crate) struct PathDelivery(DeliveryId);

impl<S: Send + Sync> FromRequestParts<S> for PathDelivery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Name(text) = Name::from_request_parts(parts, state).await?;
        let id = Some(text.as_str()).filter(|text| text.len() == 36).and_then(DeliveryId::parse);
        id.map(Self).ok_or_else(|| unknown(&text))
    }
}

fn unknown(id: &str) -> Problem {
    Problem::not_found("delivery", id)
}

#[derive(Serialize)]
struct ListView<'a> {
    deliveries: Vec<DeliveryView<'a>>,
    next_cursor: Option<String>,
}

type Parameters = Result<Query<Vec<(String, String)>>, axum::extract::rejection::QueryRejection>;

/// `GET /v1/deliveries`.
pub(crate) async fn list(
    State(context): State<Shared>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Response, Problem> {
    page(&context, &caller, read_query(parameters)?).await
}

/// `GET /v1/jobs/{id}/deliveries`.
pub(crate) async fn of_job(
    State(context): State<Shared>,
    caller: Caller,
    PathJob(id): PathJob,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let query = read_query(parameters)?;
    if query.job.is_some() {
        let message = "is the one of the path; leave it out".to_owned();
        let error = FieldError { path: pointer("", "job"), code: Code::ValidationFailed, message };
        return Err(Problem::of_fields(vec![error]));
    }
    context.job(&caller.tenant, id).await?;
    page(&context, &caller, DeliveryQuery { job: Some(id), ..query }).await
}

async fn page(context: &Context, caller: &Caller, query: DeliveryQuery) -> Result<Response, Problem> {
    let page = context.store.deliveries(&caller.tenant, query).await?;
    let deliveries = page.deliveries.iter().map(DeliveryView::from).collect();
    let view = ListView { deliveries, next_cursor: page.next.map(|cursor| cursor.to_string()) };
    Ok(json(StatusCode::OK, &view))
}

/// `GET /v1/deliveries/{id}`.
pub(crate) async fn read(
    State(context): State<Shared>,
    caller: Caller,
    PathDelivery(id): PathDelivery,
) -> Result<Response, Problem> {
    let found = context.store.delivery(&caller.tenant, id).await?;
    let found = found.ok_or_else(|| unknown(&id.to_string()))?;
    Ok(json(StatusCode::OK, &DeliveryView::from(&found)))
}

/// `POST /v1/deliveries/{id}/resend`.
pub(crate) async fn resend(
    State(context): State<Shared>,
    caller: Caller,
    PathDelivery(id): PathDelivery,
) -> Result<Response, Problem> {
    let resent = context.store.resend(&caller.tenant, id).await?;
    let resent = resent.ok_or_else(|| unknown(&id.to_string()))?;
    Ok(json(StatusCode::ACCEPTED, &DeliveryView::from(&resent)))
}

fn read_query(parameters: Parameters) -> Result<DeliveryQuery, Problem> {
    let Query(parameters) = parameters
        .map_err(|_| Problem::new(Code::InvalidRequest, "the query of the address cannot be read"))?;
    let mut query = DeliveryQuery { limit: LIMIT_DEFAULT, ..DeliveryQuery::default() };
    let mut errors = Vec::new();
    for (n, (name, value)) in parameters.iter().enumerate().take(32) {
        let taken = if parameters[..n].iter().any(|(known, _)| known == name) {
            Err("stands more than once; give it one value".to_owned())
        } else {
            take(&mut query, name, value)
        };
        if let Err(message) = taken {
            errors.push(FieldError { path: pointer("", name), code: Code::ValidationFailed, message });
        }
    }
    if errors.is_empty() { Ok(query) } else { Err(Problem::of_fields(errors)) }
}

fn take(query: &mut DeliveryQuery, name: &str, value: &str) -> Result<(), String> {
    match name {
        "status" => {
            let found = DeliveryStatus::ALL.into_iter().find(|status| status.as_str() == value);
            query.status = Some(found.ok_or_else(|| {
                let known = DeliveryStatus::ALL.map(DeliveryStatus::as_str).join(", ");
                format!("`{}` is no status of a delivery; there are {known}", shown(value))
            })?);
        }
        "job" => {
            let job = Some(value).filter(|text| text.len() == 36).and_then(JobId::parse);
            query.job = Some(job.ok_or_else(|| format!("`{}` is no id of a job", shown(value)))?);
        }
        "endpoint" => query.endpoint = Some(value.to_owned()),
        "event" => {
            let event = Event::parse(value);
            query.event = Some(event.ok_or_else(|| format!("`{}` is no event of webhooks", shown(value)))?);
        }
        "cursor" => query.cursor = Some(value.parse::<Cursor>().map_err(|wrong| wrong.to_string())?),
        "limit" => {
            let limit = value.parse().ok().filter(|n| (1..=LIMIT_MAX).contains(n));
            query.limit = limit.ok_or_else(|| {
                format!("`{}` is not a whole number between 1 and {LIMIT_MAX}", shown(value))
            })?;
        }
        _ => {
            let known = "status, job, endpoint, event, limit, cursor";
            return Err(format!("is no parameter of this list; it takes {known}"));
        }
    }
    Ok(())
}

fn listing(operation: Operation) -> Operation {
    let limit = Schema::whole(1, LIMIT_MAX as i64).by_default(LIMIT_DEFAULT);
    operation
        .query("status", "Only deliveries that stand there.", delivery::status_schema())
        .query("endpoint", "Only to this endpoint of the configuration.", Schema::text())
        .query("event", "Only of this event.", delivery::event_schema())
        .query("limit", "Most deliveries of the page.", limit)
        .query("cursor", "Where the page before ended: its `next_cursor`.", list_query::cursor_schema())
        .answers(200, Answer::json("A page of deliveries.", "DeliveryList"))
        .fails(&[Code::ValidationFailed, Code::StoreUnavailable])
}

pub(crate) fn about_list() -> Operation {
    listing(Operation::new("webhooks", "listDeliveries", "list deliveries of webhooks, newest first"))
        .about("What was sent to whom, and what is still to be sent.")
        .query("job", "Only of this job.", Schema::job_id())
}

pub(crate) fn about_of_job() -> Operation {
    listing(Operation::new("webhooks", "listJobDeliveries", "the deliveries of a job").of_job())
}

pub(crate) fn about_read() -> Operation {
    of_delivery(Operation::new("webhooks", "readDelivery", "a delivery"))
        .answers(200, Answer::json("The delivery.", "Delivery"))
}

pub(crate) fn about_resend() -> Operation {
    let about = "It is tried at once, with all its tries before it, under the same `webhook-id`. Also one that was delivered.";
    of_delivery(Operation::new("webhooks", "resendDelivery", "send a delivery again").about(about))
        .answers(202, Answer::json("The delivery, pending again.", "Delivery"))
}

fn of_delivery(operation: Operation) -> Operation {
    let named = operation.path("id", "Id of the delivery.", Schema::job_id());
    named.fails(&[Code::NotFound, Code::StoreUnavailable])
}

pub(crate) fn schemas() -> Vec<(&'static str, Schema)> {
    let next = list_query::cursor_schema().nullable().about("Of the next page; null at the end.");
    let list = Schema::object()
        .about("A page of deliveries.")
        .field("deliveries", Schema::list(Schema::named("Delivery")))
        .field("next_cursor", next);
    vec![("DeliveryList", list)]
}
