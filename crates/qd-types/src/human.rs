//! What a person is asked about a task's answer, and what they say: journaled, like everything that decides what happens.

use serde::{Deserialize, Serialize};

use crate::{AgentId, KeyId, StepId, TaskId, Timestamp};

/// What a person is asked. The rules come with it, so that whoever watches over time needs no crew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The step that waits: `draft/turn-3/human`.
    pub step: StepId,
    /// The task whose answer it is.
    pub task: TaskId,
    /// Who gave it.
    pub agent: AgentId,
    /// The answer to look at.
    pub output: String,
    /// How often this task has asked, from 1: one more after each feedback.
    pub round: u32,
    /// What happens while nobody answers, and how often feedback is taken.
    pub rules: AskRules,
}

impl Ask {
    /// How often the person may still send the answer back.
    #[must_use]
    pub fn feedback_left(&self) -> u32 {
        (self.rules.max_rounds + 1).saturating_sub(self.round)
    }
}

/// What happens while a question waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskRules {
    /// Seconds until a reminder, and between two of them; 0 for none.
    pub reminder_seconds: u32,
    /// Reminders at most.
    pub reminders: u32,
    /// Seconds after which nobody is waited for any more; 0 for ever.
    pub expires_seconds: u32,
    /// What becomes of the job then.
    pub on_expiry: OnExpiry,
    /// How often a task takes feedback and is done anew. Sent back once more, its job fails.
    pub max_rounds: u32,
}

/// What becomes of a job whose question nobody answered in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExpiry {
    /// It fails.
    Fail,
    /// It goes on as if somebody had approved.
    Approve,
}

impl OnExpiry {
    /// The words of files.
    pub const WORDS: &'static [&'static str] = &["fail", "approve"];

    /// What a word of [`Self::WORDS`] means.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "fail" => Some(Self::Fail),
            "approve" => Some(Self::Approve),
            _ => None,
        }
    }
}

/// A question that waits, as a job keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// What is asked.
    pub ask: Ask,
    /// Since when.
    pub since: Timestamp,
    /// When nobody is waited for any more.
    pub expires_at: Option<Timestamp>,
    /// When somebody is reminded next.
    pub remind_at: Option<Timestamp>,
    /// Reminders so far.
    pub reminded: u32,
}

impl Waiting {
    /// A question that is asked at a moment.
    #[must_use]
    pub fn new(ask: Ask, now: Timestamp) -> Self {
        let rules = ask.rules;
        let remind_at = after(rules.reminder_seconds, now).filter(|_| rules.reminders > 0);
        Self { ask, since: now, expires_at: Self::expiry(&rules, now), remind_at, reminded: 0 }
    }

    /// When nobody is waited for any more whose question was asked at a moment.
    #[must_use]
    pub fn expiry(rules: &AskRules, asked_at: Timestamp) -> Option<Timestamp> {
        after(rules.expires_seconds, asked_at)
    }

    /// The same once somebody was reminded at a moment. A reminder that is late is sent once, and not made up for.
    #[must_use]
    pub fn reminded(mut self, now: Timestamp) -> Self {
        let rules = self.ask.rules;
        self.reminded += 1;
        let is_last = self.reminded >= rules.reminders;
        self.remind_at = (!is_last).then(|| now.plus(seconds_of(rules.reminder_seconds)));
        self
    }

    /// When something is to be done about it, unless somebody answers.
    #[must_use]
    pub fn wake_at(&self) -> Option<Timestamp> {
        [self.expires_at, self.remind_at].into_iter().flatten().min()
    }

    /// Whether nobody is waited for any more.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

/// The moment so many seconds later; none for 0.
fn after(seconds: u32, at: Timestamp) -> Option<Timestamp> {
    (seconds > 0).then(|| at.plus(seconds_of(seconds)))
}

fn seconds_of(seconds: u32) -> std::time::Duration {
    std::time::Duration::from_secs(u64::from(seconds))
}

/// What a person says about an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// It is good as it is.
    Approve {
        /// A remark for whoever reads the journal; no model sees it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remark: Option<String>,
    },
    /// It is to be done anew.
    Revise {
        /// What the agent is told.
        feedback: String,
    },
}

impl Verdict {
    /// Whether the job goes on with the answer.
    #[must_use]
    pub fn is_approval(&self) -> bool {
        matches!(self, Self::Approve { .. })
    }

    /// What the person wrote, if anything.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Approve { remark } => remark.as_deref(),
            Self::Revise { feedback } => Some(feedback),
        }
    }
}

/// Who said it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "who", rename_all = "snake_case")]
pub enum AnsweredBy {
    /// Somebody without a key, where none is needed.
    Anyone,
    /// Whoever has a key.
    Key {
        /// Its public part.
        id: KeyId,
        /// What people call it.
        name: String,
    },
    /// Nobody did in time, and the job goes on all the same.
    Nobody,
}

#[cfg(test)]
mod tests {
    use super::{Ask, AskRules, OnExpiry, Waiting};
    use crate::{AgentId, StepId, TaskId, Timestamp};

    fn ask(reminder_seconds: u32, reminders: u32, expires_seconds: u32) -> Ask {
        let task = TaskId::new("t");
        let rules = AskRules {
            reminder_seconds,
            reminders,
            expires_seconds,
            on_expiry: OnExpiry::Fail,
            max_rounds: 2,
        };
        let (step, agent) = (StepId::human(&task, 1), AgentId::new("a"));
        Ask { step, task, agent, output: "x".to_owned(), round: 1, rules }
    }

    #[test]
    fn question_wakes_for_its_reminders_and_then_for_its_end() {
        let mut wakes = Vec::new();
        let mut waiting = Waiting::new(ask(10, 2, 60), Timestamp(0));
        while let Some(at) = waiting.wake_at().filter(|_| wakes.len() < 9) {
            wakes.push(at.0 / 1_000);
            if waiting.is_over(at) {
                break;
            }
            waiting = waiting.reminded(at);
        }
        assert_eq!(wakes, [10, 20, 60]);
        for (quiet, expected) in [(ask(0, 2, 0), None), (ask(10, 0, 0), None), (ask(0, 0, 5), Some(5_000))] {
            assert_eq!(Waiting::new(quiet, Timestamp(0)).wake_at().map(|at| at.0), expected);
        }
    }

    #[test]
    fn feedback_is_counted_down() {
        let left = |round| Ask { round, ..ask(0, 0, 0) }.feedback_left();
        assert_eq!([1, 2, 3, 4].map(left), [2, 1, 0, 0]);
    }
}
