//! A crew that can be executed: names resolved to models, tools and places in the order, texts taken apart.

use std::collections::BTreeSet;
use std::time::Duration;

use qd_types::{AgentId, CrewName, Input, TaskId, ToolSpec};

use crate::spec::HumanInputSpec;
use crate::template::{TEXT_BYTES_MAX, Template, Values};

/// Key of the fact that holds a conversation: a JSON array of `{role: user|assistant, text}`, oldest first.
pub const CONVERSATION_FACT: &str = "conversation";

/// A crew, ready for a [`crate::Machine`].
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub(crate) name: CrewName,
    pub(crate) agents: Vec<PlannedAgent>,
    pub(crate) tasks: Vec<PlannedTask>,
    pub(crate) inputs: Input,
    pub(crate) variables: BTreeSet<String>,
}

/// An agent with its model.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedAgent {
    /// Its key.
    pub name: AgentId,
    /// Its role as written, with variables.
    pub role: String,
    /// An alias or `provider/model`.
    pub model: String,
    pub(crate) texts: AgentTexts,
    pub(crate) sampling: Sampling,
    pub(crate) max_iter: u32,
    pub(crate) max_retry_limit: u32,
    /// How often it may ask its model.
    pub pace: Option<Pace>,
    /// How long a task of it may run.
    pub max_execution_time: Option<Duration>,
    pub(crate) date: Option<DateFact>,
    pub(crate) use_system_prompt: bool,
    /// Whether what was said is put into fewer words when it is longer than the model's window; else the step fails.
    pub(crate) respect_context_window: bool,
}

/// A bound of model calls a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// So many.
    pub calls_per_minute: u32,
    /// Whether the agents of the crew share it, or it is the agent's own.
    pub shared: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AgentTexts {
    pub(crate) role: Template,
    pub(crate) goal: Template,
    pub(crate) backstory: Template,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Sampling {
    pub(crate) max_tokens: Option<u32>,
    pub(crate) temperature: Option<f64>,
    pub(crate) top_p: Option<f64>,
    pub(crate) seed: Option<i64>,
    pub(crate) stop: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DateFact {
    pub(crate) key: String,
    pub(crate) format: String,
}

/// A task with its agent and tools.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedTask {
    /// Its name; step ids begin with it.
    pub name: TaskId,
    /// Who does it, and who stands in when that one cannot; never empty.
    pub(crate) hands: Vec<Hand>,
    /// What to do as written, with variables.
    pub description: String,
    /// What the answer must be as written, with variables.
    pub expected_output: String,
    /// How long answers of its model are kept for whoever asks the same; `None` for not at all.
    pub model_cache: Option<Duration>,
    pub(crate) texts: TaskTexts,
    /// Indexes of earlier tasks; `None` for all of them.
    pub(crate) context: Option<Vec<usize>>,
    pub(crate) markdown: bool,
    /// Whether a person looks at its answer, and by which rules.
    pub human_input: Option<HumanInputSpec>,
    pub(crate) sees_conversation: bool,
}

impl PlannedTask {
    /// Who does it.
    #[must_use]
    pub fn agent(&self) -> &AgentId {
        &self.hands[0].agent
    }

    /// Who does it when that one cannot, one after the other.
    pub fn stand_ins(&self) -> impl Iterator<Item = &AgentId> {
        self.hands.iter().skip(1).map(|hand| &hand.agent)
    }

    /// What its agent may call.
    #[must_use]
    pub fn tools(&self) -> &[ToolSpec] {
        &self.hands[0].tools
    }
}

impl PlannedTask {
    /// Whether any of those who may do it may call tools: then a model's words need not be its answer.
    #[must_use]
    pub fn may_call(&self) -> bool {
        self.hands.iter().any(|hand| !hand.tools.is_empty())
    }
}

/// One who may do a task.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hand {
    pub(crate) agent: AgentId,
    pub(crate) agent_index: usize,
    /// What the model may call.
    pub(crate) tools: Vec<ToolSpec>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TaskTexts {
    pub(crate) description: Template,
    pub(crate) expected_output: Template,
}

/// A value from outside that a job needs before its first effect, journaled once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FactNeed {
    /// The history of the job's conversation, as [`CONVERSATION_FACT`].
    Conversation,
    /// The date as text.
    Date {
        /// Key of the fact.
        key: String,
        /// How it is written (`strftime`: `%Y %m %d %H %M %S %B %b %A %a %j %y %I %p`).
        format: String,
    },
}

/// Why an input cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputProblem {
    /// Which variable.
    pub variable: String,
    /// What is wrong with it.
    pub message: String,
}

impl Plan {
    /// Name of the crew.
    #[must_use]
    pub fn name(&self) -> &CrewName {
        &self.name
    }

