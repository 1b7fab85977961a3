//! The stored form of a crew: everything a crew file says that has a meaning, with names still unresolved.
//!
//! It is written as JSON with a version, and its hash tells whether a crew changed. A spec may be older than the
//! release that reads it, so fields are only ever added, with defaults.

use qd_types::{AgentId, CrewName, Input, OnExpiry, TaskId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::canonical::canonical_json;

/// Version of the stored shape.
pub const SPEC_VERSION: u32 = 1;

/// LLM turns of a task without `max_iter`.
pub(crate) const MAX_ITER_DEFAULT: u32 = 25;

/// Restarts of a task without `max_retry_limit`.
pub(crate) const MAX_RETRY_LIMIT_DEFAULT: u32 = 2;

/// A crew as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CrewSpec {
    /// [`SPEC_VERSION`] when it was written.
    pub v: u32,
    /// Its name.
    pub name: CrewName,
    /// How its tasks follow each other.
    #[serde(default)]
    pub process: Process,
    /// In the order of the file.
    pub agents: Vec<AgentSpec>,
    /// In the order in which they are done.
    pub tasks: Vec<TaskSpec>,
    /// Model calls a minute of all its agents that have no bound of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rpm: Option<u32>,
    /// Whether answers of models are kept, where agents and tasks do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_cache: Option<ModelCacheSpec>,
    /// Values of variables that a job does not give.
    #[serde(default, skip_serializing_if = "Input::is_empty")]
    pub inputs: Input,
}

/// How the tasks of a crew follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Process {
    /// One after the other, in order.
    #[default]
    Sequential,
}

/// Who does tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentSpec {
    /// Its key.
    pub name: AgentId,
    /// What it is.
    pub role: String,
    /// What it is after.
    pub goal: String,
    /// What it knows and how it works.
    pub backstory: String,
    /// Its model; the default model without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub llm: Option<LlmSpec>,
    /// Names of its tools.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    /// Turns with tools before the final answer is asked for.
    #[serde(default = "max_iter_default")]
    pub max_iter: u32,
    /// Model calls a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rpm: Option<u32>,
    /// Seconds that a task of it may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_execution_time: Option<u32>,
    /// How often a task is begun anew after unusable output.
    #[serde(default = "max_retry_limit_default", skip_serializing_if = "is_max_retry_limit_default")]
    pub max_retry_limit: u32,
    /// Bound of each answer, where `llm` has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// How today's date stands in its instructions (`strftime`); absent for no date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date_format: Option<String>,
    /// Whether answers of its model are kept; absent: as the crew says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_cache: Option<ModelCacheSpec>,
    /// Whether instructions go as a system message; else at the start of the user's.
    #[serde(default = "yes")]
    pub use_system_prompt: bool,
    /// Whether what was said is put into fewer words when it is longer than the model's window.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub respect_context_window: bool,
}

fn max_retry_limit_default() -> u32 {
    MAX_RETRY_LIMIT_DEFAULT
}

/// Left out when it is the default, so that the hash of a crew stored before there was such a field stays the same.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_max_retry_limit_default(limit: &u32) -> bool {
    *limit == MAX_RETRY_LIMIT_DEFAULT
}

/// See [`is_max_retry_limit_default`].
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_yes(flag: &bool) -> bool {
    *flag
}

fn max_iter_default() -> u32 {
    MAX_ITER_DEFAULT
}

fn yes() -> bool {
    true
}

/// A model and how to sample from it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LlmSpec {
    /// An alias or `provider/model`; the default model without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Sampling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Bound of each answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// For reproducible sampling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Texts that end an answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
}

/// Whether answers of models are kept and given to whoever asks the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelCacheSpec {
    /// For how many seconds; 0 for not at all.
    pub ttl_seconds: u32,
}

/// That a person looks at a task's answer, and what happens meanwhile. What is absent is as the configuration says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HumanInputSpec {
    /// Seconds until a reminder, and between two of them; 0 for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reminder_seconds: Option<u32>,
    /// Reminders at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reminders: Option<u32>,
    /// Seconds after which nobody is waited for any more; 0 for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_seconds: Option<u32>,
    /// What becomes of the job then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_expiry: Option<OnExpiry>,
    /// How often feedback is taken and the task done anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_rounds: Option<u32>,
}

/// One node of the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// Its name; step ids begin with it.
    pub name: TaskId,
    /// What to do.
    pub description: String,
    /// What the answer must be.
    pub expected_output: String,
    /// Who does it.
    pub agent: AgentId,
    /// Who does it when that one cannot, one after the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallback_agents: Vec<AgentId>,
    /// Earlier tasks whose outputs it works with; absent for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Vec<TaskId>>,
    /// Instead of the agent's tools, unless empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    /// Whether the answer is asked for in Markdown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub markdown: bool,
    /// Whether a person looks at its answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub human_input: Option<HumanInputSpec>,
    /// Whether it sees the conversation; absent: the first task does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<bool>,
    /// Whether answers of models are kept; absent: as its agent says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_cache: Option<ModelCacheSpec>,
}

impl CrewSpec {
    /// SHA-256 of its canonical JSON, in hex: equal for crews that mean the same.
    #[must_use]
    pub fn hash(&self) -> String {
        let json = serde_json::to_value(self).expect("a spec holds only text keys and finite numbers");
        let digest = Sha256::digest(canonical_json(&json).as_bytes());
        digest.iter().fold(String::with_capacity(64), |mut hex, byte| {
            for nibble in [byte >> 4, byte & 15] {
                hex.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
            }
            hex
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(json: &str) -> CrewSpec {
        serde_json::from_str(json).unwrap()
    }

    const SMALL: &str = r#"{"v":1,"name":"c","agents":[{"name":"a","role":"r","goal":"g","backstory":"b"}],
        "tasks":[{"name":"t","description":"d","expected_output":"e","agent":"a"}],"inputs":{"x":1,"y":2}}"#;

    #[test]
    fn a_stored_spec_round_trips_and_absent_fields_have_defaults() {
        let crew = spec(SMALL);
        assert_eq!((crew.agents[0].max_iter, crew.agents[0].use_system_prompt), (25, true));
        let again = spec(&serde_json::to_string(&crew).unwrap());
        assert_eq!(again, crew);
    }

    #[test]
    fn the_hash_ignores_order_of_inputs_and_sees_every_change_of_meaning() {
        let crew = spec(SMALL);
        let reordered = spec(&SMALL.replace(r#""x":1,"y":2"#, r#""y":2,"x":1"#));
        let changed = spec(&SMALL.replace(r#""role":"r""#, r#""role":"R""#));
        assert_eq!(crew.hash(), reordered.hash());
        assert_ne!(crew.hash(), changed.hash());
        assert_eq!(crew.hash().len(), 64);
        assert!(crew.hash().chars().all(|c| c.is_ascii_hexdigit()));
    }
}
