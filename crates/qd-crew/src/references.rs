//! Whether the names inside a crew refer to something: agents, earlier tasks, variables.
//!
//! Used on what was just read and on what comes from the store, so nothing here relies on how a spec came about.

use std::collections::{BTreeMap, BTreeSet};

use qd_types::AgentId;

use crate::diagnostic::{At, Report, quote};
use crate::spec::{CrewSpec, TaskSpec};
use crate::suggest::did_you_mean;
use crate::template::Template;

/// Characters of a name.
const NAME_CHARS_MAX: usize = 64;
/// Agents that one task may fall back to.
const FALLBACK_AGENTS_MAX: usize = 10;

/// Where the parts of a spec stand, by paths such as `tasks/2/context/0`.
#[derive(Debug, Default)]
pub(crate) struct Places {
    top: At,
    by_path: BTreeMap<String, At>,
}

impl Places {
    pub(crate) fn new(top: At) -> Self {
        Self { top, by_path: BTreeMap::new() }
    }

    pub(crate) fn put(&mut self, path: String, at: At) {
        self.by_path.insert(path, at);
    }

    /// The place of the path or of the nearest thing around it.
    pub(crate) fn at(&self, path: &str) -> At {
        let mut path = path;
        loop {
            if let Some(at) = self.by_path.get(path) {
                return *at;
            }
            match path.rsplit_once('/') {
                Some((around, _)) => path = around,
                None => return self.top,
            }
        }
    }
}

/// Reports names that refer to nothing, names given twice, and parts that nothing uses.
pub(crate) fn check(spec: &CrewSpec, places: &Places, report: &mut Report) {
    check_name("crew", spec.name.as_str(), places.at("name"), report);
    check_agents(spec, places, report);
    let mut earlier: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, task) in spec.tasks.iter().enumerate() {
        let at = places.at(&format!("tasks/{index}/name"));
        check_name("task", task.name.as_str(), at, report);
        check_context(index, task, &earlier, spec, places, report);
        check_agent_of(index, task, spec, places, report);
        check_fallback_agents(index, task, spec, places, report);
        if earlier.insert(task.name.as_str(), index).is_some() {
            report.error(at, format!("task {} is defined twice", quote(task.name.as_str())));
        }
    }
    if !report.has_errors() {
        for (what, is_empty) in [("agents", spec.agents.is_empty()), ("tasks", spec.tasks.is_empty())] {
            if is_empty {
                report.error(places.at(what), format!("the crew has no {what}"));
            }
        }
    }
    // What is wrong already would only be repeated by these.
    if !report.has_errors() {
        warn_unused(spec, places, report);
    }
}

/// Names stand in step ids, addresses and messages: `[A-Za-z0-9_-]`, at most 64.
fn check_name(kind: &str, name: &str, at: At, report: &mut Report) {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() {
        report.error(at, format!("the name of the {kind} is empty"));
    } else if name.chars().nth(NAME_CHARS_MAX).is_some() {
        let message = format!("{kind} name {} is longer than {NAME_CHARS_MAX} characters", quote(name));
        report.error(at, message);
    } else if !name.chars().all(allowed) {
        let better: String = name.trim().chars().map(|c| if allowed(c) { c } else { '-' }).collect();
        let hint = better.chars().any(|c| c.is_ascii_alphanumeric()).then(|| format!("use `{better}`"));
        let message = format!("{kind} name {} may hold only letters, digits, `_` and `-`", quote(name));
        report.error_hint(at, message, hint);
    }
}

fn check_agents(spec: &CrewSpec, places: &Places, report: &mut Report) {
    let mut names = BTreeSet::new();
    for (index, agent) in spec.agents.iter().enumerate() {
        let at = places.at(&format!("agents/{index}/name"));
        check_name("agent", agent.name.as_str(), at, report);
        if !names.insert(agent.name.as_str()) {
            report.error(at, format!("agent {} is defined twice", quote(agent.name.as_str())));
        }
    }
}

fn check_agent_of(index: usize, task: &TaskSpec, spec: &CrewSpec, places: &Places, report: &mut Report) {
    let name = task.agent.as_str();
    let at = places.at(&format!("tasks/{index}/agent"));
    if name.is_empty() {
        // Where it was read from a file, that was reported.
        if !report.has_errors() {
            report.error(at, format!("task {} lacks `agent`", quote(task.name.as_str())));
        }
        return;
    }
    check_agent_name(&task.agent, at, spec, report);
}

