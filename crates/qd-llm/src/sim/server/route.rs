//! One request to the simulator: which route, what it decides, how it is worded.

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use qd_types::{ChatReply, StopReason};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::body::SimBody;
use crate::prices;
use crate::sim::ledger::OpenCall;
use crate::sim::{Asked, Decision, FaultKind, Sim, pieces};
use crate::transport::CALL_HEADER;
use crate::wires::{Anthropic, OpenAi, ServeWire, Served, simulated};

/// The connection is to be closed without an answer.
pub(super) struct Reset;

type Answer = Response<SimBody>;

pub(super) async fn route(
    request: Request<Incoming>,
    sim: Sim,
    shutdown: CancellationToken,
) -> Result<Answer, Reset> {
    let path = request.uri().path().trim_end_matches('/');
    Ok(match (request.method(), path) {
        (&Method::POST, "/v1/messages") => return chat(request, &sim, &Anthropic, &shutdown).await,
        (&Method::POST, "/v1/chat/completions") => return chat(request, &sim, &OpenAi, &shutdown).await,
        (&Method::GET, "/v1/models") => json_answer(StatusCode::OK, models().to_string(), None),
        (&Method::GET, "/ledger") => {
            let page = serde_json::to_string(&sim.ledger().page())
                .unwrap_or_else(|error| json!({ "error": error.to_string() }).to_string());
            json_answer(StatusCode::OK, page, None)
        }
        (&Method::DELETE, "/ledger") => {
            sim.ledger().clear();
            json_answer(StatusCode::OK, "{}".to_owned(), None)
        }
        (_, "/v1/messages" | "/v1/chat/completions" | "/v1/models" | "/ledger") => {
            json_answer(StatusCode::METHOD_NOT_ALLOWED, OpenAi.error(405, "method not allowed"), None)
        }
        _ => {
            json_answer(StatusCode::NOT_FOUND, OpenAi.error(400, &format!("there is no route {path}")), None)
        }
    })
}

fn models() -> serde_json::Value {
    json!({ "object": "list", "has_more": false, "data": [
        { "id": "demo", "type": "model", "object": "model", "owned_by": "sim", "display_name": "Simulated model" }
    ] })
}

async fn chat(
    request: Request<Incoming>,
    sim: &Sim,
    wire: &'static dyn ServeWire,
    shutdown: &CancellationToken,
) -> Result<Answer, Reset> {
    let id = request.headers().get(CALL_HEADER).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let body = match Limited::new(request.into_body(), sim.options.max_body_bytes).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return Ok(refuse(wire, 413, "the request is too large"));
        }
        // The client went away in the middle of its request.
        Err(_) => return Err(Reset),
    };
    let served = match wire.decode(&body) {
        Ok(served) => served,
        Err(error) => return Ok(refuse(wire, 400, &error.0)),
    };
    let call = sim.ledger().start(id.as_deref());
    let (step, number) = step_and_try(id.as_deref().unwrap_or_default());
    let decision = sim.decide(&Asked {
        request: &served.request,
        model: &served.request.model,
        step,
        number,
        max_tokens: served.request.max_tokens,
    });
    if !decision.is_refused() {
        call.bill(prices::of_sim(&decision.usage));
    }
    if decision.fault.is_some() {
        call.faulted();
    }
    if !decision.first_token.is_zero() {
        tokio::time::sleep(decision.first_token).await;
    }
    answer(wire, &served, decision, call, shutdown).await
}

/// `job/step/try`: the step has slashes of its own. Without a header every call is a first try.
fn step_and_try(id: &str) -> (&str, u32) {
    let step = id.split_once('/').map_or("", |(_, rest)| rest);
    let (step, number) = step.rsplit_once('/').unwrap_or((step, "1"));
    (step, number.parse().unwrap_or(1))
}

async fn answer(
    wire: &'static dyn ServeWire,
    served: &Served,
    decision: Decision,
    call: OpenCall,
    shutdown: &CancellationToken,
) -> Result<Answer, Reset> {
    let Some(fault) = decision.fault else { return Ok(good(wire, served, decision, Ending::Proper(call))) };
    Ok(match fault.kind {
        FaultKind::Status(status) => {
            let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut answer = json_answer(code, wire.error(status, &simulated(status)), None);
            add_headers(&mut answer, wire.headers(status, fault.retry_after));
            answer
        }
        FaultKind::Hang => {
            // Held until the client leaves or the server stops: so long the call is under way in the ledger.
            shutdown.cancelled().await;
            drop(call);
            return Err(Reset);
        }
        FaultKind::Reset => return Err(Reset),
        FaultKind::Cut => good(wire, served, decision, Ending::Cut),
        FaultKind::Truncated => good(wire, served, decision, Ending::Truncated),
        FaultKind::Html => {
            let page = "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>simulated</body></html>";
            typed(StatusCode::OK, "text/html", SimBody::whole(page, None))
        }
        FaultKind::Garbage => json_answer(StatusCode::OK, r#"{"id": "half of an ans"#.to_owned(), None),
        FaultKind::Empty => {
            let reply = ChatReply {
                text: String::new(),
                tool_calls: Vec::new(),
                stop: StopReason::End,
                ..decision.reply
            };
            good(wire, served, Decision { reply, fault: None, ..decision }, Ending::Uncounted)
        }
    })
}

enum Ending {
    /// As it should be; the call counts as answered.
    Proper(OpenCall),
    /// Complete, but a fault all the same.
    Uncounted,
    /// In the middle, by the connection.
    Cut,
    /// In the middle, by a proper end of the body.
    Truncated,
}

fn good(wire: &'static dyn ServeWire, served: &Served, decision: Decision, ending: Ending) -> Answer {
    let Decision { reply, usage, pace, .. } = decision;
    let (call, is_half, breaks) = match ending {
        Ending::Proper(call) => (Some(call), false, false),
        Ending::Uncounted => (None, false, false),
        Ending::Cut => (None, true, true),
        Ending::Truncated => (None, true, false),
    };
    let (kind, body) = if served.stream {
        let speech = wire.speech(&reply, &usage, &pieces(&reply.text), served);
        let mut parts: Vec<Bytes> =
            std::iter::once(speech.opening).chain(speech.pieces).map(Bytes::from).collect();
        if is_half {
            parts.truncate(parts.len().div_ceil(2));
        } else {
            parts.push(Bytes::from(speech.closing));
        }
        ("text/event-stream; charset=utf-8", SimBody::paced(parts, pace, call))
    } else {
        let mut text = wire.reply(&reply, &usage);
        if is_half {
            text.truncate(text.floor_char_boundary(text.len() / 2));
        }
        ("application/json", SimBody::whole(text, call))
    };
    let mut answer = typed(StatusCode::OK, kind, if breaks { body.breaking() } else { body });
    add_headers(&mut answer, wire.headers(200, None));
    answer
}

fn refuse(wire: &dyn ServeWire, status: u16, message: &str) -> Answer {
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let mut answer = json_answer(code, wire.error(status, message), None);
    add_headers(&mut answer, wire.headers(status, None));
    answer
}

fn add_headers(answer: &mut Answer, headers: Vec<(&'static str, String)>) {
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            answer.headers_mut().insert(name, value);
        }
    }
}

fn json_answer(status: StatusCode, body: String, call: Option<OpenCall>) -> Answer {
    typed(status, "application/json", SimBody::whole(body, call))
}

fn typed(status: StatusCode, kind: &'static str, body: SimBody) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
