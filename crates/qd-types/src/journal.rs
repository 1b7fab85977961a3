//! The journal: what happened in a job, in one numbered sequence.
//!
//! Entries are what a resumed attempt is built from; task events and status changes stand in the same sequence so that
//! a reader of events sees everything once and in order. Tokens of a streaming answer are [`Delta`]s: live, never stored.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    AgentId, AnsweredBy, Ask, ChatReply, Day, Failure, JobId, JobStatus, NanoDollars, StepId, TaskId,
    Timestamp, ToolResult, Usage, Verdict,
};

/// Version of the stored shape of [`LogItem`].
pub const JOURNAL_VERSION: u32 = 1;

/// Position in a job's sequence. 0 is its acceptance, which is derived from its row.
pub type Seq = u64;

/// A fact that the machine learns. Applying the same entries gives the same decisions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Entry {
    /// A model answered.
    Model {
        /// Which step.
        step: StepId,
        /// The answer.
        reply: ChatReply,
        /// Where the answer came from.
        source: Source,
        /// Tokens of this step.
        usage: Usage,
        /// Price of this step.
        cost: NanoDollars,
        /// How it was called.
        call: Call,
    },
    /// A tool that may not be repeated is about to be called. Without a result after it, nobody knows what came of it.
    Intent {
        /// Which step.
        step: StepId,
        /// How it is called.
        call: Call,
    },
    /// A tool returned.
    Tool {
        /// Which step.
        step: StepId,
        /// What goes back to the model.
        result: ToolResult,
        /// How it was called.
        call: Call,
    },
    /// A try failed; whether there is another one is the executor's decision.
    CallFailed {
        /// Which step.
        step: StepId,
        /// Why.
        failure: Failure,
        /// Whether the provider may charge for it.
        billed: Billed,
        /// How it was called.
        call: Call,
    },
    /// A step that cannot be answered is given up, and its task goes on in another way.
    Recourse {
        /// Which step.
        step: StepId,
        /// How it goes on.
        recourse: Recourse,
    },
    /// A person has looked at a task's answer.
    Human {
        /// The question's step.
        step: StepId,
        /// What they say.
        verdict: Verdict,
        /// Who.
        by: AnsweredBy,
        /// How long the question waited.
        waited_ms: u64,
    },
    /// A value from outside the plan and the input, taken once.
    Fact {
        /// Its name, e.g. `conversation`.
        key: String,
        /// Its value.
        value: Value,
    },
    /// An answer from an event that the job waited for.
    Signal {
        /// What was waited for.
        key: String,
        /// The answer.
        value: Value,
    },
}

impl Entry {
    /// The step it belongs to, if any.
    #[must_use]
    pub fn step(&self) -> Option<&StepId> {
        match self {
            Self::Model { step, .. }
            | Self::Intent { step, .. }
            | Self::Tool { step, .. }
            | Self::CallFailed { step, .. }
            | Self::Recourse { step, .. }
            | Self::Human { step, .. } => Some(step),
            Self::Fact { .. } | Self::Signal { .. } => None,
        }
    }

    /// What it adds to the job's usage and cost.
    #[must_use]
    pub fn spend(&self) -> (Usage, NanoDollars) {
        match self {
            Self::Model { usage, cost, .. } => (*usage, *cost),
            Self::Tool { .. } => (Usage { tool_calls: 1, ..Usage::default() }, NanoDollars::default()),
            Self::Intent { .. }
            | Self::CallFailed { .. }
            | Self::Recourse { .. }
            | Self::Human { .. }
            | Self::Fact { .. }
            | Self::Signal { .. } => (Usage::default(), NanoDollars::default()),
        }
    }

    /// What its call may have cost beyond what is known: of one that failed and may be billed, all that was set aside.
    #[must_use]
    pub fn possible_cost(&self) -> NanoDollars {
        match self {
            Self::CallFailed { billed: Billed::Possibly | Billed::Yes, call, .. } => {
                call.reserved.map(|reserved| reserved.amount).unwrap_or_default()
            }
            _ => NanoDollars::default(),
        }
    }

