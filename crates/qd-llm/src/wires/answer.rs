//! What both wires do alike at the end of an answer: refuse empty ones, make up missing ids, word the errors.

use http::HeaderMap;
use qd_types::{Billed, ChatReply, StopReason, ToolCall, Usage};

use super::error_body::{ErrorBody, short};
use super::limits::seen_limits;
use super::wait::{in_body, wait};
use super::wire::Decoded;
use crate::error::Kind;
use crate::{CallError, Window};

/// A reply that says something; an answer of nothing is paid and of no use.
pub(crate) fn checked(mut reply: ChatReply, usage: Usage) -> Result<Decoded, CallError> {
    for (index, call) in reply.tool_calls.iter_mut().enumerate() {
        if call.id.is_empty() {
            call.id = made_up_id(reply.response_id.as_deref().unwrap_or_default(), call, index);
        }
        if matches!(call.arguments.trim(), "" | "null") {
            call.arguments = "{}".to_owned();
        }
    }
    if reply.tool_calls.is_empty() && reply.stop == StopReason::ToolCalls {
        // It says that it wants tools and names none: the text stands alone.
        reply.stop = StopReason::End;
    } else if !reply.tool_calls.is_empty() && reply.stop == StopReason::End {
        reply.stop = StopReason::ToolCalls;
    }
    if !reply.text.trim().is_empty() || !reply.tool_calls.is_empty() {
        return Ok(Decoded { reply, usage: Usage { model_calls: 1, ..usage } });
    }
    Err(if reply.stop == StopReason::Length {
        CallError::new(
            Kind::HopelessOutput,
            "the model used up its tokens before it wrote an answer; raise max_tokens",
        )
    } else {
        CallError::new(Kind::BadOutput, "the answer is empty")
    })
}

/// An id that the same answer always gets, and hardly any other.
fn made_up_id(response: &str, call: &ToolCall, index: usize) -> String {
    let text = response.bytes().chain(call.name.bytes()).chain(call.arguments.bytes());
    let hash = text.fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    format!("call_{hash:016x}_{index}")
}

/// The error of an answer with a failure status.
pub(crate) fn failed(kind: Kind, status: u16, headers: &HeaderMap, body: &ErrorBody) -> CallError {
    let said = if body.message.is_empty() { "nothing more" } else { &body.message };
    of_body(kind, format!("answered status {status}: {said}"), headers, body)
}

/// The error of an answer that began well: with status 200, in one piece or in a stream.
pub(crate) fn failed_inside(kind: Kind, headers: &HeaderMap, body: &ErrorBody) -> CallError {
    let said = if body.message.is_empty() { "an error without words" } else { &body.message };
    let mut error = of_body(kind, format!("the answer holds an error: {said}"), headers, body);
    // Some of the answer may have been made before the error.
    error.billed = if error.billed == Billed::No { Billed::Possibly } else { error.billed };
    error
}

fn of_body(kind: Kind, message: String, headers: &HeaderMap, body: &ErrorBody) -> CallError {
    let mut error = CallError::new(kind, message);
    error.request_id.clone_from(&body.request_id);
    error.retry_after = in_body(body);
    if kind == Kind::ContextLength {
        error.oversize = body.oversize;
    }
    if let Some(repeated) = body.repeated_headers(headers) {
        *error.limits = seen_limits(&repeated, Window::Minute);
        error.retry_after = wait(&repeated, error.retry_after, error.class);
    }
    error
}

/// The error of an answer that ended for another reason than that it was complete.
pub(crate) fn ended_badly(kind: Kind, why: &str, response_id: Option<String>) -> CallError {
    let what = if kind == Kind::AnswerRefused { "refused to answer" } else { "broke the answer off" };
    let mut error = CallError::new(kind, format!("the model {what}: {}", short(why)));
    error.billed = if error.billed == Billed::No { Billed::Possibly } else { error.billed };
    error.request_id = response_id;
    error
}

/// A body of status 200 that is no JSON: a page of something in between, or half an answer.
pub(crate) fn not_json(body: &[u8]) -> CallError {
    let text = ErrorBody::of(body).message;
    let what = if body.is_empty() {
        "nothing"
    } else if text.starts_with("a web page") {
        &text
    } else {
        "no valid json"
    };
    let message = format!("answered {what} where a json answer was due; is base_url right?");
    CallError::new(Kind::BadOutput, message).billed(Billed::Possibly)
}

/// A stream that ended before its finish.
pub(crate) fn interrupted() -> CallError {
    CallError::new(Kind::StreamInterrupted, "the answer broke off before its end")
}
