//! Figures for machines: everything for Prometheus, a few for autoscalers. On the admin port.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use qd_telemetry::Exposition;

use super::{health, json};
use crate::context::Shared;
use crate::problem::Problem;
use crate::view::stats::ScaleView;

/// `GET /metrics`. A store that cannot answer takes only the figures of the queue away.
pub(crate) async fn metrics(State(context): State<Shared>, headers: HeaderMap) -> Response {
    let stats = health::stats(&context).await;
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let exposition = Exposition::wanted(accept.unwrap_or_default());
    let text = context.observer.scrape(stats.as_ref(), context.env.now(), exposition);
    let mut response = Response::new(Body::from(text));
    let kind = HeaderValue::from_static(exposition.media_type());
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// `GET /scale`: how many workers there should be, and what that follows from.
pub(crate) async fn scale(State(context): State<Shared>) -> Result<Response, Problem> {
    let Some(stats) = health::stats(&context).await else { return Err(Problem::store_unavailable()) };
    let (slots, busy) = (context.health.slots(), context.health.tasks_in_flight());
    Ok(json(StatusCode::OK, &ScaleView::new(&stats, slots, busy, context.env.now())))
}
