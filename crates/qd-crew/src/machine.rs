//! The pure machine: it is told what happened and says what to do next.
//!
//! Its state is a fold over the entries, and requests are built from that state whenever they are asked for. So the
//! same entries give the same requests, however often and in between what somebody asks. It decides nothing about
//! retries, limits of calls or money: that is the executor's business.

mod agent_loop;
mod arguments;
mod compaction;
mod history;
mod review;

use std::collections::BTreeMap;
use std::sync::Arc;

use qd_types::{
    AUTO_MODEL, AgentId, ChatRequest, Class, Code, Entry, Failure, Input, JobOutput, Message, Progress,
    Recourse, StepId, TaskId, TaskOutput, ToolCall, ToolChoice,
};
use serde_json::Value;

use crate::plan::{CONVERSATION_FACT, Hand, Plan, PlannedTask};
use crate::prompt::{Brief, Opening};
use crate::template::Values;
pub(crate) use agent_loop::Doer;
use agent_loop::{AgentLoop, Outcome, Want};
use compaction::told;
pub use review::Question;

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
    /// What the task says, variables filled in; for a model call whose model is left open.
    pub asked: Option<String>,
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
    /// Nothing else is ready before a person has spoken.
    Wait(Box<Question>),
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
    outputs: Vec<TaskOutput>,
    current: AgentLoop,
    /// Which of those who may do the current task does it.
    hand: usize,
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
            hand: 0,
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
                self.advance(|looping, doer| looping.model_answered(doer, step, reply));
            }
            Entry::Tool { step, result, .. } => {
                self.advance(|looping, doer| looping.tool_returned(doer, step, result));
            }
            Entry::Recourse { step, recourse } => self.resort(step, recourse),
            Entry::Human { step, verdict, .. } => self.judged(step, verdict),
            // Whether there is another try is the executor's decision; nothing waits for signals in this version.
            Entry::Intent { .. } | Entry::CallFailed { .. } | Entry::Signal { .. } => {}
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
            Some(task) => match self.question(task) {
                Some(question) => Ready::Wait(Box::new(question)),
                None => Ready::Run(self.effects(task)),
            },
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

    /// Who does a task that is under way.
    fn hand<'a>(&self, task: &'a PlannedTask) -> &'a Hand {
        task.hands.get(self.hand).unwrap_or(&task.hands[0])
    }

    fn doer<'a>(&'a self, task: &'a PlannedTask) -> Doer<'a> {
        let hand = self.hand(task);
        Doer { task: &task.name, agent: &self.plan.agents[hand.agent_index], tools: &hand.tools }
    }

    /// Who would do the task of a step if its agent cannot. None if nobody is left, or the step is not the one that is
    /// ready.
    #[must_use]
    pub fn stand_in(&self, step: &StepId) -> Option<&AgentId> {
        let task = self.task().filter(|task| task.name == step.task())?;
        task.hands.get(self.hand + 1).map(|hand| &hand.agent)
    }

    fn start(&mut self) {
        self.current = AgentLoop::new();
        self.hand = 0;
        if self.failure.is_none()
            && let Some(task) = self.task()
        {
            let (task, agent) = (task.name.clone(), task.agent().clone());
            self.events.push(TaskEvent::Started { task, agent });
        }
    }

    fn learn(&mut self, key: &str, value: &Value) {
        if self.failure.is_some() || self.facts.contains_key(key) {
            return;
        }
        if key == CONVERSATION_FACT {
            match history::read(value) {
                Ok(messages) => self.history = messages,
                Err(error) => {
                    let message = format!("the fact `{key}` is no list of messages: {error}");
                    self.failure = Some(Failure::new(Code::Internal, Class::Bug, message));
                }
            }
        }
        self.facts.insert(key.to_owned(), value.clone());
    }

    fn advance(&mut self, act: impl FnOnce(&mut AgentLoop, Doer<'_>) -> Outcome) {
        let plan = Arc::clone(&self.plan);
        let Some(task) = plan.tasks.get(self.outputs.len()).filter(|_| self.failure.is_none()) else {
            return;
        };
        let hand = self.hand(task);
        let doer = Doer { task: &task.name, agent: &plan.agents[hand.agent_index], tools: &hand.tools };
        match act(&mut self.current, doer) {
            Outcome::GoesOn => {}
            // Whose output is of no use to the end makes room for the next.
            Outcome::Failed(_) if self.hand + 1 < task.hands.len() => self.hand_over(),
            Outcome::Failed(failure) => self.failure = Some(failure.in_task(task.name.clone())),
            // The task has its answer, and is over once a person has said so.
            Outcome::Answered(raw) if task.human_input.is_some() => self.current.ask(raw),
            Outcome::Answered(raw) => self.complete(task, raw),
        }
    }

    /// A task has its output.
    fn complete(&mut self, task: &PlannedTask, raw: String) {
        let (name, agent) = (task.name.clone(), self.hand(task).agent.clone());
        let (task, by) = (name.clone(), agent.clone());
        self.events.push(TaskEvent::Finished { task, agent: by, raw: raw.clone() });
        self.outputs.push(TaskOutput { name, agent, raw, json: None });
        self.start();
    }

    fn hand_over(&mut self) {
        self.hand += 1;
        self.current.hand_over();
    }

    /// Goes on in another way than by the step that cannot be answered.
    fn resort(&mut self, step: &StepId, recourse: &Recourse) {
        let plan = Arc::clone(&self.plan);
        let Some(task) = plan.tasks.get(self.outputs.len()).filter(|_| self.failure.is_none()) else {
            return;
        };
        match recourse {
            Recourse::Compact { part_bytes } if self.current.may_compact(&task.name, step) => {
                let material = self.material(task);
                self.current.compact(&material, *part_bytes);
            }
            Recourse::Agent { agent } if self.stand_in(step) == Some(agent) => self.hand_over(),
            Recourse::Compact { .. } | Recourse::Agent { .. } => {}
        }
    }

    /// What the request of the current turn says beside the task itself, as texts.
    fn material(&self, task: &PlannedTask) -> Vec<String> {
        let mut texts = Vec::new();
        if self.current.digest().is_none() {
            texts.extend(self.history_of(task).iter().flat_map(told));
            texts.extend(self.context(task).into_iter().map(str::to_owned));
        }
        texts.extend(self.current.said());
        texts
    }

    fn effects(&self, task: &PlannedTask) -> Vec<Effect> {
        let begun_anew = self.current.is_begun_anew();
        let doer = self.doer(task);
        let (name, agent) = (&task.name, &doer.agent.name);
        let asked = (doer.agent.model == AUTO_MODEL).then(|| task.texts.description.fill(&self.values));
        let effect = |step, kind| Effect {
            step,
            task: name.clone(),
            agent: agent.clone(),
            kind,
            asked: asked.clone(),
            begun_anew,
        };
        match self.current.wants() {
            Want::Model { turn, messages, tool_choice } => {
                let request = self.request(task, doer, messages, tool_choice);
                vec![effect(StepId::model(name, turn), EffectKind::Model(Box::new(request)))]
            }
            Want::Summaries { turn, compaction } => {
                let said = task.texts.description.fill(&self.values);
                let ask = |index| EffectKind::Model(Box::new(compaction.request(index, doer.agent, &said)));
                compaction
                    .open()
                    .map(|index| effect(StepId::compact(name, turn, index), ask(index)))
                    .collect()
            }
            Want::Person => Vec::new(),
            Want::Tools { turn, calls } => calls
                .map(|(index, call)| effect(StepId::tool(name, turn, index), EffectKind::Tool(call)))
                .collect(),
        }
    }

    fn request(
        &self,
        task: &PlannedTask,
        doer: Doer<'_>,
        said: &[Message],
        tool_choice: ToolChoice,
    ) -> ChatRequest {
        let Opening { system, mut messages } = self.opening(task, doer);
        messages.extend_from_slice(said);
        let sampling = &doer.agent.sampling;
        ChatRequest {
            model: doer.agent.model.clone(),
            system,
            messages,
            tools: doer.tools.to_vec(),
            tool_choice,
            max_tokens: sampling.max_tokens,
            temperature: sampling.temperature,
            top_p: sampling.top_p,
            stop: sampling.stop.clone(),
            seed: sampling.seed,
        }
    }

    fn opening(&self, task: &PlannedTask, doer: Doer<'_>) -> Opening {
        let date =
            doer.agent.date.as_ref().and_then(|date| self.facts.get(&date.key)).and_then(Value::as_str);
        let digest = self.current.digest();
        let (context, history) = match digest {
            None => (self.context(task), self.history_of(task)),
            Some(_) => (Vec::new(), &[][..]),
        };
        Brief { doer, task, values: &self.values, date, context, history, digest }.opening()
    }

    /// Outputs of earlier tasks that a task works with.
    fn context(&self, task: &PlannedTask) -> Vec<&str> {
        let outputs = &self.outputs;
        match &task.context {
            None => outputs.iter().map(|output| output.raw.as_str()).collect(),
            Some(indexes) => indexes.iter().map(|index| outputs[*index].raw.as_str()).collect(),
        }
    }

    fn history_of(&self, task: &PlannedTask) -> &[Message] {
        if task.sees_conversation { &self.history } else { &[] }
    }

    fn finished(&self) -> Ready {
        match last_text(&self.outputs) {
            None => {
                let message = "no task of the crew produced a text";
                Ready::Fail(Failure::new(Code::NoOutput, Class::Permanent, message))
            }
            Some(raw) => {
                let raw = raw.to_owned();
                Ready::Done(JobOutput { raw, json: None, tasks: self.outputs.clone() })
            }
        }
    }
}

/// The output of a crew: of the last task that said something.
fn last_text(outputs: &[TaskOutput]) -> Option<&str> {
    outputs.iter().rev().map(|output| output.raw.as_str()).find(|text| !text.trim().is_empty())
}

#[cfg(test)]
pub(crate) mod stage;
#[cfg(test)]
mod tests;