/// Those who stand in: defined, and none who has had its turn already.
fn check_fallback_agents(
    index: usize,
    task: &TaskSpec,
    spec: &CrewSpec,
    places: &Places,
    report: &mut Report,
) {
    let mut seen = BTreeSet::from([&task.agent]);
    for (nth, agent) in task.fallback_agents.iter().enumerate() {
        let at = places.at(&format!("tasks/{index}/fallback_agents/{nth}"));
        if nth == FALLBACK_AGENTS_MAX {
            report.error(at, format!("`fallback_agents` has more than {FALLBACK_AGENTS_MAX} names"));
            return;
        }
        if *agent == task.agent {
            let message =
                format!("agent {} does the task already and cannot stand in", quote(agent.as_str()));
            report.error(at, message);
        } else if !seen.insert(agent) {
            report.error(at, format!("`fallback_agents` names agent {} twice", quote(agent.as_str())));
        } else {
            check_agent_name(agent, at, spec, report);
        }
    }
}

fn check_agent_name(wanted: &AgentId, at: At, spec: &CrewSpec, report: &mut Report) {
    if spec.agents.iter().any(|agent| agent.name == *wanted) {
        return;
    }
    let name = wanted.as_str();
    let by_role = spec.agents.iter().find(|agent| agent.role.trim() == name.trim());
    let hint = match by_role {
        Some(agent) => Some(format!("that is the role of agent {0}: write {0}", quote(agent.name.as_str()))),
        None => did_you_mean(name, spec.agents.iter().map(|agent| agent.name.as_str())),
    };
    report.error_hint(at, format!("agent {} is not defined", quote(name)), hint);
}

fn check_context(
    index: usize,
    task: &TaskSpec,
    earlier: &BTreeMap<&str, usize>,
    spec: &CrewSpec,
    places: &Places,
    report: &mut Report,
) {
    let mut seen = BTreeSet::new();
    for (nth, wanted) in task.context.iter().flatten().enumerate() {
        let at = places.at(&format!("tasks/{index}/context/{nth}"));
        let name = wanted.as_str();
        if !seen.insert(name) {
            report.error(at, format!("`context` names task {} twice", quote(name)));
        } else if name == task.name.as_str() {
            report.error(at, format!("task {} cannot be its own context", quote(name)));
        } else if !earlier.contains_key(name) {
            let (message, hint) = if spec.tasks.iter().any(|other| other.name == *wanted) {
                let message = format!(
                    "task {} comes later and cannot be context of {}",
                    quote(name),
                    quote(task.name.as_str())
                );
                (message, Some("change the order of the tasks".to_owned()))
            } else {
                let known = spec.tasks.iter().map(|other| other.name.as_str());
                (format!("task {} is not defined", quote(name)), did_you_mean(name, known))
            };
            report.error_hint(at, message, hint);
        }
    }
}

fn warn_unused(spec: &CrewSpec, places: &Places, report: &mut Report) {
    for (index, agent) in spec.agents.iter().enumerate() {
        if !spec
            .tasks
            .iter()
            .any(|task| task.agent == agent.name || task.fallback_agents.contains(&agent.name))
        {
            let at = places.at(&format!("agents/{index}/name"));
            report.warn(at, format!("agent {} has no task", quote(agent.name.as_str())));
        }
    }
    let used = variables(spec);
    for name in spec.inputs.keys().filter(|name| !used.contains(*name)) {
        let at = places.at(&format!("inputs/{name}"));
        report.warn(at, format!("no text uses the variable {}", quote(name)));
    }
}

/// The variables in all texts of a crew.
fn variables(spec: &CrewSpec) -> BTreeSet<String> {
    let of_agents = spec.agents.iter().flat_map(|agent| [&agent.role, &agent.goal, &agent.backstory]);
    let of_tasks = spec.tasks.iter().flat_map(|task| [&task.description, &task.expected_output]);
    let texts = of_agents.chain(of_tasks).map(|text| Template::parse(text));
    texts.flat_map(|text| text.variables().map(str::to_owned).collect::<Vec<_>>()).collect()
}
