//! Anthropic's side of the wire, as the simulator plays it: requests and answers.

mod refusals;

use qd_types::{
    ChatReply, ChatRequest, Message, StopReason, ToolCall, ToolChoice, ToolResult, ToolSpec, Usage,
};
use serde_json::{Value, json};

use super::Anthropic;
use super::decode::kind;
use crate::wires::refusal::{Refusal, Standing};
use crate::wires::serve::{PLACE, Said, ServeWire, Served, ServedError, Speech, fill_pieces, missing};

impl ServeWire for Anthropic {
    fn decode(&self, body: &[u8]) -> Result<Served, ServedError> {
        let body: Value = serde_json::from_slice(body)
            .map_err(|error| ServedError(format!("the request body is not valid json: {error}")))?;
        let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
        let max_tokens = body.get("max_tokens").and_then(Value::as_u64).filter(|n| *n > 0);
        let max_tokens = max_tokens.ok_or_else(|| missing("max_tokens"))?;
        let messages = body.get("messages").and_then(Value::as_array).filter(|all| !all.is_empty());
        let request = ChatRequest {
            model: text("model").ok_or_else(|| missing("model"))?,
            system: body.get("system").map(plain).filter(|system| !system.is_empty()),
            messages: read_messages(messages.ok_or_else(|| missing("messages"))?)?,
            tools: body.get("tools").and_then(Value::as_array).into_iter().flatten().map(tool).collect(),
            tool_choice: match body.pointer("/tool_choice/type").and_then(Value::as_str) {
                Some("none") => ToolChoice::None,
                _ => ToolChoice::Auto,
            },
            max_tokens: Some(u32::try_from(max_tokens).unwrap_or(u32::MAX)),
            temperature: body.get("temperature").and_then(Value::as_f64),
            top_p: body.get("top_p").and_then(Value::as_f64),
            stop: texts(body.get("stop_sequences")),
            seed: None,
        };
        let stream = body.get("stream").and_then(Value::as_bool).unwrap_or(false);
        Ok(Served { request, stream, include_usage: true })
    }

    fn reply(&self, said: &Said<'_>) -> String {
        let mut message = envelope(said.reply, said.usage);
        if said.is_refused {
            message["stop_reason"] = json!("refusal");
            message["stop_details"] = refused();
        } else {
            message["content"] = content(said.reply);
            message["stop_reason"] = json!(stop_reason(said.reply.stop));
            message["stop_sequence"] = json!(said.stop_text);
        }
        message.to_string()
    }

    fn speech(&self, said: &Said<'_>, pieces: &[&str], _: &Served) -> Speech {
        let reply = said.reply;
        let at_start = said.usage.map(|usage| Usage { output_tokens: 1, ..*usage });
        let mut opening =
            event(&json!({ "type": "message_start", "message": envelope(reply, at_start.as_ref()) }));
        let ping = event(&json!({ "type": "ping" }));
        let has_text = !reply.text.is_empty() && !said.is_refused;
        let (mut texts, mut tools, mut tools_cut) = (Vec::new(), String::new(), 0);
        if has_text {
            // All pieces look alike but for their text, and there are many of them.
            let delta = json!({ "type": "text_delta", "text": PLACE });
            let pattern = event(&json!({ "type": "content_block_delta", "index": 0, "delta": delta }));
            texts = fill_pieces(&pattern, pieces);
            let block = json!({ "type": "text", "text": "" });
            let start = event(&json!({ "type": "content_block_start", "index": 0, "content_block": block }));
            if let Some(first) = texts.first_mut() {
                first.insert_str(0, &(start + &ping));
            }
            tools += &event(&json!({ "type": "content_block_stop", "index": 0 }));
        } else {
            opening += &ping;
        }
        let calls = if said.is_refused { &[] } else { reply.tool_calls.as_slice() };
        for (index, call) in calls.iter().enumerate() {
            let (events, cut) = tool_events(index + usize::from(has_text), call);
            tools_cut = tools.len() + cut;
            tools += &events;
        }
        let mut delta = json!({ "stop_reason": stop_reason(reply.stop), "stop_sequence": said.stop_text });
        if said.is_refused {
            delta = json!({ "stop_reason": "refusal", "stop_sequence": null, "stop_details": refused() });
        }
        let mut end = json!({ "type": "message_delta", "delta": delta });
        if let Some(usage) = said.usage {
            end["usage"] = json!({ "output_tokens": usage.output_tokens });
        }
        let closing = event(&end) + &event(&json!({ "type": "message_stop" }));
        Speech { opening, pieces: texts, tools, tools_cut, closing }
    }

    fn status(&self, refusal: &Refusal) -> u16 {
        refusal.status
    }

    fn error(&self, refusal: &Refusal) -> String {
        refusals::body(refusal)
    }

    fn error_event(&self, refusal: &Refusal) -> String {
        format!("event: error\ndata: {}\n\n", refusals::body(refusal))
    }

