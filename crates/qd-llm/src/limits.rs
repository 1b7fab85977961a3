//! What a provider says of its limits with each answer, so that callers can slow down before they are refused.
//!
//! How each provider writes it is read in `wires/limits.rs`; what is made of it is decided in `layers/`.

use std::time::Duration;

/// The limits that one answer told of; nothing where it was silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SeenLimits {
    /// Calls.
    pub requests: Option<Seen>,
    /// Tokens of prompts and answers together.
    pub tokens: Option<Seen>,
    /// Tokens of prompts, where they are counted apart.
    pub input_tokens: Option<Seen>,
    /// Tokens of answers, where they are counted apart.
    pub output_tokens: Option<Seen>,
}

/// One limit as it stood when the answer left. At least one of the first three is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// How much may be used within the window.
    pub limit: Option<u64>,
    /// How much of that is left, this call taken off; never above `limit`.
    pub remaining: Option<u64>,
    /// How long until all of it is there again: zero if it is, at most a day.
    pub resets_in: Option<Duration>,
    /// The window.
    pub per: Window,
}

/// The time over which a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// A minute.
    Minute,
    /// A day.
    Day,
}

impl SeenLimits {
    /// Whether nothing was said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether one of the limits is zero: who has no allowance at all need not wait for its reset.
    pub(crate) fn allow_nothing(&self) -> bool {
        let all = [self.requests, self.tokens, self.input_tokens, self.output_tokens];
        all.into_iter().flatten().any(|seen| seen.limit == Some(0))
    }
}
