//! Anthropic's message as a neutral reply. The stream decoder ends here too, with the message it put together.

use http::HeaderMap;
use qd_types::{ChatReply, ProviderBlocks, StopReason, ToolCall, Usage};
use serde_json::Value;

use super::{NAME, errors};
use crate::CallError;
use crate::error::Kind;
use crate::wires::answer::{checked, not_json};
use crate::wires::error_body::ErrorBody;
use crate::wires::headers::request_id;
use crate::wires::wire::Decoded;

pub(super) fn decode(headers: &HeaderMap, body: &[u8]) -> Result<Decoded, CallError> {
    let Ok(message) = serde_json::from_slice::<Value>(body) else { return Err(not_json(body, headers)) };
    if let Some(error) = ErrorBody::in_value(&message) {
        return Err(errors::inside(&error));
    }
    let Some(content) = message.get("content").and_then(Value::as_array) else {
        return Err(not_json(b"{}", headers));
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
                let why = self.refusal.map(|category| format!(" ({category})")).unwrap_or_default();
                let mut error =
                    CallError::new(Kind::AnswerRefused, format!("the model refused to answer{why}"));
                error.request_id = self.id;
                return Err(error);
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
    let arguments = block.get("input").map_or_else(|| "{}".to_owned(), Value::to_string);
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
    let count = |key: &str| usage.get(key).and_then(Value::as_u64).unwrap_or(0);
    let thinking = usage.pointer("/output_tokens_details/thinking_tokens").and_then(Value::as_u64);
    Usage {
        input_tokens: count("input_tokens"),
        cache_read_tokens: count("cache_read_input_tokens"),
        cache_write_tokens: count("cache_creation_input_tokens"),
        output_tokens: count("output_tokens"),
        reasoning_tokens: thinking.unwrap_or(0),
        ..Usage::default()
    }
}
