//! The built-in values: `defaults.toml`, and what profiles change.

use serde_json::{Map, Value, json};

use super::position::parse;

/// The documented defaults.
const TEXT: &str = include_str!("defaults.toml");

/// Profiles that need no table in the file.
pub(super) const PROFILES: [&str; 3] = ["development", "staging", "production"];

/// All defaults.
pub(super) fn all() -> Map<String, Value> {
    parse(TEXT).map(|parsed| parsed.values).unwrap_or_default()
}

/// What `defaults.toml` says about a setting: the comment above its line.
pub(super) fn about(path: &str) -> Option<String> {
    let (mut table, mut comment) = (String::new(), Vec::new());
    for line in TEXT.lines() {
        if let Some(text) = line.strip_prefix('#') {
            comment.push(text.trim());
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            table = format!("{name}.");
        } else if let Some((key, _)) = line.split_once(" = ")
            && format!("{table}{key}") == path
            && !comment.is_empty()
        {
            return Some(comment.join(" "));
        }
        comment.clear();
    }
    None
}

/// What a profile changes.
pub(super) fn of_profile(name: &str) -> Map<String, Value> {
    let changed = match name {
        "staging" => json!({
            "auth": {"mode": "keys"}, "worker": {"slots": 20}, "log": {"level": "info"}, "egress": {"loopback": false},
        }),
        "production" => json!({
            "auth": {"mode": "keys"}, "worker": {"slots": 100}, "log": {"level": "warn"},
            "egress": {"loopback": false, "https_only": true},
        }),
        _ => json!({}),
    };
    match changed {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
