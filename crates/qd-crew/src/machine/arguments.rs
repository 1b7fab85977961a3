//! Whether a call can be executed: the tool exists, and the arguments are an object that fits at the top level.
//!
//! Deeper checks are the tool's own. What is wrong is said to the model, which can mend it.

use qd_types::{ToolCall, ToolSpec};
use serde_json::{Map, Value};

use crate::canonical::canonical_json;
use crate::diagnostic::quote;

/// A call that was looked at.
pub(super) struct Checked {
    /// Equal for calls with equal arguments.
    pub(super) key: String,
    /// The call to execute, or what to tell the model.
    pub(super) verdict: Result<ToolCall, String>,
}

/// Looks at a call.
pub(super) fn check(call: &ToolCall, tools: &[ToolSpec]) -> Checked {
    // Some providers send nothing at all for a call without arguments.
    let written = if call.arguments.trim().is_empty() { "{}" } else { call.arguments.as_str() };
    let parsed = serde_json::from_str::<Value>(written);
    let key = parsed.as_ref().map_or_else(|_| call.arguments.clone(), canonical_json);
    let verdict = find(call, tools).and_then(|tool| {
        let arguments = object(tool, parsed)?;
        fits(tool, &arguments)?;
        Ok(ToolCall { arguments: written.to_owned(), ..call.clone() })
    });
    Checked { key, verdict }
}

fn find<'a>(call: &ToolCall, tools: &'a [ToolSpec]) -> Result<&'a ToolSpec, String> {
    tools.iter().find(|tool| tool.name == call.name).ok_or_else(|| {
        let known: Vec<String> = tools.iter().map(|tool| quote(&tool.name)).collect();
        format!("there is no tool {}; the tools are {}", quote(&call.name), known.join(", "))
    })
}

fn object(tool: &ToolSpec, parsed: serde_json::Result<Value>) -> Result<Map<String, Value>, String> {
    match parsed {
        Ok(Value::Object(arguments)) => Ok(arguments),
        Ok(other) => {
            Err(format!("the arguments of {} must be a JSON object, not {}", quote(&tool.name), kind(&other)))
        }
        Err(error) => Err(format!("the arguments of {} are not valid JSON: {error}", quote(&tool.name))),
    }
}

fn fits(tool: &ToolSpec, arguments: &Map<String, Value>) -> Result<(), String> {
    let required = tool.parameters.get("required").and_then(Value::as_array);
    let required = required.into_iter().flatten().filter_map(Value::as_str);
    if let Some(missing) = required.into_iter().find(|name| !arguments.contains_key(*name)) {
        return Err(format!("{} needs the argument {}", quote(&tool.name), quote(missing)));
    }
    let Some(properties) = tool.parameters.get("properties").and_then(Value::as_object) else {
        return Ok(());
    };
    let is_closed = tool.parameters.get("additionalProperties") == Some(&Value::Bool(false));
    for (name, value) in arguments {
        match properties.get(name) {
            Some(schema) => fits_type(tool, name, value, schema)?,
            None if is_closed => {
                return Err(format!("{} has no argument {}", quote(&tool.name), quote(name)));
            }
            None => {}
        }
    }
    Ok(())
}

fn fits_type(tool: &ToolSpec, name: &str, value: &Value, schema: &Value) -> Result<(), String> {
    let allowed: Vec<&str> = match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => return Ok(()),
    };
    if allowed.iter().any(|word| is_of_type(value, word)) {
        return Ok(());
    }
    let (tool, name, allowed) = (quote(&tool.name), quote(name), allowed.join(" or "));
    Err(format!("the argument {name} of {tool} must be of type {allowed}, not {}", kind(value)))
}

/// Types that JSON Schema does not know are left to the tool.
fn is_of_type(value: &Value, word: &str) -> bool {
    match word {
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
        }
        "null" => value.is_null(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tools() -> Vec<ToolSpec> {
        let parameters = json!({"type": "object", "required": ["q"], "additionalProperties": false, "properties": {
            "q": {"type": "string"}, "n": {"type": "integer"}, "x": {"type": ["number", "null"]},
            "on": {"type": "boolean"}, "list": {"type": "array"}, "any": {}}});
        let open = json!({"type": "object"});
        let spec =
            |name: &str, parameters| ToolSpec { name: name.into(), description: "d".into(), parameters };
        vec![spec("search", parameters), spec("open", open)]
    }

    fn verdict(name: &str, arguments: &str) -> Result<ToolCall, String> {
        let call = ToolCall { id: "1".into(), name: name.into(), arguments: arguments.into() };
        check(&call, &tools()).verdict
    }

    #[test]
    fn calls_that_fit_go_through_unchanged() {
        for arguments in [
            r#"{"q": "x"}"#,
            r#"{"q": "", "n": -3, "x": 1.5, "on": false, "list": [], "any": {}}"#,
            r#"{"q": "x", "n": 2.0, "x": null}"#,
        ] {
            assert_eq!(verdict("search", arguments).unwrap().arguments, arguments);
        }
        assert_eq!(verdict("open", "").unwrap().arguments, "{}");
        assert_eq!(verdict("open", " \n").unwrap().arguments, "{}");
        assert!(verdict("open", r#"{"whatever": 1}"#).is_ok());
    }

    #[test]
    fn calls_that_do_not_fit_are_explained() {
        for (name, arguments, expected) in [
            ("serch", "{}", "there is no tool `serch`; the tools are `search`, `open`"),
            ("search", "[]", "the arguments of `search` must be a JSON object, not an array"),
            ("search", "null", "the arguments of `search` must be a JSON object, not null"),
            ("search", "\"q\"", "the arguments of `search` must be a JSON object, not a string"),
            (
                "search",
                "{\"q\": ",
                "the arguments of `search` are not valid JSON: EOF while parsing a value at line 1 column 6",
            ),
            ("search", "", "`search` needs the argument `q`"),
            ("search", "{\"n\": 1}", "`search` needs the argument `q`"),
            ("search", "{\"q\": 1}", "the argument `q` of `search` must be of type string, not a number"),
            (
                "search",
                "{\"q\": \"\", \"n\": 1.5}",
                "the argument `n` of `search` must be of type integer, not a number",
            ),
            (
                "search",
                "{\"q\": \"\", \"x\": \"1\"}",
                "the argument `x` of `search` must be of type number or null, not a string",
            ),
            (
                "search",
                "{\"q\": \"\", \"on\": \"true\"}",
                "the argument `on` of `search` must be of type boolean, not a string",
            ),
            ("search", "{\"q\": \"\", \"z\": 1}", "`search` has no argument `z`"),
        ] {
            assert_eq!(verdict(name, arguments), Err(expected.to_owned()), "{name} {arguments}");
        }
    }

    #[test]
    fn the_key_ignores_spelling() {
        let key = |arguments: &str| {
            let call = ToolCall { id: String::new(), name: "search".into(), arguments: arguments.into() };
            check(&call, &tools()).key
        };
        assert_eq!(key(r#"{"q":"x","n":1}"#), key(r#"{ "n": 1, "q": "x" }"#));
        assert_ne!(key(r#"{"q":"x"}"#), key(r#"{"q":"y"}"#));
        assert_eq!(key(""), key("{}"));
        assert_eq!(key("not json"), "not json");
    }
}
