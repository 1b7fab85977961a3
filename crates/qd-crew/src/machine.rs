//! The pure machine: it is told what happened and says what to do next.
//!
//! Its state is a fold over the entries, and requests are built from that state whenever they are asked for. So the
//! same entries give the same requests, however often and in between what somebody asks. It decides nothing about
//! retries, limits of calls or money: that is the executor's business.

mod agent_loop;
mod arguments;

use std::collections::BTreeMap;
use std::sync::Arc;

use qd_types::{
    AgentId, ChatRequest, Class, Code, Entry, Failure, Input, JobOutput, Message, Progress, StepId, TaskId,
    TaskOutput, ToolCall,
};
use serde::Deserialize;
use serde_json::Value;

use crate::plan::{CONVERSATION_FACT, Plan, PlannedAgent, PlannedTask};
use crate::prompt::{Brief, Opening};
use crate::template::Values;
use agent_loop::{AgentLoop, Outcome, Want};

/// Semantics of this machine. A job is pinned to the one it began with.
pub const MACHINE_VERSION: u32 = 1;

/// Something to do in the world. It is done at most once per step: whoever does it knows which steps are under way.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// Its step, computed alike by every attempt.
    pub step: StepId,
    /// The task it belongs to.
    pub task: TaskId,
    /// Who asks.
    pub agent: AgentId,
    /// What to do.
    pub kind: EffectKind,
    /// Whether its task was begun anew after output of no use: an answer that was given before may lead there again.
    pub begun_anew: bool,
}

/// What an effect does.
#[derive(Debug, Clone, PartialEq)]
pub enum EffectKind {
    /// Ask a model.
    Model(Box<ChatRequest>),
    /// Execute a tool. The tool exists and the arguments are a JSON object that fits its schema at the top level.
    Tool(ToolCall),
}

/// What comes next.
#[derive(Debug, Clone, PartialEq)]
pub enum Ready {
    /// All effects without a result, each time; in the order of the model's calls.
    Run(Vec<Effect>),
    /// The crew is done.
    Done(JobOutput),
    /// The crew cannot go on.
    Fail(Failure),
}

/// What happened to a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskEvent {
    /// Its first effect is next.
    Started {
        /// Which.
        task: TaskId,
        /// Who does it.
        agent: AgentId,
    },
    /// It has its output.
    Finished {
        /// Which.
        task: TaskId,
        /// Who did it.
        agent: AgentId,
        /// Its text.
        raw: String,
    },
}

/// A crew under way.
#[derive(Debug, Clone)]
pub struct Machine {
    plan: Arc<Plan>,
    values: Values,
    facts: BTreeMap<String, Value>,
    history: Vec<Message>,
    outputs: Vec<String>,
    current: AgentLoop,
    failure: Option<Failure>,
    events: Vec<TaskEvent>,
}

impl Machine {
    /// A crew at its beginning. [`Plan::check_input`] has accepted the input; a machine with another one fails at once.
    #[must_use]
    pub fn new(plan: Arc<Plan>, input: Input) -> Self {
        let failure = plan.check_input(&input).err().map(|problems| {
            let texts: Vec<String> =
                problems.into_iter().map(|p| format!("`{}`: {}", p.variable, p.message)).collect();
            Failure::new(Code::ValidationFailed, Class::Permanent, texts.join(", "))
        });
        let values =
            if failure.is_some() { Values::default() } else { Values::new(&plan.with_defaults(&input)) };
        let mut machine = Self {
            plan,
            values,
            facts: BTreeMap::new(),
            history: Vec::new(),
            outputs: Vec::new(),
            current: AgentLoop::new(),
            failure,
            events: Vec::new(),
        };
        machine.start();
        machine
    }

