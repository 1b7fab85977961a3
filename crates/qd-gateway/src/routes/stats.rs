//! Figures for people and dashboards.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::json;
use crate::context::Shared;
use crate::problem::Problem;
use crate::view::stats::StatsView;

/// `GET /v1/stats`. Nothing in it is read from rows, so it may be asked for often.
pub(crate) async fn stats(State(context): State<Shared>) -> Result<Response, Problem> {
    let (stats, recent) = (context.store.stats().await?, context.store.recent().await?);
    let (slots, busy) = (context.health.slots(), context.health.tasks_in_flight());
    Ok(json(StatusCode::OK, &StatsView::new(&stats, &recent, slots, busy, context.env.now())))
}
