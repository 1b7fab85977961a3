//! One task in the hands of its agent: the model answers or calls tools, tools return, until there is an answer.
//!
//! Turns count model calls from 1. A turn with calls ends when each of them has a result; calls that cannot be executed
//! get theirs here, without an effect. After `max_iter` turns with calls the model must answer without tools. A turn that
//! is given up, because its request is too long, is followed by one that begins with a digest of what was said.

use std::collections::HashMap;

use qd_types::{
    ChatReply, Class, Code, Failure, Message, StepId, StopReason, TaskId, ToolCall, ToolChoice, ToolResult,
    ToolSpec,
};

use super::arguments::{self, Checked};
use super::compaction::{Compaction, told};
use super::review::Review;
use crate::diagnostic::quote;
use crate::plan::PlannedAgent;
use crate::prompt::{FINAL_ANSWER, NUDGE};

/// Empty answers in a row that are tried again.
const EMPTY_ANSWERS_MAX: u32 = 2;
/// The same call is executed fewer times than this; then the model is told.
const REPEATS_REFUSED: u32 = 3;
/// The same call so many times fails the task.
const REPEATS_FATAL: u32 = 5;

/// What was said is put into fewer words so often in one task.
const COMPACTIONS_MAX: u32 = 3;

/// Who does a task, and with what.
#[derive(Clone, Copy)]
pub(crate) struct Doer<'a> {
    pub(crate) task: &'a TaskId,
    pub(crate) agent: &'a PlannedAgent,
    pub(crate) tools: &'a [ToolSpec],
}

/// What an entry led to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome {
    GoesOn,
    Answered(String),
    Failed(Failure),
}

/// What the task waits for.
pub(super) enum Want<'a, Calls> {
    Model {
        turn: u32,
        messages: &'a [Message],
        tool_choice: ToolChoice,
    },
    Summaries {
        turn: u32,
        compaction: &'a Compaction,
    },
    Tools {
        turn: u32,
        calls: Calls,
    },
    /// There is an answer, and somebody is asked about it.
    Person,
}

/// A task between its start and its answer.
#[derive(Debug, Clone)]
pub(super) struct AgentLoop {
    turn: u32,
    turns_with_calls: u32,
    empty_answers: u32,
    must_answer: bool,
    /// How often the task was begun anew.
    restarts: u32,
    /// What was said before the transcript, in fewer words.
    digest: Option<String>,
    compaction: Option<Compaction>,
    compactions: u32,
    /// What follows the opening.
    transcript: Vec<Message>,
    round: Option<Round>,
    /// The last answer, as its provider wants it back.
    answer: Option<Message>,
    review: Review,
    /// How often each call was made in this task.
    calls_made: HashMap<(String, String), u32>,
}

/// A turn's calls and their results so far.
#[derive(Debug, Clone)]
struct Round {
    reply: ChatReply,
    /// One for each call of the reply.
    slots: Vec<Slot>,
}

#[derive(Debug, Clone)]
enum Slot {
    Waits(ToolCall),
    Has(ToolResult),
}

impl AgentLoop {
    pub(super) fn new() -> Self {
        Self {
            turn: 1,
            turns_with_calls: 0,
            empty_answers: 0,
            must_answer: false,
            restarts: 0,
            digest: None,
            compaction: None,
            compactions: 0,
            transcript: Vec::new(),
            round: None,
            answer: None,
            review: Review::default(),
            calls_made: HashMap::new(),
        }
    }

    pub(super) fn wants(&self) -> Want<'_, impl Iterator<Item = (usize, ToolCall)> + '_> {
        if self.review.asked().is_some() {
            return Want::Person;
        }
        if let Some(compaction) = &self.compaction {
            return Want::Summaries { turn: self.turn, compaction };
        }
        match &self.round {
            None => Want::Model {
                turn: self.turn,
                messages: &self.transcript,
                tool_choice: if self.must_answer { ToolChoice::None } else { ToolChoice::Auto },
            },
            Some(round) => {
                let calls = round.slots.iter().enumerate().filter_map(|(index, slot)| match slot {
                    Slot::Waits(call) => Some((index, call.clone())),
                    Slot::Has(_) => None,
                });
                Want::Tools { turn: self.turn, calls }
            }
        }
    }

