//! Endpoints of webhooks: which there are, how they are, and trying one.

pub(crate) mod deliveries;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use qd_store::{Delivery, Destination, EndpointState, Event};
use qd_types::Code;
use serde_json::{Value, json as value};

use super::{Name, json};
use crate::access::Caller;
use crate::context::Shared;
use crate::openapi::{Answer, Operation, Schema};
use crate::options::WebhookEndpoint;
use crate::problem::Problem;
use crate::view::delivery::{DeliveryView, event_schema};
use crate::view::time::Rfc3339;

/// `GET /v1/webhooks`.
pub(crate) async fn list(State(context): State<Shared>, caller: Caller) -> Result<Response, Problem> {
    let states = context.store.endpoints(&caller.tenant).await?;
    let views = context.options.webhooks.iter().map(|endpoint| {
        let state = states.iter().find(|state| state.name == endpoint.name).cloned().unwrap_or_default();
        view(endpoint, &state)
    });
    Ok(json(StatusCode::OK, &value!({ "webhooks": views.collect::<Vec<_>>() })))
}

fn view(endpoint: &WebhookEndpoint, state: &EndpointState) -> Value {
    value!({
        "name": endpoint.name,
        "url": endpoint.url.split('?').next(),
        "events": endpoint.events.iter().map(|event| event.as_str()).collect::<Vec<_>>(),
        "crews": endpoint.crews,
        "failing_since": state.failing_since.map(Rfc3339),
        "disabled_at": state.disabled_at.map(Rfc3339),
        "disabled_because": state.reason,
    })
}

/// `POST /v1/webhooks/{name}/test`.
pub(crate) async fn test(
    State(context): State<Shared>,
    caller: Caller,
    Name(name): Name,
) -> Result<Response, Problem> {
    if !context.options.webhooks.iter().any(|endpoint| endpoint.name == name) {
        return Err(Problem::not_found("webhook endpoint", &name));
    }
    let (id, tenant, now) = (context.env.delivery_id(), caller.tenant.clone(), context.env.now());
    let delivery = Delivery::new(id, tenant, None, Event::Test, Destination::Endpoint(name), now);
    context.store.post_delivery(delivery.clone()).await?;
    Ok(json(StatusCode::ACCEPTED, &DeliveryView::from(&delivery)))
}

pub(crate) fn about_list() -> Operation {
    Operation::new("webhooks", "listWebhooks", "the endpoints of the configuration, and how they are")
        .answers(200, Answer::json("The endpoints, by name.", "WebhookList"))
        .fails(&[Code::StoreUnavailable])
}

pub(crate) fn about_test() -> Operation {
    let about = "Sends the event `webhook.test` to it, also if it is disabled; when it takes it, it is enabled again.";
    Operation::new("webhooks", "testWebhook", "try an endpoint")
        .about(about)
        .path("name", "Name of the endpoint.", Schema::name())
        .answers(202, Answer::json("The delivery; read it to see what came of it.", "Delivery"))
        .fails(&[Code::NotFound, Code::StoreUnavailable])
}

pub(crate) fn schemas() -> Vec<(&'static str, Schema)> {
    let moment = |about: &str| Schema::moment().nullable().about(about);
    let endpoint = Schema::object()
        .about("Who is told of what happens to jobs.")
        .field("name", Schema::text())
        .field("url", Schema::text().about("Without its query."))
        .field("events", Schema::list(event_schema()))
        .field("crews", Schema::list(Schema::text()).nullable().about("Null means all."))
        .field("failing_since", moment("Since when every try has failed."))
        .field("disabled_at", moment("Since when nothing is sent to it."))
        .field("disabled_because", Schema::text().nullable());
    let list = Schema::object().field("webhooks", Schema::list(Schema::named("Webhook")));
    vec![("Webhook", endpoint), ("WebhookList", list)]
}
