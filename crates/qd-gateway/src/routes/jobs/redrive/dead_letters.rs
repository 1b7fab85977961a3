//! Failed jobs that nobody has dealt with: by cause, run again in bulk, or discarded.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{Request, StatusCode};
use qd_store::{DEAD_JOBS_MAX, DeadGroup, DeadQuery, Discard, OtherBody};
use qd_types::{Code, CrewName, Job, JobId, TaskId};
use serde::Serialize;
use serde_json::{Value, json as value};

use super::again;
use crate::access::Caller;
use crate::body::{self, Fields, kind, pointer};
use crate::context::{Context, Shared};
use crate::openapi::{Answer, NO_CONTROLS, Operation, Schema};
use crate::problem::{FieldError, Problem, shown};
use crate::query::Parameters;
use crate::routes::json;
use crate::submit::{self, Submission};
use crate::view::time::{self, Rfc3339};

const LIMIT_DEFAULT: i64 = 100;
/// Jobs a second that are run again.
const PACE_DEFAULT: i64 = 10;
const PACE_MAX: i64 = 1_000;
const REASON_CHARS_MAX: usize = 500;
/// Jobs that were passed over and are told.
const SKIPPED_MAX: usize = 50;

#[derive(Serialize)]
struct GroupView<'a> {
    crew: &'a str,
    code: Code,
    task: Option<&'a str>,
    count: u64,
    first_failed_at: Rfc3339,
    last_failed_at: Rfc3339,
    /// A job to look at.
    newest_job: JobId,
    message: &'a str,
}

impl<'a> From<&'a DeadGroup> for GroupView<'a> {
    fn from(group: &'a DeadGroup) -> Self {
        Self {
            crew: group.crew.as_str(),
            code: group.code,
            task: group.task.as_ref().map(TaskId::as_str),
            count: group.count,
            first_failed_at: Rfc3339(group.first_at),
            last_failed_at: Rfc3339(group.last_at),
            newest_job: group.newest,
            message: &group.message,
        }
    }
}

/// `GET /v1/dead-letters`.
pub(crate) async fn list(
    State(context): State<Shared>,
    caller: Caller,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let query = DeadQuery {
        crew: parameters.read("crew", CrewName::parse),
        code: parameters.read("code", code),
        task: parameters.read("task", TaskId::parse),
        failed_after: parameters.read("failed_after", time::parse),
        failed_before: parameters.read("failed_before", time::parse),
        after: None,
    };
    parameters.finish()?;
    let groups = context.store.dead_groups(&caller.tenant, query.clone()).await?;
    let total = context.store.dead_count(&caller.tenant, query).await?;
    let groups: Vec<GroupView> = groups.iter().map(GroupView::from).collect();
    Ok(json(StatusCode::OK, &value!({ "groups": groups, "total": total })))
}

fn code(text: &str) -> Result<Code, String> {
    text.parse().map_err(|_| format!("`{}` is no error code; see docs/errors", shown(text)))
}

/// What a bulk act is about.
struct Bulk {
    query: DeadQuery,
    limit: usize,
    /// Nothing is done, only counted.
    is_dry: bool,
}

fn bulk(fields: &mut Fields) -> Bulk {
    fn parsed<T>(
        fields: &mut Fields,
        name: &'static str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = fields.text(name)?;
        read(&text).map_err(|wrong| fields.error(pointer("", name), wrong)).ok()
    }
    let query = DeadQuery {
        crew: parsed(fields, "crew", |text| CrewName::parse(text).map_err(|wrong| wrong.to_string())),
        code: parsed(fields, "code", code),
        task: parsed(fields, "task", |text| TaskId::parse(text).map_err(|wrong| wrong.to_string())),
        failed_after: fields.moment("failed_after"),
        failed_before: fields.moment("failed_before"),
        after: None,
    };
    let limit = fields.integer("limit", 1, DEAD_JOBS_MAX as i64).unwrap_or(LIMIT_DEFAULT);
    let is_dry = fields.flag("dry_run").unwrap_or(false);
    Bulk { query, limit: usize::try_from(limit).unwrap_or_default(), is_dry }
}

