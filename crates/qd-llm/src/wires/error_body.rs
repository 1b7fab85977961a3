//! What the body of a failed answer says, whatever shape it has: an object, an object in an array, a bare string, the
//! flat form of older servers, one error inside another, a web page, nothing.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::mask::mask_keys;
use super::overflow;
use super::status::status_of;
use crate::Oversize;

/// Characters of a message that are kept: enough to understand, too few to carry a prompt.
const MAX_MESSAGE_CHARS: usize = 500;
/// Bytes of a message that are looked at, and of a body that is no JSON.
const MAX_TEXT_BYTES: usize = 2048;
/// Proxies that wrap the error of another in a message of their own, and proxies before these.
const MAX_NESTED: usize = 3;
/// Mistakes of one request that are quoted.
const MISTAKES_MAX: usize = 5;
/// Headers that a body may repeat.
const REPEATED_MAX: usize = 32;

/// The words of an error.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct ErrorBody {
    /// `error.type`.
    pub(crate) kind: String,
    /// `error.code`, or `error.details.error_code`; a number as text.
    pub(crate) code: String,
    /// `error.status`, Google's word.
    pub(crate) status: String,
    /// OpenRouter's `error.metadata.error_type`: the one word of it that means the same whoever failed behind it.
    pub(crate) error_type: String,
    /// Further words of less common places.
    also: Vec<String>,
    pub(crate) message: String,
    pub(crate) request_id: Option<String>,
    /// Google's `RetryInfo`.
    pub(crate) retry_delay: Option<String>,
    /// Whether a day's quota is used up, or there is none at all.
    pub(crate) is_used_up: bool,
    /// Whether the prompt was refused by a moderator or a guardrail.
    pub(crate) is_moderated: bool,
    /// How much was asked and how much is allowed, for errors of size.
    pub(crate) oversize: Option<Oversize>,
    /// Rate-limit headers that OpenRouter repeats in the body.
    repeated: HeaderMap,
    /// A status beside the words.
    status_beside: Option<u16>,
}

