//! Which route a request to the simulator takes.

use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use serde::Serialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::answer::{Answer, Reset, json_answer};
use super::chat::chat;
use super::control;
use crate::sim::Sim;
use crate::wires::{Anthropic, Dialect, OpenAiServer, Refusal, ServeWire};

/// Where orders are given.
pub(super) const CONTROL: &str = "/control";

pub(super) async fn route(
    request: Request<Incoming>,
    sim: Sim,
    shutdown: CancellationToken,
) -> Result<Answer, Reset> {
    let path = request.uri().path().trim_end_matches('/');
    Ok(match (request.method(), path) {
        (&Method::POST, "/v1/messages") => return chat(request, &sim, &Anthropic, &shutdown).await,
        (&Method::POST, "/v1/chat/completions") => {
            let wire = OpenAiServer { dialect: sim.options.dialect };
            return chat(request, &sim, &wire, &shutdown).await;
        }
        (&Method::GET, "/v1/models") => json_answer(StatusCode::OK, models().to_string()),
        (&Method::GET, "/ledger") => page(&sim.ledger().page()),
        (&Method::GET, "/ledger/summary") => page(&sim.ledger().summary()),
        (&Method::DELETE, "/ledger") => {
            sim.ledger().clear();
            json_answer(StatusCode::OK, "{}".to_owned())
        }
        (&Method::POST, CONTROL) => control::change(&sim, request.into_body()).await,
        (&Method::GET, CONTROL) => control::state(&sim),
        (
            _,
            "/v1/messages" | "/v1/chat/completions" | "/v1/models" | "/ledger" | "/ledger/summary" | CONTROL,
        ) => json_answer(StatusCode::METHOD_NOT_ALLOWED, error(405, "method not allowed")),
        _ => json_answer(StatusCode::NOT_FOUND, error(400, &format!("there is no route {path}"))),
    })
}

fn page(page: &impl Serialize) -> Answer {
    let text =
        serde_json::to_string(page).unwrap_or_else(|error| json!({ "error": error.to_string() }).to_string());
    json_answer(StatusCode::OK, text)
}

fn error(status: u16, message: &str) -> String {
    OpenAiServer { dialect: Dialect::Openai }.error(&Refusal::said(status, message))
}

fn models() -> serde_json::Value {
    json!({ "object": "list", "has_more": false, "data": [
        { "id": "demo", "type": "model", "object": "model", "owned_by": "sim", "display_name": "Simulated model" }
    ] })
}
