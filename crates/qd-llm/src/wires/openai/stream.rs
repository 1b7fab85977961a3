//! OpenAI's chunks, put together to the message that an answer in one piece would have been.

use http::HeaderMap;
use serde_json::{Map, Value, json};

use super::decode::{Finished, arguments, calls, text, usage};
use super::{errors, finish};
use crate::CallError;
use crate::error::Kind;
use crate::wires::answer::interrupted;
use crate::wires::error_body::ErrorBody;
use crate::wires::sse::SseEvent;
use crate::wires::wire::{Decoded, Progress, StreamDecoder};

/// Calls of one message at most.
const MAX_TOOL_CALLS: usize = 256;

#[derive(Default)]
pub(super) struct Decoder {
    id: Option<String>,
    model: String,
    finish_reason: Option<String>,
    done: bool,
    usage: Value,
    content: String,
    calls: Vec<PartialCall>,
    /// Everything else of the message: reasoning in its various forms.
    extra: Map<String, Value>,
}

#[derive(Default)]
struct PartialCall {
    /// The server's number for it, if it sends any.
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
    extra: Map<String, Value>,
}

impl StreamDecoder for Decoder {
    fn event(&mut self, event: &SseEvent, said: &mut String) -> Result<Progress, CallError> {
        if event.data.trim() == "[DONE]" {
            self.done = true;
            return Ok(Progress::Done);
        }
        let Ok(mut chunk) = serde_json::from_str::<Value>(&event.data) else {
            return Err(CallError::new(Kind::BadOutput, "the stream holds an event that is no json"));
        };
        // Groq: why it stopped early.
        let early = chunk.get("x_groq").and_then(ErrorBody::in_value);
        if let Some(error) = ErrorBody::in_event(&event.name, &chunk).or(early) {
            return Err(errors::inside(&HeaderMap::new(), &error));
        }
        self.envelope(&chunk);
        let Some(choice) = chunk.pointer_mut("/choices/0") else { return Ok(Progress::Nothing) };
        if let Some(reason) = finish::reason(choice) {
            self.finish_reason = Some(reason.to_owned());
        }
        // A whole message instead of a piece: from servers that do not stream though they were asked to.
        let piece = if choice.get("delta").is_some() { "delta" } else { "message" };
        match choice.get_mut(piece).map(Value::take) {
            Some(Value::Object(delta)) => self.add(delta, said),
            _ => Ok(Progress::Nothing),
        }
    }

    fn is_complete(&self) -> bool {
        self.finish_reason.is_some() || self.done
    }

    fn finish(self: Box<Self>) -> Result<Decoded, CallError> {
        if !self.is_complete() {
            return Err(interrupted());
        }
        let mut message = Map::new();
        message.insert("role".to_owned(), json!("assistant"));
        message.insert("content".to_owned(), json!(self.content));
        if !self.calls.is_empty() {
            message.insert("tool_calls".to_owned(), self.calls.into_iter().map(PartialCall::whole).collect());
        }
        message.extend(self.extra);
        let finished = Finished {
            id: self.id,
            model: self.model,
            finish_reason: self.finish_reason,
            usage: usage(&self.usage),
            message,
        };
        finished.into_decoded()
    }
}

impl Decoder {
    fn envelope(&mut self, chunk: &Value) {
        let word =
            |key: &str| chunk.get(key).and_then(Value::as_str).filter(|w| !w.is_empty()).map(str::to_owned);
        if self.id.is_none() {
            self.id = word("id");
        }
        if self.model.is_empty() {
            self.model = word("model").unwrap_or_default();
        }
        // Groq sends it under its own name; others send it more than once, counting up.
        let usage = chunk.get("usage").or_else(|| chunk.pointer("/x_groq/usage"));
        if let Some(usage) = usage.filter(|usage| usage.is_object()) {
            self.usage = usage.clone();
        }
    }

    fn add(&mut self, delta: Map<String, Value>, said: &mut String) -> Result<Progress, CallError> {
        let mut progress = Progress::Nothing;
        for (key, value) in delta {
            match key.as_str() {
                "role" | "function_call" => continue,
                "content" => {
                    let piece = text(Some(&value));
                    if piece.is_empty() && !value.is_array() {
                        continue;
                    }
                    self.content.push_str(&piece);
                    said.push_str(&piece);
                }
                "tool_calls" => {
                    for call in calls(Some(&value)) {
                        self.add_call(call)?;
                    }
                }
                _ => {
                    if value.is_null() {
                        continue;
                    }
                    merge(&mut self.extra, key, value);
                }
            }
            progress = Progress::Content;
        }
        Ok(progress)
    }

    fn add_call(&mut self, piece: &Value) -> Result<(), CallError> {
        let word = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let (index, id) = (piece.get("index").and_then(Value::as_u64), word(piece.get("id")));
        let name = word(piece.pointer("/function/name"));
        let arguments = arguments(piece.pointer("/function/arguments"));
        let at = self.place(index, &id, &name, &arguments);
        if at >= MAX_TOOL_CALLS {
            return Err(CallError::new(
                Kind::HopelessOutput,
                format!("the answer asks for more than {MAX_TOOL_CALLS} tool calls"),
            ));
        }
        if at == self.calls.len() {
            self.calls.push(PartialCall { index, ..PartialCall::default() });
        }
        let call = &mut self.calls[at];
        if call.id.is_empty() {
            call.id = id;
        }
        if call.name.is_empty() {
            call.name = name;
        }
        call.arguments.push_str(&arguments);
        for (key, value) in piece.as_object().into_iter().flatten() {
            if !["index", "id", "type", "function"].contains(&key.as_str()) && !value.is_null() {
                merge(&mut call.extra, key.clone(), value.clone());
            }
        }
        Ok(())
    }

    /// Which call a piece belongs to; one past the last for a new one. Some servers number every call 0 and tell them
    /// apart by id alone, some send no number at all, and some neither: then a name begins a call, unless it repeats
    /// that of a call which still lacks something.
    fn place(&self, index: Option<u64>, id: &str, name: &str, arguments: &str) -> usize {
        let same = self.calls.iter().rposition(|call| match index {
            Some(index) => call.index == Some(index),
            None => true,
        });
        let Some(at) = same else { return self.calls.len() };
        let call = &self.calls[at];
        let is_another = if id.is_empty() {
            let is_named = !name.is_empty() && !call.name.is_empty();
            let goes_on = call.name == name && (arguments.is_empty() || !call.is_whole());
            is_named && (index.is_none() || !goes_on)
        } else {
            !call.id.is_empty() && call.id != id
        };
        if is_another { self.calls.len() } else { at }
    }
}

impl PartialCall {
    /// Whether its arguments are all there.
    fn is_whole(&self) -> bool {
        serde_json::from_str::<serde::de::IgnoredAny>(&self.arguments).is_ok()
    }

    fn whole(self) -> Value {
        let mut call = json!({
            "id": self.id,
            "type": "function",
            "function": { "name": self.name, "arguments": self.arguments }
        });
        for (key, value) in self.extra {
            call[key] = value;
        }
        call
    }
}

/// Texts grow, lists grow, anything else is replaced.
fn merge(all: &mut Map<String, Value>, key: String, value: Value) {
    match (all.get_mut(&key), value) {
        (Some(Value::String(text)), Value::String(more)) => text.push_str(&more),
        (Some(Value::Array(list)), Value::Array(more)) => list.extend(more),
        (_, value) => {
            all.insert(key, value);
        }
    }
}
