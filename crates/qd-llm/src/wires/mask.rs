//! Keys in texts of providers: some repeat the key that they refuse, and what they say reaches logs and users.
//!
//! By their look alone; the configured key itself is taken out by whoever knows it, see `Secret::scrub`.

/// How keys of known providers begin.
const BEGINNINGS: &[&str] =
    &["sk-", "gsk_", "AIza", "xai-", "hf_", "pplx-", "nvapi-", "csk-", "r8_", "fw_", "tgp_"];
/// Fewer characters are no key but a word, or a mask of the provider's own.
const SHORTEST: usize = 16;
/// What stands in its place.
pub(crate) const MASK: &str = "[redacted]";

/// The text without what looks like a key.
pub(super) fn mask_keys(text: &str) -> String {
    let (mut masked, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(start) = rest.find(is_of_key) {
        masked.push_str(&rest[..start]);
        let word = &rest[start..];
        let end = word.find(|c| !is_of_key(c)).unwrap_or(word.len());
        masked.push_str(if is_key(&word[..end]) { MASK } else { &word[..end] });
        rest = &word[end..];
    }
    masked + rest
}

fn is_of_key(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

fn is_key(word: &str) -> bool {
    word.len() >= SHORTEST
        && word.bytes().any(|b| b.is_ascii_digit())
        && BEGINNINGS.iter().any(|beginning| word.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::mask_keys;

    #[test]
    fn keys_are_masked_and_words_are_not() {
        for (text, masked) in [
            ("bad key sk-proj-Ab3dEf6hIj9k_-x.", "bad key [redacted]."),
            ("?key=AIzaSyD4n0tR3alN0tR3al&alt=sse", "?key=[redacted]&alt=sse"),
            ("Received=gsk_0123456789abcdef, expected", "Received=[redacted], expected"),
            ("Incorrect API key provided: sk-***1234", "Incorrect API key provided: sk-***1234"),
            ("sk-is-not-long", "sk-is-not-long"),
            ("a risk-averse-and-long-winded word", "a risk-averse-and-long-winded word"),
            ("sk-only-letters-like-a-slug", "sk-only-letters-like-a-slug"),
            ("schlüssel ‚sk-ant-api03-0123456789‘ ungültig", "schlüssel ‚[redacted]‘ ungültig"),
            ("", ""),
        ] {
            assert_eq!(mask_keys(text), masked);
        }
    }
}