    pub(super) fn model_answered(&mut self, doer: Doer<'_>, step: &StepId, reply: &ChatReply) -> Outcome {
        if self.compaction.is_some() {
            self.summarised(doer.task, step, &reply.text);
            return Outcome::GoesOn;
        }
        if !self.waits_for_model(doer.task, step) {
            return Outcome::GoesOn;
        }
        // Calls without tools to call, or after the last turn for them, are not answered: only the text counts.
        let may_call = !doer.tools.is_empty() && !self.must_answer;
        if may_call && !reply.tool_calls.is_empty() {
            return self.calls_asked_for(doer, reply);
        }
        if !reply.text.trim().is_empty() {
            self.answer = Some(answer_of(reply));
            return Outcome::Answered(reply.text.clone());
        }
        self.empty_answer(doer.agent, reply.stop)
    }

    /// Whether this step is the model call that is ready.
    pub(super) fn waits_for_model(&self, task: &TaskId, step: &StepId) -> bool {
        let is_free = self.compaction.is_none() && self.round.is_none() && self.review.asked().is_none();
        is_free && *step == StepId::model(task, self.turn)
    }

    /// The same for another agent, from the beginning. Turns count on, so that steps keep their names.
    pub(super) fn hand_over(&mut self) {
        *self = self.anew();
    }

    /// The next turn of a task that begins anew: nothing was said, but for what a person has said of earlier answers.
    fn anew(&mut self) -> Self {
        let review = std::mem::take(&mut self.review);
        Self { turn: self.turn + 1, transcript: review.said().to_vec(), review, ..Self::new() }
    }

    pub(super) fn turn(&self) -> u32 {
        self.turn
    }

    pub(super) fn review(&self) -> &Review {
        &self.review
    }

    /// A person is asked about the answer.
    pub(super) fn ask(&mut self, answer: String) {
        self.review.ask(answer);
    }

    /// The person wants another answer: the agent goes on where it was, with all its turns before it.
    pub(super) fn revise(&mut self, feedback: &str) {
        self.review.send_back(feedback);
        let mut transcript = std::mem::take(&mut self.transcript);
        transcript.extend(self.answer.take());
        transcript.extend(self.review.last_feedback());
        *self = Self {
            turn: self.turn + 1,
            restarts: self.restarts,
            digest: self.digest.take(),
            compactions: self.compactions,
            transcript,
            review: std::mem::take(&mut self.review),
            ..Self::new()
        };
    }

    pub(super) fn may_compact(&self, task: &TaskId, step: &StepId) -> bool {
        self.waits_for_model(task, step) && self.compactions < COMPACTIONS_MAX
    }

