//! A regular expression as a value of an option.

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Deserializer};

/// Bound of a compiled expression: generous for what a person writes by hand.
const BYTES_MAX: usize = 1 << 20;

/// A regular expression that is known to be one.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Compiles an expression.
    ///
    /// # Errors
    /// If it is none, or too large.
    pub fn new(text: &str) -> Result<Self, regex::Error> {
        RegexBuilder::new(text).size_limit(BYTES_MAX).build().map(Self)
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(|error| {
            // The lines before the last show the expression once more.
            let error = error.to_string();
            let why = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
            serde::de::Error::custom(format!("`{text}` is no regular expression: {why}"))
        })
    }
}
