//! What all routes share: words, headers, parameters, and the list of named schemas.

use qd_types::{Class, Code, JobStatus};
use serde_json::{Map, Value, json};

use super::Schema;
use crate::facades::{amp, chat, openai, systems, tasks};
use crate::problem;
use crate::routes::jobs::redrive::{self, dead_letters};
use crate::routes::webhooks::deliveries;
use crate::routes::{
    audit, batches, breakers, conversations, health, index, jobs, keys, new_job, schedules, usage, webhooks,
};
use crate::submit::key_schema;
use crate::view::{batch, crew, delivery, event, human, job, schedule, stats, step};

pub(super) const ABOUT: &str = "\
Jobs are durable requests to execute a crew: accepted means stored, and what is stored is carried out, across crashes.

**Errors** are RFC 9457 problems (`application/problem+json`). Act on `code`, a stable word: `quarterdeck explain CODE` says \
what it means and what to do. `errors` names every mistake of a request at once, with JSON pointers. Any path answers \
405 `method_not_allowed` to methods that it does not have and 404 `not_found` if there is no such route; requests that are no \
HTTP, or whose head is too large, are answered 400 or 431 without a body. A connection may be turned away before its \
request was read: with 503 `overloaded`, or 408 `request_timeout` if the request does not arrive.

**Repeating requests is safe** with an `Idempotency-Key`: the same key and body give the job that was made the first time.

**Keys** say whose a request is and what it may do. Things of another tenant are answered like things that do not exist. \
Where a key has a pace, answers carry `RateLimit-Policy` (its quota `q` within `w` seconds) and `RateLimit` (what remains, \
`r`, and when all of it is there again, `t`), and a request beyond it is answered 429 `rate_limited` with `Retry-After`. \
Without a good key nothing is said of which routes there are: any other path is answered 401.

**Times** are RFC 3339 in UTC, durations are in seconds unless the name says otherwise, money is an exact decimal string \
(a number in facades). Fields that a request leaves out may as well be null. New fields may appear in answers and new \
events in streams: ignore what you do not know.

Probes and metrics for machines (`/livez`, `/readyz`, `/startupz`, `/metrics`, `/scale`) are on the admin port.";

pub(super) fn tags() -> Value {
    let tags = [
        ("jobs", "Execute crews and see what becomes of it."),
        ("batches", "Many inputs for one crew: one progress, one end."),
        ("schedules", "What is executed again and again."),
        ("dead letters", "Failed jobs that nobody has dealt with."),
        ("conversations", "What was said, across jobs."),
        ("crews", "What can be executed."),
        ("webhooks", "Who is told of what happens, and what was sent."),
        ("facades", "Other APIs' shapes over the same jobs."),
        ("access", "Keys, and what was done with them."),
        ("server", "How the server is, and what it can do."),
    ];
    tags.iter().map(|(name, about)| json!({ "name": name, "description": about })).collect()
}

pub(super) fn components() -> Value {
    let schemas: Map<String, Value> =
        schemas().into_iter().map(|(name, schema)| (name.to_owned(), schema.into_value())).collect();
    json!({
        "schemas": schemas,
        "parameters": parameters(),
        "headers": headers(),
        "securitySchemes": security_schemes(),
    })
}

fn security_schemes() -> Value {
    json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key: `Authorization: Bearer qd_live_…`. `quarterdeck keys create` makes one.",
        },
        "header": {
            "type": "apiKey",
            "in": "header",
            "name": "X-API-Key",
            "description": "The same key, for clients that cannot set `Authorization`.",
        },
    })
}

/// Every named schema. A new view's are one line here.
fn schemas() -> Vec<(&'static str, Schema)> {
    let words =
        vec![("JobStatus", job_status()), ("ErrorCode", error_code()), ("FailureClass", failure_class())];
    [
        words,
        problem::schemas(),
        batches::schemas(),
        batch::schemas(),
        schedules::schemas(),
        schedule::schemas(),
        new_job::schemas(),
        jobs::resume::schemas(),
        jobs::schemas(),
        job::schemas(),
        event::schemas(),
        human::schemas(),
        step::schemas(),
        conversations::schemas(),
        crew::schemas(),
        chat::schemas(),
        tasks::schemas(),
        openai::schemas(),
        amp::schemas(),
        systems::schemas(),
        stats::schemas(),
        delivery::schemas(),
        deliveries::schemas(),
        webhooks::schemas(),
        breakers::schemas(),
        keys::schemas(),
        redrive::schemas(),
        dead_letters::schemas(),
        audit::schemas(),
        usage::schemas(),
        health::schemas(),
        index::schemas(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn job_status() -> Schema {
    let about = "Where a job stands. `scheduled` waits for its `run_at`, `retrying` for its next try at `retry_at`, `waiting` \
                 for a person or an event; `succeeded`, `failed` and `cancelled` are final.";
    Schema::words(JobStatus::ALL.map(JobStatus::as_str)).about(about)
}

fn error_code() -> Schema {
    let about = "A stable word for what went wrong, in problems and in failed jobs. `quarterdeck explain CODE` tells more.";
    Schema::words(Code::ALL.iter().map(|code| code.as_str())).about(about)
}

fn failure_class() -> Schema {
    let about =
        "What can be done about a failure: the first three may be gone at the next try, the others not.";
    Schema::words(Class::ALL.map(Class::as_str)).about(about)
}

fn parameters() -> Value {
    let about = "Your name for this request. Sent again with the same body, it answers the job that was made the first \
                 time; with another body it is refused.";
    let key = key_schema().example("order-4711");
    json!({
        "IdempotencyKey": {
            "name": "Idempotency-Key",
            "in": "header",
            "required": false,
            "description": about,
            "schema": key.into_value(),
        },
    })
}

fn headers() -> Value {
    let header = |about: &str, required: bool, schema: Schema| json!({ "description": about, "required": required, "schema": schema.into_value() });
    json!({
        "Location": header("Path of what was made.", true, Schema::text().pattern("^/v1/(jobs|batches|schedules|keys|crews)/")),
        "ETag": header("The version, for `If-Match`.", true, Schema::text().pattern("^\"v[0-9]+\"$")),
        "Retry-After": header("Seconds after which to try again.", false, Schema::whole(1, i64::from(u32::MAX))),
        "Idempotent-Replayed": header(
            "An earlier request with the same idempotency key made it.", false, Schema::words(["true"])
        ),
        "Preference-Applied": header(
            "The wait that was granted, which may be less than was asked for.", false,
            Schema::text().pattern("^wait=[0-9]+$")
        ),
        "WWW-Authenticate": header("How to send a key.", true, Schema::words(["Bearer"])),
        "X-Quarterdeck-Job": header("Id of the job behind the answer.", true, Schema::job_id()),
        "X-Request-Id": header(
            "Names the request in the server's log: yours if the request carried a usable one. Missing only if the \
             connection was turned away.",
            false,
            Schema::text().chars(1, 128)
        ),
    })
}
