//! Anthropic's message as a neutral reply. The stream decoder ends here too, with the message it put together.

use http::HeaderMap;
use qd_types::{ChatReply, ProviderBlocks, StopReason, ToolCall, Usage};
use serde_json::Value;

use super::{NAME, errors};
use crate::CallError;
use crate::error::Kind;
use crate::wires::answer::{checked, ended_badly, not_json};
use crate::wires::counts::Counts;
use crate::wires::error_body::ErrorBody;
use crate::wires::headers::request_id;
use crate::wires::wire::Decoded;

pub(super) fn decode(headers: &HeaderMap, body: &[u8]) -> Result<Decoded, CallError> {
    let Ok(message) = serde_json::from_slice::<Value>(body) else { return Err(not_json(body)) };
    if let Some(error) = ErrorBody::in_value(&message) {
        return Err(errors::inside(headers, &error));
    }
    let Some(content) = message.get("content").and_then(Value::as_array) else {
        return Err(not_json(b"{}"));
    };
    let tool_calls = content.iter().filter(|b| kind(b) == "tool_use").map(tool_call).collect();
    let text = |key: &str| message.get(key).and_then(Value::as_str).map(str::to_owned);
    let finished = Finished {
        id: text("id").or_else(|| request_id(headers)),
        model: text("model").unwrap_or_default(),
        stop_reason: text("stop_reason"),
        refusal: refusal(&message),
        usage: usage(message.get("usage").unwrap_or(&Value::Null)),
        content: content.clone(),
        tool_calls,
    };
    finished.into_decoded()
}

/// A complete message, streamed or not.
pub(super) struct Finished {
    pub(super) id: Option<String>,
    pub(super) model: String,
    pub(super) stop_reason: Option<String>,
    /// What it was refused for.
    pub(super) refusal: Option<String>,
    pub(super) usage: Usage,
    pub(super) content: Vec<Value>,
    pub(super) tool_calls: Vec<ToolCall>,
}

impl Finished {
    pub(super) fn into_decoded(self) -> Result<Decoded, CallError> {
        let stop = match self.stop_reason.as_deref() {
            Some("max_tokens" | "model_context_window_exceeded") => StopReason::Length,
            Some("stop_sequence") => StopReason::StopText,
            Some("tool_use") => StopReason::ToolCalls,
            Some("refusal") => {
                let why = self.refusal.as_deref().unwrap_or("it does not say why");
                return Err(ended_badly(Kind::AnswerRefused, why, self.id));
            }
            // `end_turn`, `pause_turn`, and whatever comes: the message is there.
            Some(_) | None => StopReason::End,
        };
        let texts = self.content.iter().filter(|b| kind(b) == "text");
        let text = texts.filter_map(|b| b.get("text")?.as_str()).collect::<String>();
        let blocks = needs_blocks(&self.content)
            .then_some(ProviderBlocks { wire: NAME.to_owned(), content: Value::Array(self.content) });
        let reply = ChatReply {
            text,
            tool_calls: self.tool_calls,
            stop,
            model: self.model,
            response_id: self.id,
            blocks,
        };
        checked(reply, self.usage)
    }
}

pub(super) fn kind(block: &Value) -> &str {
    block.get("type").and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn refusal(message: &Value) -> Option<String> {
    message.pointer("/stop_details/category").and_then(Value::as_str).map(str::to_owned)
}

fn tool_call(block: &Value) -> ToolCall {
    let text = |key: &str| block.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    // Some proxies send the input as the text of its JSON.
    let arguments = match block.get("input") {
        Some(Value::String(text)) => text.clone(),
        Some(input) => input.to_string(),
        None => String::new(),
    };
    ToolCall { id: text("id"), name: text("name"), arguments }
}

/// Blocks are kept where text and calls would not make the same message again.
fn needs_blocks(content: &[Value]) -> bool {
    content.iter().any(|block| match kind(block) {
        "text" => block.get("citations").is_some_and(|c| !c.is_null()),
        "tool_use" => false,
        _ => true,
    })
}

/// Tokens as counted here: the classes of input do not overlap already.
pub(super) fn usage(usage: &Value) -> Usage {
    let mut counts = Counts::of(usage);
    let written = counts.at("/cache_creation_input_tokens").unwrap_or_else(|| {
        let mut by_age = |age: &str| counts.at(&format!("/cache_creation/ephemeral_{age}_input_tokens"));
        by_age("5m").unwrap_or(0) + by_age("1h").unwrap_or(0)
    });
    let output_tokens = counts.at("/output_tokens").unwrap_or(0);
    let thinking = counts.at("/output_tokens_details/thinking_tokens").unwrap_or(0);
    let usage = Usage {
        input_tokens: counts.at("/input_tokens").unwrap_or(0),
        cache_read_tokens: counts.at("/cache_read_input_tokens").unwrap_or(0),
        cache_write_tokens: written,
        output_tokens,
        reasoning_tokens: thinking.min(output_tokens),
        ..Usage::default()
    };
    counts.sound(usage)
}
