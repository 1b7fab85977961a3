//! A neutral request as Anthropic's JSON.
//!
//! The rules behind it: `max_tokens` is required, the first message is the user's, roles alternate, no text is empty,
//! and whoever sends tool blocks declares tools.

use std::collections::BTreeSet;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, HeaderName};
use qd_types::{ChatRequest, Message, ToolCall, ToolChoice, ToolResult, ToolSpec};
use serde_json::{Map, Value, json};

use super::{NAME, prompt_cache};
use crate::wires::wire::{Endpoint, HttpParts};

const DEFAULT_MAX_TOKENS: u32 = 1024;
const VERSION: &str = "2023-06-01";

pub(super) fn encode(request: &ChatRequest, endpoint: &Endpoint) -> HttpParts {
    let base = endpoint.base_url.trim_end_matches('/');
    let url = if base.ends_with("/v1") { format!("{base}/messages") } else { format!("{base}/v1/messages") };
    HttpParts { url, headers: headers(endpoint), body: body(request, endpoint).to_string().into_bytes() }
}

fn headers(endpoint: &Endpoint) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(HeaderName::from_static("anthropic-version"), HeaderValue::from_static(VERSION));
    if let Some(mut key) = endpoint.api_key.as_ref().and_then(|k| HeaderValue::from_str(k.expose()).ok()) {
        key.set_sensitive(true);
        headers.insert(HeaderName::from_static("x-api-key"), key);
    }
    headers
}

fn body(request: &ChatRequest, endpoint: &Endpoint) -> Value {
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(endpoint.model));
    let max_tokens = request.max_tokens.or(endpoint.max_tokens).unwrap_or(DEFAULT_MAX_TOKENS);
    body.insert("max_tokens".to_owned(), json!(max_tokens));
    if let Some(system) = request.system.as_deref().filter(|system| !system.trim().is_empty()) {
        body.insert("system".to_owned(), json!(system));
    }
    body.insert("messages".to_owned(), messages(&request.messages));
    let tools = tools(request);
    if !tools.is_empty() {
        let may_call = request.tool_choice == ToolChoice::Auto && !request.tools.is_empty();
        body.insert("tools".to_owned(), Value::Array(tools));
        body.insert("tool_choice".to_owned(), json!({ "type": if may_call { "auto" } else { "none" } }));
    }
    if let Some(temperature) = request.temperature.or(endpoint.temperature) {
        body.insert("temperature".to_owned(), json!(temperature));
    }
    if let Some(top_p) = request.top_p.or(endpoint.top_p) {
        body.insert("top_p".to_owned(), json!(top_p));
    }
    // Stop texts of blanks alone are refused.
    let stop: Vec<&String> = request.stop.iter().filter(|text| !text.trim().is_empty()).collect();
    if !stop.is_empty() {
        body.insert("stop_sequences".to_owned(), json!(stop));
    }
    if endpoint.stream {
        body.insert("stream".to_owned(), json!(true));
    }
    if endpoint.prompt_cache {
        prompt_cache::mark(&mut body, request);
    }
    Value::Object(body)
}

fn tools(request: &ChatRequest) -> Vec<Value> {
    if !request.tools.is_empty() {
        return request.tools.iter().map(tool).collect();
    }
    // A history with tool blocks and no declaration is refused, so its tools are declared by name and not offered.
    let mut names = BTreeSet::new();
    for message in &request.messages {
        if let Message::Assistant { tool_calls, .. } = message {
            names.extend(tool_calls.iter().map(|call| call.name.as_str()));
        }
    }
    names.into_iter().map(|name| json!({ "name": name, "input_schema": { "type": "object" } })).collect()
}

fn tool(spec: &ToolSpec) -> Value {
    json!({ "name": spec.name, "description": spec.description, "input_schema": spec.parameters })
}

fn messages(messages: &[Message]) -> Value {
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in messages {
        let (role, blocks) = match message {
            Message::User { text } => ("user", text_block(text)),
            Message::Assistant { blocks: Some(blocks), .. } if blocks.wire == NAME => {
                ("assistant", blocks.content.as_array().cloned().unwrap_or_default())
            }
            Message::Assistant { text, tool_calls, .. } => ("assistant", assistant_blocks(text, tool_calls)),
            Message::Tool { results } => ("user", results.iter().map(tool_result).collect()),
        };
        if blocks.is_empty() {
            continue;
        }
        match turns.last_mut() {
            Some((last, all)) if *last == role => all.extend(blocks),
            _ => turns.push((role, blocks)),
        }
    }
    if turns.first().is_none_or(|(role, _)| *role != "user") {
        turns.insert(0, ("user", text_block("(the conversation goes on)")));
    }
    turns.into_iter().map(|(role, content)| json!({ "role": role, "content": content })).collect()
}

fn text_block(text: &str) -> Vec<Value> {
    if text.trim().is_empty() { Vec::new() } else { vec![json!({ "type": "text", "text": text })] }
}

fn assistant_blocks(text: &str, tool_calls: &[ToolCall]) -> Vec<Value> {
    // A last message of the assistant must not end in blanks; elsewhere it does no harm to trim.
    let mut blocks = text_block(text.trim_end());
    blocks.extend(tool_calls.iter().map(|call| {
        json!({ "type": "tool_use", "id": id(&call.id), "name": call.name, "input": input(&call.arguments) })
    }));
    blocks
}

/// Arguments have to be an object, whatever the model once wrote.
fn input(arguments: &str) -> Value {
    match serde_json::from_str(arguments) {
        Ok(Value::Object(object)) => Value::Object(object),
        _ if arguments.trim().is_empty() => json!({}),
        _ => json!({ "invalid_arguments": arguments }),
    }
}

fn tool_result(result: &ToolResult) -> Value {
    let mut block = json!({ "type": "tool_result", "tool_use_id": id(&result.id) });
    if !result.content.is_empty() {
        block["content"] = json!(result.content);
    }
    if result.is_error {
        block["is_error"] = json!(true);
    }
    block
}

/// Ids of other wires may hold characters that are refused here.
fn id(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' }).collect()
}
