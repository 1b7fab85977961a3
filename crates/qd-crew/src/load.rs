//! Crew files into a [`CrewSpec`], with every mistake of all files reported at once.
//!
//! `tree` gives places to values, `keys` says which keys exist and what becomes of them, the files in this folder read
//! one noun each. Whether names refer to something is checked afterwards by `references`, models and tools by `compile`.

mod agent;
mod fields;
mod human_input;
mod items;
mod keys;
mod llm;
mod model_cache;
mod schema;
mod task;
#[cfg(test)]
mod tests;

use qd_types::{CrewName, Input};

use crate::diagnostic::{At, Diagnostic, Diagnostics, Report, quote};
use crate::references;
use crate::references::Places;
use crate::source::{CrewSource, SourceFile};
use crate::spec::{CrewSpec, Process, SPEC_VERSION};
use crate::suggest::did_you_mean;
use crate::tree::{self, Node, Value};

use fields::Fields;
use items::Item;

pub use schema::{SchemaOf, schema};

/// Agents of a crew.
const AGENTS_MAX: usize = 100;
/// Tasks of a crew.
const TASKS_MAX: usize = 500;

/// A crew that was read, and what somebody should look at.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// What the files say.
    pub spec: CrewSpec,
    /// Warnings only.
    pub warnings: Vec<Diagnostic>,
}

/// Reads a crew from its files. Models and tools are not looked up: that is [`compile`](fn@crate::compile), and [`check`](fn@crate::check)
/// does both.
///
/// # Errors
/// If the files have mistakes: all of them, and the warnings, in the order of the files.
pub fn load(source: &CrewSource) -> Result<Loaded, Diagnostics> {
    let (draft, mut report) = read(source);
    if let Some(draft) = &draft {
        references::check(&draft.spec, &draft.places, &mut report);
    }
    let warnings = report.finish()?;
    let spec = draft.expect("a source without errors has a crew").spec;
    Ok(Loaded { spec, warnings })
}

/// A spec that may still have mistakes, and where its parts stand.
pub(crate) struct Draft {
    pub(crate) spec: CrewSpec,
    pub(crate) places: Places,
}

/// Reads the files. Without a draft the report has errors.
pub(crate) fn read(source: &CrewSource) -> (Option<Draft>, Report) {
    let (files, name): (Vec<&SourceFile>, String) = match source {
        CrewSource::Single(file) => (vec![file], stem(&file.path)),
        CrewSource::Named { name, text } => (vec![text], name.clone()),
        CrewSource::Directory { name, agents, tasks, crew } => {
            ([agents, tasks].into_iter().chain(crew).collect(), name.clone())
        }
    };
    let mut report = Report::new(files.iter().map(|file| file.path.clone()).collect());
    let trees: Vec<Option<Node>> =
        files.iter().enumerate().map(|(index, file)| tree::parse(index, file, &mut report)).collect();
    let Some(trees) = trees.into_iter().collect::<Option<Vec<Node>>>() else { return (None, report) };
    let parts = match trees.as_slice() {
        [crew] => Parts::of_one_file(crew, &mut report),
        [agents, tasks, crew @ ..] => Parts::of_folder(agents, tasks, crew.first(), &mut report),
        [] => None,
    };
    let draft = parts.map(|parts| assemble(parts, &name, &mut report));
    (draft, report)
}

/// `research` for `crews/research.yaml`.
fn stem(path: &str) -> String {
    let file = path.rsplit(['/', '\\']).next().unwrap_or(path);
    file.split('.').next().unwrap_or(file).to_owned()
}

/// Reads an item; of one that is no mapping only the name counts.
fn unless_broken<T>(item: &Item<'_>, report: &mut Report, read: impl FnOnce(&mut Report) -> T) -> T {
    if item.is_broken() { read(&mut Report::new(Vec::new())) } else { read(report) }
}

/// What both forms come down to.
struct Parts<'a> {
    crew: Fields<'a>,
    agents: Vec<Item<'a>>,
    tasks: Vec<Item<'a>>,
    /// Then the only agent may do tasks that name none, and what is asked may be the only task.
    is_one_file: bool,
}

impl<'a> Parts<'a> {
    fn of_one_file(root: &'a Node, report: &mut Report) -> Option<Self> {
        let crew = root_fields(root, "a crew file is a mapping with `agents` and `tasks`", report)?;
        let agents = match crew.present("agents") {
            Some(node) => items::agents(node, report),
            None => lacks_agents(&crew, report),
        };
        let tasks = crew.present("tasks").map(|node| items::tasks(node, report)).unwrap_or_default();
        Some(Self { crew, agents, tasks, is_one_file: true })
    }

