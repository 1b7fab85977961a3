//! Marks of the parts of a prompt that the provider is to keep for a few minutes, where that pays.
//!
//! Writing costs a quarter more than reading afresh, taking from the cache a tenth. So a prompt is marked when its next
//! turn will begin with it: there are tools, or it is a turn of a conversation already. Tools, system and messages are one
//! prefix in this order, which is the order of all turns of a task.

use qd_types::{ChatRequest, Message};
use serde_json::{Map, Value, json};

/// Shorter prompts are not kept by any model.
const TOKENS_MIN: f64 = 1_024.0;
/// A low estimate of what makes a token.
const BYTES_PER_TOKEN: f64 = 3.5;

/// Marks the end of tools and system, and of the last message.
pub(super) fn mark(body: &mut Map<String, Value>, request: &ChatRequest) {
    if !pays(body, request) {
        return;
    }
    if let Some(Value::String(system)) = body.get("system") {
        let block = json!({ "type": "text", "text": system, "cache_control": ephemeral() });
        body.insert("system".to_owned(), json!([block]));
    } else if let Some(tool) = body.get_mut("tools").and_then(last) {
        tool["cache_control"] = ephemeral();
    }
    let content = body.get_mut("messages").and_then(last).and_then(|message| message.get_mut("content"));
    if let Some(block) = content.and_then(last).filter(|block| bears_a_mark(block)) {
        block["cache_control"] = ephemeral();
    }
}

fn ephemeral() -> Value {
    json!({ "type": "ephemeral" })
}

fn last(list: &mut Value) -> Option<&mut Value> {
    list.as_array_mut()?.last_mut()
}

/// Blocks of thinking do not.
fn bears_a_mark(block: &Value) -> bool {
    matches!(block["type"].as_str(), Some("text" | "tool_use" | "tool_result"))
}

fn pays(body: &Map<String, Value>, request: &ChatRequest) -> bool {
    let goes_on = request.messages.iter().any(|message| matches!(message, Message::Assistant { .. }));
    let is_asked_again = !request.tools.is_empty() || goes_on;
    is_asked_again && tokens(body) >= TOKENS_MIN
}

#[allow(clippy::cast_precision_loss)] // Far below where it begins.
fn tokens(body: &Map<String, Value>) -> f64 {
    let parts = ["tools", "system", "messages"].into_iter().filter_map(|part| body.get(part));
    let bytes: usize = parts.map(|part| part.to_string().len()).sum();
    bytes as f64 / BYTES_PER_TOKEN
}
