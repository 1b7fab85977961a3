//! A text that must not reach a log: API keys.

use std::fmt;
use std::fmt::Write as _;

use serde::Deserialize;

use crate::wires::MASK;

/// Fewer characters of a key tell nobody anything, and are found in any text.
const SHORTEST_PART: usize = 8;

/// A key. Prints as `[redacted]`; only the wires read it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a key.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// A text of somebody who knows the key, without it: neither as it is, nor as URLs write it, nor its beginning where
    /// the text was cut.
    pub(crate) fn scrub(&self, text: &str) -> String {
        if self.0.len() < SHORTEST_PART {
            return text.to_owned();
        }
        let mut clean = text.replace(&self.0, MASK).replace(&self.in_url(), MASK);
        let end = clean.trim_end_matches(['…', '"', '.']);
        let cut = (SHORTEST_PART..self.0.len()).rev().find_map(|length| {
            let part = self.0.get(..length)?;
            end.ends_with(part).then(|| end.len() - length)
        });
        if let Some(at) = cut {
            clean.truncate(at);
            clean.push_str(MASK);
        }
        clean
    }

    fn in_url(&self) -> String {
        self.0.bytes().fold(String::new(), |mut url, byte| {
            if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                url.push(char::from(byte));
            } else {
                write!(url, "%{byte:02X}").expect("writing to a String cannot fail");
            }
            url
        })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_key_is_found_whole_encoded_and_cut() {
        let key = Secret::new("k+e/y=1234567890");
        for (text, clean) in [
            ("key k+e/y=1234567890 is wrong, k+e/y=1234567890!", "key [redacted] is wrong, [redacted]!"),
            ("GET /v1?key=k%2Be%2Fy%3D1234567890&x=1", "GET /v1?key=[redacted]&x=1"),
            ("a long message that ends in k+e/y=123…", "a long message that ends in [redacted]"),
            ("a word: k+e", "a word: k+e"),
            ("", ""),
        ] {
            assert_eq!(key.scrub(text), clean);
        }
        assert_eq!(Secret::new("x").scrub("x is in many texts"), "x is in many texts");
        assert_eq!(format!("{key:?}"), "[redacted]");
    }
}
