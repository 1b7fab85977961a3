//! The URLs that a kickoff or an answer brings, with the same checks as every URL that comes with a job.

use qd_types::{Authentication, Code, Hooks};
use serde_json::{Map, Value};

use crate::body::{Fields, pointer};
use crate::context::Context;
use crate::openapi::Schema;
use crate::routes::new_job;

const HUMAN: &str = "humanInputWebhook";
/// Largest `meta`, as JSON: it goes into every body.
const META_BYTES_MAX: usize = 16 * 1_024;
/// Longest token, name or password.
const SECRET_CHARS_MAX: usize = 4_096;

/// Reads them.
pub(super) fn read(fields: &mut Fields, context: &Context) -> Hooks {
    let (human, authentication) = human(fields, context);
    Hooks {
        step: url(fields, "stepWebhookUrl", context),
        task: url(fields, "taskWebhookUrl", context),
        crew: url(fields, "crewWebhookUrl", context),
        human,
        authentication,
        meta: meta(fields),
    }
}

fn url(fields: &mut Fields, name: &'static str, context: &Context) -> Option<String> {
    // Clients that have none send an empty text.
    let text = fields.text(name).filter(|text| !text.is_empty())?;
    new_job::checked_url(fields, &pointer("", name), &text, context)
}

fn meta(fields: &mut Fields) -> Option<Map<String, Value>> {
    let meta = fields.object("meta")?;
    if serde_json::to_string(&meta).map_or(0, |text| text.len()) > META_BYTES_MAX {
        fields.error("/meta".to_owned(), format!("is longer than {META_BYTES_MAX} bytes as JSON"));
        return None;
    }
    Some(meta)
}

fn human(fields: &mut Fields, context: &Context) -> (Option<String>, Option<Authentication>) {
    let Some(mut given) = fields.object(HUMAN) else { return (None, None) };
    let path = pointer("", HUMAN);
    let url = match given.remove("url") {
        Some(Value::String(text)) => new_job::checked_url(fields, &pointer(&path, "url"), &text, context),
        _ => {
            fields.error(pointer(&path, "url"), "is missing; it is where questions are sent, as a string");
            None
        }
    };
    let authentication = match given.remove("authentication") {
        None | Some(Value::Null) => None,
        Some(said) => authentication(fields, &pointer(&path, "authentication"), said),
    };
    if let Some(other) = given.keys().next() {
        fields.error(pointer(&path, other), "is no field of this; it takes url, authentication");
    }
    (url, authentication)
}

/// Nothing of it is shown in a message.
fn authentication(fields: &mut Fields, path: &str, said: Value) -> Option<Authentication> {
    let known: Option<Authentication> = serde_json::from_value(said).ok();
    let fits =
        |text: &String| (1..=SECRET_CHARS_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
    let is_good = known.as_ref().is_some_and(|known| match known {
        Authentication::Bearer { token } => fits(token),
        Authentication::Basic { username, password } => fits(username) && fits(password),
    });
    if !is_good {
        let message = "must be {strategy: bearer, token} or {strategy: basic, username, password}, texts without control \
                       characters";
        fields.error(path.to_owned(), message);
    }
    known.filter(|_| is_good)
}

/// A part of that API which is not built yet.
pub(super) fn refuse_event_streams(fields: &mut Fields) {
    if fields.take("webhooks").is_some() {
        let message = "streams of events to a URL are not supported yet; use stepWebhookUrl, taskWebhookUrl and \
                       crewWebhookUrl, or `GET /v1/jobs/{id}/events`";
        fields.error_as("/webhooks".to_owned(), Code::NotSupported, message);
    }
}

/// What the document says of them.
pub(super) fn described(body: Schema) -> Schema {
    let url = |about: &str| Schema::text().format("uri").about(about);
    let authentication = Schema::object()
        .about("Sent with questions, never shown: `bearer` with `token`, or `basic` with `username` and `password`.")
        .field("strategy", Schema::words(["bearer", "basic"]))
        .optional("token", Schema::text())
        .optional("username", Schema::text())
        .optional("password", Schema::text());
    let human = Schema::object()
        .about("Who is told when a task asks a person.")
        .field("url", url("Where questions go."))
        .may("authentication", authentication)
        .closed();
    body.may("stepWebhookUrl", url("Who is told when an agent has answered or a tool returned."))
        .may("taskWebhookUrl", url("Who is told when a task has its output."))
        .may("crewWebhookUrl", url("Who is told when the crew is done, or has failed."))
        .may(HUMAN, human)
        .may("meta", Schema::object().about("Your own words, in every webhook; at most 16 KiB as JSON."))
}
