//! From the merged tree to typed settings, with every mistake at once.
//!
//! A value that does not fit is reported with its origin and taken out, and decoding starts again, until it succeeds:
//! so one run shows all mistakes, and serde stays the only description of what fits. What it may be is said in the words
//! of `keys.rs`; whether it makes sense is asked in `checks.rs`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::keys::{self, Kind};
use super::layers::{Merged, Origin, Sources, Tree, merge};
use super::variables::{self, Variables};
use super::{Config, Settings, checks, defaults, providers, scenario, secrets};

/// Mistakes shown at most.
const PROBLEMS_MAX: usize = 50;

/// One mistake, or something that somebody should look at.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    /// Where the value came from.
    pub(crate) at: Origin,
    /// Which setting; empty for the whole file.
    pub(crate) path: String,
    /// What is wrong and what to do.
    pub(crate) message: String,
}

/// All mistakes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Problems(pub(crate) Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, problem: Problem) {
        let is_new = !self.0.iter().any(|known| known.at == problem.at && known.path == problem.path);
        if self.0.len() < PROBLEMS_MAX && (is_new || problem.path.is_empty()) {
            self.0.push(problem);
        }
    }

    /// Whether something was found about one of these settings.
    pub(super) fn are_about(&self, paths: &[&str]) -> bool {
        self.0.iter().any(|problem| paths.contains(&problem.path.as_str()))
    }

    /// In the order in which a person goes through a file.
    pub(super) fn sort(&mut self) {
        self.0.sort_by_key(|problem| match &problem.at {
            Origin::File { place, .. } => (0, Some(*place)),
            Origin::Dotenv { place, .. } => (1, Some(*place)),
            Origin::Variable(_) => (2, None),
            Origin::Flag(_) => (3, None),
            Origin::Default | Origin::Profile(_) => (4, None),
        });
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { String::new() } else { format!("{}: ", self.path) };
        write!(f, "{}: {path}{}", self.at, self.message)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            let line_end = if n + 1 < self.0.len() { "\n" } else { "" };
            write!(f, "{problem}{line_end}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// What is read while a configuration is built.
pub(super) struct Reading<'a> {
    /// Resolves `{ env = … }`, given the variables, and `{ file = … }`.
    pub(super) secret: &'a dyn Fn(&Value, &Variables) -> Result<String, String>,
    /// The text of a file that a setting names.
    pub(super) file: scenario::ReadFile<'a>,
}

/// What stands at the top of the file and is about models.
pub(super) const OF_MODELS: [&str; 5] = ["default_model", "providers", "models", "routing", "prices"];

/// Builds a configuration.
pub(super) fn build(sources: &Sources, base: &Path, reading: &Reading<'_>) -> Result<Config, Problems> {
    let mut problems = Problems::default();
    let Merged { mut tree, profile, variables } = merge(sources, &mut problems);
    let mut warnings = Problems::default();
    warnings.0.extend(variables::unread(sources, &profile));
    checks::literal_secrets(&tree, &profile, &mut problems, &mut warnings);
    tables(&mut tree, &mut problems);
    let shown = tree.clone();
    providers::complete(&mut tree);
    secrets::resolve(&mut tree, &|reference| (reading.secret)(reference, &variables), &mut problems);
    scenario::lay_under(&mut tree, reading.file, &mut problems);
    let mut rest = tree.clone();
    let mut models = Map::new();
    for key in OF_MODELS {
        if let Some(value) = rest.values.remove(key) {
            models.insert(key.to_owned(), value);
        }
    }
    let mut models = Tree { values: models, origins: tree.origins.clone() };
    let settings: Option<Settings> = decode(&mut rest, &mut problems);
    let mut models: Option<qd_llm::Options> = decode(&mut models, &mut problems);
    if let Some(models) = &mut models {
        providers::keys_from_variables(models, &tree, &variables);
    }
    checks::bounds(&tree, &mut problems);
    if let (Some(settings), Some(models)) = (&settings, &models) {
        checks::models(models, &tree, &profile, &mut problems);
        checks::settings(settings, &tree, &profile, &mut problems, &mut warnings);
        checks::drain(settings, models, &tree, &mut warnings);
        checks::cheaper_model(settings, models, &tree, &mut problems);
    }
    problems.sort();
    warnings.sort();
    match (settings, models) {
        (Some(settings), Some(models)) if problems.0.is_empty() => {
            let (base, warnings) = (base.to_owned(), warnings.0);
            Ok(Config { base, profile, settings, models, tree: shown, warnings })
        }
        _ => Err(problems),
    }
}

/// Reports what should be a table and is none: serde would take the items of a list for the keys of a table.
pub(super) fn tables(tree: &mut Tree, problems: &mut Problems) {
    let mut wrong = Vec::new();
    checks::not_tables("", &Value::Object(tree.values.clone()), keys::ROOT, &mut wrong);
    let fallback = defaults::all();
    for (path, kind) in wrong {
        let found = tree.get(&path).map(shown).unwrap_or_else(|| "something else".to_owned());
        let message = format!("must be {}, found {found}", kind.wanted());
        problems.add(Problem { at: tree.origin(&path), path: path.clone(), message });
        replace(tree, &path, &fallback);
    }
}

pub(super) fn decode<T: DeserializeOwned>(tree: &mut Tree, problems: &mut Problems) -> Option<T> {
    let fallback = defaults::all();
    for _ in 0..PROBLEMS_MAX * 2 {
        let error = match serde_path_to_error::deserialize(Value::Object(tree.values.clone())) {
            Ok(typed) => return Some(typed),
            Err(error) => error,
        };
        let mut path = error.path().to_string();
        let message = error.inner().to_string();
        if let Some(unknown) = unknown_field(&message) {
            // serde names the table; the key is in the message.
            if !path.ends_with(unknown) || tree.get(&path).is_none() {
                path = if path == "." { unknown.to_owned() } else { format!("{path}.{unknown}") };
            }
        }
        if path == "." {
            problems.add(Problem { at: Origin::Default, path: String::new(), message });
            return None;
        }
        let at = tree.origin(&path);
        // What was taken out because it does not fit is not missing.
        let missing = message.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
        let is_told = missing.is_some_and(|key| problems.are_about(&[&format!("{path}.{key}")]));
        if !is_told {
            let message = explained(&message, &path, tree.get(&path));
            problems.add(Problem { at, path: path.clone(), message });
        }
        if !stand_in(tree, &path) && !replace(tree, &path, &fallback) {
            return None;
        }
    }
    None
}

fn unknown_field(message: &str) -> Option<&str> {
    message.strip_prefix("unknown field `")?.split('`').next()
}

/// Puts something in the place of a value that must be there, so that its table is not said to lack it.
fn stand_in(tree: &mut Tree, path: &str) -> bool {
    let Some((above, name)) = path.rsplit_once('.') else { return false };
    let table = above.split('.').next().unwrap_or_default();
    let kind = keys::find(path).map(|key| &key.kind).filter(|_| keys::required(table).contains(&name));
    let value = match kind {
        Some(Kind::Text) => Value::from("-"),
        Some(Kind::Choice(words)) => Value::from(words[0]),
        Some(Kind::Number(..)) => Value::from(0),
        Some(Kind::Texts) => Value::Array(Vec::new()),
        _ => return false,
    };
    match tree.holder(path) {
        Some((table, key)) if table.get(key) != Some(&value) => {
            table.insert(key.to_owned(), value);
            true
        }
        _ => false,
    }
}

/// Puts the default in the place of a value that does not fit, or takes it out. False if that changes nothing.
fn replace(tree: &mut Tree, path: &str, fallback: &Map<String, Value>) -> bool {
    // The item of a list goes with the whole list.
    let path = path.split('[').next().unwrap_or(path);
    let default = Tree { values: fallback.clone(), origins: BTreeMap::new() }.get(path).cloned();
    if let Some(default) = default {
        let changed = tree.get(path) != Some(&default);
        tree.set(path, default, &Origin::Default);
        return changed;
    }
    // A key that is missing goes with its table.
    let mut path = path;
    loop {
        if let Some((table, key)) = tree.holder(path)
            && table.remove(key).is_some()
        {
            return true;
        }
        match path.rsplit_once('.') {
            Some((above, _)) => path = above,
            None => return false,
        }
    }
}

/// What is wrong, without the words of serde and without the value of a secret.
fn explained(message: &str, path: &str, found: Option<&Value>) -> String {
    if let Some(unknown) = unknown_field(message) {
        return no_such_key(unknown, message, path);
    }
    if message.starts_with("missing field") {
        let key = message.split('`').nth(1).unwrap_or_default();
        return format!("lacks `{key}`");
    }
    match (keys::find(path).map(|key| &key.kind), found) {
        (Some(Kind::Texts), Some(item)) if path.ends_with(']') => {
            format!("must be {}, found {}", Kind::Text.wanted(), shown(item))
        }
        (Some(Kind::Secret), _) => format!("must be {}", Kind::Secret.wanted()),
        // It is text, so its owner says what is wrong with it.
        (Some(Kind::Text), Some(Value::String(_))) => message.replace("\\\"", "\""),
        (Some(kind), Some(found)) => {
            format!("must be {}, found {}{}", kind.wanted(), shown(found), near(kind, found))
        }
        _ => message.replace("\\\"", "\""),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => "a table".to_owned(),
        Value::Array(items) if items.len() > 3 => "a list".to_owned(),
        other => {
            let text = other.to_string();
            if text.chars().count() > 60 { "a long text".to_owned() } else { format!("`{text}`") }
        }
    }
}

fn near(kind: &Kind, found: &Value) -> String {
    let (Kind::Choice(words), Some(word)) = (kind, found.as_str()) else { return String::new() };
    let near = qd_crew::nearest(word, words.iter().copied());
    near.map_or(String::new(), |near| format!("; did you mean `{near}`?"))
}

fn no_such_key(unknown: &str, message: &str, path: &str) -> String {
    let above = path.strip_suffix(unknown).unwrap_or(path).trim_end_matches('.');
    let by_serde = || message.split('`').skip(3).step_by(2).collect();
    let known: Vec<&str> =
        keys::of_table(above).map_or_else(by_serde, |keys| keys.iter().map(|key| key.name).collect());
    let hint = match qd_crew::nearest(unknown, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known: {}", known.join(", ")),
    };
    let place = if above.is_empty() { "at the top".to_owned() } else { format!("in [{above}]") };
    format!("there is no setting `{unknown}` {place}; {hint}")
}
