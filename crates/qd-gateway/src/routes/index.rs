//! `GET /`: what there is, for people who look.

use axum::response::Response;
use http::StatusCode;
use serde_json::json;

/// The routes of this release.
pub(crate) async fn index() -> Response {
    let view = json!({
        "name": "quarterdeck",
        "version": env!("CARGO_PKG_VERSION"),
        "routes": {
            "POST /v1/jobs": "execute a crew",
            "GET /v1/jobs": "list jobs, newest first",
            "GET /v1/jobs/{id}": "a job",
            "GET /v1/jobs/{id}/events": "its events as they happen (server-sent events)",
            "GET /v1/jobs/{id}/steps": "its journal",
            "POST /v1/jobs/{id}/cancel": "stop it",
            "POST /v1/jobs/{id}/redrive": "run it again, if it failed or was cancelled",
            "GET /v1/conversations/{id}": "what was said in a conversation",
            "DELETE /v1/conversations/{id}": "forget it",
            "GET /v1/crews": "the crews that can be executed",
            "GET /v1/crews/{name}": "a crew",
            "GET /v1/stats": "the queue, the last hour and the workers, in figures",
            "POST /chat": "say something to the default crew",
            "GET /chat/{id}": "its answer",
            "POST /tasks": "give the default crew a task",
            "GET /tasks/{id}": "its result",
            "GET /health": "whether the server is well",
            "GET /ready": "whether it takes work",
        },
    });
    super::json(StatusCode::OK, &view)
}
