//! Merges the sources into one tree: defaults < profile < file < `[env.NAME]` < variables < flags. In development the
//! variables of `.env` stand below those of the process.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use super::decode::{Problem, Problems};
use super::position::{Place, below, parse};
use super::variables::{self, Variables};
use super::{defaults, providers};

/// What a configuration is made from. Made by `read.rs`; tests make their own.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// The file's path, as it is to be shown, and its text.
    pub(crate) file: Option<(String, String)>,
    /// The wished profile; `development` without.
    pub(crate) profile: Option<String>,
    /// The process's variables, empty ones too.
    pub(crate) variables: BTreeMap<String, String>,
    /// The path of `.env`, as it is to be shown, and its text.
    pub(crate) dotenv: Option<(String, String)>,
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
    /// A variable of the process.
    Variable(String),
    /// A variable of `.env`.
    Dotenv {
        /// Path of the file.
        path: String,
        /// Where in it.
        place: Place,
    },
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
            Self::Dotenv { path, place } => write!(f, "{path}:{}", place.line),
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
        // serde writes the items of a list as `a[0]`, the file's places as `a.0`.
        let plain = path.replace('[', ".").replace(']', "");
        let mut path = plain.as_str();
        // A variable or flag that sets `a.b` makes a table `a` that nothing else speaks of.
        let inside = format!("{path}.");
        let first = self.origins.range(inside.clone()..).next().filter(|(key, _)| key.starts_with(&inside));
        if let (false, Some((_, origin))) = (self.origins.contains_key(path), first) {
            return origin.clone();
        }
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

    /// Lays `over` over the table at `keys`: tables merge, everything else replaces.
    fn lay(&mut self, keys: &[&str], over: &Map<String, Value>, origin_of: &dyn Fn(&str) -> Origin) {
        for (key, value) in over {
            let here: Vec<&str> = keys.iter().copied().chain([key.as_str()]).collect();
            let path = here.join(".");
            match value {
                // A secret's reference is one value, not a section.
                Value::Object(table) if !is_reference(table) => {
                    if self.get(&path).is_none_or(|present| !present.is_object()) {
                        self.set_at(&here, Value::Object(Map::new()), &origin_of(&path));
                    }
                    self.origins.insert(path.clone(), origin_of(&path));
                    self.lay(&here, table, origin_of);
                }
                other => {
                    self.items(&path, other, origin_of);
                    self.set_at(&here, other.clone(), &origin_of(&path));
                }
            }
        }
    }

    /// Lays a table under the one at `keys`: what stands there already wins.
    pub(super) fn lay_under(
        &mut self,
        keys: &[&str],
        under: &Map<String, Value>,
        origin_of: &dyn Fn(&str) -> Origin,
    ) {
        let (before, path) = (self.clone(), keys.join("."));
        self.set_at(keys, Value::Object(Map::new()), &before.origin(&path));
        self.lay(keys, under, origin_of);
        if let Some(Value::Object(over)) = before.get(&path) {
            self.lay(keys, over, &|at| before.origin(at));
        }
    }

    /// Where each item of a list stands, with what is in it; those of a list that is replaced stand nowhere any more.
    fn items(&mut self, path: &str, value: &Value, origin_of: &dyn Fn(&str) -> Origin) {
        let inside = format!("{path}.");
        self.origins.retain(|known, _| !known.starts_with(&inside));
        self.places_in(path, value, origin_of);
    }

    fn places_in(&mut self, path: &str, value: &Value, origin_of: &dyn Fn(&str) -> Origin) {
        let items = value.as_array().into_iter().flatten().enumerate();
        let keys = value.as_object().into_iter().flatten();
        let inside =
            items.map(|(n, item)| (n.to_string(), item)).chain(keys.map(|(key, v)| (key.clone(), v)));
        for (key, value) in inside {
            let path = below(path, &key);
            self.origins.insert(path.clone(), origin_of(&path));
            self.places_in(&path, value, origin_of);
        }
    }

    /// The value at a dotted path, with items of lists as `a[0]`. Keys may hold dots, as names of models do.
    pub(crate) fn get(&self, path: &str) -> Option<&Value> {
        find(&self.values, path)
    }

    /// The table that holds the last key of a path, and that key.
    pub(super) fn holder<'a>(&mut self, path: &'a str) -> Option<(&mut Map<String, Value>, &'a str)> {
        holder(&mut self.values, path)
    }
}

