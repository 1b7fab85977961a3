//! Questions to people and their answers, in jobs, events and steps.

use qd_types::{AnsweredBy, Verdict, Waiting};
use serde::Serialize;

use super::time::Rfc3339;
use crate::openapi::Schema;

/// What a job asks.
#[derive(Serialize)]
pub(crate) struct WaitingView<'a> {
    step: &'a str,
    task: &'a str,
    agent: &'a str,
    output: &'a str,
    round: u32,
    feedback_left: u32,
    since: Rfc3339,
    expires_at: Option<Rfc3339>,
    reminders: u32,
}

/// What somebody said.
#[derive(Serialize)]
pub(crate) struct AnswerView<'a> {
    approved: bool,
    feedback: Option<&'a str>,
    answered_by: ByView<'a>,
}

#[derive(Serialize)]
struct ByView<'a> {
    who: &'static str,
    key_id: Option<&'a str>,
    name: Option<&'a str>,
}

impl<'a> From<&'a Waiting> for WaitingView<'a> {
    fn from(waiting: &'a Waiting) -> Self {
        let ask = &waiting.ask;
        Self {
            step: ask.step.as_str(),
            task: ask.task.as_str(),
            agent: ask.agent.as_str(),
            output: &ask.output,
            round: ask.round,
            feedback_left: ask.feedback_left(),
            since: Rfc3339(waiting.since),
            expires_at: waiting.expires_at.map(Rfc3339),
            reminders: waiting.reminded,
        }
    }
}

impl<'a> AnswerView<'a> {
    pub(crate) fn new(verdict: &'a Verdict, by: &'a AnsweredBy) -> Self {
        let answered_by = match by {
            AnsweredBy::Anyone => ByView { who: "anyone", key_id: None, name: None },
            AnsweredBy::Nobody => ByView { who: "nobody", key_id: None, name: None },
            AnsweredBy::Key { id, name } => {
                ByView { who: "key", key_id: Some(id.as_str()), name: Some(name) }
            }
        };
        Self { approved: verdict.is_approval(), feedback: verdict.text(), answered_by }
    }
}

/// What the document says of them.
pub(crate) fn schemas() -> Vec<(&'static str, Schema)> {
    let waiting = Schema::object().about("What a job asks a person, while it is `waiting`.");
    let waiting = question(waiting, Schema::field)
        .field("step", Schema::text().about("What to name in the answer: `draft/turn-3/human`."))
        .field("task", Schema::text())
        .field("since", Schema::moment())
        .field("expires_at", Schema::moment().nullable().about("When nobody is waited for any more."))
        .field("reminders", Schema::count().about("How often somebody was reminded."));
    let who = "`key`: whoever has the key; `anyone`: somebody without one, where none is needed; `nobody` in time, and the \
               job went on all the same.";
    let by = Schema::object()
        .field("who", Schema::words(["key", "anyone", "nobody"]).about(who))
        .field("key_id", Schema::text().nullable())
        .field("name", Schema::text().nullable().about("Of the key."));
    let answer = Schema::object()
        .about("What a person said about a task's answer.")
        .field("approved", Schema::yes_or_no())
        .field("feedback", Schema::text().nullable().about("What is to change, or a remark to an approval."))
        .field("answered_by", by);
    vec![("Waiting", waiting), ("HumanAnswer", answer)]
}

/// What is asked; `add` says whether each of it must be there.
pub(super) fn question(of: Schema, add: fn(Schema, &str, Schema) -> Schema) -> Schema {
    let round = Schema::count().about("How often the task has asked, this time included.");
    let left = Schema::count().about("How often it may still be sent back; once more fails the job.");
    let of = add(of, "agent", Schema::text());
    let of = add(of, "output", Schema::text().about("The task's answer, to be looked at."));
    add(add(of, "round", round), "feedback_left", left)
}
