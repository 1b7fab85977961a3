//! Merges the sources into one tree: defaults < profile < file < `[env.NAME]` < variables < flags.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use super::decode::{Problem, Problems};
use super::position::{Place, below, parse};
use super::{defaults, providers};

/// What a configuration is made from. Made by `read.rs`; tests make their own.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// The file's path, as it is to be shown, and its text.
    pub(crate) file: Option<(String, String)>,
    /// The wished profile; `development` without.
    pub(crate) profile: Option<String>,
    /// The process's variables.
    pub(crate) variables: BTreeMap<String, String>,
    /// From the command line.
    pub(crate) flags: Vec<Flag>,
}

/// One setting from the command line.
#[derive(Debug, Clone)]
pub(crate) struct Flag {
    /// The flag, e.g. `--listen`.
    pub(crate) name: &'static str,
    /// The setting's path, e.g. `server.listen`.
    pub(crate) path: &'static str,
    /// Its value.
    pub(crate) value: Value,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Built in.
    Default,
    /// Built in for a profile.
    Profile(String),
    /// A file.
    File {
        /// Its path.
        path: String,
        /// Where in it.
        place: Place,
    },
    /// A variable.
    Variable(String),
    /// The command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => write!(f, "default"),
            Self::Profile(name) => write!(f, "profile {name}"),
            Self::File { path, place } => write!(f, "{path}:{}:{}", place.line, place.column),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// The merged settings with their origins by dotted path.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    pub(crate) values: Map<String, Value>,
    pub(crate) origins: BTreeMap<String, Origin>,
}

impl Tree {
    /// Sets a value at a dotted path, whose keys hold no dots.
    pub(crate) fn set(&mut self, path: &str, value: Value, origin: &Origin) {
        let keys: Vec<&str> = path.split('.').collect();
        self.set_at(&keys, value, origin);
    }

    fn set_at(&mut self, keys: &[&str], value: Value, origin: &Origin) {
        let Some((last, parents)) = keys.split_last() else { return };
        let mut map = &mut self.values;
        for key in parents {
            let child = map.entry((*key).to_owned()).or_insert_with(|| Value::Object(Map::new()));
            if !child.is_object() {
                *child = Value::Object(Map::new());
            }
            let Some(object) = child.as_object_mut() else { return };
            map = object;
        }
        map.insert((*last).to_owned(), value);
        self.origins.insert(keys.join("."), origin.clone());
    }

    /// Where the value at a path, or something in it, or the nearest thing above it, came from.
    pub(crate) fn origin(&self, path: &str) -> Origin {
        // A variable or flag that sets `a.b` makes a table `a` that nothing else speaks of.
        let inside = format!("{path}.");
        let first = self.origins.range(inside.clone()..).next().filter(|(key, _)| key.starts_with(&inside));
        if let (false, Some((_, origin))) = (self.origins.contains_key(path), first) {
            return origin.clone();
        }
        let mut path = path;
        loop {
            if let Some(origin) = self.origins.get(path) {
                return origin.clone();
            }
            match path.rsplit_once('.') {
                Some((above, _)) => path = above,
                None => return Origin::Default,
            }
        }
    }

    /// Lays `over` over `path`: tables merge, everything else replaces.
    fn lay(&mut self, path: &str, over: &Map<String, Value>, origin_of: &dyn Fn(&str) -> Origin) {
        for (key, value) in over {
            let here = below(path, key);
            match value {
                // A secret's reference is one value, not a section.
                Value::Object(table) if !is_reference(table) => {
                    self.origins.insert(here.clone(), origin_of(&here));
                    let keys: Vec<&str> = here.split('.').collect();
                    if self.get(&here).is_none_or(|present| !present.is_object()) {
                        self.set_at(&keys, Value::Object(Map::new()), &origin_of(&here));
                    }
                    self.lay(&here, table, origin_of);
                }
                other => self.set(&here, other.clone(), &origin_of(&here)),
            }
        }
    }

    /// The value at a dotted path.
    pub(crate) fn get(&self, path: &str) -> Option<&Value> {
        let mut keys = path.split('.');
        let first = self.values.get(keys.next()?)?;
        keys.try_fold(first, |value, key| value.as_object()?.get(key))
    }
}

