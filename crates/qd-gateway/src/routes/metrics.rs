//! Figures for machines: everything for Prometheus, a few for autoscalers. On the admin port.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use qd_telemetry::Metrics;

use super::{health, json};
use crate::context::Shared;
use crate::problem::Problem;
use crate::view::stats::ScaleView;

/// `GET /metrics`. A store that cannot answer takes only the figures of the queue away.
pub(crate) async fn metrics(State(context): State<Shared>) -> Response {
    let stats = health::stats(&context).await;
    let text = context.observer.scrape(stats.as_ref(), context.env.now());
    let mut response = Response::new(Body::from(text));
    let kind = const { HeaderValue::from_static(Metrics::CONTENT_TYPE) };
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// `GET /scale`: how many workers there should be, and what that follows from.
pub(crate) async fn scale(State(context): State<Shared>) -> Result<Response, Problem> {
    let Some(stats) = health::stats(&context).await else { return Err(Problem::store_unavailable()) };
    let (slots, busy) = (context.health.slots(), context.health.tasks_in_flight());
    Ok(json(StatusCode::OK, &ScaleView::new(&stats, slots, busy, context.env.now())))
}
