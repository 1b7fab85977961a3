//! One chat request over HTTP: reads it, lets the simulator decide, and hands over to `answer.rs`.

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::{HeaderMap, Request};
use tokio_util::sync::CancellationToken;

use super::answer::{Answer, Reset, play, refuse};
use crate::sim::ledger::hash;
use crate::sim::{Asked, Sim};
use crate::transport::CALL_HEADER;
use crate::wires::{Refusal, ServeWire};

pub(super) async fn chat(
    request: Request<Incoming>,
    sim: &Sim,
    wire: &dyn ServeWire,
    shutdown: &CancellationToken,
) -> Result<Answer, Reset> {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, sim.options.max_body_bytes).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return Ok(refuse(wire, &Refusal::said(413, "the request is too large"), None));
        }
        // The client went away in the middle of its request.
        Err(_) => return Err(Reset),
    };
    let served = match wire.decode(&body) {
        Ok(served) => served,
        Err(error) => return Ok(refuse(wire, &Refusal::said(400, error.0), None)),
    };
    let id = head.headers.get(CALL_HEADER).and_then(|value| value.to_str().ok());
    let (step, number) = step_and_try(id, &head.headers);
    let asked = Asked {
        request: &served.request,
        model: &served.request.model,
        step,
        number,
        max_tokens: served.request.max_tokens,
    };
    let met = sim.meet(&asked, id, key(&head.headers));
    play(wire, &served, sim, met, shutdown).await
}

/// `job/step/try`: the step has slashes of its own. Without that header a call is a first try, unless it is said to be a
/// later one by the header in which the official clients count their retries.
fn step_and_try<'a>(id: Option<&'a str>, headers: &HeaderMap) -> (&'a str, u32) {
    let Some((_, rest)) = id.and_then(|id| id.split_once('/')) else {
        let retries = headers.get("x-stainless-retry-count").and_then(|value| value.to_str().ok());
        return ("", retries.and_then(|count| count.parse::<u32>().ok()).unwrap_or(0).saturating_add(1));
    };
    let (step, number) = rest.rsplit_once('/').unwrap_or((rest, "1"));
    (step, number.parse().unwrap_or(1))
}

/// The hash of the API key, in whichever header its wire puts it.
fn key(headers: &HeaderMap) -> u64 {
    let key = headers.get("x-api-key").or_else(|| headers.get(AUTHORIZATION));
    let key = key.map_or(&[][..], |value| value.as_bytes());
    hash(key.strip_prefix(b"Bearer ").unwrap_or(key))
}