fn find<'a>(map: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    map.get(path).or_else(|| {
        map.iter().find_map(|(key, value)| {
            let rest = path.strip_prefix(key.as_str())?;
            let Some(rest) = rest.strip_prefix('[') else {
                return find(value.as_object()?, rest.strip_prefix('.')?);
            };
            let (index, rest) = rest.split_once(']')?;
            let item = value.get(index.parse::<usize>().ok()?)?;
            if rest.is_empty() { Some(item) } else { find(item.as_object()?, rest.strip_prefix('.')?) }
        })
    })
}

fn holder<'m, 'p>(
    map: &'m mut Map<String, Value>,
    path: &'p str,
) -> Option<(&'m mut Map<String, Value>, &'p str)> {
    if map.contains_key(path) {
        return Some((map, path));
    }
    map.iter_mut().find_map(|(key, value)| {
        let rest = path.strip_prefix(key.as_str())?.strip_prefix('.')?;
        holder(value.as_object_mut()?, rest)
    })
}

/// `{ env = "NAME" }` or `{ file = "PATH" }`.
pub(super) fn is_reference(table: &Map<String, Value>) -> bool {
    table.len() == 1 && table.iter().all(|(key, value)| (key == "env" || key == "file") && value.is_string())
}

/// What the sources come down to.
pub(super) struct Merged {
    pub(super) tree: Tree,
    pub(super) profile: String,
    pub(super) variables: Variables,
}

/// Merges the sources.
pub(super) fn merge(sources: &Sources, problems: &mut Problems) -> Merged {
    let mut tree = Tree::default();
    tree.lay(&[], &defaults::all(), &|_| Origin::Default);
    let (file, places, path) = read_file(sources, problems);
    let (file, overlays) = split_overlays(file);
    let profile = profile(sources, &overlays, problems);
    let variables = variables::of(sources, &profile, problems);
    tree.lay(&[], &defaults::of_profile(&profile), &|_| Origin::Profile(profile.clone()));
    let place_of = |at: &str| Place { ..places.get(at).copied().unwrap_or(Place { line: 1, column: 1 }) };
    let in_file = |at: &str| Origin::File { path: path.clone(), place: place_of(at) };
    let overlay = match overlays.get(&profile) {
        Some(Value::Object(overlay)) => overlay.clone(),
        Some(_) => {
            let at = in_file(&format!("env.{profile}"));
            let message = format!("must be a table of settings for the profile {profile}");
            problems.add(Problem { at, path: format!("env.{profile}"), message });
            Map::new()
        }
        None => Map::new(),
    };
    let has_models =
        ["providers", "models"].iter().any(|key| file.contains_key(*key) || overlay.contains_key(*key));
    if !has_models {
        providers::from_variables(&mut tree, &variables);
    }
    tree.lay(&[], &file, &in_file);
    let prefix = format!("env.{profile}");
    tree.lay(&[], &overlay, &|at| in_file(&below(&prefix, at)));
    variables.lay(&mut tree, problems);
    for flag in &sources.flags {
        tree.set(flag.path, flag.value.clone(), &Origin::Flag(flag.name));
    }
    providers::implied(&mut tree);
    Merged { tree, profile, variables }
}

type Read = (Map<String, Value>, BTreeMap<String, Place>, String);

fn read_file(sources: &Sources, problems: &mut Problems) -> Read {
    let Some((path, text)) = &sources.file else { return Read::default() };
    match parse(text) {
        Ok(parsed) => (parsed.values, parsed.places, path.clone()),
        Err((place, message)) => {
            let at = Origin::File { path: path.clone(), place };
            problems.add(Problem { at, path: String::new(), message });
            (Map::new(), BTreeMap::new(), path.clone())
        }
    }
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
    let variable = sources.variables.get("QUARTERDECK_ENV").filter(|name| !name.is_empty());
    let wished = sources.profile.as_ref().or(variable);
    let name = wished.cloned().unwrap_or_else(|| "development".to_owned());
    if !defaults::PROFILES.contains(&name.as_str()) && !overlays.contains_key(&name) {
        let message = format!(
            "there is no profile `{name}`; use {} or give the file a table [env.{name}]{}",
            defaults::PROFILES.join(", "),
            qd_crew::nearest(
                &name,
                defaults::PROFILES.into_iter().chain(overlays.keys().map(String::as_str))
            )
            .map_or(String::new(), |near| format!("; did you mean `{near}`?"))
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
