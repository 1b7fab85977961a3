//! YAML (and with it JSON) as a tree in which every key and value knows where it stands.
//!
//! Crew files come from strangers: size, depth, number of nodes and what aliases multiply are bounded here. What the
//! values mean is the business of `load`.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value as Json};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Error as YamlError, Location, MessageFormatter, Options, Spanned, UserMessageFormatter};

use crate::diagnostic::{At, Report, quote};
use crate::source::SourceFile;

/// Bytes of one file.
pub(crate) const SOURCE_BYTES_MAX: usize = 256 << 10;
/// Lists and mappings inside each other, through aliases as well: building the tree recurses this deep.
const DEPTH_MAX: usize = 32;
/// Values in a file, counted again wherever an alias repeats them.
const NODES_MAX: usize = 10_000;
/// Uses of an anchor.
const ALIASES_MAX: usize = 100;

/// A value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) at: At,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key and its place. Keys that are no text (`1:`, `true:`) count as their spelling.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) at: At,
}

impl Value {
    /// For messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a flag",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }

    /// A flag in YAML's spellings, the old ones included.
    pub(crate) fn as_flag(&self) -> Option<bool> {
        match self {
            Self::Bool(flag) => Some(*flag),
            Self::Text(word) => match word.as_str() {
                "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
                "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
                _ => None,
            },
            Self::Null | Self::Number(_) | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// The same without places.
    pub(crate) fn to_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(*value),
            Self::Number(value) => Json::Number(value.clone()),
            Self::Text(value) => Json::String(value.clone()),
            Self::List(items) => items.iter().map(|item| item.value.to_json()).collect(),
            Self::Map(entries) => {
                entries.iter().map(|(key, node)| (key.text.clone(), node.value.to_json())).collect()
            }
        }
    }
}

/// Reads a file; what is wrong with it goes to the report. `None` if there is no tree to look at.
pub(crate) fn parse(file: usize, source: &SourceFile, report: &mut Report) -> Option<Node> {
    let top = At { file, line: 0, column: 0 };
    if source.text.len() > SOURCE_BYTES_MAX {
        let bytes = source.text.len();
        report.error(top, format!("the file has {bytes} bytes; at most {SOURCE_BYTES_MAX} are read"));
        return None;
    }
    match serde_saphyr::from_str_with_options::<Node>(&source.text, options()) {
        Ok(mut node) => {
            settle(&mut node, file, report);
            Some(node)
        }
        Err(error) => {
            let (at, message, hint) = explain(&error, file);
            report.error_hint(at, message, hint);
            None
        }
    }
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            flow_nesting_limit: DEPTH_MAX,
            max_nodes: NODES_MAX,
            max_events: NODES_MAX * 4,
            max_aliases: ALIASES_MAX,
            max_anchors: ALIASES_MAX,
            max_merge_keys: ALIASES_MAX,
            max_documents: 1,
            max_recorded_anchor_events: NODES_MAX * 4,
            max_recorded_anchor_bytes: SOURCE_BYTES_MAX * 8,
            max_total_scalar_bytes: SOURCE_BYTES_MAX,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: NODES_MAX,
            max_replay_stack_depth: DEPTH_MAX,
        },
        // Reported by `settle`, all of them and with both places.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        // `yes`, `no`, `y` stay text, so that a name may be one of them; `Value::as_flag` reads them where a flag is meant.
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

/// Puts the file into the places and reports keys that are given twice.
fn settle(node: &mut Node, file: usize, report: &mut Report) {
    node.at.file = file;
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| settle(item, file, report)),
        Value::Map(entries) => {
            for (key, value) in &mut *entries {
                key.at.file = file;
                settle(value, file, report);
            }
            report_duplicates(entries, report);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {}
    }
}

fn report_duplicates(entries: &[(Key, Node)], report: &mut Report) {
    let mut seen = std::collections::HashMap::new();
    for (key, _) in entries {
        if let Some(line) = seen.insert(key.text.as_str(), key.at.line) {
            report.error(key.at, format!("{} is given twice, first in line {line}", quote(&key.text)));
        }
    }
}