impl ErrorBody {
    /// The words in a body of a failed answer.
    pub(crate) fn of(body: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => Self::in_value(&value).unwrap_or_else(|| Self::flat(&value)),
            Err(_) => Self::said(&plain_text(body)),
        }
    }

    /// The top-level error of a JSON value, if it has one. Answers of status 200 may have.
    pub(crate) fn in_value(value: &Value) -> Option<Self> {
        Self::nested(value, MAX_NESTED)
    }

    /// The error of an event: at its top, in the flat form that some servers send in a stream, or the whole of an
    /// event that is called so.
    pub(crate) fn in_event(name: &str, value: &Value) -> Option<Self> {
        let is_flat =
            value.get("object").and_then(Value::as_str) == Some("error") && value.get("message").is_some();
        Self::in_value(value).or_else(|| (is_flat || name == "error").then(|| Self::flat(value)))
    }

    fn nested(value: &Value, depth: usize) -> Option<Self> {
        if let Value::Array(all) = value {
            return Self::nested(all.first()?, depth);
        }
        let error = value.get("error").filter(|error| !error.is_null())?;
        let mut body = match error {
            Value::Object(_) => Self::words(error),
            Value::String(text) => Self::said(text),
            other => Self::said(&other.to_string()),
        };
        // The message may be another's whole error, whose words say more.
        let text = error.as_str().or_else(|| error.get("message")?.as_str()).unwrap_or_default();
        if let Some(inner) = inner(text, depth) {
            body = inner;
        } else if body.kind.is_empty() {
            // Mistral and xAI put them beside the message.
            body.kind = word(value, "type");
            body.code = if body.code.is_empty() { word(value, "code") } else { body.code };
        }
        body.request_id = value.get("request_id").and_then(Value::as_str).map(short);
        body.status_beside = ["status_code", "http_status_code"]
            .iter()
            .find_map(|key| value.get(key).or_else(|| error.get(key))?.as_u64())
            .and_then(|status| u16::try_from(status).ok())
            .or(body.status_beside);
        Some(body)
    }

    fn flat(value: &Value) -> Self {
        let body = Self::words(value);
        if !body.message.is_empty() {
            return body;
        }
        match value.get("detail") {
            Some(Value::String(detail)) => Self::said(detail),
            Some(Value::Array(details)) => Self::said(&mistakes(details)),
            // Whatever else it is, it is JSON.
            _ => Self::said(&value.to_string()),
        }
    }

    /// Nothing but a message.
    fn said(message: &str) -> Self {
        let message = beginning(message);
        Self {
            oversize: overflow::numbers(&Value::Null, message),
            is_used_up: has_no_allowance(message),
            message: short(message),
            ..Self::default()
        }
    }

    fn words(error: &Value) -> Self {
        let at =
            |pointer: &str| error.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let details = error.get("details");
        let detail_code = details.and_then(|d| d.get("error_code")).and_then(Value::as_str);
        let google = Google::of(details);
        let message = message(error);
        let mut also = vec![at("/metadata/limit_source"), at("/metadata/reason"), at("/innererror/code")];
        also.extend(google.reason);
        also.retain(|word| !word.is_empty());
        Self {
            kind: word(error, "type"),
            code: detail_code.map_or_else(|| word(error, "code"), str::to_owned),
            status: word(error, "status"),
            error_type: at("/metadata/error_type"),
            also,
            oversize: overflow::numbers(error, &message),
            is_used_up: google.is_daily || has_no_allowance(&message),
            message: short(&message),
            request_id: None,
            retry_delay: google.retry_delay,
            is_moderated: ["/metadata/reasons", "/metadata/patterns"]
                .iter()
                .any(|place| error.pointer(place).is_some_and(Value::is_array)),
            repeated: headers(error.pointer("/metadata/headers")),
            status_beside: None,
        }
    }

    /// Whether any of these words is its type, code or status.
    pub(crate) fn is_any(&self, words: &[&str]) -> bool {
        self.all_words().any(|own| words.contains(&own))
    }

    /// Whether any of its words holds one of these parts.
    pub(crate) fn names(&self, parts: &[&str]) -> bool {
        self.all_words().any(|own| parts.iter().any(|part| own.contains(part)))
    }

    fn all_words(&self) -> impl Iterator<Item = &str> {
        [&self.kind, &self.code, &self.status].into_iter().chain(&self.also).map(String::as_str)
    }

    /// Whether the message holds any of these phrases, which are in lower case.
    pub(crate) fn says(&self, phrases: &[&str]) -> bool {
        let message = self.message.to_lowercase();
        phrases.iter().any(|phrase| message.contains(phrase))
    }

    /// Whether the prompt did not fit the model's window.
    pub(crate) fn says_too_long(&self) -> bool {
        self.is_any(overflow::CODES)
            || (!self.is_any(&["string_above_max_length"]) && self.says(overflow::PHRASES))
    }

    /// A status that the body itself names, in a number or in a word.
    pub(crate) fn status_code(&self) -> Option<u16> {
        let number =
            self.code.parse().ok().or(self.status_beside).filter(|status| (400..600).contains(status));
        number.or_else(|| self.all_words().find_map(status_of))
    }

    /// Rate-limit headers that the body repeats, with the date of the answer that it came with.
    pub(crate) fn repeated_headers(&self, answer: &HeaderMap) -> Option<HeaderMap> {
        if self.repeated.is_empty() {
            return None;
        }
        let mut headers = self.repeated.clone();
        if let Some(date) = answer.get(http::header::DATE) {
            headers.insert(http::header::DATE, date.clone());
        }
        Some(headers)
    }
}

/// What Google's details say.
#[derive(Default)]
struct Google {
    retry_delay: Option<String>,
    reason: Option<String>,
    is_daily: bool,
}

