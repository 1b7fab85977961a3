//! What a person is asked: the machine's question, with the rules of the crew over those of the configuration. They are
//! journaled with it, so that a question keeps the rules that it was asked under.

use qd_crew::Question;
use qd_types::{Ask, AskRules};

use super::Attempt;

impl Attempt<'_> {
    /// The question as it is journaled.
    pub(super) fn ask(&self, question: Question) -> Box<Ask> {
        let (own, usual) = (question.rules, &self.shared.options.human_input);
        let rules = AskRules {
            reminder_seconds: own.reminder_seconds.unwrap_or(usual.reminder_seconds),
            reminders: own.reminders.unwrap_or(usual.reminders),
            expires_seconds: own.expires_seconds.unwrap_or(usual.expires_seconds),
            on_expiry: own.on_expiry.unwrap_or(usual.on_expiry),
            max_rounds: own.max_rounds.unwrap_or(usual.max_rounds),
        };
        let Question { step, task, agent, output, round, .. } = question;
        Box::new(Ask { step, task, agent, output, round, rules })
    }
}
