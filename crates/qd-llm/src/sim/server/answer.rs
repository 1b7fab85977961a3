//! How a decision goes out over HTTP: an answer, a refusal, or one of the faults on the way.

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use qd_types::{ChatReply, StopReason};
use tokio_util::sync::CancellationToken;

use super::body::SimBody;
use crate::sim::visit::Visit;
use crate::sim::{Decision, FaultKind, pieces};
use crate::wires::{Refusal, ServeWire, Served, Standing, Why, simulated};

/// The connection is to be closed without an answer.
pub(super) struct Reset;

pub(super) type Answer = Response<SimBody>;

pub(super) async fn play(
    wire: &'static dyn ServeWire,
    served: &Served,
    decision: Decision,
    standing: Option<&Standing>,
    visit: Visit,
    shutdown: &CancellationToken,
) -> Result<Answer, Reset> {
    let Some(fault) = decision.fault else {
        return Ok(good(wire, served, decision, standing, Ending::Proper(visit)));
    };
    Ok(match fault.kind {
        FaultKind::Status(status) => {
            let model = served.request.model.clone();
            let why = Why::Said(simulated(status));
            let refusal = Refusal { status, why, model, retry_after: fault.retry_after };
            refuse(wire, &refusal, standing)
        }
        FaultKind::Hang => {
            // Held until the client leaves or the server stops: so long the call is under way in the ledger.
            shutdown.cancelled().await;
            drop(visit);
            return Err(Reset);
        }
        FaultKind::Reset | FaultKind::Refused => return Err(Reset),
        FaultKind::Cut => good(wire, served, decision, standing, Ending::Cut),
        FaultKind::Truncated => good(wire, served, decision, standing, Ending::Truncated),
        FaultKind::Html => {
            let page = "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>simulated</body></html>";
            typed(StatusCode::OK, "text/html", SimBody::whole(page, None))
        }
        FaultKind::Garbage => json_answer(StatusCode::OK, r#"{"id": "half of an ans"#.to_owned()),
        FaultKind::Empty => {
            let reply = ChatReply {
                text: String::new(),
                tool_calls: Vec::new(),
                stop: StopReason::End,
                ..decision.reply
            };
            good(wire, served, Decision { reply, ..decision }, standing, Ending::Uncounted)
        }
    })
}

enum Ending {
    /// As it should be; the call counts as answered.
    Proper(Visit),
    /// Complete, but a fault all the same.
    Uncounted,
    /// In the middle, by the connection.
    Cut,
    /// In the middle, by a proper end of the body.
    Truncated,
}

fn good(
    wire: &'static dyn ServeWire,
    served: &Served,
    decision: Decision,
    standing: Option<&Standing>,
    ending: Ending,
) -> Answer {
    let Decision { reply, usage, pace, .. } = decision;
    let (visit, is_half, breaks) = match ending {
        Ending::Proper(visit) => (Some(visit), false, false),
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
        ("text/event-stream; charset=utf-8", SimBody::paced(parts, pace, visit))
    } else {
        let mut text = wire.reply(&reply, &usage);
        if is_half {
            text.truncate(text.floor_char_boundary(text.len() / 2));
        }
        ("application/json", SimBody::whole(text, visit))
    };
    let mut answer = typed(StatusCode::OK, kind, if breaks { body.breaking() } else { body });
    add_headers(&mut answer, wire.headers(None, standing));
    answer
}

pub(super) fn refuse(wire: &dyn ServeWire, refusal: &Refusal, standing: Option<&Standing>) -> Answer {
    let code = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = json_answer(code, wire.error(refusal));
    add_headers(&mut answer, wire.headers(Some(refusal), standing));
    answer
}

fn add_headers(answer: &mut Answer, headers: Vec<(&'static str, String)>) {
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            answer.headers_mut().insert(name, value);
        }
    }
}

pub(super) fn json_answer(status: StatusCode, body: String) -> Answer {
    typed(status, "application/json", SimBody::whole(body, None))
}

fn typed(status: StatusCode, kind: &'static str, body: SimBody) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
