//! A JSON Schema, put together in code: bounds are the constants that the checks use, so that they cannot differ.

use serde_json::{Map, Value, json};

/// No control characters. Spelled out, because not every reader of patterns knows classes by name.
pub(crate) const NO_CONTROLS: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";

/// A schema, or a reference to a named one.
#[derive(Debug, Clone)]
pub(crate) struct Schema(Map<String, Value>);

impl Schema {
    /// Any JSON value.
    pub(crate) fn any() -> Self {
        Self(Map::new())
    }

    pub(crate) fn text() -> Self {
        Self::of("string")
    }

    /// A whole number, not negative: what counts and spans are.
    pub(crate) fn count() -> Self {
        Self::of("integer").with("minimum", 0)
    }

    pub(crate) fn whole(least: i64, most: i64) -> Self {
        Self::of("integer").with("minimum", least).with("maximum", most)
    }

    /// A number, not negative.
    pub(crate) fn number() -> Self {
        Self::of("number").with("minimum", 0)
    }

    pub(crate) fn yes_or_no() -> Self {
        Self::of("boolean")
    }

    pub(crate) fn list(of: Self) -> Self {
        Self::of("array").with("items", of.into_value())
    }

    /// An object without declared fields yet; more fields than declared may come with later releases.
    pub(crate) fn object() -> Self {
        Self::of("object")
    }

    /// An object with keys of the caller's.
    pub(crate) fn map(of: Self) -> Self {
        Self::of("object").with("additionalProperties", of.into_value())
    }

    /// One of these words.
    pub(crate) fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        Self::text().with("enum", words.into_iter().collect::<Vec<_>>())
    }

    /// The schema of `components/schemas` with this name.
    pub(crate) fn named(name: &str) -> Self {
        Self::any().with("$ref", format!("#/components/schemas/{name}"))
    }

    /// One of these.
    pub(crate) fn one_of(variants: impl IntoIterator<Item = Self>) -> Self {
        Self::any().with("oneOf", variants.into_iter().map(Self::into_value).collect::<Vec<_>>())
    }

    /// A text that holds JSON of the schema with this name.
    pub(crate) fn json_text(name: &str) -> Self {
        let content = Self::named(name).into_value();
        Self::text().with("contentMediaType", "application/json").with("contentSchema", content)
    }

    /// A job's id.
    pub(crate) fn job_id() -> Self {
        Self::text().format("uuid")
    }

    /// A moment.
    pub(crate) fn moment() -> Self {
        Self::text().format("date-time")
    }

    /// Dollars as an exact decimal.
    pub(crate) fn dollars() -> Self {
        Self::text().pattern(r"^-?[0-9]+\.[0-9]{2,9}$").example("0.0123")
    }

    /// A name: of a crew, of a conversation, of a user.
    pub(crate) fn name() -> Self {
        Self::text().chars(1, qd_types::NAME_CHARS_MAX).pattern(NO_CONTROLS)
    }

    /// A text that says something.
    pub(crate) fn said() -> Self {
        Self::text().with("minLength", 1).pattern(r"\S")
    }

    fn of(kind: &str) -> Self {
        Self::any().with("type", kind)
    }

    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }

    pub(crate) fn about(self, text: &str) -> Self {
        self.with("description", text)
    }

    pub(crate) fn example(self, value: impl Into<Value>) -> Self {
        self.with("examples", vec![value.into()])
    }

    pub(crate) fn by_default(self, value: impl Into<Value>) -> Self {
        self.with("default", value)
    }

    pub(crate) fn format(self, format: &str) -> Self {
        self.with("format", format)
    }

    pub(crate) fn pattern(self, pattern: &str) -> Self {
        self.with("pattern", pattern)
    }

    /// Length in characters.
    pub(crate) fn chars(self, least: usize, most: usize) -> Self {
        self.with("minLength", least).with("maxLength", most)
    }

    /// The same, or null.
    pub(crate) fn nullable(mut self) -> Self {
        match self.0.get("type").cloned() {
            Some(kind) if !self.0.contains_key("enum") => self.with("type", json!([kind, "null"])),
            _ => {
                let about = self.0.shift_remove("description");
                let nullable = Self::any().with("anyOf", json!([self.into_value(), { "type": "null" }]));
                about.into_iter().fold(nullable, |nullable, about| nullable.with("description", about))
            }
        }
    }

    /// With a field that is always there.
    pub(crate) fn field(mut self, name: &str, schema: Self) -> Self {
        let required = self.0.entry("required").or_insert_with(|| json!([]));
        if let Value::Array(names) = required {
            names.push(name.into());
        }
        self.optional(name, schema)
    }

    /// With a field that may be missing.
    pub(crate) fn optional(mut self, name: &str, schema: Self) -> Self {
        let fields = self.0.entry("properties").or_insert_with(|| json!({}));
        fields[name] = schema.into_value();
        self
    }

    /// With a field that may be missing, and is if it is null: so are all fields of requests that need no value.
    pub(crate) fn may(self, name: &str, schema: Self) -> Self {
        self.optional(name, schema.nullable())
    }

    /// Refuses fields that are not declared, as requests do.
    pub(crate) fn closed(self) -> Self {
        self.with("additionalProperties", false)
    }

    pub(crate) fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}
