//! Values from outside that enter a job once, journaled: its conversation's history, today's date.

use qd_crew::{CONVERSATION_FACT, FactNeed, Plan};
use qd_store::{Turn, TurnRole};
use qd_types::{Entry, Input, Job, JobOutput, Timestamp};
use serde_json::{Value, json};

use crate::engine::Shared;
use crate::resume::Past;

/// Messages read at most, whatever their size.
const MESSAGES_MAX: usize = 200;

/// The facts that a job needs and does not have yet.
pub(crate) async fn missing(
    shared: &Shared,
    job: &Job,
    plan: &Plan,
    past: &Past,
) -> Result<Vec<Entry>, qd_store::Error> {
    let mut facts = Vec::new();
    for need in plan.fact_needs(job.conversation.is_some()) {
        let fact = match need {
            FactNeed::Conversation => {
                if past.facts.contains(CONVERSATION_FACT) {
                    continue;
                }
                Entry::Fact { key: CONVERSATION_FACT.to_owned(), value: history(shared, job, plan).await? }
            }
            FactNeed::Date { key, format } => {
                if past.facts.contains(&key) {
                    continue;
                }
                Entry::Fact { key, value: Value::String(date(shared.env.now(), &format)) }
            }
        };
        facts.push(fact);
    }
    Ok(facts)
}

async fn history(shared: &Shared, job: &Job, plan: &Plan) -> Result<Value, qd_store::Error> {
    let Some(conversation) = &job.conversation else { return Ok(json!([])) };
    let model = plan.model_of_conversation().unwrap_or_default();
    let bytes_per_token = shared.models.bytes_per_token(model);
    let turns = shared.store.history(&job.tenant, conversation, MESSAGES_MAX).await?;
    let kept = newest_within(&turns, shared.options.history_tokens, bytes_per_token);
    Ok(kept.iter().map(|turn| json!({"role": turn.role, "text": turn.text})).collect())
}

/// The newest turns that fit, oldest of them first. Begins with a user's turn: models expect to answer one.
fn newest_within(turns: &[Turn], budget: usize, bytes_per_token: f64) -> &[Turn] {
    let mut left = budget;
    let fitting = turns.iter().rev().take_while(|turn| {
        match left.checked_sub(tokens_of(&turn.text, bytes_per_token)) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        }
    });
    let mut kept = &turns[turns.len() - fitting.count()..];
    while let [Turn { role: TurnRole::Assistant, .. }, rest @ ..] = kept {
        kept = rest;
    }
    kept
}

/// As the model has shown so far, and 4 tokens around each message.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn tokens_of(text: &str, bytes_per_token: f64) -> usize {
    (text.len() as f64 / bytes_per_token).ceil() as usize + 4
}

fn date(now: Timestamp, format: &str) -> String {
    let now = jiff::Timestamp::from_millisecond(now.0).unwrap_or_default();
    now.strftime(format).to_string()
}

/// What a conversation gains from a job that succeeded.
pub(crate) fn turns_of(job: &Job, output: &JobOutput) -> Vec<Turn> {
    if job.conversation.is_none() {
        return Vec::new();
    }
    vec![
        Turn { role: TurnRole::User, text: said(&job.input) },
        Turn { role: TurnRole::Assistant, text: output.raw.clone() },
    ]
}

/// The person's words: `message` if there is one, the only value if there is one, else all of them.
fn said(input: &Input) -> String {
    let only = if input.len() == 1 { input.values().next() } else { None };
    match input.get("message").or(only) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => Value::Object(input.clone()).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use qd_store::{Turn, TurnRole};
    use qd_types::Timestamp;
    use serde_json::json;

    use super::{date, newest_within, said};

    #[test]
    fn history_keeps_the_newest_that_fit_and_begins_with_the_user() {
        let turn = |n: usize| Turn {
            role: if n.is_multiple_of(2) { TurnRole::User } else { TurnRole::Assistant },
            text: "seven b".repeat(10),
        };
        let turns: Vec<_> = (0..6).map(turn).collect();
        for (budget, kept) in [(0, 0), (23, 0), (24, 0), (48, 2), (71, 2), (72, 2), (96, 4), (10_000, 6)] {
            assert_eq!(newest_within(&turns, budget, 3.5).len(), kept, "budget {budget}");
        }
    }

    #[test]
    fn persons_words_are_found_in_the_input() {
        for (input, words) in [
            (json!({"message": "hi", "tone": "kind"}), "hi"),
            (json!({"question": "why?"}), "why?"),
            (json!({"n": 3}), "3"),
            (json!({"a": 1, "b": 2}), r#"{"a":1,"b":2}"#),
        ] {
            assert_eq!(said(input.as_object().unwrap()), words);
        }
    }

    #[test]
    fn dates_follow_the_format() {
        assert_eq!(date(Timestamp(1_700_000_000_000), "%d %B %Y"), "14 November 2023");
    }
}
