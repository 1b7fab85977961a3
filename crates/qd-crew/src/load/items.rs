//! Agents and tasks under their names, out of maps, lists and the layers of a folder.

use std::collections::BTreeSet;

use crate::diagnostic::{At, Report, quote};
use crate::suggest::did_you_mean;
use crate::tree::{Node, Value};

use super::fields::Fields;

/// One agent or task.
pub(super) struct Item<'a> {
    pub(super) name: String,
    /// Where its name stands, or where it begins.
    pub(super) at: At,
    /// Its mapping, and what lies over it.
    pub(super) nodes: Vec<&'a Node>,
}

impl<'a> Item<'a> {
    pub(super) fn fields(&self, kind: &str) -> Fields<'a> {
        Fields::layered(format!("{kind} {}", quote(&self.name)), self.at, &self.nodes)
    }

    /// Whether it was reported as no mapping; what it lacks then needs no report of its own.
    pub(super) fn is_broken(&self) -> bool {
        self.nodes.iter().any(|node| !matches!(node.value, Value::Map(_)))
    }
}

/// Agents of a one-file crew: a map by name, or a list with `name`.
pub(super) fn agents<'a>(node: &'a Node, report: &mut Report) -> Vec<Item<'a>> {
    match &node.value {
        Value::List(entries) => {
            let items = entries.iter().enumerate();
            items.filter_map(|(index, entry)| listed_agent(index, entry, report)).collect()
        }
        _ => named("agent", node, report),
    }
}

fn listed_agent<'a>(index: usize, entry: &'a Node, report: &mut Report) -> Option<Item<'a>> {
    let what = format!("agent {}", index + 1);
    if let Value::Text(name) = &entry.value {
        let message = format!("agent {} in a file of its own is not supported yet", quote(name));
        report.error_hint(entry.at, message, Some("write the agent here, with its `role`".to_owned()));
        return None;
    }
    if !is_mapping(&what, entry, report) {
        return None;
    }
    let fields = Fields::of(&what, entry);
    let given = fields.required_text("name", report);
    let name = if given.trim().is_empty() { format!("agent-{}", index + 1) } else { given };
    let at = fields.present("name").map_or(entry.at, |node| node.at);
    Some(item(name, at, entry))
}

/// Tasks of a one-file crew: a list in the order in which they are done, or a map in that order.
pub(super) fn tasks<'a>(node: &'a Node, report: &mut Report) -> Vec<Item<'a>> {
    let Value::List(entries) = &node.value else { return named("task", node, report) };
    let mut items = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let what = format!("task {}", index + 1);
        if is_mapping(&what, entry, report) {
            let given = Fields::of(&what, entry).text("name", report);
            let (name, at) = match given {
                Some((name, at)) => (name.to_owned(), at),
                None => (format!("task-{}", index + 1), entry.at),
            };
            items.push(item(name, at, entry));
        }
    }
    items
}

/// A map by name, as in `agents.yaml` and `tasks.yaml`.
pub(super) fn named<'a>(kind: &str, node: &'a Node, report: &mut Report) -> Vec<Item<'a>> {
    let entries = match &node.value {
        Value::Map(entries) => entries,
        Value::Null => {
            report.error(node.at, format!("there are no {kind}s"));
            return Vec::new();
        }
        other => {
            report.error(node.at, format!("the {kind}s must be a mapping by name, found {}", other.kind()));
            return Vec::new();
        }
    };
    let mut items: Vec<Item<'_>> = Vec::new();
    let mut seen = BTreeSet::new();
    // A name given twice was reported by the tree.
    for (key, entry) in entries.iter().filter(|(key, _)| seen.insert(key.text.as_str())) {
        let what = format!("{kind} {}", quote(&key.text));
        is_mapping(&what, entry, report);
        if let Some((name, at)) =
            Fields::of(&what, entry).text("name", report).filter(|(name, _)| *name != key.text)
        {
            report.error(at, format!("{what} has another name, {}", quote(name)));
        }
        items.push(item(key.text.clone(), key.at, entry));
    }
    items
}

fn item(name: String, at: At, node: &Node) -> Item<'_> {
    Item { name, at, nodes: vec![node] }
}

fn is_mapping(what: &str, node: &Node, report: &mut Report) -> bool {
    let is_map = matches!(node.value, Value::Map(_));
    if !is_map {
        report.error(node.at, format!("{what} must be a mapping, found {}", node.value.kind()));
    }
    is_map
}

/// Lays the agents of `crew.yaml` over those of `agents.yaml`.
pub(super) fn overlay_agents<'a>(agents: &mut [Item<'a>], node: &'a Node, report: &mut Report) {
    let Value::Map(entries) = &node.value else {
        let message = format!("`agents` must be a mapping by name, found {}", node.value.kind());
        report.error(node.at, message);
        return;
    };
    for (key, entry) in entries {
        if !is_mapping(&format!("agent {}", quote(&key.text)), entry, report) {
            continue;
        }
        match agents.iter_mut().find(|agent| agent.name == key.text) {
            Some(agent) => agent.nodes.push(entry),
            None => undefined("agent", &key.text, key.at, agents, report),
        }
    }
}

/// The tasks that `crew.yaml` lists, in its order; an entry is a name, or a mapping that lies over the task.
pub(super) fn select_tasks<'a>(tasks: Vec<Item<'a>>, node: &'a Node, report: &mut Report) -> Vec<Item<'a>> {
    let Value::List(entries) = &node.value else {
        let message = format!(
            "`tasks` must be a list in the order in which they are done, found {}",
            node.value.kind()
        );
        report.error(node.at, message);
        return tasks;
    };
    let mut listed: Vec<usize> = Vec::new();
    let mut overlays = Vec::new();
    for entry in entries {
        let Some((name, at)) = listed_name(entry, report) else { continue };
        match tasks.iter().position(|task| task.name == name) {
            None => undefined("task", name, at, &tasks, report),
            Some(index) if listed.contains(&index) => {
                report.error(at, format!("task {} is listed twice", quote(name)));
            }
            Some(index) => {
                listed.push(index);
                overlays.push(entry);
            }
        }
    }
    let mut rest: Vec<Option<Item<'a>>> = tasks.into_iter().map(Some).collect();
    let mut chosen: Vec<Item<'a>> = Vec::new();
    for (index, entry) in listed.into_iter().zip(overlays) {
        if let Some(mut task) = rest[index].take() {
            if matches!(entry.value, Value::Map(_)) {
                task.nodes.push(entry);
            }
            chosen.push(task);
        }
    }
    for task in rest.into_iter().flatten() {
        report.warn(
            task.at,
            format!("task {} is not listed in `crew.yaml` and is left out", quote(&task.name)),
        );
    }
    chosen
}

fn listed_name<'a>(entry: &'a Node, report: &mut Report) -> Option<(&'a str, At)> {
    match &entry.value {
        Value::Text(name) => Some((name, entry.at)),
        Value::Map(_) => {
            let fields = Fields::of("an entry of `tasks`", entry);
            if fields.present("name").is_none() {
                report.error(entry.at, "an entry of `tasks` lacks `name`");
            }
            fields.text("name", report)
        }
        other => {
            report.error(entry.at, format!("an entry of `tasks` must be a name, found {}", other.kind()));
            None
        }
    }
}

fn undefined(kind: &str, name: &str, at: At, known: &[Item<'_>], report: &mut Report) {
    let hint = did_you_mean(name, known.iter().map(|item| item.name.as_str()));
    report.error_hint(at, format!("{kind} {} is not defined in `{kind}s.yaml`", quote(name)), hint);
}
