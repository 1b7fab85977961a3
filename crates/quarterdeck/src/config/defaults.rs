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

/// What a profile changes.
pub(super) fn of_profile(name: &str) -> Map<String, Value> {
    let changed = match name {
        "staging" => json!({"worker": {"slots": 20}, "log": {"level": "info"}}),
        "production" => json!({"worker": {"slots": 100}, "log": {"level": "warn"}}),
        _ => json!({}),
    };
    match changed {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