    /// In the order of the crew file.
    #[must_use]
    pub fn agents(&self) -> &[PlannedAgent] {
        &self.agents
    }

    /// An agent by its key.
    #[must_use]
    pub fn agent(&self, name: &AgentId) -> Option<&PlannedAgent> {
        self.agents.iter().find(|agent| agent.name == *name)
    }

    /// In the order in which they are done.
    #[must_use]
    pub fn tasks(&self) -> &[PlannedTask] {
        &self.tasks
    }

    /// A task by its name.
    #[must_use]
    pub fn task(&self, name: &TaskId) -> Option<&PlannedTask> {
        self.tasks.iter().find(|task| task.name == *name)
    }

    /// What a task says and what it expects, with the variables of an input filled in.
    #[must_use]
    pub fn task_texts(&self, name: &TaskId, input: &Input) -> Option<(String, String)> {
        let task = self.task(name)?;
        let values = Values::new(&self.with_defaults(input));
        Some((task.texts.description.fill(&values), task.texts.expected_output.fill(&values)))
    }

    /// Variables in the crew's texts.
    #[must_use]
    pub fn variables(&self) -> &BTreeSet<String> {
        &self.variables
    }

    /// Values that the crew file gives.
    #[must_use]
    pub fn default_inputs(&self) -> &Input {
        &self.inputs
    }

    /// Variables that an input must give.
    #[must_use]
    pub fn required_variables(&self) -> BTreeSet<String> {
        self.variables.iter().filter(|name| !self.inputs.contains_key(*name)).cloned().collect()
    }

    /// Whether a job with this input can start.
    ///
    /// # Errors
    /// Variables that lack a value, values for variables that the crew does not have, and values so large that a text
    /// would grow beyond its bound.
    pub fn check_input(&self, input: &Input) -> Result<(), Vec<InputProblem>> {
        let missing = self.required_variables().into_iter().filter(|name| !input.contains_key(name));
        let mut problems: Vec<InputProblem> = missing
            .map(|variable| InputProblem { variable, message: "the crew needs a value for it".to_owned() })
            .collect();
        let known = |name: &String| self.variables.contains(name) || self.inputs.contains_key(name);
        problems.extend(input.keys().filter(|name| !known(name)).map(|name| self.unknown(name)));
        if problems.is_empty() {
            problems.extend(self.too_long(&Values::new(&self.with_defaults(input))));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    fn unknown(&self, name: &str) -> InputProblem {
        let mut message = "the crew has no such variable".to_owned();
        if let Some(hint) = crate::suggest::did_you_mean(name, self.variables.iter().map(String::as_str)) {
            message.push_str("; ");
            message.push_str(&hint);
        }
        InputProblem { variable: name.to_owned(), message }
    }

    fn too_long(&self, values: &Values) -> Option<InputProblem> {
        self.templates().find_map(|text| text.too_long_for(values)).map(|name| InputProblem {
            variable: name.to_owned(),
            message: format!("its value makes a text of the crew longer than {TEXT_BYTES_MAX} bytes"),
        })
    }

    /// The model of the first task that sees the conversation.
    #[must_use]
    pub fn model_of_conversation(&self) -> Option<&str> {
        let task = self.tasks.iter().find(|task| task.sees_conversation)?;
        Some(&self.agents[task.hands[0].agent_index].model)
    }

    /// Whose facts a job needs, journaled before its first [`crate::Machine::ready`].
    #[must_use]
    pub fn fact_needs(&self, has_conversation: bool) -> Vec<FactNeed> {
        let mut needs = Vec::new();
        if has_conversation && self.tasks.iter().any(|task| task.sees_conversation) {
            needs.push(FactNeed::Conversation);
        }
        let hands = self.tasks.iter().flat_map(|task| &task.hands);
        let dates: BTreeSet<&DateFact> =
            hands.filter_map(|hand| self.agents[hand.agent_index].date.as_ref()).collect();
        needs.extend(
            dates
                .into_iter()
                .map(|date| FactNeed::Date { key: date.key.clone(), format: date.format.clone() }),
        );
        needs
    }

    /// The input over the defaults of the crew file.
    pub(crate) fn with_defaults(&self, input: &Input) -> Input {
        let mut all = self.inputs.clone();
        all.extend(input.iter().map(|(name, value)| (name.clone(), value.clone())));
        all
    }

    /// Every text of the crew.
    pub(crate) fn templates(&self) -> impl Iterator<Item = &Template> {
        let of_agents = self.agents.iter().flat_map(|a| [&a.texts.role, &a.texts.goal, &a.texts.backstory]);
        let of_tasks = self.tasks.iter().flat_map(|t| [&t.texts.description, &t.texts.expected_output]);
        of_agents.chain(of_tasks)
    }
}

#[cfg(test)]
mod tests;
