//! Makes arguments that fit a JSON Schema: the subset of keywords that tools use.
//!
//! `pattern` and other keywords that would need a search are not honoured; everything else named here is.

use qd_env::Rng;
use serde_json::{Map, Value, json};

/// Deeper schemas than this end in `null`: a schema may refer to itself.
const MAX_DEPTH: usize = 12;
/// More items than this are not made whatever `minItems` says.
const MAX_ITEMS: u64 = 64;

/// Makes values for one tool call.
pub(crate) struct Maker<'a> {
    pub(crate) root: &'a Value,
    pub(crate) rng: &'a mut Rng,
    /// What the prompt is about: the content of free text.
    pub(crate) subject: &'a str,
    /// An arithmetic expression of the prompt, for arguments that want one.
    pub(crate) expression: &'a str,
}

impl Maker<'_> {
    /// A value of the root schema, as an object even if the schema says nothing.
    pub(crate) fn arguments(&mut self) -> Value {
        match self.value(self.root, "", 0) {
            Value::Object(object) => Value::Object(object),
            _ => Value::Object(Map::new()),
        }
    }

    fn value(&mut self, schema: &Value, name: &str, depth: usize) -> Value {
        if depth > MAX_DEPTH {
            return Value::Null;
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let root = self.root;
            let resolved = target.strip_prefix('#').and_then(|path| root.pointer(path));
            return resolved.map_or(Value::Null, |schema| self.value(schema, name, depth + 1));
        }
        if let Some(value) = self.given(schema) {
            return value;
        }
        for keyword in ["anyOf", "oneOf", "allOf"] {
            if let Some(first) = schema.get(keyword).and_then(Value::as_array).and_then(|all| all.first()) {
                return self.value(first, name, depth + 1);
            }
        }
        match kind(schema) {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, name, depth),
            "string" => json!(self.text(schema, name)),
            "integer" => self.integer(schema),
            "number" => self.number(schema),
            "boolean" => json!(self.rng.chance(0.5)),
            _ => Value::Null,
        }
    }

    fn given(&mut self, schema: &Value) -> Option<Value> {
        if let Some(value) = schema.get("const").or_else(|| schema.get("default")) {
            return Some(value.clone());
        }
        for keyword in ["enum", "examples"] {
            if let Some(values) = schema.get(keyword).and_then(Value::as_array).filter(|all| !all.is_empty())
            {
                return Some(self.rng.pick(values).clone());
            }
        }
        None
    }

    fn object(&mut self, schema: &Value, depth: usize) -> Value {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return Value::Object(Map::new());
        };
        let required: Vec<&str> = match schema.get("required").and_then(Value::as_array) {
            Some(names) => names.iter().filter_map(Value::as_str).collect(),
            // Without the keyword everything is optional; a call without arguments would look odd.
            None => properties.keys().take(1).map(String::as_str).collect(),
        };
        let made = properties.iter().filter(|(name, _)| required.contains(&name.as_str()));
        Value::Object(
            made.map(|(name, schema)| (name.clone(), self.value(schema, name, depth + 1))).collect(),
        )
    }

    fn array(&mut self, schema: &Value, name: &str, depth: usize) -> Value {
        let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(1).min(MAX_ITEMS);
        let most = schema.get("maxItems").and_then(Value::as_u64).unwrap_or(u64::MAX);
        let any = Value::Null;
        let items = schema.get("items").unwrap_or(&any);
        (0..least.max(1).min(most)).map(|_| self.value(items, name, depth + 1)).collect()
    }

    fn text(&mut self, schema: &Value, name: &str) -> String {
        let text = match schema.get("format").and_then(Value::as_str) {
            Some("date") => "2026-01-15".to_owned(),
            Some("date-time") => "2026-01-15T09:00:00Z".to_owned(),
            Some("time") => "09:00:00Z".to_owned(),
            Some("uri" | "url") => "https://example.com/".to_owned(),
            Some("email") => "someone@example.com".to_owned(),
            Some("uuid") => "00000000-0000-4000-8000-000000000000".to_owned(),
            _ => match name {
                "expression" | "expr" | "formula" => self.expression.to_owned(),
                "url" | "uri" => "https://example.com/".to_owned(),
                "email" => "someone@example.com".to_owned(),
                "date" => "2026-01-15".to_owned(),
                "timezone" | "tz" => "UTC".to_owned(),
                "language" => "en".to_owned(),
                _ => self.subject.to_owned(),
            },
        };
        fit_length(text, schema)
    }

    fn integer(&mut self, schema: &Value) -> Value {
        let bound = |inclusive, exclusive, step: i64| {
            let whole = |v: &Value| v.as_i64().or_else(|| v.as_f64().map(to_whole));
            schema
                .get(inclusive)
                .and_then(whole)
                .or_else(|| schema.get(exclusive).and_then(whole).map(|v| v.saturating_add(step)))
        };
        let low = bound("minimum", "exclusiveMinimum", 1);
        let high = bound("maximum", "exclusiveMaximum", -1);
        let (low, high) = match (low, high) {
            (Some(low), Some(high)) => (low, high.max(low)),
            (Some(low), None) => (low, low.saturating_add(9)),
            (None, Some(high)) => (high.saturating_sub(9), high),
            (None, None) => (1, 10),
        };
        let width = high.abs_diff(low).saturating_add(1);
        let value = low.saturating_add_unsigned(self.rng.below(width));
        match schema.get("multipleOf").and_then(Value::as_i64).filter(|step| *step > 1) {
            // The next multiple above the lowest allowed: inside the range whenever one is.
            Some(step) => json!(low.saturating_add(step - 1).div_euclid(step).saturating_mul(step)),
            None => json!(value),
        }
    }

    fn number(&mut self, schema: &Value) -> Value {
        let get = |key| schema.get(key).and_then(Value::as_f64);
        let low = get("minimum").or_else(|| get("exclusiveMinimum"));
        let high = get("maximum").or_else(|| get("exclusiveMaximum"));
        let (low, high) = match (low, high) {
            (Some(low), Some(high)) => (low, high),
            (Some(low), None) => (low, low + 10.0),
            (None, Some(high)) => (high - 10.0, high),
            (None, None) => (0.0, 10.0),
        };
        // Away from both ends, so that exclusive bounds hold too.
        let value = low + (high - low) * (0.25 + 0.5 * self.rng.unit());
        let rounded = (value * 100.0).round() / 100.0;
        json!(if rounded > low && rounded < high { rounded } else { value })
    }
}