#[derive(Serialize)]
struct Skipped {
    job: JobId,
    code: Code,
    detail: String,
}

/// `POST /v1/dead-letters/redrive`: as many as are asked for, oldest first, so many a second. Those that cannot be run again
/// are passed over, so that they stand in nobody's way; one request looks at [`DEAD_JOBS_MAX`].
pub(crate) async fn redrive(
    State(context): State<Shared>,
    caller: Caller,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let mut fields = Fields::of(body::json(request, &context).await?)?;
    let Bulk { query, limit, is_dry } = bulk(&mut fields);
    let pace = fields.integer("per_second", 1, PACE_MAX).unwrap_or(PACE_DEFAULT);
    fields.finish()?;
    if is_dry {
        let matched = counted(&context, &caller, query.clone(), limit).await?;
        let left = left(&context, &caller, query).await?;
        let answer = value!({ "matched": matched, "redriven": [], "skipped": [], "left": left });
        return Ok(json(StatusCode::OK, &answer));
    }
    let (mut made, mut skipped, mut looked_at) = (Vec::new(), Vec::new(), 0);
    let mut further = query.clone();
    // Large jobs come in pieces.
    while made.len() < limit && looked_at < DEAD_JOBS_MAX {
        let most = (limit - made.len()).min(DEAD_JOBS_MAX - looked_at);
        let jobs = context.store.dead_jobs(&caller.tenant, further.clone(), most).await?;
        let Some(last) = jobs.last() else { break };
        further.after = Some(last.id);
        looked_at += jobs.len();
        for failed in &jobs {
            let due = Duration::from_millis(1_000 * made.len() as u64 / pace.unsigned_abs());
            match run_again(&context, &caller, failed, due).await {
                Ok(id) => made.push(id),
                Err(problem) if problem.code == Code::StoreUnavailable => return Err(problem),
                Err(Problem { code, detail, .. }) => skipped.push(Skipped { job: failed.id, code, detail }),
            }
        }
    }
    let left = left(&context, &caller, query).await?;
    skipped.truncate(SKIPPED_MAX);
    let answer = value!({ "matched": looked_at, "redriven": made, "skipped": skipped, "left": left });
    Ok(json(StatusCode::ACCEPTED, &answer))
}

/// Repeating the request makes no second job: the id of the failed one is the key.
async fn run_again(
    context: &Context,
    caller: &Caller,
    failed: &Job,
    due: Duration,
) -> Result<JobId, Problem> {
    let id = failed.id.to_string();
    let hash = body::canonical_hash(&Value::String(id.clone()));
    let idempotency = submit::idempotency("dead-letters", &id, hash, OtherBody::Replay);
    let run_at = (!due.is_zero()).then(|| context.env.now().plus(due));
    let submission = again(context, failed, None).await?;
    let new = Submission { run_at, idempotency: Some(idempotency), ..submission };
    Ok(submit::enqueue(context, new.into_job(&caller.tenant, context)).await?.job.id)
}

/// How many are meant, up to the limit.
async fn counted(
    context: &Context,
    caller: &Caller,
    query: DeadQuery,
    limit: usize,
) -> Result<usize, Problem> {
    Ok(usize::try_from(left(context, caller, query).await?).unwrap_or(usize::MAX).min(limit))
}

async fn left(context: &Context, caller: &Caller, query: DeadQuery) -> Result<u64, Problem> {
    Ok(context.store.dead_count(&caller.tenant, query).await?)
}

