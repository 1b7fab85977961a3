//! Reading typed values out of a mapping, reporting what has the wrong type.
//!
//! A mapping may have layers: in a folder, `crew.yaml` lies over `agents.yaml` and `tasks.yaml`, and its keys win.

use std::fmt::Display;
use std::ops::RangeInclusive;

use serde_json::Number;

use crate::diagnostic::{At, Report, quote};
use crate::tree::{Key, Node, Value};

/// A mapping under a name for messages.
pub(super) struct Fields<'a> {
    /// Such as "agent `writer`".
    pub(super) what: String,
    /// Where it begins.
    pub(super) at: At,
    layers: Vec<&'a [(Key, Node)]>,
}

impl<'a> Fields<'a> {
    pub(super) fn empty(what: &str) -> Self {
        Self { what: what.to_owned(), at: At::default(), layers: Vec::new() }
    }

    pub(super) fn of(what: &str, node: &'a Node) -> Self {
        Self::layered(what.to_owned(), node.at, &[node])
    }

    /// Nodes that are no mappings count as empty ones: whoever found them has reported it.
    pub(super) fn layered(what: String, at: At, nodes: &[&'a Node]) -> Self {
        let layers = nodes.iter().filter_map(|node| match &node.value {
            Value::Map(entries) => Some(entries.as_slice()),
            _ => None,
        });
        Self { what, at, layers: layers.collect() }
    }

    /// Every key, of every layer.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a Key, &'a Node)> {
        self.layers.iter().flat_map(|layer| layer.iter()).map(|(key, node)| (key, node))
    }

    /// The value of a key: of the highest layer, and there the first (a second one was reported).
    pub(super) fn entry(&self, key: &str) -> Option<(&'a Key, &'a Node)> {
        let of_layer = |layer: &&'a [(Key, Node)]| layer.iter().find(|(known, _)| known.text == key);
        self.layers.iter().rev().find_map(of_layer).map(|(key, node)| (key, node))
    }

    /// The value of a key unless it is null: CrewAI files write `tools:` for none.
    pub(super) fn present(&self, key: &str) -> Option<&'a Node> {
        self.entry(key).map(|(_, node)| node).filter(|node| !matches!(node.value, Value::Null))
    }

    pub(super) fn text(&self, key: &str, report: &mut Report) -> Option<(&'a str, At)> {
        let node = self.present(key)?;
        match &node.value {
            Value::Text(text) => Some((text, node.at)),
            other => {
                let scalar = matches!(other, Value::Bool(_) | Value::Number(_));
                let hint = scalar.then(|| "put it in quotes".to_owned());
                report.error_hint(node.at, self.wrong(key, "text", other), hint);
                None
            }
        }
    }

    /// A text that must be there and say something. Empty, and reported, if it does not.
    pub(super) fn required_text(&self, key: &str, report: &mut Report) -> String {
        let Some((_, node)) = self.entry(key) else {
            report.error(self.at, format!("{} lacks `{key}`", self.what));
            return String::new();
        };
        let text = self.text(key, report);
        let is_blank =
            matches!(node.value, Value::Null) || text.is_some_and(|(text, _)| text.trim().is_empty());
        if is_blank {
            report.error(node.at, format!("`{key}` of {} is empty", self.what));
        }
        text.map(|(text, _)| text.to_owned()).unwrap_or_default()
    }

    pub(super) fn bool(&self, key: &str, report: &mut Report) -> Option<bool> {
        let node = self.present(key)?;
        let flag = node.value.as_flag();
        if flag.is_none() {
            report.error(node.at, self.wrong(key, "`true` or `false`", &node.value));
        }
        flag
    }

    pub(super) fn whole(&self, key: &str, range: RangeInclusive<i64>, report: &mut Report) -> Option<i64> {
        let integer = |number: &Number| number.as_i64().or_else(|| number.as_u64().map(|_| i64::MAX));
        self.number(key, "a whole number", &range, integer, report)
    }

    pub(super) fn float(&self, key: &str, range: RangeInclusive<f64>, report: &mut Report) -> Option<f64> {
        self.number(key, "a number", &range, Number::as_f64, report)
    }

    fn number<N: PartialOrd + Display + Copy>(
        &self,
        key: &str,
        expected: &str,
        range: &RangeInclusive<N>,
        read: impl Fn(&Number) -> Option<N>,
        report: &mut Report,
    ) -> Option<N> {
        let node = self.present(key)?;
        let number = match &node.value {
            Value::Number(number) => read(number),
            _ => None,
        };
        match number {
            None => report.error(node.at, self.wrong(key, expected, &node.value)),
            Some(number) if !range.contains(&number) => {
                let (least, most) = (range.start(), range.end());
                report.error(
                    node.at,
                    format!("`{key}` of {} is {number}; it must be between {least} and {most}", self.what),
                );
            }
            Some(number) => return Some(number),
        }
        None
    }

    /// A list of texts that are not empty; `None` if absent or null.
    pub(super) fn texts(&self, key: &str, report: &mut Report) -> Option<Vec<(&'a str, At)>> {
        let node = self.present(key)?;
        let Value::List(items) = &node.value else {
            let hint = matches!(node.value, Value::Text(_)).then(|| format!("write `{key}: [name]`"));
            report.error_hint(node.at, self.wrong(key, "a list", &node.value), hint);
            return Some(Vec::new());
        };
        let mut texts = Vec::new();
        for item in items {
            match &item.value {
                Value::Text(text) if !text.trim().is_empty() => texts.push((text.as_str(), item.at)),
                Value::Text(_) => {
                    report.error(item.at, format!("`{key}` of {} has an empty entry", self.what));
                }
                other => report.error(
                    item.at,
                    format!("`{key}` of {} must hold names, found {}", self.what, other.kind()),
                ),
            }
        }
        Some(texts)
    }

    fn wrong(&self, key: &str, expected: &str, found: &Value) -> String {
        let found = match found {
            Value::Text(text) => quote(text),
            Value::Number(number) => format!("`{number}`"),
            Value::Bool(flag) => format!("`{flag}`"),
            Value::Null | Value::List(_) | Value::Map(_) => found.kind().to_owned(),
        };
        format!("`{key}` of {} must be {expected}, found {found}", self.what)
    }
}
