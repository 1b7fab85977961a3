//! Variables: those of the process over those of `.env`, and which settings they give.

use std::collections::BTreeMap;

use serde_json::Value;

use super::decode::{Problem, Problems};
use super::dotenv;
use super::keys::{self, Kind};
use super::layers::{Origin, Sources, Tree};

/// The profile in which `.env` is read.
const DOTENV_PROFILE: &str = "development";
/// What the binary itself reads before there is a configuration.
const OWN: [&str; 4] = ["QUARTERDECK_API_KEY", "QUARTERDECK_CONFIG", "QUARTERDECK_ENV", "QUARTERDECK_URL"];
/// Settings at the top of the file.
const TOP: [&str; 3] = ["QUARTERDECK_CREWS", "QUARTERDECK_DEFAULT_CREW", "QUARTERDECK_DEFAULT_MODEL"];

/// Every variable that is set to something, and which of them come from `.env`.
#[derive(Debug, Default)]
pub(super) struct Variables {
    values: BTreeMap<String, String>,
    from_file: BTreeMap<String, Origin>,
}

/// The variables of the sources. Real ones win, even empty ones.
pub(super) fn of(sources: &Sources, profile: &str, problems: &mut Problems) -> Variables {
    let mut all = Variables { values: sources.variables.clone(), ..Variables::default() };
    if let Some((path, text)) = sources.dotenv.as_ref().filter(|_| profile == DOTENV_PROFILE) {
        let (entries, mistakes) = dotenv::parse(text);
        let at = |place| Origin::Dotenv { path: path.clone(), place };
        for mistake in mistakes {
            problems.add(Problem { at: at(mistake.place), path: String::new(), message: mistake.message });
        }
        for entry in entries {
            if OWN.contains(&entry.name.as_str()) {
                let message =
                    format!("{} is not read from here; set it where the program is started", entry.name);
                problems.add(Problem { at: at(entry.place), path: String::new(), message });
            } else if !all.values.contains_key(&entry.name) {
                all.from_file.insert(entry.name.clone(), at(entry.place));
                all.values.insert(entry.name, entry.value);
            }
        }
    }
    all.values.retain(|_, value| !value.is_empty());
    all
}

/// Whether a `.env` is there that this profile does not read.
pub(super) fn unread(sources: &Sources, profile: &str) -> Option<Problem> {
    let (path, _) = sources.dotenv.as_ref().filter(|_| profile != DOTENV_PROFILE)?;
    let at = Origin::Dotenv { path: path.clone(), place: super::position::Place { line: 1, column: 1 } };
    let message = format!(
        "is not read in the profile {profile}, only in {DOTENV_PROFILE}; set variables where the program is started"
    );
    Some(Problem { at, path: String::new(), message })
}

impl Variables {
    /// A variable that is set to something.
    pub(super) fn get(&self, name: &str) -> Option<&String> {
        self.values.get(name)
    }

    /// Where a variable is set.
    pub(super) fn origin(&self, name: &str) -> Origin {
        self.from_file.get(name).cloned().unwrap_or_else(|| Origin::Variable(name.to_owned()))
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        self.values.iter()
    }

    /// Lays those that are settings over a tree, and reports those that are meant to be.
    pub(super) fn lay(&self, tree: &mut Tree, problems: &mut Problems) {
        for (name, value) in &self.values {
            match setting_of(name) {
                Some(path) => tree.set(&path, value_of(&path, value), &self.origin(name)),
                None if is_unknown(name) => problems.add(Problem {
                    at: self.origin(name),
                    path: String::new(),
                    message: unknown(name),
                }),
                None => {}
            }
        }
    }
}

/// `QUARTERDECK_STORE__URL` is `store.url`.
fn setting_of(variable: &str) -> Option<String> {
    let rest = variable.strip_prefix("QUARTERDECK_")?;
    let is_setting = TOP.contains(&variable) || rest.contains("__");
    is_setting.then(|| rest.to_lowercase().replace("__", "."))
}

fn is_unknown(name: &str) -> bool {
    name.starts_with("QUARTERDECK_") && !OWN.contains(&name) && !is_service_link(name)
}

/// Kubernetes tells every pod about a service called `quarterdeck` or `quarterdeck-api` in such variables.
fn is_service_link(name: &str) -> bool {
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || name.ends_with("_PORT")
        || name.split_once("_PORT_").is_some_and(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn unknown(name: &str) -> String {
    let rest = name.trim_start_matches("QUARTERDECK_");
    let known = OWN.into_iter().chain(TOP).map(|known| known.trim_start_matches("QUARTERDECK_"));
    let near = qd_crew::nearest(rest, known).map(|near| format!("QUARTERDECK_{near}")).or_else(|| {
        // One underscore where two were meant.
        let rest = rest.to_lowercase();
        let (table, key) = rest.split_once('_')?;
        keys::find(&format!("{table}.{key}"))?;
        Some(format!("QUARTERDECK_{}__{}", table.to_uppercase(), key.to_uppercase()))
    });
    let hint = near.map_or_else(
        || "settings are called QUARTERDECK_SECTION__KEY, such as QUARTERDECK_WORKER__SLOTS".to_owned(),
        |near| format!("did you mean {near}?"),
    );
    format!("there is no such variable; {hint}")
}

/// A variable's text as the value that its key wants: keys and names may look like numbers.
fn value_of(path: &str, text: &str) -> Value {
    if let Some(Kind::Text | Kind::Secret | Kind::Choice(_)) = keys::find(path).map(|key| &key.kind) {
        return Value::String(text.to_owned());
    }
    match serde_json::from_str(text) {
        Ok(value @ (Value::Bool(_) | Value::Number(_) | Value::Array(_))) => value,
        _ => Value::String(text.to_owned()),
    }
}