/// `POST /v1/dead-letters/discard`: by ids, or by cause.
pub(crate) async fn discard(
    State(context): State<Shared>,
    caller: Caller,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let mut fields = Fields::of(body::json(request, &context).await?)?;
    let Bulk { query, limit, is_dry } = bulk(&mut fields);
    let reason = fields.required_text("reason").unwrap_or_default();
    if reason.chars().count() > REASON_CHARS_MAX || reason.chars().any(char::is_control) {
        let message = format!("must have at most {REASON_CHARS_MAX} characters and no control characters");
        fields.error("/reason".to_owned(), message);
    }
    let named = jobs_of(&mut fields)?;
    if named.is_some() && query != DeadQuery::default() {
        let message = "names jobs; leave the conditions out, or the jobs";
        fields.error("/jobs".to_owned(), message);
    }
    fields.finish()?;
    let of =
        |jobs| Discard { tenant: caller.tenant.clone(), jobs, reason: reason.clone(), by: caller.actor() };
    let mut discarded = Vec::new();
    let matched = match named {
        Some(jobs) => {
            let count = jobs.len();
            if !is_dry {
                discarded = context.store.discard(of(jobs)).await?;
            }
            count
        }
        None if is_dry => counted(&context, &caller, query.clone(), limit).await?,
        None => {
            // Large jobs come in pieces.
            while discarded.len() < limit {
                let rest = limit - discarded.len();
                let found = context.store.dead_jobs(&caller.tenant, query.clone(), rest).await?;
                let done = context.store.discard(of(found.iter().map(|job| job.id).collect())).await?;
                if done.is_empty() {
                    break;
                }
                discarded.extend(done);
            }
            discarded.len()
        }
    };
    let left = left(&context, &caller, query).await?;
    let answer = value!({ "matched": matched, "discarded": discarded, "left": left });
    Ok(json(StatusCode::OK, &answer))
}

fn jobs_of(fields: &mut Fields) -> Result<Option<Vec<JobId>>, Problem> {
    let wrong = |path: String, message: String| {
        Problem::of_fields(vec![FieldError { path, code: Code::ValidationFailed, message }])
    };
    let ids = match fields.take("jobs") {
        None => return Ok(None),
        Some(Value::Array(ids)) if (1..=DEAD_JOBS_MAX).contains(&ids.len()) => ids,
        Some(Value::Array(_)) => {
            return Err(wrong("/jobs".into(), format!("must hold 1 to {DEAD_JOBS_MAX} ids of jobs")));
        }
        Some(other) => {
            return Err(wrong("/jobs".into(), format!("must be an array, not {}", kind(&other))));
        }
    };
    let parsed = ids.iter().enumerate().map(|(n, id)| {
        let id = id.as_str().filter(|text| text.len() == 36).and_then(JobId::parse);
        id.ok_or_else(|| wrong(format!("/jobs/{n}"), "is no id of a job".to_owned()))
    });
    parsed.collect::<Result<_, _>>().map(Some)
}

pub(crate) fn about_list() -> Operation {
    Operation::new("dead letters", "listDeadLetters", "failed jobs that nobody has dealt with, by cause")
        .about("A failed job is a dead letter until it is run again or discarded. The largest groups first, at most 200.")
        .query("crew", "Only of this crew.", Schema::name())
        .query("code", "Only with this error.", Schema::named("ErrorCode"))
        .query("task", "Only failed in this task.", Schema::name())
        .query("failed_after", "Only failed after this.", Schema::moment())
        .query("failed_before", "Only failed before this.", Schema::moment())
        .answers(200, Answer::json("The groups.", "DeadLetters"))
        .fails(&[Code::ValidationFailed, Code::StoreUnavailable])
}

