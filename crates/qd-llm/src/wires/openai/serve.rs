//! OpenAI's side of the wire, as the simulator plays it: requests and answers.

mod dialect;
mod headers;
mod refusals;

use qd_types::{
    ChatReply, ChatRequest, Message, StopReason, ToolCall, ToolChoice, ToolResult, ToolSpec, Usage,
};
use serde_json::{Value, json};

use super::decode::{arguments, text};
use crate::wires::refusal::{Refusal, Standing};
use crate::wires::serve::{PLACE, Said, ServeWire, Served, ServedError, Speech, fill_pieces, missing};

pub use dialect::Dialect;

/// A fixed date of creation: answers are reproducible.
const CREATED: u64 = 1_767_225_600;

/// What a refusal says.
const REFUSAL: &str = "I'm sorry, but I can't help with that.";

/// The wire as a provider's server speaks it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenAiServer {
    pub(crate) dialect: Dialect,
}

impl ServeWire for OpenAiServer {
    fn decode(&self, body: &[u8]) -> Result<Served, ServedError> {
        let body: Value = serde_json::from_slice(body)
            .map_err(|error| ServedError(format!("could not parse the json body: {error}")))?;
        let messages = body.get("messages").and_then(Value::as_array).filter(|all| !all.is_empty());
        let (system, messages) = read_messages(messages.ok_or_else(|| missing("messages"))?)?;
        let bound = body.get("max_completion_tokens").or_else(|| body.get("max_tokens"));
        let request = ChatRequest {
            model: body.get("model").and_then(Value::as_str).ok_or_else(|| missing("model"))?.to_owned(),
            system,
            messages,
            tools: body.get("tools").and_then(Value::as_array).into_iter().flatten().map(tool).collect(),
            tool_choice: match body.get("tool_choice").and_then(Value::as_str) {
                Some("none") => ToolChoice::None,
                _ => ToolChoice::Auto,
            },
            max_tokens: bound.and_then(Value::as_u64).map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
            temperature: body.get("temperature").and_then(Value::as_f64),
            top_p: body.get("top_p").and_then(Value::as_f64),
            stop: stop(body.get("stop")),
            seed: body.get("seed").and_then(Value::as_i64),
        };
        let flag = |pointer: &str| body.pointer(pointer).and_then(Value::as_bool).unwrap_or(false);
        Ok(Served { request, stream: flag("/stream"), include_usage: flag("/stream_options/include_usage") })
    }

    fn reply(&self, said: &Said<'_>) -> String {
        let reply = said.reply;
        let mut message = json!({ "role": "assistant", "content": content(reply), "refusal": null });
        if said.is_refused {
            message = json!({ "role": "assistant", "content": null, "refusal": REFUSAL });
        } else if !reply.tool_calls.is_empty() {
            message["tool_calls"] = reply.tool_calls.iter().map(call).collect();
        }
        let mut answer = envelope(reply, "chat.completion");
        let reason = if said.is_refused { "stop" } else { finish_reason(reply.stop) };
        answer["choices"] =
            json!([{ "index": 0, "message": message, "logprobs": null, "finish_reason": reason }]);
        if let Some(tokens) = said.usage {
            answer["usage"] = usage(tokens);
        }
        answer.to_string()
    }

    fn speech(&self, said: &Said<'_>, pieces: &[&str], served: &Served) -> Speech {
        let reply = said.reply;
        let chunk = |delta: Value, reason: Option<&str>| {
            let mut chunk = envelope(reply, "chat.completion.chunk");
            chunk["choices"] =
                json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": reason }]);
            event(&chunk)
        };
        let is_text = !said.is_refused && content(reply).is_string();
        let opening = chunk(json!({ "role": "assistant", "content": is_text.then_some("") }), None);
        // All pieces look alike but for their text, and there are many of them.
        let (key, pieces) = if said.is_refused { ("refusal", &[REFUSAL][..]) } else { ("content", pieces) };
        let pieces = fill_pieces(&chunk(json!({ key: PLACE }), None), pieces);
        let (mut tools, mut tools_cut) = (String::new(), 0);
        let calls = if said.is_refused { &[] } else { reply.tool_calls.as_slice() };
        for (index, call) in calls.iter().enumerate() {
            for delta in call_deltas(index, call) {
                tools_cut = tools.len();
                tools += &chunk(json!({ "tool_calls": [delta] }), None);
            }
        }
        let reason = if said.is_refused { "stop" } else { finish_reason(reply.stop) };
        let mut closing = chunk(json!({}), Some(reason));
        if let Some(tokens) = said.usage.filter(|_| served.include_usage) {
            let mut last = envelope(reply, "chat.completion.chunk");
            last["choices"] = json!([]);
            last["usage"] = usage(tokens);
            closing += &event(&last);
        }
        closing += "data: [DONE]\n\n";
        Speech { opening, pieces, tools, tools_cut, closing }
    }

