//! The body of a schedule: every field checked, every mistake told at once.

use qd_cron::{EXPRESSION_CHARS_MAX, Invalid, Timetable, ZONE_CHARS_MAX};
use qd_store::{Missed, NewSchedule, ScheduleSpec};
use qd_types::{Code, Input, Priority, ScheduleName, TenantId, Timestamp};
use serde_json::Value;

use crate::body::{Fields, pointer};
use crate::context::Context;
use crate::openapi::Schema;
use crate::options::Options;
use crate::problem::{Problem, shown};
use crate::routes::conversation_field;
use crate::routes::new_job::{
    self, MAX_ATTEMPTS_MAX, PRIORITY_MAX, TIMEOUT_SECONDS_MAX, budget_schema, metadata_schema,
    priority_schema, webhook_schema,
};
use crate::submit;

const NAME_CHARS_MAX: usize = 64;
const ZONE_DEFAULT: &str = "UTC";

/// Whether a text can name a schedule: it stands in paths and on command lines.
pub(super) fn is_name(text: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// The same for the document.
pub(super) fn name_schema() -> Schema {
    Schema::text().chars(1, NAME_CHARS_MAX).pattern("^[A-Za-z0-9._-]*$").example("morning-report")
}

/// The field `name`.
pub(super) fn name(fields: &mut Fields) -> Option<ScheduleName> {
    let text = fields.required_text("name")?;
    checked_name(fields, text)
}

/// A name that may not be one.
pub(super) fn checked_name(fields: &mut Fields, text: String) -> Option<ScheduleName> {
    if is_name(&text) {
        return Some(ScheduleName::new(text));
    }
    let message = format!("must be 1 to {NAME_CHARS_MAX} letters, digits, `.`, `_` and `-`");
    fields.error(pointer("", "name"), message);
    None
}

/// Reads everything but the name.
pub(super) async fn read(
    mut fields: Fields,
    name: Option<ScheduleName>,
    tenant: &TenantId,
    context: &Context,
) -> Result<NewSchedule, Problem> {
    let fields_mut = &mut fields;
    let crew_name = fields_mut.required_text("crew");
    let timing = timing(fields_mut, context.env.now());
    let input = fields_mut.object("input").unwrap_or_default();
    let priority = fields_mut.integer("priority", 1, PRIORITY_MAX);
    let conversation = conversation_field(fields_mut, "conversation_id", false);
    let timeout_seconds = fields_mut.integer("timeout_seconds", 1, TIMEOUT_SECONDS_MAX);
    let max_attempts = fields_mut.integer("max_attempts", 1, MAX_ATTEMPTS_MAX);
    let budget = fields_mut.dollars("budget_usd");
    let metadata = new_job::metadata(fields_mut);
    let webhook_url = new_job::webhook_url(fields_mut, context);
    let missed = missed(fields_mut);
    let paused = fields_mut.flag("paused").unwrap_or(false);
    let crew = match crew_name {
        Some(name) => new_job::find_crew(fields_mut, &name, tenant, context).await?,
        None => None,
    };
    for error in crew.iter().flat_map(|crew| submit::input_errors(crew, &input)) {
        fields_mut.error_as(error.path, error.code, error.message);
    }
    fields.finish()?;
    // Without one of them there was a mistake, which has been told.
    let (Some(name), Some(crew), Some(timing)) = (name, crew, timing) else {
        return Err(Problem::new(Code::Internal, "the schedule got lost"));
    };
    let whole = |number: Option<i64>| number.and_then(|n| u32::try_from(n).ok());
    let spec = ScheduleSpec {
        cron: timing.cron,
        zone: timing.zone,
        crew: crew.plan.name().clone(),
        input,
        priority: priority.and_then(|level| Priority::new(level).ok()).unwrap_or_default(),
        conversation,
        timeout_seconds: whole(timeout_seconds).unwrap_or(context.options.default_timeout_seconds),
        max_attempts: whole(max_attempts).unwrap_or(context.options.default_max_attempts),
        budget,
        metadata,
        webhook_url,
        missed,
    };
    let next_at = timing.next_at.filter(|_| !paused);
    Ok(NewSchedule { tenant: tenant.clone(), name, spec, paused, next_at })
}

struct Timing {
    cron: String,
    zone: String,
    next_at: Option<Timestamp>,
}

fn timing(fields: &mut Fields, now: Timestamp) -> Option<Timing> {
    let cron = fields.required_text("cron");
    let zone = fields.text("timezone").unwrap_or_else(|| ZONE_DEFAULT.to_owned());
    let cron = cron?;
    match Timetable::parse(&cron, &zone) {
        Ok(timetable) => Some(Timing { next_at: timetable.after(now), cron, zone }),
        Err(wrong) => {
            let (field, text) = match wrong {
                Invalid::Zone => ("timezone", &zone),
                Invalid::Expression(_) | Invalid::NeverDue => ("cron", &cron),
            };
            fields.error(pointer("", field), format!("`{}` {wrong}", shown(text)));
            None
        }
    }
}

fn missed(fields: &mut Fields) -> Missed {
    let Some(text) = fields.text("missed") else { return Missed::default() };
    let found = Missed::ALL.into_iter().find(|missed| missed.as_str() == text);
    found.unwrap_or_else(|| {
        let known = Missed::ALL.map(Missed::as_str).join(", ");
        fields.error(pointer("", "missed"), format!("`{}` is not one of {known}", shown(&text)));
        Missed::default()
    })
}

fn body_schema() -> Schema {
    let options = Options::default();
    let cron = "Five fields, by the clock of the zone: minute, hour, day of the month, month, day of the week; or @hourly, @daily, \
                @weekly, @monthly, @yearly. Not more than once a minute.";
    let missed = "Ticks that nobody was there for, as the server was down: left out, the last one run late, or the last 100 run.";
    Schema::object()
        .field("cron", Schema::text().chars(1, EXPRESSION_CHARS_MAX).about(cron).example("30 6 * * 1-5"))
        .may(
            "timezone",
            Schema::text()
                .chars(1, ZONE_CHARS_MAX)
                .by_default(ZONE_DEFAULT)
                .about("IANA name of a time zone.")
                .example("Europe/Berlin"),
        )
        .field(
            "crew",
            Schema::name()
                .pattern(r"\S")
                .about("Name of a published crew; its newest version at each tick.")
                .example("research"),
        )
        .may(
            "input",
            Schema::object()
                .about("Values for the crew's variables.")
                .by_default(Value::Object(Input::new())),
        )
        .may("priority", priority_schema())
        .may(
            "conversation_id",
            Schema::name().about("Whose history its jobs continue; they run one at a time."),
        )
        .may(
            "timeout_seconds",
            Schema::whole(1, TIMEOUT_SECONDS_MAX)
                .about("Longest running time of each job.")
                .by_default(options.default_timeout_seconds),
        )
        .may(
            "max_attempts",
            Schema::whole(1, MAX_ATTEMPTS_MAX)
                .about("Most tries of one step.")
                .by_default(options.default_max_attempts),
        )
        .may("budget_usd", budget_schema())
        .may("webhook_url", webhook_schema())
        .may("metadata", metadata_schema())
        .may(
            "missed",
            Schema::words(Missed::ALL.map(Missed::as_str))
                .about(missed)
                .by_default(Missed::default().as_str()),
        )
        .may("paused", Schema::yes_or_no().about("Whether it is left alone for now.").by_default(false))
        .closed()
}

/// What the document says of bodies and lists.
pub(crate) fn schemas() -> Vec<(&'static str, Schema)> {
    let new = body_schema().about("What to execute again and again.").field("name", name_schema());
    let body = body_schema().about("The same; its name stands in the path.");
    let list = Schema::object()
        .about("A page of schedules, by name.")
        .field("schedules", Schema::list(Schema::named("Schedule")))
        .field("next_cursor", name_schema().nullable().about("Of the next page; null at the end."));
    let deleted = Schema::object()
        .about("What is gone.")
        .field("name", Schema::text())
        .field("deleted", Schema::yes_or_no());
    vec![("NewSchedule", new), ("ScheduleBody", body), ("ScheduleList", list), ("DeletedSchedule", deleted)]
}
