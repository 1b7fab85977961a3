//! Anthropic's events, put together to the message that an answer in one piece would have been.

use http::HeaderMap;
use qd_types::ToolCall;
use serde_json::{Value, json};

use super::decode::{Finished, kind, refusal, usage};
use super::errors;
use crate::CallError;
use crate::error::Kind;
use crate::wires::answer::interrupted;
use crate::wires::error_body::ErrorBody;
use crate::wires::sse::SseEvent;
use crate::wires::wire::{Decoded, Progress, StreamDecoder};

/// Blocks of one message at most.
const MAX_BLOCKS: usize = 1024;

#[derive(Default)]
pub(super) struct Decoder {
    id: Option<String>,
    model: String,
    /// By index, with the tool input as far as it came.
    blocks: Vec<(Value, String)>,
    usage: Value,
    stop_reason: Option<String>,
    refusal: Option<String>,
}

impl StreamDecoder for Decoder {
    fn event(&mut self, event: &SseEvent, said: &mut String) -> Result<Progress, CallError> {
        // The type stands in the data too; the event's name may be lost on the way through proxies.
        let Ok(mut data) = serde_json::from_str::<Value>(&event.data) else {
            return Err(CallError::new(Kind::BadOutput, "the stream holds an event that is no json"));
        };
        if let Some(error) = ErrorBody::in_event(&event.name, &data) {
            return Err(errors::inside(&HeaderMap::new(), &error));
        }
        match kind(&data) {
            "message_start" => self.start(&mut data["message"]),
            "content_block_start" => self.start_block(&mut data, said)?,
            "content_block_delta" => {
                let index = index(&data)?;
                self.add(index, &data["delta"], said)?;
                return Ok(Progress::Content);
            }
            "message_delta" => self.end(&data),
            "message_stop" => return Ok(Progress::Done),
            // `ping`, `content_block_stop`, and whatever is invented later.
            _ => {}
        }
        Ok(Progress::Nothing)
    }

    fn is_complete(&self) -> bool {
        self.stop_reason.is_some()
    }

    fn finish(self: Box<Self>) -> Result<Decoded, CallError> {
        if !self.is_complete() {
            return Err(interrupted());
        }
        let mut tool_calls = Vec::new();
        let mut content = Vec::new();
        for (mut block, input) in self.blocks {
            if kind(&block) == "tool_use" {
                let text = |key: &str| block.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
                let call = ToolCall { id: text("id"), name: text("name"), arguments: input };
                block["input"] = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({}));
                tool_calls.push(call);
            }
            content.push(block);
        }
        let finished = Finished {
            id: self.id,
            model: self.model,
            stop_reason: self.stop_reason,
            refusal: self.refusal,
            usage: usage(&self.usage),
            content,
            tool_calls,
        };
        finished.into_decoded()
    }
}

impl Decoder {
    fn start(&mut self, message: &mut Value) {
        self.id = message.get("id").and_then(Value::as_str).map(str::to_owned);
        self.model = message.get("model").and_then(Value::as_str).unwrap_or_default().to_owned();
        self.usage = message.get_mut("usage").map(Value::take).unwrap_or_default();
    }

    fn start_block(&mut self, data: &mut Value, said: &mut String) -> Result<(), CallError> {
        // Blocks come in order; one in the wrong place would put the message together wrongly.
        if index(data)? != self.blocks.len() || self.blocks.len() >= MAX_BLOCKS {
            return Err(out_of_order());
        }
        let block = data["content_block"].take();
        if let Some(text) = block.get("text").and_then(Value::as_str) {
            said.push_str(text);
        }
        // Some send the whole input at once, with the start of its block.
        let input = block.get("input").filter(|i| i.as_object().is_some_and(|i| !i.is_empty()));
        let input = input.map(Value::to_string).unwrap_or_default();
        self.blocks.push((block, input));
        Ok(())
    }

    fn add(&mut self, index: usize, delta: &Value, said: &mut String) -> Result<(), CallError> {
        let Some((block, input)) = self.blocks.get_mut(index) else { return Err(out_of_order()) };
        let text = |key: &str| delta.get(key).and_then(Value::as_str).unwrap_or_default();
        match kind(delta) {
            "text_delta" => {
                said.push_str(text("text"));
                append(block, "text", text("text"));
            }
            "input_json_delta" => input.push_str(text("partial_json")),
            "thinking_delta" => append(block, "thinking", text("thinking")),
            "signature_delta" => append(block, "signature", text("signature")),
            "citations_delta" => match block.get_mut("citations").and_then(Value::as_array_mut) {
                Some(citations) => citations.push(delta["citation"].clone()),
                None => block["citations"] = json!([delta["citation"]]),
            },
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, data: &Value) {
        let delta = &data["delta"];
        // A later event without a reason takes nothing back.
        if let Some(reason) = delta.get("stop_reason").and_then(Value::as_str) {
            self.stop_reason = Some(reason.to_owned());
            self.refusal = refusal(delta);
        }
        // Counts are cumulative, and a field that is absent here was said at the start.
        if let (Some(all), Some(new)) = (self.usage.as_object_mut(), data["usage"].as_object()) {
            all.extend(new.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), v.clone())));
        } else if data["usage"].is_object() {
            self.usage = data["usage"].clone();
        }
    }
}

fn append(block: &mut Value, key: &str, text: &str) {
    match block.get_mut(key) {
        Some(Value::String(all)) => all.push_str(text),
        _ => block[key] = json!(text),
    }
}

fn index(data: &Value) -> Result<usize, CallError> {
    data["index"].as_u64().and_then(|index| usize::try_from(index).ok()).ok_or_else(out_of_order)
}

fn out_of_order() -> CallError {
    CallError::new(Kind::BadOutput, "the stream's blocks are out of order")
}