    /// Learns an entry. What was not asked for, or is known already, changes nothing; facts come before the first
    /// effect has a result.
    pub fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Fact { key, value } => self.learn(key, value),
            Entry::Model { step, reply, .. } => {
                self.advance(|looping, task, agent| looping.model_answered(task, agent, step, reply))
            }
            Entry::Tool { step, result, .. } => {
                self.advance(|looping, task, agent| looping.tool_returned(task, agent, step, result))
            }
            // Whether there is another try is the executor's decision; nothing waits for signals in this version.
            Entry::CallFailed { .. } | Entry::Signal { .. } => {}
        }
    }

    /// What to do now. Asking changes nothing.
    #[must_use]
    pub fn ready(&self) -> Ready {
        if let Some(failure) = &self.failure {
            return Ready::Fail(failure.clone());
        }
        match self.task() {
            None => self.finished(),
            Some(task) => Ready::Run(self.effects(task)),
        }
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Progress {
            completed_tasks: count(self.outputs.len()),
            total_tasks: count(self.plan.tasks.len()),
            current_task: self.task().map(|task| task.name.clone()),
        }
    }

    /// What happened to tasks since the last call, in order. The first task starts with the machine, so an attempt
    /// that resumes gets the events of the applied entries again.
    pub fn take_events(&mut self) -> Vec<TaskEvent> {
        std::mem::take(&mut self.events)
    }

    /// The task under way.
    fn task(&self) -> Option<&PlannedTask> {
        self.plan.tasks.get(self.outputs.len())
    }

    fn start(&mut self) {
        self.current = AgentLoop::new();
        if self.failure.is_none()
            && let Some(task) = self.task()
        {
            let (task, agent) = (task.name.clone(), task.agent.clone());
            self.events.push(TaskEvent::Started { task, agent });
        }
    }

    fn learn(&mut self, key: &str, value: &Value) {
        if self.failure.is_some() || self.facts.contains_key(key) {
            return;
        }
        if key == CONVERSATION_FACT {
            match Vec::<Said>::deserialize(value) {
                Ok(said) => self.history = said.into_iter().map(Said::into_message).collect(),
                Err(error) => {
                    let message = format!("the fact `{key}` is no list of messages: {error}");
                    self.failure = Some(Failure::new(Code::Internal, Class::Bug, message));
                }
            }
        }
        self.facts.insert(key.to_owned(), value.clone());
    }

    fn advance(&mut self, act: impl FnOnce(&mut AgentLoop, &PlannedTask, &PlannedAgent) -> Outcome) {
        let plan = Arc::clone(&self.plan);
        let Some(task) = plan.tasks.get(self.outputs.len()) else { return };
        if self.failure.is_some() {
            return;
        }
        match act(&mut self.current, task, &plan.agents[task.agent_index]) {
            Outcome::GoesOn => {}
            Outcome::Failed(failure) => self.failure = Some(failure.in_task(task.name.clone())),
            Outcome::Answered(raw) => {
                let (name, agent) = (task.name.clone(), task.agent.clone());
                self.events.push(TaskEvent::Finished { task: name, agent, raw: raw.clone() });
                self.outputs.push(raw);
                self.start();
            }
        }
    }

    fn effects(&self, task: &PlannedTask) -> Vec<Effect> {
        let begun_anew = self.current.is_begun_anew();
        let (name, agent) = (&task.name, &task.agent);
        let effect = |step, kind| Effect { step, task: name.clone(), agent: agent.clone(), kind, begun_anew };
        match self.current.wants() {
            Want::Model { turn, messages, tool_choice } => {
                let agent = &self.plan.agents[task.agent_index];
                let Opening { system, messages: mut all } = self.opening(task, agent);
                all.extend_from_slice(messages);
                let sampling = &agent.sampling;
                let request = ChatRequest {
                    model: agent.model.clone(),
                    system,
                    messages: all,
                    tools: task.tools.clone(),
                    tool_choice,
                    max_tokens: sampling.max_tokens,
                    temperature: sampling.temperature,
                    top_p: sampling.top_p,
                    stop: sampling.stop.clone(),
                    seed: sampling.seed,
                };
                vec![effect(StepId::model(&task.name, turn), EffectKind::Model(Box::new(request)))]
            }
            Want::Tools { turn, calls } => calls
                .map(|(index, call)| effect(StepId::tool(&task.name, turn, index), EffectKind::Tool(call)))
                .collect(),
        }
    }

    fn opening(&self, task: &PlannedTask, agent: &PlannedAgent) -> Opening {
        let context = match &task.context {
            None => self.outputs.iter().map(String::as_str).collect(),
            Some(indexes) => indexes.iter().map(|index| self.outputs[*index].as_str()).collect(),
        };
        let date = agent.date.as_ref().and_then(|date| self.facts.get(&date.key)).and_then(Value::as_str);
        let history: &[Message] = if task.sees_conversation { &self.history } else { &[] };
        Brief { agent, task, values: &self.values, date, context, history }.opening()
    }

    fn finished(&self) -> Ready {
        match last_text(&self.outputs) {
            None => {
                let message = "no task of the crew produced a text";
                Ready::Fail(Failure::new(Code::NoOutput, Class::Permanent, message))
            }
            Some(raw) => {
                let tasks = self.plan.tasks.iter().zip(&self.outputs).map(|(task, raw)| TaskOutput {
                    name: task.name.clone(),
                    agent: task.agent.clone(),
                    raw: raw.clone(),
                    json: None,
                });
                Ready::Done(JobOutput { raw: raw.to_owned(), json: None, tasks: tasks.collect() })
            }
        }
    }
}

/// The output of a crew: of the last task that said something.
fn last_text(outputs: &[String]) -> Option<&str> {
    outputs.iter().rev().map(String::as_str).find(|text| !text.trim().is_empty())
}

/// One message of a conversation as the fact holds it.
#[derive(Deserialize)]
struct Said {
    role: Speaker,
    text: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Speaker {
    User,
    Assistant,
}

impl Said {
    fn into_message(self) -> Message {
        match self.role {
            Speaker::User => Message::User { text: self.text },
            Speaker::Assistant => {
                Message::Assistant { text: self.text, tool_calls: Vec::new(), blocks: None }
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod stage;
#[cfg(test)]
mod tests;
