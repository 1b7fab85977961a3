//! What the body of a failed answer says, whatever shape it has: an object, an object in an array, a bare string, the
//! flat form of older servers, a web page, nothing.

use serde_json::Value;

/// Characters of a message that are kept: enough to understand, too few to carry a prompt.
const MAX_MESSAGE_CHARS: usize = 500;
/// Bytes of a body that is no JSON that are looked at.
const MAX_TEXT_BYTES: usize = 2048;

/// The words of an error.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct ErrorBody {
    /// `error.type`.
    pub(crate) kind: String,
    /// `error.code`, or `error.details.error_code`; a number as text.
    pub(crate) code: String,
    /// `error.status`, Google's word.
    pub(crate) status: String,
    pub(crate) message: String,
    pub(crate) request_id: Option<String>,
    /// Google's `RetryInfo`.
    pub(crate) retry_delay: Option<String>,
    /// Whether a day's quota is named.
    pub(crate) is_daily: bool,
    /// Whether the prompt was refused by a moderator.
    pub(crate) is_moderated: bool,
}

impl ErrorBody {
    /// The words in a body of a failed answer.
    pub(crate) fn of(body: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => Self::in_value(&value).unwrap_or_else(|| Self::flat(&value)),
            Err(_) => Self { message: plain_text(body), ..Self::default() },
        }
    }

    /// The top-level error of a JSON value, if it has one. Answers of status 200 may have.
    pub(crate) fn in_value(value: &Value) -> Option<Self> {
        if let Value::Array(all) = value {
            return Self::in_value(all.first()?);
        }
        let error = value.get("error").filter(|error| !error.is_null())?;
        let mut body = match error {
            Value::Object(_) => Self::words(error),
            Value::String(text) => Self { message: short(text), ..Self::default() },
            other => Self { message: short(&other.to_string()), ..Self::default() },
        };
        body.request_id = value.get("request_id").and_then(Value::as_str).map(str::to_owned);
        Some(body)
    }

    /// The flat form `{"object":"error","message":…}`, which some servers also send in a stream.
    pub(crate) fn in_flat_value(value: &Value) -> Option<Self> {
        let is_flat =
            value.get("object").and_then(Value::as_str) == Some("error") && value.get("message").is_some();
        is_flat.then(|| Self::words(value))
    }

    fn flat(value: &Value) -> Self {
        let mut body = Self::words(value);
        if body.message.is_empty() {
            // FastAPI's form, and anything else that is at least JSON.
            let detail = value.get("detail").unwrap_or(value);
            body.message = short(&detail.as_str().map_or_else(|| detail.to_string(), str::to_owned));
        }
        body
    }

    fn words(error: &Value) -> Self {
        let word = |key: &str| match error.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        let details = error.get("details");
        let detail_code = details.and_then(|d| d.get("error_code")).and_then(Value::as_str);
        let google: Vec<&Value> = details.and_then(Value::as_array).into_iter().flatten().collect();
        Self {
            kind: word("type"),
            code: detail_code.map_or_else(|| word("code"), str::to_owned),
            status: word("status"),
            message: short(&word("message")),
            request_id: None,
            retry_delay: google.iter().find_map(|d| d.get("retryDelay")?.as_str().map(str::to_owned)),
            is_daily: google.iter().any(|d| d.to_string().contains("PerDay")),
            is_moderated: error.pointer("/metadata/reasons").is_some_and(Value::is_array),
        }
    }

    /// Whether any of these words is its type, code or status.
    pub(crate) fn is_any(&self, words: &[&str]) -> bool {
        [&self.kind, &self.code, &self.status].into_iter().any(|own| words.contains(&own.as_str()))
    }

    /// Whether the message holds any of these phrases, which are in lower case.
    pub(crate) fn says(&self, phrases: &[&str]) -> bool {
        let message = self.message.to_lowercase();
        phrases.iter().any(|phrase| message.contains(phrase))
    }

    /// Whether the prompt did not fit the model's window. Servers agree on no code for it.
    pub(crate) fn says_too_long(&self) -> bool {
        self.is_any(&["context_length_exceeded", "exceed_context_size_error"])
            || (self.code != "string_above_max_length" && self.says(TOO_LONG))
    }

    /// A status that the body itself names.
    pub(crate) fn status_code(&self) -> Option<u16> {
        self.code.parse().ok().filter(|status| (400..600).contains(status))
    }
}

const TOO_LONG: &[&str] = &[
    "prompt is too long",
    "exceed context limit",
    "maximum context length is",
    "requested token count exceeds",
    "is longer than the model's context length",
    "input tokens exceed the configured limit",
    "exceeds the available context size",
    "exceeds the maximum number of tokens allowed",
    "context length exceeded",
];

fn short(text: &str) -> String {
    let text = text.trim();
    match text.char_indices().nth(MAX_MESSAGE_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
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
mod tests {
    use super::ErrorBody;

    #[test]
    fn every_shape_of_an_error_is_read() {
        for (body, kind, code, message) in [
            (
                r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow","details":{"error_code":"ramp"}}}"#,
                "rate_limit_error",
                "ramp",
                "slow",
            ),
            (
                r#"{"error":{"message":"no","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#,
                "invalid_request_error",
                "model_not_found",
                "no",
            ),
            (
                r#"[{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED"}}]"#,
                "",
                "429",
                "quota",
            ),
            (r#"{"error":"model 'x' not found"}"#, "", "", "model 'x' not found"),
            (
                r#"{"object":"error","message":"too long","type":"BadRequestError","code":400}"#,
                "BadRequestError",
                "400",
                "too long",
            ),
            (r#"{"detail":"Not Found"}"#, "", "", "Not Found"),
            (r#"{"detail":[{"msg":"field required"}]}"#, "", "", r#"[{"msg":"field required"}]"#),
            (
                "<!DOCTYPE html><html><head><TITLE> 502 Bad Gateway </TITLE></head>",
                "",
                "",
                "a web page titled \"502 Bad Gateway\"",
            ),
            ("<html></html>", "", "", "a web page"),
            ("upstream connect error", "", "", "upstream connect error"),
            ("", "", "", ""),
        ] {
            let read = ErrorBody::of(body.as_bytes());
            assert_eq!(
                (read.kind.as_str(), read.code.as_str(), read.message.as_str()),
                (kind, code, message),
                "{body}"
            );
        }
    }

    #[test]
    fn long_messages_are_cut() {
        let body = ErrorBody::of(format!(r#"{{"error":"{}"}}"#, "ü".repeat(3000)).as_bytes());
        assert_eq!(body.message.chars().count(), 501);
    }

    #[test]
    fn null_is_no_error() {
        assert_eq!(ErrorBody::in_value(&serde_json::json!({ "id": "x", "error": null })), None);
    }
}
