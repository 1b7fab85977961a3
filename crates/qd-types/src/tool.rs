//! Tools as the model sees them, and what passes between the two.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a model is told about a tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// `[a-z0-9_]`, at most 64 characters: what every provider accepts.
    pub name: String,
    /// When and how to use it.
    pub description: String,
    /// JSON Schema of the arguments, an object schema.
    pub parameters: Value,
}

/// A call that a model asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The provider's id, echoed with the result. The wire makes one up where the provider sent none.
    pub id: String,
    /// As the model wrote it; it may not exist.
    pub name: String,
    /// As the model wrote them; they may not be JSON.
    pub arguments: String,
}

/// What goes back to the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolResult {
    /// Id of the [`ToolCall`].
    pub id: String,
    /// Name of the tool that was called.
    pub name: String,
    /// Text for the model.
    pub content: String,
    /// Whether the content is an error that the model should mend.
    pub is_error: bool,
}