    fn unknown_event(&self) -> String {
        event(&json!({ "type": "weather_report", "weather": "fine" }))
    }

    fn headers(&self, refusal: Option<&Refusal>, standing: Option<&Standing>) -> Vec<(&'static str, String)> {
        refusals::headers(refusal, standing)
    }
}

fn refused() -> Value {
    json!({ "type": "refusal", "category": "cyber", "explanation": "simulated" })
}

fn event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", kind(data))
}

/// The events of a call, and where they break off inside its arguments.
fn tool_events(index: usize, call: &ToolCall) -> (String, usize) {
    let start = json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": {} });
    let mut events = event(&json!({ "type": "content_block_start", "index": index, "content_block": start }));
    let middle = call.arguments.floor_char_boundary(call.arguments.len() / 2);
    let (first, second) = call.arguments.split_at(middle);
    let mut cut = 0;
    for part in ["", first, second] {
        let delta = json!({ "type": "input_json_delta", "partial_json": part });
        cut = events.len();
        events += &event(&json!({ "type": "content_block_delta", "index": index, "delta": delta }));
    }
    (events + &event(&json!({ "type": "content_block_stop", "index": index })), cut)
}

fn envelope(reply: &ChatReply, usage: Option<&Usage>) -> Value {
    let mut message = json!({
        "id": format!("msg_{}", reply.response_id.as_deref().unwrap_or("sim")),
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": [],
        "stop_reason": null,
        "stop_sequence": null
    });
    if let Some(usage) = usage {
        message["usage"] = json!({
            "input_tokens": usage.input_tokens,
            "cache_creation_input_tokens": usage.cache_write_tokens,
            "cache_read_input_tokens": usage.cache_read_tokens,
            "output_tokens": usage.output_tokens,
            "service_tier": "standard"
        });
    }
    message
}

fn content(reply: &ChatReply) -> Value {
    let text = (!reply.text.is_empty()).then(|| json!({ "type": "text", "text": reply.text }));
    let calls = reply.tool_calls.iter().map(|call| {
        let input: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({}));
        json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": input })
    });
    text.into_iter().chain(calls).collect()
}

fn stop_reason(stop: StopReason) -> &'static str {
    match stop {
        StopReason::End => "end_turn",
        StopReason::ToolCalls => "tool_use",
        StopReason::Length => "max_tokens",
        StopReason::StopText => "stop_sequence",
    }
}

fn tool(tool: &Value) -> ToolSpec {
    let text = |key: &str| tool.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let parameters = tool.get("input_schema").cloned().unwrap_or_else(|| json!({}));
    ToolSpec { name: text("name"), description: text("description"), parameters }
}

fn texts(value: Option<&Value>) -> Vec<String> {
    value
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// A string, or blocks of text.
fn plain(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => blocks.iter().filter_map(|b| b.get("text")?.as_str()).collect(),
        _ => String::new(),
    }
}

fn read_messages(all: &[Value]) -> Result<Vec<Message>, ServedError> {
    let mut messages = Vec::new();
    let mut names: Vec<(String, String)> = Vec::new();
    for (index, message) in all.iter().enumerate() {
        let content = message.get("content").unwrap_or(&Value::Null);
        let blocks = content.as_array().map(Vec::as_slice).unwrap_or_default();
        match message.get("role").and_then(Value::as_str) {
            Some("user") => read_user(content, blocks, &names, &mut messages),
            Some("assistant") => {
                let tool_calls: Vec<ToolCall> =
                    blocks.iter().filter(|b| kind(b) == "tool_use").map(read_call).collect();
                names.extend(tool_calls.iter().map(|call| (call.id.clone(), call.name.clone())));
                messages.push(Message::Assistant { text: plain(content), tool_calls, blocks: None });
            }
            _ => return Err(ServedError(format!("messages.{index}.role: must be user or assistant"))),
        }
    }
    Ok(messages)
}

fn read_user(content: &Value, blocks: &[Value], names: &[(String, String)], messages: &mut Vec<Message>) {
    let results: Vec<ToolResult> =
        blocks.iter().filter(|b| kind(b) == "tool_result").map(|b| read_result(b, names)).collect();
    let text = plain(content);
    if !results.is_empty() {
        messages.push(Message::Tool { results });
    }
    if !text.is_empty() || blocks.is_empty() {
        messages.push(Message::User { text });
    }
}

fn read_call(block: &Value) -> ToolCall {
    let text = |key: &str| block.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    ToolCall { id: text("id"), name: text("name"), arguments: block["input"].to_string() }
}

fn read_result(block: &Value, names: &[(String, String)]) -> ToolResult {
    let id = block.get("tool_use_id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let name = names.iter().find(|(call, _)| *call == id).map_or_else(String::new, |(_, name)| name.clone());
    ToolResult {
        id,
        name,
        content: block.get("content").map(plain).unwrap_or_default(),
        is_error: block.get("is_error").and_then(Value::as_bool).unwrap_or(false),
    }
}

#[cfg(test)]
mod tests;