pub(crate) fn about_redrive() -> Operation {
    let about = "Oldest first, up to `limit` new jobs. Each becomes a new job under the newest version of its crew, as with `POST /v1/jobs/{id}/redrive`; so many \
                 begin in a second. Repeating the request makes no second job of any, and goes on with the next ones. Those that cannot \
                 be run again are told in `skipped`, stay, and are passed over; one request looks at 1,000.";
    let example = value!({ "crew": "research", "code": "model_auth", "per_second": 5 });
    Operation::new("dead letters", "redriveDeadLetters", "run failed jobs again, so many a second")
        .about(about)
        .body("DeadLetterRedrive", &[("one cause", example), ("how many", value!({ "dry_run": true }))])
        .answers(200, Answer::json("How many there are, with `dry_run`.", "DeadLettersRedriven"))
        .answers(202, Answer::json("The new jobs.", "DeadLettersRedriven"))
}

pub(crate) fn about_discard() -> Operation {
    let example = value!({ "code": "content_filter", "reason": "these inputs are not for us" });
    Operation::new("dead letters", "discardDeadLetters", "leave failed jobs as they are, with a reason")
        .about("They stay failed and readable and are no dead letters any more. The reason stands in the audit log.")
        .body("DeadLetterDiscard", &[("one cause", example)])
        .answers(200, Answer::json("What was discarded.", "DeadLettersDiscarded"))
}

pub(crate) fn schemas() -> Vec<(&'static str, Schema)> {
    let group = Schema::object()
        .about("Failed jobs with the same cause.")
        .field("crew", Schema::text())
        .field("code", Schema::named("ErrorCode"))
        .field("task", Schema::text().nullable())
        .field("count", Schema::count())
        .field("first_failed_at", Schema::moment())
        .field("last_failed_at", Schema::moment())
        .field("newest_job", Schema::job_id().about("One to look at."))
        .field("message", Schema::text().about("What it failed with."));
    let total = Schema::count().about("Of all groups, also of those that are not listed.");
    let list = Schema::object()
        .field("groups", Schema::list(Schema::named("DeadLetterGroup")))
        .field("total", total);
    let conditions = |about| {
        Schema::object()
            .about(about)
            .may("crew", Schema::name())
            .may("code", Schema::named("ErrorCode"))
            .may("task", Schema::name())
            .may("failed_after", Schema::moment())
            .may("failed_before", Schema::moment())
            .may("limit", Schema::whole(1, DEAD_JOBS_MAX as i64).by_default(LIMIT_DEFAULT))
            .may("dry_run", Schema::yes_or_no().about("Only count."))
    };
    let redrive = conditions("Which failed jobs are run again, and how fast.")
        .may("per_second", Schema::whole(1, PACE_MAX).by_default(PACE_DEFAULT))
        .closed();
    let ids = || Schema::list(Schema::job_id());
    let reason = Schema::text().chars(1, REASON_CHARS_MAX).pattern(NO_CONTROLS).with("pattern", r"\S");
    let discard = conditions("Which failed jobs are discarded, and why.")
        .field("reason", reason.about("For the audit log."))
        .may(
            "jobs",
            ids().with("minItems", 1).with("maxItems", DEAD_JOBS_MAX).about("These, in place of conditions."),
        )
        .closed();
    let skipped = Schema::object()
        .field("job", Schema::job_id())
        .field("code", Schema::named("ErrorCode"))
        .field("detail", Schema::text());
    let matched = || {
        Schema::count()
            .about("Dead letters that were looked at; with `dry_run` those that are meant, up to `limit`.")
    };
    let left = || Schema::count().about("Dead letters with these conditions that are left.");
    let redriven = Schema::object()
        .field("matched", matched())
        .field("redriven", ids().about("Ids of the new jobs."))
        .field(
            "skipped",
            Schema::list(skipped).about("Those that cannot be run again as they are; at most 50."),
        )
        .field("left", left());
    let discarded =
        Schema::object().field("matched", matched()).field("discarded", ids()).field("left", left());
    vec![
        ("DeadLetterGroup", group),
        ("DeadLetters", list),
        ("DeadLetterRedrive", redrive),
        ("DeadLetterDiscard", discard),
        ("DeadLettersRedriven", redriven),
        ("DeadLettersDiscarded", discarded),
    ]
}
