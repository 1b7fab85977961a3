//! Requests to models and their replies, in words that belong to no vendor.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ToolCall, ToolResult, ToolSpec};

/// One request to a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatRequest {
    /// An alias from `[models]` or `provider/model`.
    pub model: String,
    /// Instructions that stand before the conversation.
    pub system: Option<String>,
    /// The conversation, oldest first; never empty.
    pub messages: Vec<Message>,
    /// What the model may call; empty for none.
    pub tools: Vec<ToolSpec>,
    /// Whether the model may call tools now.
    pub tool_choice: ToolChoice,
    /// Bound of the answer; the wire's default where it needs one.
    pub max_tokens: Option<u32>,
    /// Sampling; the provider's default without.
    pub temperature: Option<f64>,
    /// Nucleus sampling; the provider's default without.
    pub top_p: Option<f64>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// For providers that sample reproducibly.
    pub seed: Option<i64>,
}

impl ChatRequest {
    /// A request with nothing set that need not be.
    #[must_use]
    pub fn new(model: impl Into<String>, messages: Vec<Message>) -> Self {
        Self {
            model: model.into(),
            system: None,
            messages,
            tools: Vec::new(),
            tool_choice: ToolChoice::Auto,
            max_tokens: None,
            temperature: None,
            top_p: None,
            stop: Vec::new(),
            seed: None,
        }
    }
}

/// Whether tools may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// The model decides.
    #[default]
    Auto,
    /// The model must answer in text, though the tools stay declared because the history holds calls.
    None,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum Message {
    /// From the outside.
    User {
        /// What was said.
        text: String,
    },
    /// From the model.
    Assistant {
        /// Its text, possibly empty when it only calls tools.
        text: String,
        /// Calls it asked for.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<ToolCall>,
        /// Its own blocks, sent back verbatim to the same wire.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        blocks: Option<ProviderBlocks>,
    },
    /// Results of the calls of the assistant message before, in their order.
    Tool {
        /// One for each call.
        results: Vec<ToolResult>,
    },
}

impl Message {
    /// Words from the outside.
    #[must_use]
    pub fn user(text: impl Into<String>) -> Self {
        Self::User { text: text.into() }
    }

    /// Words of the model, without calls.
    #[must_use]
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::Assistant { text: text.into(), tool_calls: Vec::new(), blocks: None }
    }
}

/// Content as the provider wrote it (thinking signatures, encrypted reasoning): never taken apart, only sent back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProviderBlocks {
    /// The wire that understands them, e.g. `anthropic`.
    pub wire: String,
    /// The blocks.
    pub content: Value,
}

/// What a model answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatReply {
    /// Its text; may be empty when it calls tools.
    pub text: String,
    /// Calls it asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Why it stopped.
    pub stop: StopReason,
    /// The model that answered, as the provider names it.
    pub model: String,
    /// The provider's id of the answer or of the request, for its support.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_id: Option<String>,
    /// The provider's own blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<ProviderBlocks>,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// It was done.
    End,
    /// It wants tools called.
    ToolCalls,
    /// It reached `max_tokens` or the window.
    Length,
    /// It met a stop text.
    StopText,
}
