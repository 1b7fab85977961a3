//! OpenAI's completion as a neutral reply. The stream decoder ends here too, with the message it put together.

use http::HeaderMap;
use qd_types::{ChatReply, ProviderBlocks, ToolCall, Usage};
use serde_json::{Map, Value};

use super::{NAME, errors, finish};
use crate::CallError;
use crate::error::Kind;
use crate::wires::answer::{checked, ended_badly, not_json};
use crate::wires::counts::Counts;
use crate::wires::error_body::ErrorBody;
use crate::wires::headers::request_id;
use crate::wires::wire::Decoded;

pub(super) fn decode(headers: &HeaderMap, body: &[u8]) -> Result<Decoded, CallError> {
    let Ok(mut answer) = serde_json::from_slice::<Value>(body) else { return Err(not_json(body)) };
    if let Some(error) = ErrorBody::in_event("", &answer) {
        return Err(errors::inside(headers, &error));
    }
    let text = |key: &str| answer.get(key).and_then(Value::as_str).map(str::to_owned);
    let (id, model) = (text("id").or_else(|| request_id(headers)), text("model").unwrap_or_default());
    let usage = usage(answer.get("usage").unwrap_or(&Value::Null));
    let Some(choice) = answer.pointer_mut("/choices/0") else {
        return Err(not_json(b"{}"));
    };
    // OpenRouter: the provider behind it failed in the middle of its answer.
    if let Some(error) = ErrorBody::in_value(choice) {
        return Err(errors::inside(headers, &error));
    }
    let finish_reason = finish::reason(choice).map(str::to_owned);
    let message = match choice.get_mut("message").map(Value::take) {
        Some(Value::Object(message)) => message,
        _ => Map::new(),
    };
    Finished { id, model, finish_reason, usage, message }.into_decoded()
}

/// A complete message, streamed or not.
pub(super) struct Finished {
    pub(super) id: Option<String>,
    pub(super) model: String,
    pub(super) finish_reason: Option<String>,
    pub(super) usage: Usage,
    pub(super) message: Map<String, Value>,
}

impl Finished {
    pub(super) fn into_decoded(self) -> Result<Decoded, CallError> {
        let text = text(self.message.get("content"));
        let tool_calls = tool_calls(&self.message);
        let refusal = self.message.get("refusal").and_then(Value::as_str).filter(|r| !r.is_empty());
        let fail = |kind, why: &str| ended_badly(kind, why, self.id.clone());
        let reason = self.finish_reason.as_deref().unwrap_or("stop");
        let stop = finish::stop(reason).map_err(|kind| fail(kind, reason))?;
        if let Some(refusal) = refusal.filter(|_| text.is_empty() && tool_calls.is_empty()) {
            return Err(fail(Kind::AnswerRefused, refusal));
        }
        let blocks = needs_blocks(&self.message)
            .then(|| ProviderBlocks { wire: NAME.to_owned(), content: Value::Object(self.message.clone()) });
        let reply =
            ChatReply { text, tool_calls, stop, model: self.model, response_id: self.id.clone(), blocks };
        checked(reply, self.usage)
    }
}

/// A string, or parts of which some are text; those of reasoning are not.
pub(super) fn text(content: Option<&Value>) -> String {
    let is_text = |part: &&Value| {
        matches!(part.get("type").and_then(Value::as_str), None | Some("text" | "output_text"))
    };
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            parts.iter().filter(is_text).filter_map(|part| part.get("text")?.as_str()).collect()
        }
        _ => String::new(),
    }
}

/// The calls under `tool_calls`: a list, though some servers send a single one bare.
pub(super) fn calls(value: Option<&Value>) -> &[Value] {
    match value {
        Some(Value::Array(calls)) => calls,
        Some(call @ Value::Object(_)) => std::slice::from_ref(call),
        _ => &[],
    }
}

fn tool_calls(message: &Map<String, Value>) -> Vec<ToolCall> {
    let calls = calls(message.get("tool_calls")).iter().filter_map(|call| {
        let function = call.get("function")?;
        Some(ToolCall {
            id: call.get("id").and_then(Value::as_str).unwrap_or_default().to_owned(),
            name: function.get("name")?.as_str()?.to_owned(),
            arguments: arguments(function.get("arguments")),
        })
    });
    calls.collect()
}

/// A string of JSON, though some servers send the object itself.
pub(super) fn arguments(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    }
}

/// Blocks are kept where text and calls would not make the same message again: reasoning, signatures of calls.
fn needs_blocks(message: &Map<String, Value>) -> bool {
    const NEUTRAL: &[&str] =
        &["role", "content", "tool_calls", "refusal", "annotations", "audio", "function_call"];
    let holds_something = |value: &Value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(all) => !all.is_empty(),
        Value::Object(all) => !all.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    };
    let calls = calls(message.get("tool_calls")).iter();
    message.iter().any(|(key, value)| !NEUTRAL.contains(&key.as_str()) && holds_something(value))
        || calls.filter_map(Value::as_object).any(|call| {
            call.iter().any(|(key, value)| {
                !["id", "type", "function", "index"].contains(&key.as_str()) && holds_something(value)
            })
        })
        || message.get("content").and_then(Value::as_array).is_some_and(|parts| {
            parts.iter().any(|part| part.get("type").and_then(Value::as_str) != Some("text"))
        })
}

/// Tokens as counted here: what was read from a cache or written to one is taken out of the input.
pub(super) fn usage(usage: &Value) -> Usage {
    let mut counts = Counts::of(usage);
    let prompt = counts.at("/prompt_tokens").unwrap_or(0);
    let completion = counts.at("/completion_tokens").unwrap_or(0);
    let cached = counts.at("/prompt_tokens_details/cached_tokens");
    let cached = cached.or_else(|| counts.at("/prompt_cache_hit_tokens"));
    let cache_read_tokens = cached.unwrap_or(0).min(prompt);
    let fresh = prompt - cache_read_tokens;
    let cache_write_tokens = counts.at("/prompt_tokens_details/cache_write_tokens").unwrap_or(0).min(fresh);
    // Gemini and some others leave the reasoning out of the completion and count it in the total alone.
    let rest = counts.at("/total_tokens").unwrap_or(0).saturating_sub(prompt);
    let output_tokens = completion.max(rest);
    let reasoning = counts.at("/completion_tokens_details/reasoning_tokens");
    counts.sound(Usage {
        input_tokens: fresh - cache_write_tokens,
        cache_read_tokens,
        cache_write_tokens,
        output_tokens,
        reasoning_tokens: reasoning.unwrap_or(output_tokens - completion).min(output_tokens),
        ..Usage::default()
    })
}
