//! Schedules: what is executed again and again, by a cron expression in a time zone.

mod body;
pub(crate) mod run;

use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::response::Response;
use http::request::Parts;
use http::{HeaderValue, Request, StatusCode, header};
use qd_cron::Timetable;
use qd_store::{InvalidCursor, NewSchedule, Schedule, SchedulePut, ScheduleQuery};
use qd_types::{Code, ScheduleName, TenantId};
use serde::Serialize;
use serde_json::json as value;

use super::{Name, json, list_query};
use crate::access::Caller;
use crate::body::Fields;
use crate::context::{Context, Shared};
use crate::openapi::{Answer, Operation};
use crate::problem::Problem;
use crate::query::Parameters;
use crate::view::schedule::{self, ScheduleView};

pub(crate) use body::schemas;

/// The schedule that the path names.
pub(crate) struct PathSchedule(ScheduleName);

impl<S: Send + Sync> FromRequestParts<S> for PathSchedule {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Name(text) = Name::from_request_parts(parts, state).await?;
        if body::is_name(&text) { Ok(Self(ScheduleName::new(text))) } else { Err(unknown(&text)) }
    }
}

fn unknown(name: &str) -> Problem {
    Problem::not_found("schedule", name)
}

impl Context {
    async fn schedule(&self, tenant: &TenantId, name: &ScheduleName) -> Result<Schedule, Problem> {
        self.store.schedule(tenant, name).await?.ok_or_else(|| unknown(name.as_str()))
    }
}

#[derive(Serialize)]
struct ListView<'a> {
    schedules: Vec<ScheduleView<'a>>,
    next_cursor: Option<String>,
}

/// `GET /v1/schedules`.
pub(crate) async fn list(
    State(context): State<Shared>,
    caller: Caller,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let query = ScheduleQuery {
        limit: list_query::limit(&mut parameters),
        after: parameters
            .read("cursor", |name| body::is_name(name).then(|| ScheduleName::new(name)).ok_or(InvalidCursor)),
    };
    parameters.finish()?;
    let page = context.store.schedules(&caller.tenant, query).await?;
    let schedules = page.schedules.iter().map(ScheduleView::from).collect();
    let view = ListView { schedules, next_cursor: page.next.map(|last| last.to_string()) };
    Ok(json(StatusCode::OK, &view))
}

/// `GET /v1/schedules/{name}`.
pub(crate) async fn read(
    State(context): State<Shared>,
    caller: Caller,
    PathSchedule(name): PathSchedule,
) -> Result<Response, Problem> {
    let schedule = context.schedule(&caller.tenant, &name).await?;
    Ok(json(StatusCode::OK, &ScheduleView::from(&schedule)))
}

/// `POST /v1/schedules`.
pub(crate) async fn create(
    State(context): State<Shared>,
    caller: Caller,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let mut fields = Fields::of(crate::body::json(request, &context).await?)?;
    let name = body::name(&mut fields);
    let new = body::read(fields, name, &caller.tenant, &context).await?;
    put(&context, new, false).await
}

/// `PUT /v1/schedules/{name}`.
pub(crate) async fn replace(
    State(context): State<Shared>,
    caller: Caller,
    Name(name): Name,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let mut fields = Fields::of(crate::body::json(request, &context).await?)?;
    let name = body::checked_name(&mut fields, name);
    let new = body::read(fields, name, &caller.tenant, &context).await?;
    put(&context, new, true).await
}

async fn put(context: &Context, new: NewSchedule, replaces: bool) -> Result<Response, Problem> {
    let name = new.name.clone();
    match context.store.put_schedule(new, replaces).await? {
        SchedulePut::Created(schedule) => {
            let mut response = json(StatusCode::CREATED, &ScheduleView::from(&*schedule));
            if let Ok(location) = HeaderValue::try_from(format!("/v1/schedules/{name}")) {
                response.headers_mut().insert(header::LOCATION, location);
            }
            Ok(response)
        }
        SchedulePut::Replaced(schedule) => Ok(json(StatusCode::OK, &ScheduleView::from(&*schedule))),
        SchedulePut::Taken => {
            let detail =
                format!("there is a schedule `{name}` already; replace it with PUT, or choose another name");
            Err(Problem::new(Code::AlreadyExists, detail))
        }
        SchedulePut::Full { kept } => {
            let detail =
                format!("this tenant has {kept} schedules, which is as many as it may have; delete one");
            Err(Problem::new(Code::QuotaExceeded, detail))
        }
    }
}

/// `DELETE /v1/schedules/{name}`.
pub(crate) async fn delete(
    State(context): State<Shared>,
    caller: Caller,
    PathSchedule(name): PathSchedule,
) -> Result<Response, Problem> {
    if !context.store.delete_schedule(&caller.tenant, &name).await? {
        return Err(unknown(name.as_str()));
    }
    Ok(json(StatusCode::OK, &value!({ "name": name, "deleted": true })))
}

