//! Figures for people and dashboards.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use qd_types::Code;

use super::json;
use crate::context::Shared;
use crate::openapi::{Answer, Operation};
use crate::problem::Problem;
use crate::view::stats::StatsView;

/// `GET /v1/stats`. Nothing in it is read from rows, so it may be asked for often.
pub(crate) async fn stats(State(context): State<Shared>) -> Result<Response, Problem> {
    let (stats, recent) = (context.store.stats().await?, context.store.recent().await?);
    let (slots, busy) = (context.health.slots(), context.health.tasks_in_flight());
    Ok(json(StatusCode::OK, &StatsView::new(&stats, &recent, slots, busy, context.env.now())))
}

pub(crate) fn about() -> Operation {
    Operation::new("server", "readStats", "the queue, the last hour and the workers, in figures")
        .about("May be asked for often.")
        .answers(200, Answer::json("The figures.", "Stats"))
        .fails(&[Code::StoreUnavailable])
}
