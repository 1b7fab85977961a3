//! Deliveries of webhooks: what was sent to whom, and sending it again.

use axum::extract::{FromRequestParts, State};
use axum::response::Response;
use http::StatusCode;
use http::request::Parts;
use qd_store::{Cursor, DeliveryQuery, DeliveryStatus, Event};
use qd_types::{Code, DeliveryId, JobId};
use serde::Serialize;

use crate::access::Caller;
use crate::context::{Context, Shared};
use crate::openapi::{Answer, Operation, Schema};
use crate::problem::{Problem, shown};
use crate::query::Parameters;
use crate::routes::{Name, PathJob, json, list_query};
use crate::view::delivery::{self, DeliveryView};

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

/// `GET /v1/deliveries`.
pub(crate) async fn list(
    State(context): State<Shared>,
    caller: Caller,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let query = DeliveryQuery { job: parameters.read("job", job), ..read_query(&mut parameters) };
    parameters.finish()?;
    page(&context, &caller, query).await
}

/// `GET /v1/jobs/{id}/deliveries`.
pub(crate) async fn of_job(
    State(context): State<Shared>,
    caller: Caller,
    PathJob(id): PathJob,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let query = read_query(&mut parameters);
    parameters.finish()?;
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

/// Reads the parameters of a list, `job` apart.
fn read_query(parameters: &mut Parameters) -> DeliveryQuery {
    let status = DeliveryStatus::ALL.map(|status| (status.as_str(), status));
    DeliveryQuery {
        status: parameters.word("status", "status of a delivery", &status),
        endpoint: parameters.take("endpoint"),
        event: parameters.read("event", event),
        limit: list_query::limit(parameters),
        cursor: parameters.read("cursor", str::parse::<Cursor>),
        job: None,
    }
}

fn event(text: &str) -> Result<Event, String> {
    Event::parse(text).ok_or_else(|| format!("`{}` is no event of webhooks", shown(text)))
}

fn job(text: &str) -> Result<JobId, String> {
    let id = Some(text).filter(|text| text.len() == 36).and_then(JobId::parse);
    id.ok_or_else(|| format!("`{}` is no id of a job", shown(text)))
}

fn listing(operation: Operation) -> Operation {
    let limit = list_query::limit_schema();
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