    pub(super) fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// What was said in this task, as texts; what stands before it in the opening is the caller's.
    pub(super) fn said(&self) -> impl Iterator<Item = String> + '_ {
        self.digest.iter().cloned().chain(self.transcript.iter().flat_map(told))
    }

    pub(super) fn compact(&mut self, texts: &[String], part_bytes: u64) {
        self.compaction = Compaction::of(texts, part_bytes);
        self.compactions += u32::from(self.compaction.is_some());
    }

    fn summarised(&mut self, task: &TaskId, step: &StepId, text: &str) {
        let turn = self.turn;
        let Some(compaction) = &mut self.compaction else { return };
        let index = compaction.open().find(|index| *step == StepId::compact(task, turn, *index));
        let Some(digest) = index.and_then(|index| compaction.summarised(index, text)) else { return };
        self.digest = Some(digest);
        self.compaction = None;
        self.transcript.clear();
        self.transcript.extend(self.review.last_feedback());
        if self.must_answer {
            self.transcript.push(Message::user(FINAL_ANSWER));
        }
        self.turn += 1;
    }

    /// The output is of no use: the task begins anew as if nothing had been said, as often as its agent allows. Turns
    /// count on, so that steps keep their names.
    fn restart_or_fail(&mut self, agent: &PlannedAgent, mut failure: Failure) -> Outcome {
        if self.restarts >= agent.max_retry_limit {
            if self.restarts > 0 {
                failure.message.push_str(&format!("; the task was begun anew {} times", self.restarts));
            }
            return Outcome::Failed(failure);
        }
        *self = Self { restarts: self.restarts + 1, ..self.anew() };
        Outcome::GoesOn
    }

    /// Whether an earlier output was of no use: what led there must not be given as an answer again.
    pub(super) fn is_begun_anew(&self) -> bool {
        self.restarts > 0
    }

    fn empty_answer(&mut self, agent: &PlannedAgent, stop: StopReason) -> Outcome {
        self.empty_answers += 1;
        if self.empty_answers > EMPTY_ANSWERS_MAX {
            let mut message = format!("the model answered nothing {} times", self.empty_answers);
            if stop == StopReason::Length {
                message.push_str("; the last answer reached its bound of tokens, so raise `max_tokens`");
            }
            return self.restart_or_fail(agent, Failure::new(Code::EmptyAnswer, Class::Permanent, message));
        }
        // The empty answer itself is left out: providers refuse messages without content.
        self.transcript.push(Message::user(NUDGE));
        self.turn += 1;
        Outcome::GoesOn
    }

    fn calls_asked_for(&mut self, doer: Doer<'_>, reply: &ChatReply) -> Outcome {
        self.empty_answers = 0;
        let mut slots = Vec::with_capacity(reply.tool_calls.len());
        for call in &reply.tool_calls {
            let Checked { key, verdict } = arguments::check(call, doer.tools);
            let times = self.calls_made.entry((call.name.clone(), key)).or_default();
            *times += 1;
            if *times >= REPEATS_FATAL {
                let message = format!("the model made the same call of {} {times} times", quote(&call.name));
                let failure = Failure::new(Code::RepeatedToolCalls, Class::Exhausted, message);
                return self.restart_or_fail(doer.agent, failure);
            }
            slots.push(match verdict {
                Err(message) => Slot::Has(refusal(call, message)),
                Ok(_) if *times >= REPEATS_REFUSED => Slot::Has(refusal(call, repeated(call))),
                Ok(call) => Slot::Waits(call),
            });
        }
        self.round = Some(Round { reply: reply.clone(), slots });
        self.end_round_if_complete(doer.agent);
        Outcome::GoesOn
    }

    pub(super) fn tool_returned(&mut self, doer: Doer<'_>, step: &StepId, result: &ToolResult) -> Outcome {
        let turn = self.turn;
        let slots = self.round.iter_mut().flat_map(|round| round.slots.iter_mut()).enumerate();
        for (index, slot) in slots {
            if let Slot::Waits(call) = slot
                && *step == StepId::tool(doer.task, turn, index)
            {
                // Id and name are the call's, whatever the tool says: the provider pairs them.
                let (id, name) = (call.id.clone(), call.name.clone());
                *slot = Slot::Has(ToolResult { id, name, ..result.clone() });
                break;
            }
        }
        self.end_round_if_complete(doer.agent);
        Outcome::GoesOn
    }

    fn end_round_if_complete(&mut self, agent: &PlannedAgent) {
        let is_complete = |round: &Round| round.slots.iter().all(|slot| matches!(slot, Slot::Has(_)));
        let Some(round) = self.round.take_if(|round| is_complete(round)) else { return };
        let ChatReply { text, tool_calls, blocks, .. } = round.reply;
        self.transcript.push(Message::Assistant { text, tool_calls, blocks });
        let results = round.slots.into_iter().filter_map(|slot| match slot {
            Slot::Has(result) => Some(result),
            Slot::Waits(_) => None,
        });
        self.transcript.push(Message::Tool { results: results.collect() });
        self.turn += 1;
        self.turns_with_calls += 1;
        if self.turns_with_calls >= agent.max_iter {
            self.must_answer = true;
            self.transcript.push(Message::user(FINAL_ANSWER));
        }
    }
}

/// An answer as it stands in the requests after it. Calls that nobody made are left out, and with them what the provider
/// keeps of them: it would wait for their results.
fn answer_of(reply: &ChatReply) -> Message {
    let blocks = reply.blocks.clone().filter(|_| reply.tool_calls.is_empty());
    Message::Assistant { text: reply.text.clone(), tool_calls: Vec::new(), blocks }
}

fn refusal(call: &ToolCall, content: String) -> ToolResult {
    ToolResult { id: call.id.clone(), name: call.name.clone(), content, is_error: true }
}

fn repeated(call: &ToolCall) -> String {
    format!(
        "{} was already called with exactly these arguments and was not called again; use the earlier result or call \
         it with others",
        quote(&call.name)
    )
}