/// `{ env = "NAME" }` or `{ file = "PATH" }`.
pub(super) fn is_reference(table: &Map<String, Value>) -> bool {
    table.len() == 1 && table.iter().all(|(key, value)| (key == "env" || key == "file") && value.is_string())
}

/// The merged tree and the name of the profile.
pub(super) fn merge(sources: &Sources, problems: &mut Problems) -> (Tree, String) {
    let mut tree = Tree::default();
    tree.lay("", &defaults::all(), &|_| Origin::Default);
    let (file, places, path) = match &sources.file {
        None => (Map::new(), BTreeMap::new(), String::new()),
        Some((path, text)) => match parse(text) {
            Ok(parsed) => (parsed.values, parsed.places, path.clone()),
            Err((place, message)) => {
                problems.add(Problem {
                    at: Origin::File { path: path.clone(), place },
                    path: String::new(),
                    message,
                });
                (Map::new(), BTreeMap::new(), path.clone())
            }
        },
    };
    let (file, overlays) = split_overlays(file);
    let profile = profile(sources, &overlays, problems);
    tree.lay("", &defaults::of_profile(&profile), &|_| Origin::Profile(profile.clone()));
    let place_of = |at: &str| Place { ..places.get(at).copied().unwrap_or(Place { line: 1, column: 1 }) };
    let in_file = |at: &str| Origin::File { path: path.clone(), place: place_of(at) };
    let has_models = file.contains_key("providers") || file.contains_key("models");
    if !has_models {
        providers::from_variables(&mut tree, &sources.variables);
    }
    tree.lay("", &file, &in_file);
    if let Some(Value::Object(overlay)) = overlays.get(&profile) {
        let prefix = format!("env.{profile}");
        tree.lay("", overlay, &|at| in_file(&below(&prefix, at)));
    }
    for (name, value) in &sources.variables {
        if let Some(path) = setting_of(name) {
            tree.set(&path, scalar(value), &Origin::Variable(name.clone()));
        }
    }
    for flag in &sources.flags {
        tree.set(flag.path, flag.value.clone(), &Origin::Flag(flag.name));
    }
    (tree, profile)
}

fn split_overlays(mut file: Map<String, Value>) -> (Map<String, Value>, Map<String, Value>) {
    match file.remove("env") {
        Some(Value::Object(overlays)) => (file, overlays),
        Some(other) => {
            file.insert("env".to_owned(), other);
            (file, Map::new())
        }
        None => (file, Map::new()),
    }
}

fn profile(sources: &Sources, overlays: &Map<String, Value>, problems: &mut Problems) -> String {
    let wished = sources.profile.as_ref().or_else(|| sources.variables.get("QUARTERDECK_ENV"));
    let name = wished.cloned().unwrap_or_else(|| "development".to_owned());
    if !defaults::PROFILES.contains(&name.as_str()) && !overlays.contains_key(&name) {
        let message = format!(
            "there is no profile `{name}`; use {} or give the file a table [env.{name}]",
            defaults::PROFILES.join(", ")
        );
        let at = if sources.profile.is_some() {
            Origin::Flag("--env")
        } else {
            Origin::Variable("QUARTERDECK_ENV".into())
        };
        problems.add(Problem { at, path: String::new(), message });
    }
    name
}

/// `QUARTERDECK_STORE__URL` is `store.url`. Single-word names are the binary's own (`QUARTERDECK_ENV`, `_CONFIG`, `_URL`).
fn setting_of(variable: &str) -> Option<String> {
    let rest = variable.strip_prefix("QUARTERDECK_")?;
    match rest {
        "DEFAULT_MODEL" | "DEFAULT_CREW" => Some(rest.to_lowercase()),
        _ if rest.contains("__") => Some(rest.to_lowercase().replace("__", ".")),
        _ => None,
    }
}

/// A variable's text as the value it looks like. Where a text was meant, `decode.rs` takes it back.
fn scalar(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Bool(_) | Value::Number(_) | Value::Array(_))) => value,
        _ => Value::String(text.to_owned()),
    }
}
