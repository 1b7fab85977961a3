//! Why an answer ended, in the words of those who speak OpenAI's protocol: their own, Google's, Anthropic's.

use qd_types::StopReason;
use serde_json::Value;

use crate::error::Kind;

/// What a reason for the end means: an answer, or the kind of failure that it is.
pub(super) fn stop(reason: &str) -> Result<StopReason, Kind> {
    let reason = reason.to_ascii_lowercase();
    // Gemini puts its own word behind OpenAI's: `content_filter: PROHIBITED_CONTENT`.
    match reason.split(':').next().unwrap_or_default().trim() {
        "length" | "max_tokens" | "model_length" | "model_context_window_exceeded" => Ok(StopReason::Length),
        "tool_calls" | "function_call" | "tool_use" => Ok(StopReason::ToolCalls),
        "stop_sequence" => Ok(StopReason::StopText),
        "content_filter"
        | "safety"
        | "recitation"
        | "prohibited_content"
        | "blocklist"
        | "spii"
        | "image_safety"
        | "image_prohibited_content"
        | "image_recitation"
        | "refusal" => Err(Kind::AnswerRefused),
        "function_call_filter"
        | "malformed_function_call"
        | "malformed_response"
        | "unexpected_tool_call"
        | "too_many_tool_calls" => Err(Kind::BadOutput),
        "insufficient_system_resource" => Err(Kind::Overloaded),
        "error" | "abort" | "aborted" | "cancelled" => Err(Kind::StreamInterrupted),
        // `stop`, `eos`, and whatever comes: the message is there.
        _ => Ok(StopReason::End),
    }
}

/// The reason in a choice, if there is one yet: a word, or an object of which the type is one.
pub(super) fn reason(choice: &Value) -> Option<&str> {
    let reason = choice.get("finish_reason")?;
    let word = reason.as_str().or_else(|| reason.get("type")?.as_str())?;
    Some(word).filter(|word| !word.is_empty())
}