    fn of_folder(
        agents: &'a Node,
        tasks: &'a Node,
        crew: Option<&'a Node>,
        report: &mut Report,
    ) -> Option<Self> {
        let mut agents = items::named("agent", agents, report);
        let mut tasks = items::named("task", tasks, report);
        let crew = match crew {
            None => Fields::empty("the crew"),
            Some(node) => root_fields(node, "`crew.yaml` is a mapping", report)?,
        };
        if let Some(node) = crew.present("agents") {
            items::overlay_agents(&mut agents, node, report);
        }
        if let Some(node) = crew.present("tasks") {
            tasks = items::select_tasks(tasks, node, report);
        }
        Some(Self { crew, agents, tasks, is_one_file: false })
    }
}

fn root_fields<'a>(root: &'a Node, expected: &str, report: &mut Report) -> Option<Fields<'a>> {
    match &root.value {
        Value::Map(_) => Some(Fields::of("the crew", root)),
        Value::Null => {
            report.error(At { line: 0, ..root.at }, "the file is empty");
            None
        }
        other => {
            report.error(root.at, format!("{expected}, found {}", other.kind()));
            None
        }
    }
}

fn lacks_agents<'a>(crew: &Fields<'_>, report: &mut Report) -> Vec<Item<'a>> {
    report.error(crew.at, "the crew lacks `agents`");
    Vec::new()
}

fn assemble(mut parts: Parts<'_>, default_name: &str, report: &mut Report) -> Draft {
    let mut places = Places::new(parts.crew.at);
    keys::check(&parts.crew, keys::CREW, report);
    for key in ["agents", "tasks"] {
        places.put(key.to_owned(), parts.crew.present(key).map_or(parts.crew.at, |node| node.at));
    }
    let name = crew_name(&parts.crew, default_name, &mut places, report);
    let process = process(&parts.crew, report);
    let max_rpm = agent::whole(&parts.crew, "max_rpm", 1..=agent::MAX_RPM_MAX, report);
    let model_cache = model_cache::read(&parts.crew, report);
    let inputs = inputs(&parts.crew, &mut places, report);
    bound("agents", AGENTS_MAX, &mut parts.agents, report);
    bound("tasks", TASKS_MAX, &mut parts.tasks, report);

    let mut agents = Vec::new();
    for (index, item) in parts.agents.iter().enumerate() {
        agents.push(unless_broken(item, report, |report| agent::read(index, item, &mut places, report)));
    }
    let implied = agents.first().filter(|_| parts.is_one_file && agents.len() == 1);
    let implied = implied.map(|agent| agent.name.clone());
    let mut tasks = Vec::new();
    for (index, item) in parts.tasks.iter().enumerate() {
        let read = |report: &mut Report| task::read(index, item, implied.as_ref(), &mut places, report);
        tasks.push(unless_broken(item, report, read));
    }
    if let Some(first) = agents.first().filter(|_| parts.is_one_file && tasks.is_empty()) {
        tasks.push(task::asked_of(first.name.clone()));
    }
    let spec = CrewSpec { v: SPEC_VERSION, name, process, agents, tasks, max_rpm, model_cache, inputs };
    Draft { spec, places }
}

fn crew_name(crew: &Fields<'_>, default: &str, places: &mut Places, report: &mut Report) -> CrewName {
    let given = crew.text("name", report);
    places.put("name".to_owned(), given.map_or(crew.at, |(_, at)| at));
    CrewName::new(given.map_or(default, |(name, _)| name))
}

fn process(crew: &Fields<'_>, report: &mut Report) -> Process {
    if let Some((word, at)) = crew.text("process", report) {
        match word {
            "sequential" => {}
            "hierarchical" => report.error_hint(
                at,
                "`process: hierarchical` is not supported yet",
                Some("use `sequential` and name the agent of each task".to_owned()),
            ),
            other => {
                let near = did_you_mean(other, ["sequential", "hierarchical"]);
                let hint = near.unwrap_or_else(|| "use `sequential`".to_owned());
                report.error_hint(at, format!("{} is no process", quote(other)), Some(hint));
            }
        }
    }
    Process::Sequential
}

fn inputs(crew: &Fields<'_>, places: &mut Places, report: &mut Report) -> Input {
    let Some(node) = crew.present("inputs") else { return Input::new() };
    let Value::Map(entries) = &node.value else {
        report.error(
            node.at,
            format!("`inputs` must map variables to default values, found {}", node.value.kind()),
        );
        return Input::new();
    };
    for (key, _) in entries {
        places.put(format!("inputs/{}", key.text), key.at);
    }
    entries.iter().map(|(key, node)| (key.text.clone(), node.value.to_json())).collect()
}

fn bound(what: &str, most: usize, items: &mut Vec<Item<'_>>, report: &mut Report) {
    if items.len() > most {
        report.error(items[most].at, format!("the crew has {} {what}; at most {most} are read", items.len()));
        items.truncate(most);
    }
}
