//! Scenarios: how a simulator behaves, as a file of its own. It has the keys of `[providers.NAME.sim]`.

use std::collections::BTreeMap;

use qd_llm::sim::SimOptions;
use serde_json::{Map, Value, json};

use super::checks;
use super::decode::{Problem, Problems, decode, tables};
use super::layers::{Origin, Tree};
use super::position::{Place, parse};

/// Answers the path of a file, as it is to be shown, and its text.
pub(super) type ReadFile<'a> = &'a dyn Fn(&str) -> Result<(String, String), String>;

/// Names it in a provider's table.
const KEY: &str = "scenario";

/// Puts the scenario that a simulator names under its other settings.
pub(super) fn lay_under(tree: &mut Tree, read: ReadFile<'_>, problems: &mut Problems) {
    let Some(Value::Object(providers)) = tree.values.get_mut("providers") else { return };
    let mut named = Vec::new();
    for (name, provider) in providers {
        let sim = provider.get_mut("sim").and_then(Value::as_object_mut);
        match sim.and_then(|sim| sim.remove(KEY)) {
            Some(Value::String(file)) => named.push((name.clone(), Ok(file))),
            Some(other) => named.push((name.clone(), Err(other))),
            None => {}
        }
    }
    for (name, file) in named {
        let path = format!("providers.{name}.sim.{KEY}");
        let at = tree.origin(&path);
        let add = |problems: &mut Problems, message| problems.add(Problem { at, path, message });
        match file.map(|file| read(&file)) {
            Ok(Ok((shown, text))) => match places(&shown, &text) {
                Ok(scenario) => scenario.lay_under(tree, &name),
                Err(problem) => problems.add(problem),
            },
            Ok(Err(message)) => add(problems, message),
            Err(other) => add(problems, format!("must be text in quotes, found `{other}`")),
        }
    }
}

/// Reads a scenario by itself.
pub(super) fn of_file(shown: &str, text: &str) -> Result<SimOptions, Problems> {
    const NAME: &str = "sim";
    let mut problems = Problems::default();
    let scenario = places(shown, text).map_err(|problem| Problems(vec![problem]))?;
    let mut tree = Tree::default();
    tree.set(&format!("providers.{NAME}.kind"), json!("sim"), &Origin::Default);
    scenario.lay_under(&mut tree, NAME);
    tables(&mut tree, &mut problems);
    let mut values = Tree { values: tree.values.clone(), origins: tree.origins.clone() };
    let models: Option<qd_llm::Options> = decode(&mut values, &mut problems);
    checks::bounds(&tree, &mut problems);
    for problem in models.as_ref().and_then(|models| models.validate().err()).unwrap_or_default() {
        if !problems.are_about(&[&problem.path]) {
            let at = tree.origin(&problem.path);
            problems.add(Problem { at, path: problem.path, message: problem.message });
        }
    }
    problems.sort();
    let prefix = format!("providers.{NAME}.sim.");
    for problem in &mut problems.0 {
        problem.path = problem.path.strip_prefix(&prefix).unwrap_or(&problem.path).to_owned();
        problem.message =
            problem.message.replace(&format!("[{}]", prefix.trim_end_matches('.')), "a scenario");
        problem.message = problem.message.replace(&prefix, "");
    }
    let options = models.and_then(|mut models| models.providers.remove(NAME)).map(|provider| provider.sim);
    options.filter(|_| problems.0.is_empty()).ok_or(problems)
}

/// A file that was read.
struct Scenario {
    shown: String,
    values: Map<String, Value>,
    places: BTreeMap<String, Place>,
}

fn places(shown: &str, text: &str) -> Result<Scenario, Problem> {
    let shown = shown.to_owned();
    match parse(text) {
        Ok(parsed) if parsed.values.contains_key(KEY) => {
            let place = parsed.places.get(KEY).copied().unwrap_or(Place { line: 1, column: 1 });
            let message = "a scenario names no other one".to_owned();
            Err(Problem { at: Origin::File { path: shown, place }, path: KEY.to_owned(), message })
        }
        Ok(parsed) => Ok(Scenario { shown, values: parsed.values, places: parsed.places }),
        Err((place, message)) => {
            Err(Problem { at: Origin::File { path: shown, place }, path: String::new(), message })
        }
    }
}

impl Scenario {
    fn lay_under(&self, tree: &mut Tree, provider: &str) {
        let prefix = format!("providers.{provider}.sim.");
        let origin_of = |at: &str| {
            let own = at.strip_prefix(&prefix).unwrap_or(at);
            let place = self.places.get(own).copied().unwrap_or(Place { line: 1, column: 1 });
            Origin::File { path: self.shown.clone(), place }
        };
        tree.lay_under(&["providers", provider, "sim"], &self.values, &origin_of);
    }
}
