//! Texts with `{variables}`, taken apart once and filled in one pass.
//!
//! A name is `[A-Za-z_][A-Za-z0-9_-]*` directly between braces; everything else, JSON and `{ x }` included, is text.
//! Unlike CrewAI, which replaces one variable after the other, a value that itself holds `{other}` stays as it is: input
//! cannot pull in other variables.

use std::collections::{BTreeMap, BTreeSet};

use qd_types::Input;

use crate::python;

/// Bound of one filled text; a large value used many times would multiply otherwise.
pub(crate) const TEXT_BYTES_MAX: usize = 4 << 20;

/// A text taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Variable(String),
}

/// Values of variables as they stand in texts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Values(BTreeMap<String, String>);

impl Values {
    /// Writes each value the way Python does.
    pub(crate) fn new(input: &Input) -> Self {
        Self(input.iter().map(|(name, value)| (name.clone(), python::to_str(value))).collect())
    }
}

impl Template {
    /// Finds the variables of a text. White space at both ends goes: YAML's `>` leaves a line break there.
    pub(crate) fn parse(text: &str) -> Self {
        let text = text.trim();
        let mut pieces = Vec::new();
        let mut from = 0;
        let mut at = 0;
        while let Some(open) = text[at..].find('{').map(|offset| at + offset) {
            at = open + 1;
            if let Some(name) = name_before_brace(&text[at..]) {
                if open > from {
                    pieces.push(Piece::Text(text[from..open].to_owned()));
                }
                pieces.push(Piece::Variable(name.to_owned()));
                at += name.len() + 1;
                from = at;
            }
        }
        if from < text.len() {
            pieces.push(Piece::Text(text[from..].to_owned()));
        }
        Self { pieces }
    }

    /// The names in the text.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Variable(name) => Some(name.as_str()),
        })
    }

    /// The text with its values. A variable without one stays as it was written; inputs are checked before.
    pub(crate) fn fill(&self, values: &Values) -> String {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Variable(name) => match values.0.get(name) {
                    Some(value) => out.push_str(value),
                    None => out.extend(["{", name, "}"]),
                },
            }
        }
        out
    }

    /// The variable that makes the filled text longer than [`TEXT_BYTES_MAX`], if it is.
    pub(crate) fn too_long_for(&self, values: &Values) -> Option<&str> {
        let length = |name: &str| values.0.get(name).map_or(0, String::len);
        let total = self.pieces.iter().fold(0_usize, |total, piece| {
            total.saturating_add(match piece {
                Piece::Text(text) => text.len(),
                Piece::Variable(name) => length(name),
            })
        });
        let longest =
            || self.variables().collect::<BTreeSet<_>>().into_iter().max_by_key(|name| length(name));
        (total > TEXT_BYTES_MAX).then(longest).flatten()
    }
}

/// The variable name that `rest` begins with, if a closing brace follows it at once.
fn name_before_brace(rest: &str) -> Option<&str> {
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))?;
    let name = &rest[..end];
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    (begins_well && rest[end..].starts_with('}')).then_some(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(json: serde_json::Value) -> Values {
        Values::new(json.as_object().unwrap())
    }

    #[test]
    fn only_names_directly_between_braces_are_variables() {
        let values =
            values(json!({"x": "X", "a-b": "AB", "_u": "U", "x1": 1, "list": [1, "a"], "t": true, "n": null,
            "evil": "{x} {missing}"}));
        for (text, expected) in [
            ("no variables", "no variables"),
            ("{x}", "X"),
            ("a {x} b {x} c", "a X b X c"),
            ("{x}{x1}", "X1"),
            ("{{x}}", "{X}"),
            ("{{{x}}}", "{{X}}"),
            ("{a-b} {_u}", "AB U"),
            ("{ x } {x } { x}", "{ x } {x } { x}"),
            ("{\"a\": 1} {} {1x} {-x} {x.y} {x:y}", "{\"a\": 1} {} {1x} {-x} {x.y} {x:y}"),
            ("{x", "{x"),
            ("x}", "x}"),
            ("{", "{"),
            ("{x{x}", "{xX"),
            ("{é} {xé}", "{é} {xé}"),
            ("é{x}é", "éXé"),
            ("{list} {t} {n}", "[1, 'a'] True None"),
            ("{evil}", "{x} {missing}"),
            ("  {x}\n", "X"),
            ("", ""),
        ] {
            assert_eq!(Template::parse(text).fill(&values), expected, "{text}");
        }
    }

    #[test]
    fn values_are_not_looked_into_for_more_variables() {
        let values = values(json!({"a": "{b}", "b": "{a}"}));
        assert_eq!(Template::parse("{a}{b}").fill(&values), "{b}{a}");
    }

    #[test]
    fn a_variable_without_a_value_stays_visible() {
        assert_eq!(Template::parse("a {gone} b").fill(&Values::default()), "a {gone} b");
    }

    #[test]
    fn a_large_value_used_many_times_is_noticed_without_building_the_text() {
        let template = Template::parse(&"{x} {y}".repeat(20_000));
        let long = "x".repeat(1 << 20);
        assert_eq!(template.too_long_for(&values(json!({"x": long, "y": "y"}))), Some("x"));
        assert_eq!(template.too_long_for(&values(json!({"x": "x", "y": "y"}))), None);
    }
}
