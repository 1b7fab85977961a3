//! Tools that crews may use. A new kind is one file and one line in [`Tools::built_in`].

mod calculator;
mod current_time;

use std::collections::BTreeMap;
use std::sync::Arc;

use qd_env::Env;
use qd_types::{Input, ToolCall, ToolResult, ToolSpec};

/// Something a model can have done.
pub(crate) trait Tool: Send + Sync {
    /// What the model is told.
    fn spec(&self) -> ToolSpec;
    /// Does it. An error goes back to the model, which may mend its call.
    fn call(&self, arguments: &Input) -> Result<String, ToolFault>;
}

/// Why a tool could not do what it was asked for: a text for the model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ToolFault(pub(crate) String);

/// The tools of this process, by name.
pub(crate) struct Tools {
    by_name: BTreeMap<String, Arc<dyn Tool>>,
}

/// Longest result that goes back to a model.
const RESULT_BYTES: usize = 64 * 1024;

impl Tools {
    /// The tools that are always there.
    pub(crate) fn built_in(env: &Env) -> Self {
        let tools: [Arc<dyn Tool>; 2] =
            [Arc::new(calculator::Calculator), Arc::new(current_time::CurrentTime::new(env.clone()))];
        Self { by_name: tools.into_iter().map(|tool| (tool.spec().name, tool)).collect() }
    }

    /// Their names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// Executes a call that a machine has checked.
    pub(crate) fn call(&self, call: &ToolCall) -> ToolResult {
        let answer = match self.by_name.get(&call.name) {
            Some(tool) => match serde_json::from_str::<Input>(&call.arguments) {
                Ok(arguments) => tool.call(&arguments),
                Err(error) => Err(ToolFault(format!("the arguments are no JSON object: {error}"))),
            },
            None => Err(ToolFault(format!("there is no tool `{}`", call.name))),
        };
        let is_error = answer.is_err();
        let mut content = answer.unwrap_or_else(|fault| fault.0);
        content.truncate(content.floor_char_boundary(RESULT_BYTES));
        ToolResult { id: call.id.clone(), name: call.name.clone(), content, is_error }
    }
}

/// What crews may name, for the catalog.
#[must_use]
pub fn tool_specs(env: &Env) -> Vec<ToolSpec> {
    Tools::built_in(env).by_name.values().map(|tool| tool.spec()).collect()
}
