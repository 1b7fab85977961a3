//! Probes. Liveness never touches the store: a process must not be restarted because its disk is slow.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use qd_store::Stats;
use serde_json::json;

use super::json;
use crate::context::{Context, Shared};
use crate::openapi::{Answer, Operation, Schema};

/// A store that needs longer to count is not well.
const STATS_TIME: Duration = Duration::from_secs(2);

/// `GET /health`: how the process is, with the figures one looks for first.
pub(crate) async fn health(State(context): State<Shared>) -> Response {
    let (tasks, draining) = (context.health.tasks_in_flight(), draining(&context));
    match stats(&context).await {
        Some(stats) => {
            let view = json!({
                "status": "ok",
                "tasks_in_flight": tasks,
                "queued": stats.queued,
                "running": stats.running,
                "delayed": stats.delayed,
                "draining": draining,
            });
            json(StatusCode::OK, &view)
        }
        None => {
            let view =
                json!({ "status": "store_unavailable", "tasks_in_flight": tasks, "draining": draining });
            json(StatusCode::SERVICE_UNAVAILABLE, &view)
        }
    }
}

/// `GET /ready`, `GET /readyz`: whether new work should be sent here.
pub(crate) async fn ready(State(context): State<Shared>) -> Response {
    let status = if draining(&context) {
        "draining"
    } else if stats(&context).await.is_none() {
        "store_unavailable"
    } else {
        return json(StatusCode::OK, &json!({ "status": "ready" }));
    };
    json(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": status }))
}

/// `GET /livez`: the process answers.
pub(crate) async fn live() -> Response {
    json(StatusCode::OK, &json!({ "status": "alive" }))
}

/// `GET /startupz`: ports open only once everything before is done, so that an answer is the proof.
pub(crate) async fn started() -> Response {
    json(StatusCode::OK, &json!({ "status": "started" }))
}

fn draining(context: &Context) -> bool {
    context.closing.is_cancelled() || context.health.draining()
}

/// Counts, if the store is well enough to give them in time.
pub(super) async fn stats(context: &Context) -> Option<Stats> {
    tokio::time::timeout(STATS_TIME, context.store.stats()).await.ok()?.ok()
}

pub(crate) fn about_health() -> Operation {
    Operation::new("server", "readHealth", "whether the server is well")
        .answers(200, Answer::json("It is.", "Health"))
        .answers(503, Answer::json("Its store does not answer.", "Health"))
}

pub(crate) fn about_ready() -> Operation {
    Operation::new("server", "readReadiness", "whether it takes work")
        .answers(200, Answer::json("It does.", "Readiness"))
        .answers(503, Answer::json("Send work elsewhere.", "Readiness"))
}

pub(crate) fn schemas() -> Vec<(&'static str, Schema)> {
    let health = Schema::object()
        .about("How the process is. Without a store there are no figures of the queue.")
        .field("status", Schema::words(["ok", "store_unavailable"]))
        .field("tasks_in_flight", Schema::count().about("Jobs that this process works on."))
        .optional("queued", Schema::count())
        .optional("running", Schema::count())
        .optional("delayed", Schema::count().about("Jobs that wait for their time."))
        .field("draining", Schema::yes_or_no().about("Whether the process is about to stop."));
    let readiness =
        Schema::object().field("status", Schema::words(["ready", "draining", "store_unavailable"]));
    vec![("Health", health), ("Readiness", readiness)]
}
