//! What an agent and a person say to each other about the task's answer, and the machine's side of it: the answer is
//! there, and the task is not over before somebody has looked at it.
//!
//! How long that takes, who is reminded and how often an answer may be sent back is decided outside; the machine only
//! counts.

use std::sync::Arc;

use qd_types::{AgentId, Message, StepId, StepKind, TaskId, ToolResult, Verdict};

use super::Machine;
use crate::plan::PlannedTask;
use crate::prompt;
use crate::spec::HumanInputSpec;

/// A question to a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Its step.
    pub step: StepId,
    /// The task whose answer it is about.
    pub task: TaskId,
    /// Who gave the answer.
    pub agent: AgentId,
    /// The answer.
    pub output: String,
    /// How often the task has asked, this time included.
    pub round: u32,
    /// What the crew says of it.
    pub rules: HumanInputSpec,
}

/// Answers of a task, and what was said of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Review {
    /// The answer that somebody is asked about.
    asked: Option<String>,
    /// Earlier answers and feedback in turns: whoever begins the task anew begins with them. Texts alone, so that any
    /// model can read them.
    said: Vec<Message>,
}

impl Review {
    pub(super) fn ask(&mut self, answer: String) {
        self.asked = Some(answer);
    }

    pub(super) fn asked(&self) -> Option<&str> {
        self.asked.as_deref()
    }

    pub(super) fn said(&self) -> &[Message] {
        &self.said
    }

    /// The person's last words, which no summary may leave out.
    pub(super) fn last_feedback(&self) -> Option<Message> {
        self.said.last().cloned()
    }

    /// How often it was asked, with the question that is open.
    fn rounds(&self) -> u32 {
        u32::try_from(self.said.len() / 2 + 1).unwrap_or(u32::MAX)
    }

    /// The answer is not good enough.
    pub(super) fn send_back(&mut self, feedback: &str) {
        let Some(answer) = self.asked.take() else { return };
        self.said.extend([Message::assistant(answer), Message::user(prompt::feedback(feedback))]);
    }
}

impl Machine {
    /// What a person is asked, if a task has its answer and somebody is to look at it.
    pub(super) fn question(&self, task: &PlannedTask) -> Option<Question> {
        let review = self.current.review();
        Some(Question {
            step: StepId::human(&task.name, self.current.turn()),
            task: task.name.clone(),
            agent: self.hand(task).agent.clone(),
            output: review.asked()?.to_owned(),
            round: review.rounds(),
            rules: task.human_input.unwrap_or_default(),
        })
    }

    /// A person has spoken, about an answer or about a call whose outcome nobody else knows.
    pub(super) fn judged(&mut self, step: &StepId, verdict: &Verdict) {
        if step.kind() == StepKind::Tool {
            let result = told_by_a_person(verdict);
            return self.advance(|looping, doer| looping.tool_returned(doer, step, &result));
        }
        let plan = Arc::clone(&self.plan);
        let Some(task) = plan.tasks.get(self.outputs.len()).filter(|_| self.failure.is_none()) else {
            return;
        };
        let Some(question) = self.question(task).filter(|question| question.step == *step) else { return };
        match verdict {
            Verdict::Approve { .. } => self.complete(task, question.output),
            Verdict::Revise { feedback } => self.current.revise(feedback),
        }
    }
}

/// What a tool would have answered. The call's id and name are put in by whoever waits for it.
fn told_by_a_person(verdict: &Verdict) -> ToolResult {
    let (content, is_error) = match verdict {
        Verdict::Approve { remark: Some(remark) } => (remark.clone(), false),
        Verdict::Approve { remark: None } => (prompt::CALL_WAS_MADE.to_owned(), false),
        Verdict::Revise { feedback } => (prompt::call_was_not_made(feedback), true),
    };
    ToolResult { id: String::new(), name: String::new(), content, is_error }
}
