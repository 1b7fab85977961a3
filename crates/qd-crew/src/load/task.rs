//! One task of a crew file.

use qd_types::{AgentId, TaskId};

use crate::diagnostic::Report;
use crate::references::Places;
use crate::spec::TaskSpec;

use super::fields::Fields;
use super::items::Item;
use super::{agent, human_input, keys, model_cache};

/// Reads a task; what is missing becomes empty and is reported.
pub(super) fn read(
    index: usize,
    item: &Item<'_>,
    implied_agent: Option<&AgentId>,
    places: &mut Places,
    report: &mut Report,
) -> TaskSpec {
    let fields = item.fields("task");
    keys::check(&fields, keys::TASK, report);
    let path = format!("tasks/{index}");
    places.put(path.clone(), item.at);
    TaskSpec {
        name: TaskId::new(&item.name),
        description: fields.required_text("description", report),
        expected_output: fields.required_text("expected_output", report),
        agent: agent_of(&fields, &path, implied_agent, places, report),
        fallback_agents: names(&fields, "fallback_agents", &path, places, report)
            .into_iter()
            .flatten()
            .map(AgentId::new)
            .collect(),
        context: context(&fields, &path, places, report),
        tools: agent::tools(&fields, &path, places, report),
        markdown: fields.bool("markdown", report).unwrap_or(false),
        human_input: human_input::read(&fields, report),
        conversation: fields.bool("conversation", report),
        model_cache: model_cache::read(&fields, report),
    }
}

/// The task of a crew without any: whatever it is asked.
pub(super) fn asked_of(agent: AgentId) -> TaskSpec {
    TaskSpec {
        name: TaskId::new("answer"),
        description: "{message}".to_owned(),
        expected_output: "What is asked for, complete and correct".to_owned(),
        agent,
        fallback_agents: Vec::new(),
        context: None,
        tools: Vec::new(),
        markdown: false,
        human_input: None,
        conversation: None,
        model_cache: None,
    }
}

/// The agent's name; empty, and reported, if there is none.
fn agent_of(
    fields: &Fields<'_>,
    path: &str,
    implied: Option<&AgentId>,
    places: &mut Places,
    report: &mut Report,
) -> AgentId {
    match (fields.present("agent"), implied) {
        (None, Some(agent)) => agent.clone(),
        (None, None) => {
            report.error(fields.at, format!("{} lacks `agent`", fields.what));
            AgentId::new("")
        }
        (Some(node), _) => {
            places.put(format!("{path}/agent"), node.at);
            let name = fields.text("agent", report).map_or("", |(name, _)| name.trim());
            if name.is_empty() && matches!(node.value, crate::tree::Value::Text(_)) {
                report.error(node.at, format!("`agent` of {} is empty", fields.what));
            }
            AgentId::new(name)
        }
    }
}

fn context(fields: &Fields<'_>, path: &str, places: &mut Places, report: &mut Report) -> Option<Vec<TaskId>> {
    let tasks = names(fields, "context", path, places, report)?;
    Some(tasks.into_iter().map(TaskId::new).collect())
}

/// The names of a list, whose places are remembered.
fn names<'a>(
    fields: &Fields<'a>,
    key: &str,
    path: &str,
    places: &mut Places,
    report: &mut Report,
) -> Option<Vec<&'a str>> {
    let names = fields.texts(key, report)?;
    for (nth, (_, at)) in names.iter().enumerate() {
        places.put(format!("{path}/{key}/{nth}"), *at);
    }
    Some(names.into_iter().map(|(name, _)| name).collect())
}
