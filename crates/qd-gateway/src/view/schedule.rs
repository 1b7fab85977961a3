//! A schedule as the API shows it.

use std::collections::BTreeMap;

use qd_store::{Missed, Schedule};
use qd_types::{Input, Priority};
use serde::Serialize;
use serde_json::{Value, json};

use super::time::Rfc3339;
use crate::openapi::Schema;

/// A schedule.
#[derive(Serialize)]
pub(crate) struct ScheduleView<'a> {
    name: &'a str,
    cron: &'a str,
    timezone: &'a str,
    crew: &'a str,
    input: &'a Input,
    priority: u8,
    conversation_id: Option<&'a str>,
    timeout_seconds: u32,
    max_attempts: u32,
    budget_usd: Option<String>,
    metadata: &'a BTreeMap<String, String>,
    missed: &'static str,
    paused: bool,
    created_at: Rfc3339,
    updated_at: Rfc3339,
    next_at: Option<Rfc3339>,
    retry_at: Option<Rfc3339>,
    last_at: Option<Rfc3339>,
    last_job_id: Option<String>,
    last_error: Option<&'a str>,
    left_out: u64,
}

impl<'a> From<&'a Schedule> for ScheduleView<'a> {
    fn from(schedule: &'a Schedule) -> Self {
        let spec = &schedule.spec;
        Self {
            name: schedule.name.as_str(),
            cron: &spec.cron,
            timezone: &spec.zone,
            crew: spec.crew.as_str(),
            input: &spec.input,
            priority: spec.priority.get(),
            conversation_id: spec.conversation.as_ref().map(|conversation| conversation.as_str()),
            timeout_seconds: spec.timeout_seconds,
            max_attempts: spec.max_attempts,
            budget_usd: spec.budget.map(|budget| budget.to_string()),
            metadata: &spec.metadata,
            missed: spec.missed.as_str(),
            paused: schedule.paused,
            created_at: Rfc3339(schedule.created_at),
            updated_at: Rfc3339(schedule.updated_at),
            next_at: schedule.next_at.map(Rfc3339),
            retry_at: schedule.due_at.filter(|_| schedule.tries > 0).map(Rfc3339),
            last_at: schedule.last_at.map(Rfc3339),
            last_job_id: schedule.last_job.map(|id| id.to_string()),
            last_error: schedule.error.as_deref(),
            left_out: schedule.missed,
        }
    }
}

/// What the document says of schedules.
pub(crate) fn schemas() -> Vec<(&'static str, Schema)> {
    let moment = |about: &str| Schema::moment().nullable().about(about);
    let schedule = Schema::object()
        .about("What is executed again and again.")
        .field("name", Schema::text())
        .field("cron", Schema::text())
        .field("timezone", Schema::text())
        .field("crew", Schema::text())
        .field("input", Schema::object().about("Values for the crew's variables."))
        .field("priority", Schema::whole(1, Priority::LEVELS as i64))
        .field("conversation_id", Schema::text().nullable())
        .field("timeout_seconds", Schema::count().about("Longest running time of each job."))
        .field("max_attempts", Schema::count().about("Most tries of one step."))
        .field(
            "budget_usd",
            Schema::dollars().nullable().about("The most that the calls of each job may cost."),
        )
        .field("metadata", Schema::map(Schema::text()).about("Your own labels, for its jobs."))
        .field("missed", Schema::words(Missed::ALL.map(Missed::as_str)))
        .field("paused", Schema::yes_or_no())
        .field("created_at", Schema::moment())
        .field("updated_at", Schema::moment().about("When it was last changed."))
        .field("next_at", moment("Its next tick; null while it is paused."))
        .field("retry_at", moment("When that is tried again, if it could not be run."))
        .field("last_at", moment("The last tick that made a job."))
        .field("last_job_id", Schema::job_id().nullable().about("That job."))
        .field(
            "last_error",
            Schema::text().nullable().about("Why the last try made none; null once one did."),
        )
        .field("left_out", Schema::count().about("How often ticks were left out or given up."));
    vec![("Schedule", schedule)]
}

/// A schedule as the document shows one.
pub(crate) fn example() -> Value {
    json!({
        "name": "morning-report",
        "cron": "30 6 * * 1-5",
        "timezone": "Europe/Berlin",
        "crew": "research",
        "input": { "topic": "tides" },
        "priority": 1,
        "conversation_id": null,
        "timeout_seconds": 300,
        "max_attempts": 5,
        "budget_usd": null,
        "metadata": {},
        "missed": "run_once",
        "paused": false,
        "created_at": "2030-03-01T12:00:00.000Z",
        "updated_at": "2030-03-01T12:00:00.000Z",
        "next_at": "2030-03-05T05:30:00.000Z",
        "retry_at": null,
        "last_at": "2030-03-04T05:30:00.000Z",
        "last_job_id": "0198c0de-0000-7000-8000-000000000001",
        "last_error": null,
        "left_out": 0,
    })
}