/// Where parsing failed, why, and what to do.
fn explain(error: &YamlError, file: usize) -> (At, String, Option<String>) {
    let at = error.location().map_or(At { file, line: 0, column: 0 }, |location| place(location, file));
    let too = |what: &str, most: usize| format!("the file has too many {what}; at most {most} are read");
    let message = match inner(error) {
        YamlError::Budget { breach, .. } => {
            use serde_saphyr::budget::BudgetBreach as Breach;
            match breach {
                Breach::Depth { .. } => too("levels of nesting", DEPTH_MAX),
                Breach::Aliases { .. } | Breach::AliasAnchorRatio { .. } => too("aliases", ALIASES_MAX),
                Breach::Anchors { .. } => too("anchors", ALIASES_MAX),
                Breach::MergeKeys { .. } => too("merge keys", ALIASES_MAX),
                Breach::Documents { .. } => one_document(),
                Breach::SequenceUnbalanced => "a list or mapping is closed that was never opened".to_owned(),
                _ => too("values", NODES_MAX),
            }
        }
        YamlError::AliasReplayLimitExceeded { .. }
        | YamlError::AliasExpansionLimitExceeded { .. }
        | YamlError::AliasReplayStackDepthExceeded { .. } => {
            format!("aliases repeat more than {NODES_MAX} values")
        }
        YamlError::RecursiveReferencesRequireWeakTypes { .. } => {
            "an alias refers to what holds it".to_owned()
        }
        YamlError::MultipleDocuments { .. } => one_document(),
        YamlError::UnknownAnchor { .. } => {
            "an alias names an anchor that is not defined before it".to_owned()
        }
        YamlError::UnsupportedTag { tag, .. } => format!("the tag {} is not read", quote(tag)),
        YamlError::NonFiniteFloat { value, .. } => format!("{} is no number that can be used", quote(value)),
        YamlError::InvalidScalar { .. }
        | YamlError::InvalidBinaryBase64 { .. }
        | YamlError::BinaryNotUtf8 { .. } => "a value does not fit its tag".to_owned(),
        YamlError::NullIntoString { .. } => "a key is empty".to_owned(),
        YamlError::Unexpected { expected: "string scalar", .. } => "a key must be text".to_owned(),
        YamlError::Eof { .. } => "the file is empty".to_owned(),
        other => {
            let text = UserMessageFormatter.format_message(other);
            if text.contains("recursion limit") {
                too("levels of nesting", DEPTH_MAX)
            } else {
                text.chars().map(harmless).collect()
            }
        }
    };
    let hint = advice(&message).map(str::to_owned);
    (at, message, hint)
}

/// What to do about the two most frequent mistakes in YAML.
fn advice(message: &str) -> Option<&'static str> {
    if message.starts_with("tabs disallowed") {
        Some("indent with spaces")
    } else if message.starts_with("mapping values are not allowed") {
        Some("put a text that holds `: ` in quotes")
    } else {
        None
    }
}

fn one_document() -> String {
    "the file has several documents (`---`); a crew file has one".to_owned()
}

fn inner(mut error: &YamlError) -> &YamlError {
    while let YamlError::AliasError { error: cause, .. } | YamlError::WithSnippet { error: cause, .. } = error
    {
        error = cause;
    }
    error
}

fn harmless(c: char) -> char {
    if crate::diagnostic::is_deceptive(c) { ' ' } else { c }
}

fn place(location: Location, file: usize) -> At {
    let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    At { file, line: number(location.line()), column: number(location.column()) }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { value: spanned.value, at: place(spanned.defined, 0) })
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<String>::deserialize(deserializer)?;
        Ok(Self { text: spanned.value, at: place(spanned.defined, 0) })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
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
        let number = Number::from_f64(value).ok_or_else(|| E::custom("a number is not finite"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Value::Map(map))
    }
}
