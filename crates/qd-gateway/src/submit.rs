//! From a checked request to a durable job: the one place where jobs enter, for the native API and every facade.
//!
//! A process that stops takes jobs as long as its port is open: whoever routes requests learns late that it is not ready,
//! and a job that is durable is taken up by whoever comes next.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue};
use qd_crew::MACHINE_VERSION;
use qd_store::{Enqueued, Idempotency, NewJob, OtherBody};
use qd_types::{Code, ConversationId, Hooks, Input, Job, JobId, NanoDollars, Priority, TenantId, Timestamp};

use crate::context::Context;
use crate::crews::Published;
use crate::openapi::Schema;
use crate::problem::{FieldError, Problem, shown};

/// `Idempotency-Key`.
pub(crate) static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// `Idempotent-Replayed`.
pub(crate) static IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// What a request asks for, checked.
pub(crate) struct Submission {
    pub(crate) crew: Arc<Published>,
    pub(crate) input: Input,
    pub(crate) priority: Priority,
    pub(crate) conversation: Option<ConversationId>,
    pub(crate) run_at: Option<Timestamp>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) timeout_seconds: Option<u32>,
    pub(crate) max_attempts: Option<u32>,
    pub(crate) budget: Option<NanoDollars>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) webhook_url: Option<String>,
    pub(crate) hooks: Option<Arc<Hooks>>,
    pub(crate) redrive_of: Option<JobId>,
    pub(crate) idempotency: Option<Idempotency>,
}

impl Submission {
    /// A job of a crew with this input and every default.
    pub(crate) fn of(crew: Arc<Published>, input: Input) -> Self {
        Self {
            crew,
            input,
            priority: Priority::NORMAL,
            conversation: None,
            run_at: None,
            expires_at: None,
            timeout_seconds: None,
            max_attempts: None,
            budget: None,
            metadata: BTreeMap::new(),
            webhook_url: None,
            hooks: None,
            redrive_of: None,
            idempotency: None,
        }
    }

    /// The job of a tenant to store.
    pub(crate) fn into_job(self, tenant: &TenantId, context: &Context) -> NewJob {
        let plan = &self.crew.plan;
        NewJob {
            id: context.env.job_id(),
            tenant: tenant.clone(),
            crew: plan.name().clone(),
            crew_version: self.crew.version,
            machine_version: MACHINE_VERSION,
            total_tasks: u32::try_from(plan.tasks().len()).unwrap_or(u32::MAX),
            input: self.input,
            priority: self.priority,
            conversation: self.conversation,
            run_at: self.run_at,
            expires_at: self.expires_at,
            timeout_seconds: self.timeout_seconds.unwrap_or(context.options.default_timeout_seconds),
            max_attempts: self.max_attempts.unwrap_or(context.options.default_max_attempts),
            budget: self.budget,
            metadata: self.metadata,
            webhook_url: self.webhook_url,
            hooks: self.hooks,
            redrive_of: self.redrive_of,
            idempotency: self.idempotency,
        }
    }
}

/// A job that is durable.
pub(crate) struct Accepted {
    pub(crate) job: Box<Job>,
    /// An earlier request with the same key made it.
    pub(crate) replayed: bool,
}

/// Makes a job of what a tenant asks for, under its key. A request that is not acceptable now may repeat one that was: a
/// client whose first answer got lost must hear of its job even when the job's time is over or its crew has changed.
pub(crate) async fn accept(
    context: &Context,
    tenant: &TenantId,
    idempotency: Option<Idempotency>,
    asked: Result<Submission, Problem>,
) -> Result<Accepted, Problem> {
    match asked {
        Ok(submission) => {
            enqueue(context, Submission { idempotency, ..submission }.into_job(tenant, context)).await
        }
        Err(problem) => replay_or(problem, tenant, context, idempotency.as_ref()).await,
    }
}

