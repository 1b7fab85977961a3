//! `llm`: a model's name, or a mapping with the name and how to sample.

use crate::diagnostic::{Report, quote};
use crate::spec::LlmSpec;
use crate::tree::{Node, Value};

use super::fields::Fields;
use super::keys;

/// Bound of an answer that a file may ask for.
pub(super) const TOKENS_MAX: i64 = 10_000_000;
/// Texts that end an answer; wires take at least this many.
pub(super) const STOPS_MAX: usize = 4;

/// Reads the value of `llm`.
pub(super) fn read(agent: &str, node: &Node, report: &mut Report) -> Option<LlmSpec> {
    match &node.value {
        Value::Null => None,
        Value::Text(model) if model.trim().is_empty() => {
            report.error(node.at, format!("`llm` of {agent} is empty"));
            None
        }
        Value::Text(model) => Some(LlmSpec { model: Some(model.trim().to_owned()), ..LlmSpec::default() }),
        Value::Map(_) => Some(mapping(&Fields::of(&format!("`llm` of {agent}"), node), report)),
        other @ (Value::Bool(_) | Value::Number(_) | Value::List(_)) => {
            let message =
                format!("`llm` of {agent} must be a model's name or a mapping, found {}", other.kind());
            report.error(node.at, message);
            None
        }
    }
}

fn mapping(fields: &Fields<'_>, report: &mut Report) -> LlmSpec {
    keys::check(fields, keys::LLM, report);
    let mut first_text = |names: [&str; 3]| names.iter().find_map(|name| fields.text(name, report));
    let model =
        first_text(["model", "model_name", "deployment_name"]).map(|(name, _)| name.trim().to_owned());
    let max_tokens = tokens(fields, "max_tokens", report);
    let max_completion_tokens = tokens(fields, "max_completion_tokens", report);
    LlmSpec {
        model: model.filter(|name| !name.is_empty()),
        temperature: fields.float("temperature", 0.0..=2.0, report),
        top_p: fields.float("top_p", 0.0..=1.0, report),
        max_tokens: max_tokens.or(max_completion_tokens),
        seed: fields.whole("seed", i64::MIN..=i64::MAX, report),
        stop: stop(fields, report),
    }
}

/// A bound of answers.
pub(super) fn tokens(fields: &Fields<'_>, key: &str, report: &mut Report) -> Option<u32> {
    fields.whole(key, 1..=TOKENS_MAX, report).and_then(|tokens| u32::try_from(tokens).ok())
}

/// One text or a list of them. White space counts here.
fn stop(fields: &Fields<'_>, report: &mut Report) -> Vec<String> {
    let Some(node) = fields.present("stop") else { return Vec::new() };
    let texts: Vec<&Node> = match &node.value {
        Value::List(items) => items.iter().collect(),
        _ => vec![node],
    };
    if texts.len() > STOPS_MAX {
        report.error(node.at, format!("`stop` of {} has more than {STOPS_MAX} texts", fields.what));
    }
    let mut stops = Vec::new();
    for item in texts {
        match &item.value {
            Value::Text(text) if !text.is_empty() => stops.push(text.clone()),
            Value::Text(_) => report.error(item.at, format!("`stop` of {} has an empty text", fields.what)),
            other => {
                let found = match other {
                    Value::Number(number) => quote(&number.to_string()),
                    other => other.kind().to_owned(),
                };
                report.error(item.at, format!("`stop` of {} must hold texts, found {found}", fields.what));
            }
        }
    }
    stops
}