#[allow(clippy::cast_possible_truncation)]
fn to_whole(value: f64) -> i64 {
    // `as` saturates, which is right for bounds like 1e300.
    value as i64
}

/// The schema's type: the first that is not `null`, or what its keywords imply.
fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).find(|k| *k != "null").unwrap_or("null")
        }
        _ if schema.get("properties").is_some() => "object",
        _ if schema.get("items").is_some() => "array",
        _ => "string",
    }
}

fn fit_length(text: String, schema: &Value) -> String {
    let get = |key| schema.get(key).and_then(Value::as_u64).map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    let least = get("minLength").unwrap_or(0).min(4096);
    let most = get("maxLength").unwrap_or(200).max(least);
    let length = text.chars().count();
    if length > most {
        return text.chars().take(most).collect();
    }
    let filler = std::iter::repeat_n('.', least.saturating_sub(length));
    text.chars().chain(filler).collect()
}

#[cfg(test)]
mod tests {
    use qd_env::Rng;
    use serde_json::{Value, json};

    use super::Maker;

    fn make(schema: &Value, seed: u64) -> Value {
        let mut rng = Rng::labelled(seed, "schema");
        Maker { root: schema, rng: &mut rng, subject: "tides", expression: "2 + 2" }.arguments()
    }

    #[test]
    fn required_arguments_have_the_right_types() {
        let schema = json!({
            "type": "object",
            "properties": {
                "expression": { "type": "string" },
                "query": { "type": "string", "maxLength": 3 },
                "count": { "type": "integer", "minimum": 5, "exclusiveMaximum": 7 },
                "ratio": { "type": "number", "exclusiveMinimum": 0, "maximum": 0.01 },
                "unit": { "enum": ["km", "mi"] },
                "tags": { "type": "array", "items": { "$ref": "#/$defs/tag" }, "minItems": 2 },
                "deep": { "type": "object", "properties": { "flag": { "type": ["null", "boolean"] } }, "required": ["flag"] },
                "either": { "anyOf": [{ "type": "string", "format": "date" }, { "type": "null" }] },
                "never": { "type": "string" },
            },
            "required": ["expression", "query", "count", "ratio", "unit", "tags", "deep", "either"],
            "$defs": { "tag": { "type": "string", "minLength": 8 } },
        });
        for seed in 0..50 {
            let made = make(&schema, seed);
            assert_eq!(made["expression"], "2 + 2");
            assert_eq!(made["query"], "tid");
            assert!((5..7).contains(&made["count"].as_i64().unwrap()), "{made}");
            let ratio = made["ratio"].as_f64().unwrap();
            assert!(ratio > 0.0 && ratio <= 0.01, "{made}");
            assert!(made["unit"] == "km" || made["unit"] == "mi");
            assert_eq!(made["tags"], json!(["tides...", "tides..."]));
            assert!(made["deep"]["flag"].is_boolean());
            assert_eq!(made["either"], "2026-01-15");
            assert!(made.get("never").is_none());
        }
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let schema =
            json!({ "type": "object", "properties": { "next": { "$ref": "#" } }, "required": ["next"] });
        assert!(make(&schema, 1)["next"].is_object());
        assert_eq!(make(&json!({ "type": "string" }), 1), json!({}));
    }
}
