//! From the bytes of an answer to a reply or an error, whichever way they came: the part of reading that needs no network.
//!
//! What the headers say of a failure is added here, alike for both wires and for streams.

use http::HeaderMap;
use qd_types::{Billed, Class, Code};

use super::headers::{ID_BYTES_MAX, request_id};
use super::sse::{SseEvent, SseParser, TooLong};
use super::wait::wait;
use super::wire::{Decoded, Progress, StreamDecoder, Wire};
use crate::error::Kind;
use crate::{CallError, SeenLimits};

/// An answer in one piece.
pub(crate) fn decode_whole(
    wire: &dyn Wire,
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Decoded, CallError> {
    // Some proxies lose the content type of a stream, and some servers stream unasked.
    if status == 200 && looks_like_events(body) {
        let mut stream = Streamed::new(wire.stream(), usize::MAX);
        stream.take(body, &mut String::new())?;
        return stream.end();
    }
    wire.decode(status, headers, body)
}

fn looks_like_events(body: &[u8]) -> bool {
    let body = body.trim_ascii_start();
    [b"data:".as_slice(), b"event:", b":"].iter().any(|start| body.starts_with(start))
}

/// Completes an error with what the answer's headers say: who it was, how long to wait, whether to try again at all.
pub(crate) fn told_by_headers(
    mut error: CallError,
    status: u16,
    headers: &HeaderMap,
    limits: SeenLimits,
) -> CallError {
    error.status = error.status.or(Some(status));
    error.request_id = request_id(headers).or(error.request_id).filter(|id| id.len() <= ID_BYTES_MAX);
    if error.limits.is_empty() {
        *error.limits = limits;
    }
    if status != 200 {
        obey(&mut error, headers);
    }
    if error.class == Class::RateLimited && error.limits.allow_nothing() {
        // Whoever may do nothing at all does not wait for a reset.
        (error.code, error.class) = (Code::ModelQuota, Class::Quota);
    }
    if error.class.is_retryable() || error.class == Class::Quota {
        error.retry_after = wait(headers, error.retry_after, error.class);
    } else {
        error.retry_after = None;
    }
    error
}

/// Providers may overrule their own status.
fn obey(error: &mut CallError, headers: &HeaderMap) {
    match headers.get("x-should-retry").map(http::HeaderValue::as_bytes) {
        Some(b"true") if is_refusal(error.code) => error.class = Class::Transient,
        // A rate limit that does not pass by waiting is a quota.
        Some(b"false") if error.class == Class::RateLimited => {
            (error.code, error.class) = (Code::ModelQuota, Class::Quota);
        }
        Some(b"false") if error.class.is_retryable() => error.class = Class::Permanent,
        _ => {}
    }
}

/// Whether a provider that says so can mean that the same call may do better: not where money or size is at fault.
fn is_refusal(code: Code) -> bool {
    matches!(code, Code::ModelInvalidRequest | Code::ModelAuth | Code::ModelPermission | Code::ModelNotFound)
}

/// A streamed answer while it is read, from any pieces of its bytes.
pub(crate) struct Streamed {
    decoder: Box<dyn StreamDecoder>,
    parser: SseParser,
    events: Vec<SseEvent>,
    bytes: usize,
    bytes_max: usize,
}

impl Streamed {
    pub(crate) fn new(decoder: Box<dyn StreamDecoder>, bytes_max: usize) -> Self {
        Self { decoder, parser: SseParser::default(), events: Vec::new(), bytes: 0, bytes_max }
    }

    /// Takes the next bytes and appends what is new of the text to `said`. After [`Progress::Done`] nothing is missing.
    pub(crate) fn take(&mut self, bytes: &[u8], said: &mut String) -> Result<Progress, CallError> {
        match self.read(bytes, said) {
            // Nothing of the reply is missing: only its usage or its end marker may be.
            Err(_) if self.decoder.is_complete() => Ok(Progress::Done),
            read => read,
        }
    }

    /// The reply, when the stream has ended.
    pub(crate) fn end(mut self) -> Result<Decoded, CallError> {
        if let Some(event) = self.parser.finish()
            && !self.decoder.is_complete()
        {
            self.decoder.event(&event, &mut String::new())?;
        }
        self.decoder.finish()
    }

    /// The reply, if nothing of it was missing when `error` ended the stream.
    pub(crate) fn broken_off(self, error: CallError) -> Result<Decoded, CallError> {
        if self.decoder.is_complete() { self.decoder.finish() } else { Err(error) }
    }

    fn read(&mut self, bytes: &[u8], said: &mut String) -> Result<Progress, CallError> {
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.bytes > self.bytes_max {
            return Err(too_large(self.bytes_max));
        }
        let mut progress = Progress::Nothing;
        let parsed = self.parser.push(bytes, &mut self.events);
        for event in self.events.drain(..) {
            match self.decoder.event(&event, said)? {
                Progress::Nothing => {}
                Progress::Content => progress = Progress::Content,
                Progress::Done => return Ok(Progress::Done),
            }
        }
        parsed.map_err(|TooLong| line_too_long())?;
        Ok(progress)
    }
}

/// An answer beyond the bound of its body.
pub(crate) fn too_large(bytes_max: usize) -> CallError {
    let message = format!("the answer is larger than {bytes_max} bytes (max_body_bytes)");
    CallError::new(Kind::HopelessOutput, message)
}

fn line_too_long() -> CallError {
    CallError::new(Kind::HopelessOutput, "the answer holds a line of more than 1 MiB").billed(Billed::Yes)
}

#[cfg(test)]
mod tests;
