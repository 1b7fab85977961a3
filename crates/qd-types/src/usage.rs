//! Tokens and calls, counted.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// What model calls used, normalised over providers: the input classes do not overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Calls made on the wire and answered.
    pub model_calls: u32,
    /// Tools executed.
    pub tool_calls: u32,
    /// Prompt tokens that were neither read from nor written to a provider's cache.
    pub input_tokens: u64,
    /// Prompt tokens read from the provider's cache.
    pub cache_read_tokens: u64,
    /// Prompt tokens written to the provider's cache.
    pub cache_write_tokens: u64,
    /// Answer tokens, reasoning included.
    pub output_tokens: u64,
    /// Of the answer tokens, those spent on reasoning.
    pub reasoning_tokens: u64,
    /// Calls whose price is not known, so that a cost is not taken for complete.
    pub unpriced_calls: u32,
}

impl Usage {
    /// All prompt tokens.
    #[must_use]
    pub fn prompt_tokens(&self) -> u64 {
        self.input_tokens + self.cache_read_tokens + self.cache_write_tokens
    }

    /// Prompt and answer.
    #[must_use]
    pub fn total_tokens(&self) -> u64 {
        self.prompt_tokens() + self.output_tokens
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.model_calls += other.model_calls;
        self.tool_calls += other.tool_calls;
        self.input_tokens += other.input_tokens;
        self.cache_read_tokens += other.cache_read_tokens;
        self.cache_write_tokens += other.cache_write_tokens;
        self.output_tokens += other.output_tokens;
        self.reasoning_tokens += other.reasoning_tokens;
        self.unpriced_calls += other.unpriced_calls;
    }
}
