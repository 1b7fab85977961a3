//! Counts of tokens as providers write them.
//!
//! A count that cannot be (negative, a fraction, beyond any window) makes all counts of its answer worthless: they are
//! dropped, and the answer counts as one without usage, which is estimated and has no price. Counts that contradict
//! each other are clamped: a part is never larger than its whole.

use qd_types::Usage;
use serde_json::Value;

/// No window of a model comes near.
const TOKENS_MAX: u64 = 100_000_000;

/// The `usage` of an answer while it is read.
pub(crate) struct Counts<'a> {
    usage: &'a Value,
    is_sound: bool,
}

impl<'a> Counts<'a> {
    pub(crate) fn of(usage: &'a Value) -> Self {
        Self { usage, is_sound: true }
    }

    /// The count at a JSON pointer, if there is one.
    pub(crate) fn at(&mut self, pointer: &str) -> Option<u64> {
        let value = self.usage.pointer(pointer).filter(|value| !value.is_null())?;
        let count = whole(value).filter(|count| *count <= TOKENS_MAX);
        self.is_sound &= count.is_some();
        count
    }

    /// The usage, if every count that was asked for could be.
    pub(crate) fn sound(self, usage: Usage) -> Usage {
        if self.is_sound { usage } else { Usage::default() }
    }
}

/// A whole number, though some write it as a float and some as text.
fn whole(value: &Value) -> Option<u64> {
    if let Some(text) = value.as_str() {
        return text.parse().ok();
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    value.as_u64().or_else(|| {
        let float = value.as_f64().filter(|float| float.fract() == 0.0 && (0.0..1e15).contains(float))?;
        Some(float as u64)
    })
}
