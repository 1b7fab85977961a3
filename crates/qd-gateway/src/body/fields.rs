//! Taking the fields of a JSON object one by one, and collecting every mistake on the way.
//!
//! A field that is `null` counts as absent. Fields that nobody took are mistakes.

use qd_types::{Code, NanoDollars, Timestamp};
use serde_json::{Map, Value};

use crate::problem::{FieldError, Problem, shown};
use crate::view::time;

/// A JSON object being read.
pub(crate) struct Fields {
    map: Map<String, Value>,
    /// Every field that was asked for, to suggest.
    known: Vec<&'static str>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// # Errors
    /// If the body is no object.
    pub(crate) fn of(body: Value) -> Result<Self, Problem> {
        match body {
            Value::Object(map) => Ok(Self { map, known: Vec::with_capacity(12), errors: Vec::new() }),
            other => {
                let message = format!("the body must be an object, not {}", kind(&other));
                Err(Problem::of_fields(vec![FieldError {
                    path: String::new(),
                    code: Code::ValidationFailed,
                    message,
                }]))
            }
        }
    }

    pub(crate) fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        // Order is of no interest any more.
        self.map.swap_remove(name).filter(|value| !value.is_null())
    }

    pub(crate) fn error(&mut self, path: String, message: impl Into<String>) {
        self.error_as(path, Code::ValidationFailed, message);
    }

    pub(crate) fn error_as(&mut self, path: String, code: Code, message: impl Into<String>) {
        self.errors.push(FieldError { path, code, message: message.into() });
    }

    /// Whether a mistake at this path is known already.
    pub(crate) fn is_wrong(&self, path: &str) -> bool {
        self.errors.iter().any(|error| error.path == path)
    }

    /// A text field, if it is there.
    pub(crate) fn text(&mut self, name: &'static str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            other => self.wrong(name, "a string", &other),
        }
    }

    /// A text field that must be there and hold something.
    pub(crate) fn required_text(&mut self, name: &'static str) -> Option<String> {
        let before = self.errors.len();
        match self.text(name) {
            Some(text) if text.trim().is_empty() => {
                self.error(pointer("", name), "is empty; it needs a text");
                None
            }
            None if self.errors.len() == before => {
                self.error(pointer("", name), "is missing; it is required");
                None
            }
            other => other,
        }
    }

    /// A whole number within bounds, if it is there.
    pub(crate) fn integer(&mut self, name: &'static str, least: i64, most: i64) -> Option<i64> {
        let value = self.take(name)?;
        let whole = match &value {
            Value::Number(number) => number.as_i64(),
            other => return self.wrong(name, "a whole number", other),
        };
        match whole {
            Some(number) if (least..=most).contains(&number) => Some(number),
            Some(_) | None => {
                let message = format!("{value} is not a whole number between {least} and {most}");
                self.error(pointer("", name), message);
                None
            }
        }
    }

    /// A moment, if it is there.
    pub(crate) fn moment(&mut self, name: &'static str) -> Option<Timestamp> {
        let text = self.text(name)?;
        let parsed = time::parse(&text);
        if let Err(message) = &parsed {
            self.error(pointer("", name), message);
        }
        parsed.ok()
    }

    /// Dollars as a decimal in quotes, if they are there.
    pub(crate) fn dollars(&mut self, name: &'static str) -> Option<NanoDollars> {
        let text = self.text(name)?;
        let parsed = text.parse::<NanoDollars>();
        if let Err(wrong) = &parsed {
            self.error(pointer("", name), format!("`{}` {wrong}", shown(&text)));
        }
        parsed.ok()
    }

    /// An object, if it is there.
    pub(crate) fn object(&mut self, name: &'static str) -> Option<Map<String, Value>> {
        match self.take(name)? {
            Value::Object(map) => Some(map),
            other => self.wrong(name, "an object", &other),
        }
    }

    /// Yes or no.
    pub(crate) fn flag(&mut self, name: &'static str) -> Option<bool> {
        match self.take(name)? {
            Value::Bool(flag) => Some(flag),
            other => self.wrong(name, "true or false", &other),
        }
    }

    /// Whatever else the request says is of no interest here.
    pub(crate) fn ignore_others(&mut self) {
        self.map.clear();
    }

    /// A field whose capability is not built yet.
    pub(crate) fn not_supported(&mut self, name: &'static str) {
        if self.take(name).is_some() {
            let message = format!("`{name}` is not supported by this release yet; leave it out");
            self.error_as(pointer("", name), Code::NotSupported, message);
        }
    }

    fn wrong<T>(&mut self, name: &'static str, wanted: &str, got: &Value) -> Option<T> {
        self.error(pointer("", name), format!("must be {wanted}, not {}", kind(got)));
        None
    }

    /// # Errors
    /// Every mistake that was found, unknown fields included.
    pub(crate) fn finish(mut self) -> Result<(), Problem> {
        let unknown: Vec<String> = self.map.keys().cloned().collect();
        for name in unknown {
            let message = format!("is no field of this request; it takes {}", self.known.join(", "));
            self.error(pointer("", &name), message);
        }
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::of_fields(self.errors)) }
    }
}

/// A JSON pointer to a key below another pointer.
pub(crate) fn pointer(parent: &str, key: &str) -> String {
    let key =
        if key.contains(['~', '/']) { key.replace('~', "~0").replace('/', "~1") } else { key.to_owned() };
    format!("{parent}/{}", shown(&key))
}

/// What a value is, for people.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
