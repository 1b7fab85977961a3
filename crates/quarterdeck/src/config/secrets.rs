//! Secrets, wherever they stand: found by their kind in `keys.rs`, given by reference, never shown.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use super::decode::{Problem, Problems};
use super::keys::{self, Key, Kind};
use super::layers::{Tree, is_reference};

/// A text that is not shown.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct Hidden(String);

impl Hidden {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Whether the key at a path holds a secret.
pub(crate) fn is_secret(path: &str) -> bool {
    keys::find(path).is_some_and(|key| matches!(key.kind, Kind::Secret))
}

/// Paths of all secrets that are set.
pub(super) fn paths(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    walk("", &Value::Object(tree.values.clone()), keys::ROOT, &mut found);
    found
}

fn walk(path: &str, value: &Value, known: &[Key], found: &mut Vec<String>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        let Some(key) = known.iter().find(|key| key.name == name) else { continue };
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match &key.kind {
            Kind::Secret => found.push(path),
            Kind::Secrets => {
                found.extend(
                    value.as_object().into_iter().flatten().map(|(name, _)| format!("{path}.{name}")),
                );
            }
            Kind::Table(keys) => walk(&path, value, keys, found),
            Kind::Named(keys) => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    walk(&format!("{path}.{name}"), value, keys, found);
                }
            }
            _ => {}
        }
    }
}

/// Puts what `{ env = … }` and `{ file = … }` refer to in their places.
pub(super) fn resolve(
    tree: &mut Tree,
    read: &dyn Fn(&Value) -> Result<String, String>,
    problems: &mut Problems,
) {
    for path in paths(tree) {
        let Some(reference) = tree.get(&path).filter(|value| value.is_object()).cloned() else { continue };
        let is_one = reference.as_object().is_some_and(is_reference);
        let resolved =
            if is_one { read(&reference) } else { Err(format!("must be {}", Kind::Secret.wanted())) };
        let Some((table, key)) = tree.holder(&path) else { continue };
        let (key, message) = match resolved {
            Ok(secret) => {
                table.insert(key.to_owned(), Value::String(secret));
                continue;
            }
            Err(message) => (key.to_owned(), message),
        };
        table.remove(&key);
        problems.add(Problem { at: tree.origin(&path), path, message });
    }
}