    /// What calls may have cost that a dead worker had under way for the same step.
    #[must_use]
    pub fn doubtful_cost(&self) -> NanoDollars {
        let call = self.call();
        let each = call.and_then(|call| call.reserved).map_or(0, |reserved| reserved.amount.0);
        NanoDollars(each.saturating_mul(call.map_or(0, |call| call.possibly_billed).into()))
    }

    /// How it was carried out, if it is that of an effect.
    #[must_use]
    pub fn call(&self) -> Option<&Call> {
        match self {
            Self::Model { call, .. } | Self::Tool { call, .. } | Self::CallFailed { call, .. } => Some(call),
            Self::Intent { .. }
            | Self::Recourse { .. }
            | Self::Human { .. }
            | Self::Fact { .. }
            | Self::Signal { .. } => None,
        }
    }
}

/// What is done about a step that cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "to", rename_all = "snake_case")]
pub enum Recourse {
    /// What was said so far is put into fewer words, and the step is asked again with these.
    Compact {
        /// Bytes of text that its model can take in at once.
        part_bytes: u64,
    },
    /// Another agent does the task from its beginning.
    Agent {
        /// Which.
        agent: AgentId,
    },
}

/// The rule by which a model was chosen for a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Its name in the configuration.
    pub rule: String,
    /// The model that it named.
    pub model: String,
}

/// How an effect was carried out: for people and for sums, never for decisions.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Call {
    /// Who asked.
    pub agent: Option<AgentId>,
    /// The model or tool as the crew names it.
    pub target: String,
    /// How the model was chosen, where the crew leaves it open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
    /// The deployment of the model that was asked: `provider/model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// Which try of the step this was, from 1.
    #[serde(rename = "try")]
    pub number: u32,
    /// How long it took.
    pub duration_ms: u64,
    /// What was not spent: all of a call whose answer was known, or the difference to the model that would have been asked
    /// without a route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saved: Option<NanoDollars>,
    /// Calls of this step that were under way when a worker died: they may be on the bill as well.
    pub possibly_billed: u32,
    /// What a budget set aside for it; nothing where none applies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserved: Option<Reserved>,
}

/// Money set aside for one call before it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserved {
    /// The most that the call may cost.
    pub amount: NanoDollars,
    /// The day on whose budgets it is.
    pub day: Day,
}

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A call was made.
    Executed,
    /// A result cache had it.
    Cached,
}

/// Whether a failed call may be on the bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Billed {
    /// Nothing was sent or the provider refused.
    No,
    /// It was sent and not answered.
    Possibly,
    /// An answer came and was unusable.
    Yes,
}

/// One thing in a job's sequence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum LogItem {
    /// What the machine learnt.
    Entry {
        /// It.
        entry: Box<Entry>,
    },
    /// A task's first effect is about to start.
    TaskStarted {
        /// Which.
        task: TaskId,
        /// Who does it.
        agent: AgentId,
    },
    /// A task has its output.
    TaskFinished {
        /// Which.
        task: TaskId,
        /// Who did it.
        agent: AgentId,
        /// Its text.
        raw: String,
    },
    /// The job's status changed.
    Status {
        /// To what.
        status: JobStatus,
        /// When it goes on, for retrying.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Timestamp>,
        /// Why, where that is not plain.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
        /// What a person is asked, for waiting.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ask: Option<Box<Ask>>,
    },
    /// A person was reminded of the question that the job waits with.
    Reminded {
        /// The question's step.
        step: StepId,
        /// Which reminder, from 1.
        number: u32,
    },
}

/// A [`LogItem`] in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Logged {
    /// Its place in the job's sequence, from 1.
    pub seq: Seq,
    /// When it was stored, by the store's clock.
    pub at: Timestamp,
    /// The attempt that wrote it; 0 for what no attempt wrote.
    pub attempt: u32,
    /// It.
    pub item: LogItem,
}

/// A piece of a streaming answer. Lost if nobody listens; the finished message is in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta {
    /// Which job.
    pub job: JobId,
    /// Which step.
    pub step: StepId,
    /// Which try of the step, from 1: a new number means that earlier pieces are void.
    pub call: u32,
    /// Bytes of the answer before this piece.
    pub offset: u64,
    /// The piece.
    pub text: String,
}
