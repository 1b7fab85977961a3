//! Reading a request's body: is it JSON by its own word, does it fit, is it well-formed. What its fields mean is
//! `fields.rs` and the routes.
//!
//! The checks come in one fixed order, so that the first answer names the outermost mistake: content type, size, UTF-8,
//! syntax, depth, duplicate keys.

mod canonical;
mod fields;
mod json;
mod lines;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use qd_types::Code;
use serde_json::Value;
use tokio::sync::SemaphorePermit;

pub(crate) use canonical::hash as canonical_hash;
pub(crate) use fields::{Fields, kind, pointer};
pub(crate) use json::parse;
pub(crate) use lines::{Lines, are_lines};

use crate::context::Context;
use crate::problem::{Problem, shown};

/// Bodies up to this size are read without asking for room: connections already have buffers of that order.
const SMALL: usize = 16 * 1024;

/// What a body may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    /// YAML or JSON.
    Yaml,
}

impl Form {
    fn is(self, content_type: &[u8]) -> bool {
        is_json(content_type) || (self == Self::Yaml && is_yaml(content_type))
    }

    fn advice(self) -> &'static str {
        match self {
            Self::Json => "send the body as JSON with `Content-Type: application/json`",
            Self::Yaml => "send the body with `Content-Type: application/yaml` or `application/json`",
        }
    }
}

/// The JSON of a request.
pub(crate) async fn json(request: Request<axum::body::Body>, context: &Context) -> Result<Value, Problem> {
    json_within(request, context, context.options.body_bytes_max).await
}

/// The JSON of a request that may be as large as this.
pub(crate) async fn json_within(
    request: Request<axum::body::Body>,
    context: &Context,
    most: usize,
) -> Result<Value, Problem> {
    let bytes = read(request, context, Form::Json, most).await?;
    json::parse(&bytes, context.options.json_depth_max)
}

/// The text of a request that is YAML or JSON, of at most so many bytes.
pub(crate) async fn yaml(
    request: Request<axum::body::Body>,
    context: &Context,
    most: usize,
) -> Result<String, Problem> {
    let bytes = read(request, context, Form::Yaml, most.min(context.options.body_bytes_max)).await?;
    String::from_utf8(bytes.into()).map_err(|wrong| {
        let detail = format!("the body is not UTF-8 from byte {} on", wrong.utf8_error().valid_up_to());
        Problem::new(Code::InvalidRequest, detail)
    })
}

async fn read(
    request: Request<axum::body::Body>,
    context: &Context,
    form: Form,
    most: usize,
) -> Result<Bytes, Problem> {
    let patience = context.options.body_read;
    check_content_type(request.headers(), form)?;
    let mut room = Room { context, permit: None, bytes: 0 };
    // What says its length is refused before it is read.
    if let Some(length) = check_length(request.headers(), most)? {
        room.grow_to(length)?;
    }
    let collected = tokio::time::timeout(patience, collect(request, most, &mut room)).await;
    collected.map_err(|_| {
        let detail = format!("the body did not arrive within {} s", patience.as_secs_f32());
        Problem::new(Code::RequestTimeout, detail)
    })?
}

fn check_content_type(headers: &HeaderMap, form: Form) -> Result<(), Problem> {
    let refuse = |why: String| {
        let detail = format!("{why}; {}", form.advice());
        Err(Problem::new(Code::UnsupportedMediaType, detail))
    };
    if let Some(encoding) = headers.get(CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        return refuse(format!("bodies in `Content-Encoding: {}` are not read", shown_header(encoding)));
    }
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let Some(first) = types.next() else { return refuse("the request has no `Content-Type`".to_owned()) };
    if types.next().is_some() {
        return refuse("the request has more than one `Content-Type`".to_owned());
    }
    if form.is(first.as_bytes()) {
        Ok(())
    } else {
        let wanted = if form == Form::Json { "JSON" } else { "YAML or JSON" };
        refuse(format!("the `Content-Type` `{}` is not {wanted} in UTF-8", shown_header(first)))
    }
}

fn shown_header(value: &http::HeaderValue) -> String {
    shown(&String::from_utf8_lossy(value.as_bytes()))
}