    fn status(&self, refusal: &Refusal) -> u16 {
        refusals::status(self.dialect, refusal)
    }

    fn error(&self, refusal: &Refusal) -> String {
        refusals::body(self.dialect, refusal).to_string()
    }

    fn error_event(&self, refusal: &Refusal) -> String {
        event(&refusals::body(self.dialect, refusal))
    }

    fn unknown_event(&self) -> String {
        event(&json!({ "object": "weather.report", "weather": "fine" }))
    }

    fn headers(&self, refusal: Option<&Refusal>, standing: Option<&Standing>) -> Vec<(&'static str, String)> {
        headers::headers(self.dialect, refusal, standing)
    }
}

fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

fn envelope(reply: &ChatReply, object: &str) -> Value {
    json!({
        "id": format!("chatcmpl-{}", reply.response_id.as_deref().unwrap_or("sim")),
        "object": object,
        "created": CREATED,
        "model": reply.model
    })
}

fn content(reply: &ChatReply) -> Value {
    if reply.text.is_empty() && !reply.tool_calls.is_empty() { Value::Null } else { json!(reply.text) }
}

fn call(call: &ToolCall) -> Value {
    json!({ "id": call.id, "type": "function", "function": { "name": call.name, "arguments": call.arguments } })
}

/// Name first, then the arguments in two pieces.
fn call_deltas(index: usize, call: &ToolCall) -> [Value; 3] {
    let middle = call.arguments.floor_char_boundary(call.arguments.len() / 2);
    let (first, second) = call.arguments.split_at(middle);
    let piece = |arguments: &str| json!({ "index": index, "function": { "arguments": arguments } });
    let start = json!({
        "index": index, "id": call.id, "type": "function", "function": { "name": call.name, "arguments": "" }
    });
    [start, piece(first), piece(second)]
}

fn usage(tokens: &Usage) -> Value {
    json!({
        "prompt_tokens": tokens.prompt_tokens(),
        "completion_tokens": tokens.output_tokens,
        "total_tokens": tokens.total_tokens(),
        "prompt_tokens_details": { "cached_tokens": tokens.cache_read_tokens },
        "completion_tokens_details": { "reasoning_tokens": tokens.reasoning_tokens }
    })
}

fn finish_reason(stop: StopReason) -> &'static str {
    match stop {
        StopReason::End | StopReason::StopText => "stop",
        StopReason::ToolCalls => "tool_calls",
        StopReason::Length => "length",
    }
}

fn tool(tool: &Value) -> ToolSpec {
    let word = |pointer: &str| tool.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let parameters = tool.pointer("/function/parameters").cloned().unwrap_or_else(|| json!({}));
    ToolSpec { name: word("/function/name"), description: word("/function/description"), parameters }
}

fn stop(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

fn read_messages(all: &[Value]) -> Result<(Option<String>, Vec<Message>), ServedError> {
    let (mut system, mut messages) = (Vec::new(), Vec::new());
    let mut names: Vec<(String, String)> = Vec::new();
    for (index, message) in all.iter().enumerate() {
        let text = text(message.get("content"));
        match message.get("role").and_then(Value::as_str) {
            Some("system" | "developer") => system.push(text),
            Some("user") => messages.push(Message::User { text }),
            Some("assistant") => {
                let calls = message.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
                let tool_calls: Vec<ToolCall> = calls.map(read_call).collect();
                names.extend(tool_calls.iter().map(|call| (call.id.clone(), call.name.clone())));
                messages.push(Message::Assistant { text, tool_calls, blocks: None });
            }
            Some("tool") => push_result(&mut messages, read_result(message, text, &names)),
            _ => {
                return Err(ServedError(format!(
                    "messages.{index}.role: must be system, user, assistant or tool"
                )));
            }
        }
    }
    Ok(((!system.is_empty()).then(|| system.join("\n")), messages))
}

/// Results that follow each other belong to one turn.
fn push_result(messages: &mut Vec<Message>, result: ToolResult) {
    match messages.last_mut() {
        Some(Message::Tool { results }) => results.push(result),
        _ => messages.push(Message::Tool { results: vec![result] }),
    }
}

fn read_call(call: &Value) -> ToolCall {
    let word = |pointer: &str| call.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    ToolCall {
        id: word("/id"),
        name: word("/function/name"),
        arguments: arguments(call.pointer("/function/arguments")),
    }
}

fn read_result(message: &Value, content: String, names: &[(String, String)]) -> ToolResult {
    let id = message.get("tool_call_id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let name = names.iter().find(|(call, _)| *call == id).map_or_else(String::new, |(_, name)| name.clone());
    ToolResult { id, name, content, is_error: false }
}

#[cfg(test)]
mod tests;
