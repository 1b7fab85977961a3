//! The hash of a body, for idempotency: equal for bodies that parse to the same.
//!
//! Hashes are stored with the keys, so this spelling (sorted keys, no spaces) must not change between releases.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// SHA-256 of the canonical spelling.
pub(crate) fn hash(value: &Value) -> [u8; 32] {
    let mut text = String::new();
    write(value, &mut text);
    Sha256::digest(text.as_bytes()).into()
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| key.as_str());
            out.push('{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            out.push_str(&value.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::hash;

    #[test]
    fn spelling_does_not_matter_and_meaning_does() {
        let of = |text: &str| hash(&serde_json::from_str(text).unwrap());
        assert_eq!(
            of(r#"{"a":[1,{"y":2,"x":"ü"}],"b":null}"#),
            of("{ \"b\":null, \"a\" : [1,{\"x\":\"\\u00fc\",\"y\":2}] }")
        );
        assert_ne!(of(r#"{"a":1}"#), of(r#"{"a":"1"}"#));
        assert_ne!(of(r#"{"a":[1,2]}"#), of(r#"{"a":[2,1]}"#));
        assert_ne!(of(r#"{"a":null}"#), of("{}"));
    }

    #[test]
    fn the_hash_is_the_one_that_earlier_releases_stored() {
        let hex: String = hash(&serde_json::json!({ "b": 1, "a": [true, "x"] }))
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert_eq!(hex, "f15ef113d6e0c876b9ea9e90ebc36ad3f8b350d44634ba2fc407e978fb8cebeb");
    }
}
