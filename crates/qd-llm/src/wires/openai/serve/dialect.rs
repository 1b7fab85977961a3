//! Who speaks the wire: its errors differ more than its answers.

use serde::Deserialize;

/// Whose errors and headers a simulated server sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// OpenAI itself.
    #[default]
    Openai,
    /// Groq: requests are limited by the day, and a request larger than a minute's tokens is a 413.
    Groq,
    /// Gemini: errors stand in a list, the wait in the body, and no header tells of limits.
    Gemini,
    /// OpenRouter: the code of an error is its status.
    Openrouter,
    /// Ollama: an error is a text.
    Ollama,
    /// The server of llama.cpp.
    LlamaCpp,
    /// vLLM.
    Vllm,
}
