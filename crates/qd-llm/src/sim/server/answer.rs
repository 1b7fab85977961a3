//! How a decision goes out over HTTP: status and headers. What the body does stands in `score.rs`.

use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use tokio_util::sync::CancellationToken;

use super::body::SimBody;
use super::score::{Score, score};
use crate::sim::faults::WEB_PAGE;
use crate::sim::options::FaultBody;
use crate::sim::visit::Met;
use crate::sim::{FaultKind, Sim};
use crate::wires::{Refusal, ServeWire, Served, Standing};

/// The connection is to be closed without an answer.
pub(super) struct Reset;

pub(super) type Answer = Response<SimBody>;

pub(super) async fn play(
    wire: &dyn ServeWire,
    served: &Served,
    sim: &Sim,
    met: Met,
    shutdown: &CancellationToken,
) -> Result<Answer, Reset> {
    let Met { mut decision, standing, denied, mut visit } = met;
    let standing = standing.as_ref();
    let denied = match denied {
        Some(refusal) => Err(refusal),
        None => visit.enter(sim, &mut decision).await,
    };
    if let Err(refusal) = denied {
        visit.refused(wire.status(&refusal), refusal.retry_after);
        return Ok(refuse(wire, &refusal, standing));
    }
    if !decision.first_token.is_zero() {
        tokio::time::sleep(decision.first_token).await;
    }
    let fault = decision.fault;
    if let Some((fault, refusal)) =
        fault.and_then(|fault| Some((fault, fault.refusal(&served.request.model, &decision.usage)?)))
    {
        visit.refused(wire.status(&refusal), refusal.retry_after);
        return Ok(match fault.body {
            FaultBody::Json => refuse(wire, &refusal, standing),
            FaultBody::Html => disguised(wire, &refusal, "text/html", WEB_PAGE),
            FaultBody::Empty => disguised(wire, &refusal, "text/plain", ""),
        });
    }
    match fault.map(|fault| (fault.kind, fault.silence)) {
        Some((FaultKind::Reset | FaultKind::Refused, _)) => return Err(Reset),
        // Held until the client leaves or the server stops: so long the call is under way in the ledger.
        Some((FaultKind::Hang, None)) => {
            shutdown.cancelled().await;
            return Err(Reset);
        }
        Some((FaultKind::Hang, Some(span))) => tokio::select! {
            () = tokio::time::sleep(span) => {}
            () = shutdown.cancelled() => return Err(Reset),
        },
        Some((FaultKind::Html, _)) => {
            visit.begun();
            return Ok(typed(StatusCode::OK, "text/html", SimBody::plain(WEB_PAGE)));
        }
        _ => {}
    }
    visit.begun();
    let Score { kind, beats, pace, is_answer } = score(wire, served, decision);
    let body = SimBody::of(beats, pace, visit, is_answer).until(shutdown);
    let mut answer = typed(StatusCode::OK, kind, if served.stream { body } else { body.measured() });
    add_headers(&mut answer, wire.headers(None, standing));
    Ok(answer)
}

pub(super) fn refuse(wire: &dyn ServeWire, refusal: &Refusal, standing: Option<&Standing>) -> Answer {
    let mut answer = json_answer(code(wire, refusal), wire.error(refusal));
    add_headers(&mut answer, wire.headers(Some(refusal), standing));
    answer
}

/// A refusal of something that stands before the provider: nothing of it is the provider's but the status.
fn disguised(wire: &dyn ServeWire, refusal: &Refusal, kind: &'static str, body: &'static str) -> Answer {
    let mut answer = typed(code(wire, refusal), kind, SimBody::plain(body));
    if let Some(wait) = refusal.retry_after {
        add_headers(&mut answer, vec![("retry-after", wait.as_secs_f64().ceil().to_string())]);
    }
    answer
}

fn code(wire: &dyn ServeWire, refusal: &Refusal) -> StatusCode {
    StatusCode::from_u16(wire.status(refusal)).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn add_headers(answer: &mut Answer, headers: Vec<(&'static str, String)>) {
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            answer.headers_mut().insert(name, value);
        }
    }
}

pub(super) fn json_answer(status: StatusCode, body: String) -> Answer {
    typed(status, "application/json", SimBody::plain(body))
}

fn typed(status: StatusCode, kind: &'static str, body: SimBody) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
