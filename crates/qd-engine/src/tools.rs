//! Tools that crews may use: those that are always there, and those that the operator describes.

mod calculator;
mod current_time;
mod http;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use qd_env::Env;
use qd_types::{Input, JobId, StepId, ToolCall, ToolResult, ToolSpec};

pub use http::{DescribedTool, HttpTool, HttpToolOptions, InvalidTool, ResultMap};

/// What repeating a call does to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolEffect {
    /// Nothing: it only looks.
    #[default]
    Read,
    /// Nothing more than the first time did: calls carry a key by which the service knows repetitions.
    Idempotent,
    /// It happens again. Such a call is never repeated.
    AtMostOnce,
}

/// A call, and who asks for it.
#[derive(Clone, Copy)]
pub(crate) struct Invocation<'a> {
    pub(crate) arguments: &'a Input,
    pub(crate) job: JobId,
    pub(crate) step: &'a StepId,
    /// What is left of the job's running time.
    pub(crate) time_left: Duration,
    /// Whether its job still wants it; to be asked before each repetition.
    pub(crate) is_wanted: &'a (dyn Fn() -> bool + Send + Sync),
}

/// Something that a model can have done.
pub(crate) trait Tool: Send + Sync {
    /// What the model is told.
    fn spec(&self) -> ToolSpec;

    /// What repeating it does.
    fn effect(&self) -> ToolEffect {
        ToolEffect::Read
    }

    /// Does it. Dropping the future ends the call.
    fn call<'a>(&'a self, invocation: Invocation<'a>) -> BoxFuture<'a, Result<String, ToolFault>>;
}

/// Why a tool did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ToolFault {
    /// It did not, and the model is told why: it may mend its call.
    #[error("{0}")]
    Told(String),
    /// Nobody knows whether it did.
    #[error("{0}")]
    Unknown(String),
}

/// The tools of this process, by name.
pub(crate) struct Tools {
    by_name: BTreeMap<String, Arc<dyn Tool>>,
}

/// Longest result that goes back to a model.
const RESULT_BYTES: usize = 64 * 1024;

impl Tools {
    /// The tools that are always there, and more.
    pub(crate) fn new(env: &Env, more: &[Arc<HttpTool>]) -> Self {
        let built_in: [Arc<dyn Tool>; 2] =
            [Arc::new(calculator::Calculator), Arc::new(current_time::CurrentTime::new(env.clone()))];
        let more = more.iter().map(|tool| Arc::clone(tool) as Arc<dyn Tool>);
        Self { by_name: more.chain(built_in).map(|tool| (tool.spec().name, tool)).collect() }
    }

    /// Their names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// What repeating a call does.
    pub(crate) fn effect(&self, name: &str) -> ToolEffect {
        self.by_name.get(name).map_or(ToolEffect::Read, |tool| tool.effect())
    }

    /// Executes a call that a machine has checked.
    ///
    /// # Errors
    /// If nobody knows what came of it: why.
    pub(crate) async fn call(
        &self,
        call: &ToolCall,
        job: JobId,
        step: &StepId,
        time_left: Duration,
        is_wanted: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<ToolResult, String> {
        let answer = match self.by_name.get(&call.name) {
            Some(tool) => match serde_json::from_str::<Input>(&call.arguments) {
                Ok(arguments) => {
                    tool.call(Invocation { arguments: &arguments, job, step, time_left, is_wanted }).await
                }
                Err(error) => Err(ToolFault::Told(format!("the arguments are no JSON object: {error}"))),
            },
            None => Err(ToolFault::Told(format!("there is no tool `{}`", call.name))),
        };
        let (mut content, is_error) = match answer {
            Ok(content) => (content, false),
            Err(ToolFault::Told(why)) => (why, true),
            Err(ToolFault::Unknown(why)) => return Err(why),
        };
        content.truncate(content.floor_char_boundary(RESULT_BYTES));
        Ok(ToolResult { id: call.id.clone(), name: call.name.clone(), content, is_error })
    }
}

/// Whether a tool of this name is always there.
#[must_use]
pub fn is_built_in(name: &str) -> bool {
    matches!(name, "calculator" | "current_time")
}

/// What crews may name, for the catalog.
#[must_use]
pub fn tool_specs(env: &Env, more: &[DescribedTool]) -> Vec<ToolSpec> {
    let built_in = Tools::new(env, &[]);
    built_in
        .by_name
        .values()
        .map(|tool| tool.spec())
        .chain(more.iter().map(|tool| tool.spec().clone()))
        .collect()
}
