//! TOML with positions: values as JSON, and the line of each.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A parsed file: its values, and the line and column of each by dotted path.
pub(super) struct Parsed {
    pub(super) values: Map<String, Value>,
    pub(super) places: BTreeMap<String, Place>,
}

/// Where something stands in a file, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// Parses a file.
pub(super) fn parse(text: &str) -> Result<Parsed, (Place, String)> {
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        (place(text, at), error.message().to_owned())
    })?;
    let mut places = BTreeMap::new();
    let values = read_table(table.get_ref(), "", text, &mut places);
    Ok(Parsed { values, places })
}

fn place(text: &str, at: usize) -> Place {
    let before = &text[..text.floor_char_boundary(at)];
    let line_start = before.rfind('\n').map_or(0, |n| n + 1);
    Place { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
}

/// The path of a key below a path.
pub(super) fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn read_table(
    table: &DeTable<'_>,
    path: &str,
    text: &str,
    places: &mut BTreeMap<String, Place>,
) -> Map<String, Value> {
    let mut map = Map::new();
    for (key, value) in table {
        let path = below(path, key.get_ref());
        places.insert(path.clone(), place(text, key.span().start));
        map.insert(key.get_ref().to_string(), read_value(value, &path, text, places));
    }
    map
}

fn read_value(
    value: &Spanned<DeValue<'_>>,
    path: &str,
    text: &str,
    places: &mut BTreeMap<String, Place>,
) -> Value {
    match value.get_ref() {
        DeValue::String(s) => Value::String(s.to_string()),
        DeValue::Boolean(b) => Value::Bool(*b),
        DeValue::Integer(n) => {
            let parsed = i64::from_str_radix(n.as_str(), n.radix()).map(Value::from);
            parsed.unwrap_or_else(|_| Value::String(n.to_string()))
        }
        DeValue::Float(n) => {
            let parsed = n.as_str().parse().ok().and_then(Number::from_f64);
            parsed.map_or_else(|| Value::String(n.to_string()), Value::Number)
        }
        DeValue::Datetime(t) => Value::String(t.to_string()),
        DeValue::Array(items) => {
            let each = items.iter().enumerate();
            let each = each.map(|(n, item)| {
                let path = below(path, &n.to_string());
                places.insert(path.clone(), place(text, item.span().start));
                read_value(item, &path, text, places)
            });
            each.collect()
        }
        DeValue::Table(table) => Value::Object(read_table(table, path, text, places)),
    }
}