impl Google {
    fn of(details: Option<&Value>) -> Self {
        let all: Vec<&Value> = details.and_then(Value::as_array).into_iter().flatten().collect();
        let text = |key: &str| all.iter().find_map(|detail| detail.get(key)?.as_str().map(str::to_owned));
        let violations = all.iter().filter_map(|detail| detail.get("violations")?.as_array()).flatten();
        let mut quotas = violations.filter_map(|violation| violation.get("quotaId")?.as_str());
        Self {
            retry_delay: text("retryDelay"),
            reason: text("reason"),
            is_daily: quotas.any(|quota| quota.contains("PerDay")),
        }
    }
}

/// `Quota exceeded for metric: …, limit: 0, model: …`: what Gemini says of models that a plan does not include.
fn has_no_allowance(message: &str) -> bool {
    message.contains("Quota exceeded")
        && message.split("limit: ").skip(1).any(|rest| {
            let number = rest.split([',', ' ', '\n']).next().unwrap_or_default();
            number == "0"
        })
}

/// The beginning of a message. OpenRouter says no more than that its provider failed; what the provider said stands
/// beside it.
fn message(error: &Value) -> String {
    let text = match error.get("message") {
        Some(Value::String(text)) => beginning(text).to_owned(),
        _ => word(error, "message"),
    };
    match error.pointer("/metadata/raw") {
        Some(Value::String(raw)) => format!("{text}: {}", beginning(raw)),
        Some(raw @ Value::Object(_)) => format!("{text}: {}", beginning(&raw.to_string())),
        _ => text,
    }
}

/// FastAPI's list of mistakes: where and what, without the input that it repeats.
fn mistakes(details: &[Value]) -> String {
    let mistakes = details.iter().take(MISTAKES_MAX).map(|detail| {
        let place = detail.get("loc").and_then(Value::as_array).into_iter().flatten();
        let place: Vec<String> =
            place.map(|part| part.as_str().map_or_else(|| part.to_string(), str::to_owned)).collect();
        let what = word(detail, "msg");
        if place.is_empty() { what } else { format!("{}: {what}", place.join(".")) }
    });
    mistakes.collect::<Vec<_>>().join("; ")
}

/// As much of a text as is looked at.
fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT_BYTES)]
}

/// An error that is the text of another's message.
fn inner(text: &str, depth: usize) -> Option<ErrorBody> {
    let text = text.trim_start();
    if depth == 0 || !text.starts_with(['{', '[']) {
        return None;
    }
    ErrorBody::nested(&serde_json::from_str(text).ok()?, depth - 1)
}

/// A string or a number as text.
fn word(value: &Value, key: &str) -> String {
    match value.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

fn headers(repeated: Option<&Value>) -> HeaderMap {
    let repeated = repeated.and_then(Value::as_object).into_iter().flatten();
    let repeated = repeated.filter_map(|(name, value)| {
        let name = name.to_ascii_lowercase();
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let is_of_limits = name.starts_with("x-ratelimit-") || name == "retry-after";
        is_of_limits.then(|| Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(&value).ok()?)))?
    });
    repeated.take(REPEATED_MAX).collect()
}

/// A provider's text without keys, and cut.
pub(crate) fn short(text: &str) -> String {
    let text = mask_keys(beginning(text.trim()));
    match text.char_indices().nth(MAX_MESSAGE_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The title of a page, or the beginning of the text.
fn plain_text(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(MAX_TEXT_BYTES)]);
    let lower = text.to_ascii_lowercase();
    if let Some(start) = lower.find("<title>")
        && let Some(length) = lower[start..].find("</title>")
    {
        let title = text[start + "<title>".len()..start + length].trim();
        return format!("a web page titled \"{}\"", short(title));
    }
    if lower.contains("<html") { "a web page".to_owned() } else { short(&text) }
}

#[cfg(test)]
mod tests;
