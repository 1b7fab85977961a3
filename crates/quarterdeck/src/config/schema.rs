//! JSON Schema of `quarterdeck.toml`, for editors, from the table of keys and the defaults.

use serde_json::{Map, Value, json};

use super::defaults;
use super::keys::{Key, Kind, ROOT, required};

/// The schema, in JSON Schema 2020-12.
pub(crate) fn schema() -> Value {
    let defaults = Value::Object(defaults::all());
    let mut root = object("", ROOT, &defaults, true);
    // An overlay is a file of its own but for overlays.
    let overlay = object("", ROOT, &Value::Null, false);
    root["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    root["title"] = "quarterdeck.toml".into();
    root["$defs"] = json!({ "overlay": overlay });
    root["properties"]["env"] = json!({
        "description": "Settings of one profile, which go over those of the file: [env.production.server] and so on.",
        "type": "object",
        "additionalProperties": { "$ref": "#/$defs/overlay" },
    });
    root
}

/// What a key is for.
pub(super) fn about(path: &str, key: &Key) -> String {
    if key.about.is_empty() { defaults::about(path).unwrap_or_default() } else { key.about.to_owned() }
}

fn object(path: &str, keys: &[Key], defaults: &Value, is_whole: bool) -> Value {
    let properties: Map<String, Value> = keys
        .iter()
        .map(|key| {
            let path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
            let mut schema = property(&path, key, &defaults[key.name], is_whole);
            schema["description"] = about(&path, key).into();
            if !defaults[key.name].is_null() && !defaults[key.name].is_object() {
                schema["default"] = defaults[key.name].clone();
            }
            (key.name.to_owned(), schema)
        })
        .collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn property(path: &str, key: &Key, default: &Value, is_whole: bool) -> Value {
    match &key.kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Whole(least, u64::MAX) => json!({ "type": "integer", "minimum": least }),
        Kind::Whole(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Number(least, most) => json!({ "type": "number", "minimum": least, "maximum": most }),
        Kind::Positive(most) => json!({ "type": "number", "exclusiveMinimum": 0, "maximum": most }),
        Kind::Choice(words) => json!({ "enum": words }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::Numbers(least, most) => {
            json!({ "type": "array", "items": { "type": "number", "minimum": least, "maximum": most } })
        }
        Kind::Secret => json!({ "anyOf": [{ "type": "string" }, reference("env"), reference("file")] }),
        Kind::Secrets => {
            let secret = property(path, &Key { kind: Kind::Secret, ..*key }, default, is_whole);
            json!({ "type": "object", "additionalProperties": secret })
        }
        Kind::Free => json!({ "type": ["object", "string"] }),
        Kind::Table(keys) => object(path, keys, default, is_whole),
        Kind::Named(keys) => {
            let mut table = object(path, keys, &Value::Null, is_whole);
            let needed = required(key.name);
            // An overlay may add to a table of the file, and the name of a provider may imply its kind.
            if is_whole && key.name != "providers" && !needed.is_empty() {
                table["required"] = json!(needed);
            }
            if is_whole && key.name == "models" {
                table["anyOf"] =
                    json!([{ "required": ["provider", "model"] }, { "required": ["deployments"] }]);
            }
            json!({ "type": "object", "additionalProperties": table })
        }
        Kind::List(keys) => json!({ "type": "array", "items": object(path, keys, &Value::Null, is_whole) }),
    }
}

fn reference(key: &str) -> Value {
    let properties = json!({ key: { "type": "string" } });
    json!({ "type": "object", "properties": properties, "required": [key], "additionalProperties": false })
}
