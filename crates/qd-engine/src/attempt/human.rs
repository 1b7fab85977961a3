//! What a person is asked: the machine's question, with the rules of the crew over those of the configuration. They are
//! journaled with it, so that a question keeps the rules that it was asked under.

use qd_crew::{Effect, EffectKind, Question};
use qd_types::{Ask, AskRules, Failure, OnExpiry};

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

    /// Asks about a call that may not be repeated and of which nobody knows whether it was made. The first question of a
    /// round goes first; the others come with the next attempt.
    pub(super) fn ask_about(&mut self, effect: &Effect, doubt: &Failure) {
        let EffectKind::Tool(call) = &effect.kind else { return };
        let output = format!(
            "{}.\n\nIt was called with {}\n\nFind out whether it happened. Approve if it did: what you say of it is what the model \
             is told as its result. Send feedback if it did not: the model is told that, and may call again.",
            doubt.message, call.arguments
        );
        // Silence is no knowledge of what happened, and a no is always taken.
        let usual = self.shared.options.human_input;
        let rules = AskRules { on_expiry: OnExpiry::Fail, max_rounds: usual.max_rounds.max(1), ..usual };
        let (step, task, agent) = (effect.step.clone(), effect.task.clone(), effect.agent.clone());
        self.question.get_or_insert_with(|| Box::new(Ask { step, task, agent, output, round: 1, rules }));
    }
}
