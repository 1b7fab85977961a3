//! What is said to the model, in our own words: instructions from the agent, the task with what it works on, and the
//! sentences by which the loop steers.
//!
//! Changing a sentence changes no step id, so jobs in flight continue with the new words.

use qd_types::Message;

use crate::machine::Doer;
use crate::plan::PlannedTask;
use crate::template::Values;

/// Between the outputs of earlier tasks.
const CONTEXT_SEPARATOR: &str = "\n\n----------\n\n";

/// After an answer without text.
pub(crate) const NUDGE: &str = "Your last answer was empty. Write the complete answer to the task now.";

/// After the last turn with tools.
pub(crate) const FINAL_ANSWER: &str = "You have used up your turns with tools. Call no more of them: write your final \
     answer now, as complete as what you have found out allows.";

/// What a person wants to have changed, put to the agent whose answer it is about.
pub(crate) fn feedback(said: &str) -> String {
    format!(
        "A person has looked at your answer and wants it changed. They say:\n{said}\n\nFollow them and write the whole \
         answer anew: what they do not mention stays as it is, and nothing is said about the change itself."
    )
}

/// A person knows of a call that it was made, and no more.
pub(crate) const CALL_WAS_MADE: &str = "The call was carried out. What came of it is not known.";

/// A person knows that a call was not made.
pub(crate) fn call_was_not_made(said: &str) -> String {
    format!("The call was not carried out: {said}")
}

/// How a task begins.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Opening {
    pub(crate) system: Option<String>,
    pub(crate) messages: Vec<Message>,
}

/// What a task's messages are made of.
pub(crate) struct Brief<'a> {
    pub(crate) doer: Doer<'a>,
    pub(crate) task: &'a PlannedTask,
    pub(crate) values: &'a Values,
    pub(crate) date: Option<&'a str>,
    /// Outputs of earlier tasks, in the order in which they are shown.
    pub(crate) context: Vec<&'a str>,
    pub(crate) history: &'a [Message],
    /// What was said before, in fewer words: instead of context and history.
    pub(crate) digest: Option<&'a str>,
}

impl Brief<'_> {
    pub(crate) fn opening(&self) -> Opening {
        let (system, user) = if self.doer.agent.use_system_prompt {
            (Some(self.instructions()), self.assignment())
        } else {
            (None, format!("{}\n\n{}", self.instructions(), self.assignment()))
        };
        let mut messages = self.history.to_vec();
        messages.push(Message::user(user));
        Opening { system, messages }
    }

    fn instructions(&self) -> String {
        let texts = &self.doer.agent.texts;
        let [role, goal, backstory] =
            [&texts.role, &texts.goal, &texts.backstory].map(|text| text.fill(self.values));
        let mut out = format!("You are {role}. {backstory}\n\nYour goal: {goal}");
        if let Some(date) = self.date {
            out.push_str("\n\nCurrent date: ");
            out.push_str(date);
        }
        out
    }

    fn assignment(&self) -> String {
        let texts = &self.task.texts;
        let [description, expected] =
            [&texts.description, &texts.expected_output].map(|text| text.fill(self.values));
        let mut out = format!(
            "Your task:\n{description}\n\nThe answer has to be:\n{expected}\n\n\
             Answer with the whole text of the result, not with a summary of it or remarks about it."
        );
        if self.task.markdown {
            out.push_str(
                "\n\nWrite the answer in Markdown, with headings, lists and emphasis where they help the reader, and \
                 without a code fence around the whole.",
            );
        }
        if !self.context.is_empty() {
            out.push_str("\n\nResults of earlier tasks to work with:\n");
            out.push_str(&self.context.join(CONTEXT_SEPARATOR));
        }
        if let Some(digest) = self.digest {
            out.push_str("\n\nWhat was said and found so far, in short:\n");
            out.push_str(digest);
        }
        if self.doer.tools.is_empty() {
            out.push_str("\n\nWrite the complete answer now.");
        }
        out
    }
}