/// Makes a job durable. One call of the store.
pub(crate) async fn enqueue(context: &Context, job: NewJob) -> Result<Accepted, Problem> {
    let keyed = job.idempotency.is_some();
    let answer = context.store.enqueue(job).await?;
    context.observer.enqueued(&answer, keyed);
    accepted(answer)
}

/// The job that a request made before, or why it makes none.
pub(crate) async fn replay_or(
    problem: Problem,
    tenant: &TenantId,
    context: &Context,
    idempotency: Option<&Idempotency>,
) -> Result<Accepted, Problem> {
    let Some(idempotency) = idempotency else { return Err(problem) };
    match context.store.replay(tenant, idempotency).await? {
        Some(known) => {
            context.observer.enqueued(&known, true);
            accepted(known)
        }
        None => Err(problem),
    }
}

/// An answer that says whether an earlier request made what it tells of.
pub(crate) fn marked(mut response: Response, replayed: bool) -> Response {
    if replayed {
        response.headers_mut().insert(&IDEMPOTENT_REPLAYED, const { HeaderValue::from_static("true") });
    }
    response
}

fn accepted(answer: Enqueued) -> Result<Accepted, Problem> {
    match answer {
        Enqueued::Created(job) => Ok(Accepted { job, replayed: false }),
        Enqueued::Replayed(job) => Ok(Accepted { job, replayed: true }),
        Enqueued::Conflict { job } => {
            let detail = format!(
                "the idempotency key was used before with another body, which made job {job}; send the same body \
                 again, or take a new key for a new job"
            );
            Err(Problem::new(Code::IdempotencyConflict, detail))
        }
        Enqueued::OverQuota { depth, retry_after } => {
            let detail = format!(
                "{depth} jobs of this tenant are queued, which is as many as it may have; nothing was stored, so repeat \
                 the request later (the same idempotency key may be used again)"
            );
            Err(Problem::new(Code::QuotaExceeded, detail).retry_after(retry_after))
        }
        Enqueued::Full { depth, retry_after } => {
            let detail = format!(
                "{depth} jobs are queued, which is as many as the queue takes; nothing was stored, so repeat the \
                 request later (the same idempotency key may be used again)"
            );
            Err(Problem::new(Code::QueueFull, detail).retry_after(retry_after))
        }
    }
}

/// Checks an input against its crew's variables.
pub(crate) fn input_errors(crew: &Published, input: &Input) -> Vec<FieldError> {
    let problems = crew.plan.check_input(input).err().unwrap_or_default();
    let of = |problem: qd_crew::InputProblem| FieldError {
        path: crate::body::pointer("/input", &problem.variable),
        code: Code::ValidationFailed,
        message: format!(
            "variable `{}` of crew `{}`: {}",
            shown(&problem.variable),
            crew.plan.name(),
            problem.message
        ),
    };
    problems.into_iter().map(of).collect()
}

/// The key of the `Idempotency-Key` header.
pub(crate) fn header_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(&IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let wrong = |why: &str| Problem::new(Code::InvalidRequest, format!("the header `Idempotency-Key` {why}"));
    if values.next().is_some() {
        return Err(wrong("stands more than once; send one key"));
    }
    let key = value.to_str().ok().filter(|key| is_key(key));
    key.map(Some).ok_or_else(|| wrong(KEY_RULE))
}

/// Longest idempotency key.
pub(crate) const KEY_CHARS_MAX: usize = 255;
pub(crate) const KEY_RULE: &str = "must be 1 to 255 visible ASCII characters";

/// Whether a text can be an idempotency key.
pub(crate) fn is_key(key: &str) -> bool {
    (1..=KEY_CHARS_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The same for the document.
pub(crate) fn key_schema() -> Schema {
    Schema::text().chars(1, KEY_CHARS_MAX).pattern("^[!-~]*$")
}

/// What the store needs of a key.
pub(crate) fn idempotency(
    scope: &str,
    key: &str,
    body_hash: [u8; 32],
    on_other_body: OtherBody,
) -> Idempotency {
    Idempotency { scope: scope.to_owned(), key: key.to_owned(), body_hash, on_other_body }
}