/// `POST /v1/schedules/{name}/pause`. Repeating it is harmless.
pub(crate) async fn pause(
    State(context): State<Shared>,
    caller: Caller,
    PathSchedule(name): PathSchedule,
) -> Result<Response, Problem> {
    let paused = context.store.pause_schedule(&caller.tenant, &name, None).await?;
    let paused = paused.ok_or_else(|| unknown(name.as_str()))?;
    Ok(json(StatusCode::OK, &ScheduleView::from(&paused)))
}

/// `POST /v1/schedules/{name}/resume`. Repeating it is harmless; ticks of the pause are none.
pub(crate) async fn resume(
    State(context): State<Shared>,
    caller: Caller,
    PathSchedule(name): PathSchedule,
) -> Result<Response, Problem> {
    let schedule = context.schedule(&caller.tenant, &name).await?;
    if !schedule.paused {
        return Ok(json(StatusCode::OK, &ScheduleView::from(&schedule)));
    }
    let spec = &schedule.spec;
    let timetable = Timetable::parse(&spec.cron, &spec.zone);
    let next_at = timetable.ok().and_then(|timetable| timetable.after(context.env.now()));
    let Some(next_at) = next_at else {
        let detail = format!("`{}` in `{}` is not due any more; change the schedule", spec.cron, spec.zone);
        return Err(Problem::new(Code::ValidationFailed, detail));
    };
    let resumed = context.store.pause_schedule(&caller.tenant, &name, Some(next_at)).await?;
    let resumed = resumed.ok_or_else(|| unknown(name.as_str()))?;
    Ok(json(StatusCode::OK, &ScheduleView::from(&resumed)))
}

fn of_schedule(operation: Operation) -> Operation {
    let named = operation.path("name", "Name of the schedule.", body::name_schema());
    named.fails(&[Code::NotFound, Code::StoreUnavailable])
}

fn answer(about: &str) -> Answer {
    Answer::json(about, "Schedule")
}

pub(crate) fn about_list() -> Operation {
    Operation::new("schedules", "listSchedules", "list schedules by name")
        .query("limit", "Most schedules of the page.", list_query::limit_schema())
        .query("cursor", "Where the page before ended: its `next_cursor`.", body::name_schema())
        .answers(200, Answer::json("A page of schedules.", "ScheduleList"))
        .fails(&[Code::ValidationFailed, Code::StoreUnavailable])
}

pub(crate) fn about_read() -> Operation {
    of_schedule(Operation::new("schedules", "readSchedule", "a schedule, its next tick and its last"))
        .answers(200, answer("The schedule.").example(schedule::example()))
}

const PUT_FAILS: [Code; 4] = [Code::NotSupported, Code::UnknownCrew, Code::InvalidCrew, Code::QuotaExceeded];

pub(crate) fn about_create() -> Operation {
    let examples = [(
        "every working day at half past six",
        value!({
            "name": "morning-report", "cron": "30 6 * * 1-5", "timezone": "Europe/Berlin", "crew": "research",
            "input": { "topic": "tides" }, "missed": "run_once",
        }),
    )];
    Operation::new("schedules", "createSchedule", "execute a crew again and again")
        .body("NewSchedule", &examples)
        .answers(201, answer("The schedule was made.").header("Location"))
        .fails(&[Code::AlreadyExists])
        .fails(&PUT_FAILS)
}

pub(crate) fn about_replace() -> Operation {
    let operation = Operation::new("schedules", "replaceSchedule", "make it, or put another in its place");
    operation
        .about("The whole schedule: what is left out has its default. Its next tick is the first one from now on.")
        .path("name", "Name of the schedule.", body::name_schema())
        .body("ScheduleBody", &[("hourly", value!({ "cron": "@hourly", "crew": "research", "input": { "topic": "tides" } }))])
        .answers(201, answer("The schedule was made.").header("Location"))
        .answers(200, answer("It is in the place of the one before."))
        .fails(&PUT_FAILS)
}

pub(crate) fn about_delete() -> Operation {
    of_schedule(Operation::new("schedules", "deleteSchedule", "delete it"))
        .about("Jobs that it made go on.")
        .answers(200, Answer::json("It is gone.", "DeletedSchedule"))
}

pub(crate) fn about_pause() -> Operation {
    of_schedule(Operation::new("schedules", "pauseSchedule", "leave it alone for now"))
        .about("Repeating it is harmless. Jobs that it made go on.")
        .answers(200, answer("The schedule, paused."))
}

pub(crate) fn about_resume() -> Operation {
    of_schedule(Operation::new("schedules", "resumeSchedule", "go on with it"))
        .about("Repeating it is harmless. Ticks of the pause are not made up for.")
        .answers(200, answer("The schedule with its next tick."))
        .fails(&[Code::ValidationFailed])
}
