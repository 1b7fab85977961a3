//! JSON, strictly: one document, no key twice, not too deep. Syntax comes before depth, depth before duplicates.

use std::fmt;

use qd_types::Code;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::fields::pointer;
use crate::problem::{FieldError, Problem, shown};

/// Parses a body.
pub(crate) fn parse(bytes: &[u8], depth_max: usize) -> Result<Value, Problem> {
    let malformed = |detail: String| Problem::new(Code::InvalidRequest, detail);
    if bytes.is_empty() {
        return Err(malformed("the body is empty; send a JSON object".to_owned()));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| malformed(not_utf8(bytes, error)))?;
    if text.starts_with('\u{feff}') {
        return Err(malformed(
            "the body starts with a byte order mark; send plain UTF-8 without it".to_owned(),
        ));
    }
    let mut found = Found { depth_max, too_deep: false, twice: None };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Node { found: &mut found, depth: 0 }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| malformed(format!("the body is no JSON: {error}")))?;
    if found.too_deep {
        let detail = format!("the body nests arrays and objects deeper than {depth_max} levels");
        return Err(malformed(detail));
    }
    match found.twice {
        Some(path) => Err(twice(&path)),
        None => Ok(value),
    }
}

fn not_utf8(bytes: &[u8], error: std::str::Utf8Error) -> String {
    let hint = match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => " (it looks like UTF-16)",
        _ => "",
    };
    format!("the body is no UTF-8{hint}: the byte at offset {} is wrong", error.valid_up_to())
}

fn twice(reversed: &[String]) -> Problem {
    let path: String = reversed.iter().rev().map(|key| pointer("", key)).collect();
    let message = "the key stands twice in its object; which value is meant cannot be known".to_owned();
    let detail = format!("`{}`: {message}", shown(&path));
    let mut problem = Problem::new(Code::InvalidRequest, detail);
    problem.errors.push(FieldError { path, code: Code::InvalidRequest, message });
    problem
}

/// Mistakes that do not stop the parser, because a mistake of syntax further on is told before them.
struct Found {
    depth_max: usize,
    too_deep: bool,
    /// Keys from the inside out.
    twice: Option<Vec<String>>,
}

struct Node<'a> {
    found: &'a mut Found,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if self.depth <= self.found.depth_max {
            return deserializer.deserialize_any(self);
        }
        // Skipping does not recurse, so that no depth can exhaust the stack.
        self.found.too_deep = true;
        deserializer.deserialize_ignored_any(IgnoredAny).map(|_| Value::Null)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.depth + 1;
        let mut list = Vec::new();
        if inner > self.found.depth_max {
            self.found.too_deep = true;
        }
        loop {
            let known = self.found.twice.is_some();
            let Some(item) = items.next_element_seed(Node { found: &mut *self.found, depth: inner })? else {
                return Ok(Value::Array(list));
            };
            if !known && let Some(path) = &mut self.found.twice {
                path.push(list.len().to_string());
            }
            list.push(item);
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self.depth + 1;
        let mut map = Map::new();
        if inner > self.found.depth_max {
            self.found.too_deep = true;
        }
        while let Some(key) = entries.next_key::<String>()? {
            let known = self.found.twice.is_some();
            let value = entries.next_value_seed(Node { found: &mut *self.found, depth: inner })?;
            if !known && let Some(path) = &mut self.found.twice {
                path.push(key.clone());
            }
            match map.entry(key) {
                serde_json::map::Entry::Vacant(place) => {
                    place.insert(value);
                }
                serde_json::map::Entry::Occupied(place) => {
                    let key = place.key().clone();
                    self.found.twice.get_or_insert_with(|| vec![key]);
                }
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> String {
        format!("{}{}", "[".repeat(depth), "]".repeat(depth))
    }

    #[test]
    fn depth_is_bounded_exactly_and_however_deep_it_goes() {
        assert!(parse(nested(64).as_bytes(), 64).is_ok());
        let objects = |n: usize| format!("{}1{}", "{\"a\":".repeat(n), "}".repeat(n));
        assert!(parse(objects(64).as_bytes(), 64).is_ok());
        for text in [nested(65), nested(100_000), objects(65), objects(100_000)] {
            let problem = parse(text.as_bytes(), 64).unwrap_err();
            assert!(problem.detail.contains("deeper than 64"), "{}", problem.detail);
        }
    }

    #[test]
    fn mistakes_of_syntax_come_first_and_say_where() {
        let deep_and_broken = format!("{}\n  oops", nested(70));
        for (text, place) in [
            (deep_and_broken.as_str(), "line 2 column 3"),
            ("{\"a\":1,\"a\":2,}", "line 1 column 14"),
            ("{} {}", "line 1 column 4"),
            ("{\n\"a\": 1e400}", "line 2"),
            ("\"\\ud800\"", "line 1"),
        ] {
            let problem = parse(text.as_bytes(), 64).unwrap_err();
            assert_eq!(problem.code, Code::InvalidRequest);
            assert!(problem.detail.contains(place), "{text}: {}", problem.detail);
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_named_by_its_path() {
        for (text, path) in [
            (r#"{"a":1,"a":1}"#, "/a"),
            (r#"{"x":[0,{"y":{"k":1,"\u006b":2}}]}"#, "/x/1/y/k"),
            (r#"{"a/b":{"~":1,"~":2},"c":1,"c":1}"#, "/a~1b/~0"),
            (r#"{"c":1,"c":{"d":1,"d":2}}"#, "/c/d"),
        ] {
            let problem = parse(text.as_bytes(), 64).unwrap_err();
            assert_eq!(problem.errors[0].path, path, "{text}");
        }
    }

    #[test]
    fn good_json_is_what_serde_reads() {
        let text = r#"{"a":[1,-2,1.5,true,null,"\u00fc"],"b":{"c":18446744073709551615}}"#;
        assert_eq!(parse(text.as_bytes(), 64).unwrap(), serde_json::from_str::<Value>(text).unwrap());
    }
}
