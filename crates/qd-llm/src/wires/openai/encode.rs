//! A neutral request as OpenAI's JSON.

use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use qd_types::{ChatRequest, Message, ToolCall, ToolChoice, ToolSpec};
use serde_json::{Map, Value, json};

use super::NAME;
use crate::wires::wire::{Endpoint, HttpParts};

pub(super) fn encode(request: &ChatRequest, endpoint: &Endpoint) -> HttpParts {
    let url = format!("{}/chat/completions", endpoint.base_url.trim_end_matches('/'));
    HttpParts { url, headers: headers(endpoint), body: body(request, endpoint).to_string().into_bytes() }
}

fn headers(endpoint: &Endpoint) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let key = endpoint.api_key.as_ref().map(|key| format!("Bearer {}", key.expose()));
    if let Some(mut key) = key.and_then(|key| HeaderValue::from_str(&key).ok()) {
        key.set_sensitive(true);
        headers.insert(AUTHORIZATION, key);
    }
    headers
}

fn body(request: &ChatRequest, endpoint: &Endpoint) -> Value {
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(endpoint.model));
    body.insert("messages".to_owned(), messages(request));
    if !request.tools.is_empty() {
        body.insert("tools".to_owned(), request.tools.iter().map(tool).collect());
        let choice = match request.tool_choice {
            ToolChoice::Auto => "auto",
            ToolChoice::None => "none",
        };
        body.insert("tool_choice".to_owned(), json!(choice));
    }
    if let Some(max_tokens) = request.max_tokens.or(endpoint.max_tokens) {
        body.insert(max_tokens_field(&endpoint.base_url).to_owned(), json!(max_tokens));
    }
    if let Some(temperature) = request.temperature.or(endpoint.temperature) {
        body.insert("temperature".to_owned(), json!(temperature));
    }
    if let Some(top_p) = request.top_p.or(endpoint.top_p) {
        body.insert("top_p".to_owned(), json!(top_p));
    }
    if !request.stop.is_empty() {
        body.insert("stop".to_owned(), json!(request.stop));
    }
    if let Some(seed) = request.seed {
        body.insert("seed".to_owned(), json!(seed));
    }
    if endpoint.stream {
        body.insert("stream".to_owned(), json!(true));
        body.insert("stream_options".to_owned(), json!({ "include_usage": true }));
    }
    Value::Object(body)
}

/// OpenAI's own newer models refuse `max_tokens`; many others know nothing else.
fn max_tokens_field(base_url: &str) -> &'static str {
    let host = base_url.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
    if host.as_deref() == Some("api.openai.com") { "max_completion_tokens" } else { "max_tokens" }
}

fn tool(spec: &ToolSpec) -> Value {
    json!({
        "type": "function",
        "function": { "name": spec.name, "description": spec.description, "parameters": spec.parameters }
    })
}

fn messages(request: &ChatRequest) -> Value {
    let system = request.system.as_deref().filter(|system| !system.trim().is_empty());
    let mut all: Vec<Value> =
        system.map(|text| json!({ "role": "system", "content": text })).into_iter().collect();
    for message in &request.messages {
        match message {
            Message::User { text } => all.push(json!({ "role": "user", "content": text })),
            Message::Assistant { blocks: Some(blocks), .. } if blocks.wire == NAME => {
                let mut message = blocks.content.clone();
                message["role"] = json!("assistant");
                all.push(message);
            }
            Message::Assistant { text, tool_calls, .. } => all.push(assistant(text, tool_calls)),
            Message::Tool { results } => all.extend(results.iter().map(
                |result| json!({ "role": "tool", "tool_call_id": result.id, "content": result.content }),
            )),
        }
    }
    Value::Array(all)
}

fn assistant(text: &str, tool_calls: &[ToolCall]) -> Value {
    if tool_calls.is_empty() {
        return json!({ "role": "assistant", "content": text });
    }
    let calls = tool_calls.iter().map(|call| {
        json!({ "id": call.id, "type": "function", "function": { "name": call.name, "arguments": call.arguments } })
    });
    let content = if text.is_empty() { Value::Null } else { json!(text) };
    json!({ "role": "assistant", "content": content, "tool_calls": calls.collect::<Vec<_>>() })
}
