//! Which keys a crew, an agent, a task and an `llm` may have, and what becomes of each.
//!
//! A key that would change results and is not built yet is an error unless its value is the one that changes nothing;
//! silently ignoring it would give another crew than the one written down.

use qd_types::OnExpiry;

use crate::diagnostic::{Report, quote};
use crate::suggest::did_you_mean;
use crate::tree::Value;

use super::fields::Fields;

/// What becomes of a key.
pub(super) enum Rule {
    /// It is read: what its value looks like, and what it is for.
    Read(Form, &'static str),
    /// Any value will do: it changes nothing that matters here.
    Harmless,
    /// It is accepted with a warning that says why it does nothing.
    NoEffect(&'static str),
    /// Only null, an empty value or one of these is accepted.
    Only(&'static [Inert]),
    /// The same, with what to do instead.
    Instead(&'static str),
}

/// What the value of a key that is read looks like. The readers of this folder say the same in words, and the schema
/// says it to editors.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    /// A text that says something.
    Text,
    Flag,
    /// A whole number within bounds.
    Whole(i64, i64),
    /// A number within bounds.
    Float(f64, f64),
    /// Names.
    Names,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A text or a list of so many.
    Stops(usize),
    /// A model's name or the mapping of [`LLM`].
    Llm,
    /// [`AGENT`]s by name or in a list.
    Agents,
    /// [`TASK`]s in their order.
    Tasks,
    /// Anything, by variable.
    Inputs,
    /// A flag, or the mapping of [`MODEL_CACHE`].
    ModelCache,
    /// A flag, or the mapping of [`HUMAN_INPUT`].
    HumanInput,
}

/// A value that changes nothing.
pub(super) enum Inert {
    Flag(bool),
    Number(i64),
    Word(&'static str),
}

use Inert::{Flag, Number, Word};
use Rule::{Harmless, Instead, NoEffect, Only, Read};

use super::agent::{MAX_EXECUTION_TIME_MAX, MAX_ITER_MAX, MAX_RETRY_LIMIT_MAX, MAX_RPM_MAX};
use super::human_input::{EXPIRES_SECONDS_MAX, REMINDER_SECONDS_MAX, REMINDERS_MAX, ROUNDS_MAX};
use super::llm::{STOPS_MAX, TOKENS_MAX};
use super::model_cache::TTL_SECONDS_MAX;

const NEVER: Rule = Only(&[]);
const OFF: Rule = Only(&[Flag(false)]);

pub(super) type Keys = &'static [(&'static str, Rule)];

pub(super) const CREW: Keys = &[
    ("name", Read(Form::Text, "Its name; that of the file or folder without.")),
    ("process", Read(Form::Word(&["sequential"]), "How its tasks follow each other: one after the other.")),
    ("agents", Read(Form::Agents, "Who does the tasks, by name.")),
    (
        "tasks",
        Read(
            Form::Tasks,
            "What is done, in this order. Without any the first agent does what is asked: the input `message`.",
        ),
    ),
    ("inputs", Read(Form::Inputs, "Values of variables that a job does not give.")),
    ("verbose", Harmless),
    ("stream", Harmless),
    ("tracing", Harmless),
    ("cache", NoEffect("tool results are not cached")),
    ("share_crew", NoEffect("nothing is shared with anyone")),
    ("output_log_file", NoEffect("the server writes the logs")),
    ("checkpoint", NoEffect("every job can be resumed anyway")),
    ("security_config", NoEffect("fingerprints are not used")),
    ("chat_llm", NoEffect("it is for CrewAI's own chat command")),
    ("manager_llm", NoEffect("a sequential process has no manager")),
    ("manager_agent", NoEffect("a sequential process has no manager")),
    ("memory", OFF),
    ("embedder", Harmless),
    ("planning", OFF),
    ("planning_llm", Harmless),
    (
        "max_rpm",
        Read(
            Form::Whole(1, MAX_RPM_MAX),
            "Model calls in any minute of all its agents that have no bound of their own, in one process.",
        ),
    ),
    (
        "model_cache",
        Read(
            Form::ModelCache,
            "Whether answers of models are kept and given to whoever asks exactly the same [false]: `true` for a day, or `{ttl_seconds: 3600}`. CrewAI's own `cache` is another thing: it is about results of tools.",
        ),
    ),
    ("function_calling_llm", NEVER),
    ("knowledge", NEVER),
    ("knowledge_sources", NEVER),
    ("skills", NEVER),
    ("prompt_file", NEVER),
    ("trained_agents_file", NEVER),
    ("step_callback", NEVER),
    ("task_callback", NEVER),
    ("before_kickoff_callbacks", NEVER),
    ("after_kickoff_callbacks", NEVER),
    ("tool_failure_policy", Only(&[Word("warn")])),
    ("config", NEVER),
];

pub(super) const AGENT: Keys = &[
    ("name", Read(Form::Text, "Its name, in a list of agents; in a mapping its key.")),
    ("role", Read(Form::Text, "What it is. `{variable}` stands for an input.")),
    ("goal", Read(Form::Text, "What it is after. `{variable}` stands for an input.")),
    ("backstory", Read(Form::Text, "What it knows and how it works. `{variable}` stands for an input.")),
    (
        "llm",
        Read(
            Form::Llm,
            "Its model: an alias of `[models]` or `provider/model`, or a mapping; the default model without.",
        ),
    ),
    ("tools", Read(Form::Names, "Names of its tools.")),
    (
        "max_iter",
        Read(Form::Whole(1, MAX_ITER_MAX), "Turns with tools before the final answer is asked for [25]."),
    ),
    ("max_tokens", Read(Form::Whole(1, TOKENS_MAX), "Bound of each answer, where `llm` has none.")),
    ("inject_date", Read(Form::Flag, "Whether today's date stands in its instructions [false].")),
    ("date_format", Read(Form::Text, "How that date is written, as for `strftime` [%Y-%m-%d].")),
    (
        "use_system_prompt",
        Read(
            Form::Flag,
            "Whether instructions go as a system message, else at the start of the user's [true].",
        ),
    ),
    ("verbose", Harmless),
    ("cache", Harmless),
    ("use_better_compaction", Harmless),
    ("embedder", Harmless),
    ("knowledge_config", Harmless),
    ("max_reasoning_attempts", Harmless),
    ("code_execution_mode", Harmless),
    ("guardrail_max_retries", Harmless),
    ("checkpoint", NoEffect("every job can be resumed anyway")),
    ("security_config", NoEffect("fingerprints are not used")),
    (
        "respect_context_window",
        Read(
            Form::Flag,
            "Whether what was said so far is put into fewer words when it is longer than the model's window, else the job fails [true].",
        ),
    ),
    ("allow_delegation", OFF),
    ("memory", OFF),
    ("multimodal", OFF),
    ("allow_code_execution", OFF),
    ("planning", OFF),
    ("planning_config", NEVER),
    ("reasoning", OFF),
    (
        "model_cache",
        Read(
            Form::ModelCache,
            "The same for its answers: `true`, `false` or `{ttl_seconds: 3600}`; without, as the crew says.",
        ),
    ),
    ("max_rpm", Read(Form::Whole(1, MAX_RPM_MAX), "Its model calls in any minute, in one process.")),
    (
        "max_execution_time",
        Read(
            Form::Whole(1, MAX_EXECUTION_TIME_MAX),
            "Seconds that a task of it may run, then the job fails.",
        ),
    ),
    (
        "max_retry_limit",
        Read(
            Form::Whole(0, MAX_RETRY_LIMIT_MAX),
            "How often a task of it is begun anew after unusable output [2].",
        ),
    ),
    ("function_calling_llm", NEVER),
    ("system_template", NEVER),
    ("prompt_template", NEVER),
    ("response_template", NEVER),
    ("knowledge", NEVER),
    ("knowledge_sources", NEVER),
    ("apps", NEVER),
    ("mcps", NEVER),
    ("a2a", NEVER),
    ("skills", NEVER),
    ("guardrail", NEVER),
    ("tool_failure_policy", Only(&[Word("warn")])),
    ("step_callback", NEVER),
    ("callbacks", NEVER),
    ("from_repository", NEVER),
    ("executor_class", NEVER),
    ("agent_executor", NEVER),
    ("i18n", NEVER),
    ("config", NEVER),
    ("settings", NEVER),
    ("type", Only(&[Word("Agent")])),
    ("entity_type", Harmless),
];

pub(super) const TASK: Keys = &[
    (
        "name",
        Read(Form::Text, "Its name, in a list of tasks; in a mapping its key. Steps are called after it."),
    ),
    ("description", Read(Form::Text, "What to do. `{variable}` stands for an input.")),
    ("expected_output", Read(Form::Text, "What the answer must be. `{variable}` stands for an input.")),
    ("agent", Read(Form::Text, "Who does it; in a crew of one agent, that one without.")),
    (
        "fallback_agents",
        Read(
            Form::Names,
            "Who does it from its beginning when that one cannot: its models all fail, or its output is of no use.",
        ),
    ),
    (
        "context",
        Read(Form::Names, "Earlier tasks whose outputs it works with; all of them without, none with `[]`."),
    ),
    ("tools", Read(Form::Names, "Tools for this task, instead of the agent's.")),
    ("markdown", Read(Form::Flag, "Whether the answer is asked for in Markdown [false].")),
    ("conversation", Read(Form::Flag, "Whether it sees the conversation; without, the first task does.")),
    (
        "model_cache",
        Read(
            Form::ModelCache,
            "The same for the answers of this task: `true`, `false` or `{ttl_seconds: 3600}`; without, as its agent says.",
        ),
    ),
    (
        "human_input",
        Read(
            Form::HumanInput,
            "Whether a person looks at the answer before the job goes on, and may send it back [false]: `true`, or `{expires_seconds: 86400}` and the like.",
        ),
    ),
    ("create_directory", Harmless),
    ("guardrail_max_retries", Harmless),
    ("max_retries", Harmless),
    ("converter_cls", NEVER),
    ("security_config", NoEffect("fingerprints are not used")),
    ("async_execution", OFF),
    ("output_json", NEVER),
    ("output_pydantic", NEVER),
    ("response_model", NEVER),
    ("output_file", NEVER),
    ("guardrail", NEVER),
    ("guardrails", NEVER),
    ("callback", NEVER),
    ("callbacks", NEVER),
    ("condition", NEVER),
    ("input_files", NEVER),
    ("tool_failure_policy", Only(&[Word("warn")])),
    ("allow_crewai_trigger_context", OFF),
    ("prompt_context", NEVER),
    ("config", NEVER),
    ("type", Only(&[Word("Task")])),
];

const CONFIGURED: Rule = Instead("describe the model under `[models]` and its provider under `[providers]`");

pub(super) const LLM: Keys = &[
    ("model", Read(Form::Text, "An alias of `[models]` or `provider/model`; the default model without.")),
    ("model_name", Read(Form::Text, "The same as `model`.")),
    ("deployment_name", Read(Form::Text, "The same as `model`.")),
    ("temperature", Read(Form::Float(0.0, 2.0), "How much chance there is in the choice of words.")),
    ("top_p", Read(Form::Float(0.0, 1.0), "Of the likely words, which share is chosen from.")),
    ("max_tokens", Read(Form::Whole(1, TOKENS_MAX), "Bound of each answer.")),
    ("max_completion_tokens", Read(Form::Whole(1, TOKENS_MAX), "The same as `max_tokens`.")),
    (
        "seed",
        Read(Form::Whole(i64::MIN, i64::MAX), "For answers that can be repeated, where the provider can."),
    ),
    ("stop", Read(Form::Stops(STOPS_MAX), "Texts that end an answer.")),
    ("stream", Harmless),
    ("n", Only(&[Number(1)])),
    ("provider", CONFIGURED),
    ("base_url", CONFIGURED),
    ("api_base", CONFIGURED),
    ("api_key", CONFIGURED),
    ("api_version", CONFIGURED),
    ("timeout", CONFIGURED),
    ("max_retries", CONFIGURED),
    ("presence_penalty", Only(&[Number(0)])),
    ("frequency_penalty", Only(&[Number(0)])),
    ("logit_bias", NEVER),
    ("logprobs", OFF),
    ("top_logprobs", NEVER),
    ("reasoning_effort", NEVER),
    ("response_format", NEVER),
    ("additional_params", NEVER),
];

pub(super) const MODEL_CACHE: Keys =
    &[("ttl_seconds", Read(Form::Whole(1, TTL_SECONDS_MAX), "How long an answer is kept [86400]."))];

pub(super) const HUMAN_INPUT: Keys = &[
    (
        "reminder_seconds",
        Read(
            Form::Whole(0, REMINDER_SECONDS_MAX),
            "After so long, and again after as long, a reminder is sent; 0 for none. As `[human_input]` says without.",
        ),
    ),
    (
        "reminders",
        Read(Form::Whole(0, REMINDERS_MAX), "So many reminders at most. As `[human_input]` says without."),
    ),
    (
        "expires_seconds",
        Read(
            Form::Whole(0, EXPIRES_SECONDS_MAX),
            "How long an answer is waited for; 0 for ever. As `[human_input]` says without.",
        ),
    ),
    (
        "on_expiry",
        Read(
            Form::Word(OnExpiry::WORDS),
            "What becomes of the job then: it fails, or goes on as if approved. As `[human_input]` says without.",
        ),
    ),
    (
        "max_rounds",
        Read(
            Form::Whole(0, ROUNDS_MAX),
            "How often the task is done anew after feedback; sent back once more, the job fails. As `[human_input]` says without.",
        ),
    ),
];

/// Reports keys that do not exist, are not supported yet, or have no effect.
pub(super) fn check(fields: &Fields<'_>, keys: Keys, report: &mut Report) {
    for (key, node) in fields.entries() {
        let Some((_, rule)) = keys.iter().find(|(known, _)| *known == key.text) else {
            let hint = did_you_mean(&key.text, keys.iter().map(|(known, _)| *known));
            report.error_hint(key.at, format!("{} has no key {}", fields.what, quote(&key.text)), hint);
            continue;
        };
        match rule {
            Read(..) | Harmless => {}
            NoEffect(why) => {
                if !(is_nothing(&node.value) || Flag(false).is(&node.value)) {
                    report.warn(key.at, format!("`{}` of {} has no effect: {why}", key.text, fields.what));
                }
            }
            Only(inert) => {
                if !(is_nothing(&node.value) || inert.iter().any(|value| value.is(&node.value))) {
                    let hint = inert.first().map(|value| format!("only `{value}` is accepted"));
                    report.error_hint(key.at, unsupported(&key.text, fields), hint);
                }
            }
            Instead(hint) => {
                if !is_nothing(&node.value) {
                    report.error_hint(key.at, unsupported(&key.text, fields), Some((*hint).to_owned()));
                }
            }
        }
    }
}

fn unsupported(key: &str, fields: &Fields<'_>) -> String {
    format!("`{key}` of {} is not supported yet", fields.what)
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Text(text) => text.is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Map(entries) => entries.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

impl Inert {
    fn is(&self, value: &Value) -> bool {
        match (self, value) {
            (Flag(flag), value) => value.as_flag() == Some(*flag),
            (Number(number), Value::Number(value)) => value.as_f64() == Some(*number as f64),
            (Word(word), Value::Text(value)) => word == value,
            _ => false,
        }
    }
}

impl std::fmt::Display for Inert {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Flag(flag) => flag.fmt(f),
            Number(number) => number.fmt(f),
            Word(word) => word.fmt(f),
        }
    }
}