/// `application/json` or `application/…+json`, with no parameter but `charset=utf-8`.
fn is_json(value: &[u8]) -> bool {
    // What nearly everybody sends.
    if value == b"application/json" {
        return true;
    }
    in_utf8(value, |essence| {
        let subtype = essence.strip_prefix("application/").unwrap_or_default();
        subtype == "json" || subtype.strip_suffix("+json").is_some_and(|s| !s.is_empty())
    })
}

/// RFC 9512, and the names before it.
fn is_yaml(value: &[u8]) -> bool {
    const NAMES: [&str; 4] = ["application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml"];
    in_utf8(value, |essence| NAMES.contains(&essence) || essence.ends_with("+yaml"))
}

/// A content type that is wanted, with no parameter but `charset=utf-8`.
fn in_utf8(value: &[u8], is_wanted: impl FnOnce(&str) -> bool) -> bool {
    let Ok(text) = std::str::from_utf8(value) else { return false };
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    is_wanted(&essence) && parts.all(|parameter| is_utf8_charset(parameter) || parameter.is_empty())
}

fn is_utf8_charset(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return false };
    let value = value.trim().trim_matches('"');
    name.trim().eq_ignore_ascii_case("charset")
        && (value.eq_ignore_ascii_case("utf-8") || value.eq_ignore_ascii_case("utf8"))
}

/// How long the body will be, if it says so.
fn check_length(headers: &HeaderMap, most: usize) -> Result<Option<usize>, Problem> {
    let declared =
        headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    match declared {
        Some(length) => match usize::try_from(length).ok().filter(|length| *length <= most) {
            Some(length) => Ok(Some(length)),
            None => Err(too_large(most)),
        },
        None => Ok(None),
    }
}

/// Room for a large body until it is read. Thousands of clients may each send one slowly: their number is bounded by
/// the connections, which is too many for memory.
struct Room<'a> {
    context: &'a Context,
    permit: Option<SemaphorePermit<'a>>,
    /// As much as was asked for; nothing for a small body.
    bytes: usize,
}

impl Room<'_> {
    /// Makes room for so many bytes in all.
    fn grow_to(&mut self, bytes: usize) -> Result<(), Problem> {
        if bytes <= self.bytes.max(SMALL) {
            return Ok(());
        }
        let (more, context) = (bytes - self.bytes, self.context);
        let permits = u32::try_from(more).unwrap_or(u32::MAX);
        let permit = context.body_bytes.try_acquire_many(permits).map_err(|_| {
            let detail = "too many large bodies are being read at once; repeat the request in a moment";
            Problem::new(Code::Overloaded, detail).retry_after(Duration::from_secs(1))
        })?;
        match &mut self.permit {
            Some(held) => held.merge(permit),
            None => self.permit = Some(permit),
        }
        self.bytes = bytes;
        Ok(())
    }
}

fn too_large(most: usize) -> Problem {
    let detail = format!("the body is larger than {most} bytes; send less, or have the limit raised");
    Problem::new(Code::PayloadTooLarge, detail)
}

/// The whole body; the usual body of one frame is not copied.
async fn collect(
    request: Request<axum::body::Body>,
    most: usize,
    room: &mut Room<'_>,
) -> Result<Bytes, Problem> {
    let mut body = request.into_body();
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            tracing::debug!(%error, "a request's body broke off");
            Problem::new(Code::InvalidRequest, "the body broke off or its framing is broken")
        })?;
        let Ok(piece) = frame.into_data() else { continue };
        let length = first.len().max(rest.len()) + piece.len();
        if length > most {
            return Err(too_large(most));
        }
        room.grow_to(length)?;
        if first.is_empty() && rest.is_empty() {
            first = piece;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&piece);
        }
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

#[cfg(test)]
mod tests {
    use super::is_json;

    #[test]
    fn json_is_told_by_its_content_type() {
        for good in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/json;charset=\"utf-8\"",
            "application/json;",
            "application/vnd.api+json",
        ] {
            assert!(is_json(good.as_bytes()), "{good}");
        }
        for bad in [
            "text/json",
            "application/jsonx",
            "application/+json",
            "application/json; charset=latin1",
            "application/json; profile=x",
            "json",
            "",
            "application/x-www-form-urlencoded",
        ] {
            assert!(!is_json(bad.as_bytes()), "{bad}");
        }
    }
}
