//! One agent of a crew file.

use std::ops::RangeInclusive;

use qd_types::AgentId;

use crate::diagnostic::{At, Report, is_deceptive, quote};
use crate::references::Places;
use crate::spec::{AgentSpec, MAX_ITER_DEFAULT, MAX_RETRY_LIMIT_DEFAULT};
use crate::tree::{Node, Value};

use super::fields::Fields;
use super::items::Item;
use super::{keys, llm, model_cache};

/// Turns of one task that an agent may be given.
pub(super) const MAX_ITER_MAX: i64 = 1_000;
/// Model calls a minute that a bound may allow; more is no bound.
pub(super) const MAX_RPM_MAX: i64 = 100_000;
/// Seconds of one task: a day, as for a job.
pub(super) const MAX_EXECUTION_TIME_MAX: i64 = 86_400;
/// Restarts of one task.
pub(super) const MAX_RETRY_LIMIT_MAX: i64 = 100;
/// Tools of one agent or task.
const TOOLS_MAX: usize = 128;
const DATE_FORMAT_DEFAULT: &str = "%Y-%m-%d";
const DATE_FORMAT_CHARS_MAX: usize = 64;
/// What a date format may hold after `%`.
const DATE_DIRECTIVES: &str = "YmdHMSBbAajyIp%";

/// Reads an agent; what is missing becomes empty and is reported.
pub(super) fn read(index: usize, item: &Item<'_>, places: &mut Places, report: &mut Report) -> AgentSpec {
    let fields = item.fields("agent");
    keys::check(&fields, keys::AGENT, report);
    let path = format!("agents/{index}");
    places.put(path.clone(), item.at);
    if let Some(node) = fields.present("llm") {
        places.put(format!("{path}/llm"), model_place(node));
    }
    let max_iter = whole(&fields, "max_iter", 1..=MAX_ITER_MAX, report);
    let max_retry_limit = whole(&fields, "max_retry_limit", 0..=MAX_RETRY_LIMIT_MAX, report);
    AgentSpec {
        name: AgentId::new(&item.name),
        role: role(&fields, report),
        goal: fields.required_text("goal", report),
        backstory: fields.required_text("backstory", report),
        llm: fields.present("llm").and_then(|node| llm::read(&fields.what, node, report)),
        tools: tools(&fields, &path, places, report),
        max_iter: max_iter.unwrap_or(MAX_ITER_DEFAULT),
        max_rpm: whole(&fields, "max_rpm", 1..=MAX_RPM_MAX, report),
        max_execution_time: whole(&fields, "max_execution_time", 1..=MAX_EXECUTION_TIME_MAX, report),
        max_retry_limit: max_retry_limit.unwrap_or(MAX_RETRY_LIMIT_DEFAULT),
        max_tokens: llm::tokens(&fields, "max_tokens", report),
        date_format: date_format(&fields, report),
        model_cache: model_cache::read(&fields, report),
        use_system_prompt: fields.bool("use_system_prompt", report).unwrap_or(true),
        respect_context_window: fields.bool("respect_context_window", report).unwrap_or(true),
    }
}

/// A whole number within bounds that fit.
pub(super) fn whole(
    fields: &Fields<'_>,
    key: &str,
    range: RangeInclusive<i64>,
    report: &mut Report,
) -> Option<u32> {
    fields.whole(key, range, report).and_then(|number| u32::try_from(number).ok())
}

/// Where the model's name stands.
fn model_place(node: &Node) -> At {
    let fields = Fields::of("", node);
    ["model", "model_name", "deployment_name"]
        .iter()
        .find_map(|key| fields.present(key))
        .map_or(node.at, |model| model.at)
}

/// A role is shown to people as a name.
fn role(fields: &Fields<'_>, report: &mut Report) -> String {
    let role = fields.required_text("role", report);
    if let Some(bad) = role.trim().chars().find(|c| is_deceptive(*c) && *c != '\n' && *c != '\t') {
        let at = fields.present("role").map_or(fields.at, |node| node.at);
        let message =
            format!("`role` of {} holds the invisible character {}", fields.what, quote(&bad.to_string()));
        report.error(at, message);
    }
    role
}

/// Names of tools, of an agent or of a task.
pub(super) fn tools(
    fields: &Fields<'_>,
    path: &str,
    places: &mut Places,
    report: &mut Report,
) -> Vec<String> {
    if let Some(Node { value: Value::List(items), .. }) = fields.present("tools")
        && let Some(object) = items.iter().find(|item| matches!(item.value, Value::Map(_)))
    {
        let message =
            format!("a tool written as a mapping in `tools` of {} is not supported yet", fields.what);
        report.error_hint(object.at, message, Some("name a tool of the configuration".to_owned()));
        return Vec::new();
    }
    let mut names: Vec<String> = Vec::new();
    for (name, at) in fields.texts("tools", report).unwrap_or_default() {
        if names.iter().any(|known| known == name) {
            report.warn(at, format!("`tools` of {} names {} twice", fields.what, quote(name)));
            continue;
        }
        if names.len() == TOOLS_MAX {
            report.error(at, format!("`tools` of {} has more than {TOOLS_MAX} entries", fields.what));
            break;
        }
        places.put(format!("{path}/tools/{}", names.len()), at);
        names.push(name.to_owned());
    }
    names
}

/// The format of the date, if one is asked for. A bad format is reported even where it is not used.
fn date_format(fields: &Fields<'_>, report: &mut Report) -> Option<String> {
    let given = fields.text("date_format", report);
    if let Some((format, at)) = given
        && let Some(reason) = date_format_mistake(format)
    {
        report.error(at, format!("`date_format` of {} {reason}", fields.what));
    }
    let wanted = fields.bool("inject_date", report).unwrap_or(false);
    wanted.then(|| given.map_or(DATE_FORMAT_DEFAULT, |(format, _)| format).to_owned())
}

/// What is wrong with a date format, if something is.
fn date_format_mistake(format: &str) -> Option<String> {
    if format.chars().nth(DATE_FORMAT_CHARS_MAX).is_some() {
        return Some(format!("is longer than {DATE_FORMAT_CHARS_MAX} characters"));
    }
    let mut says_something = false;
    let mut rest = format.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            continue;
        }
        match rest.next() {
            Some('%') => {}
            Some(directive) if DATE_DIRECTIVES.contains(directive) => says_something = true,
            Some(other) => return Some(format!("has {}, which is not read", quote(&format!("%{other}")))),
            None => return Some("ends in a single `%`".to_owned()),
        }
    }
    (!says_something).then(|| "holds no part of a date, such as `%Y`".to_owned())
}
