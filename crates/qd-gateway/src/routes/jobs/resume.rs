//! Answering a job that waits for a person.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{Request, StatusCode};
use qd_store::{Answer as Said, Answered, OtherBody};
use qd_types::{Code, Job, JobId, StepId, Verdict};
use serde_json::{Value, json as value};

use super::JOB_LINKS;
use crate::access::Caller;
use crate::body::{self, Fields};
use crate::context::{Context, Shared};
use crate::openapi::{Answer, Operation, Schema};
use crate::problem::{Problem, shown};
use crate::routes::{PathJob, json};
use crate::submit;
use crate::view::JobView;

/// Longest feedback: it goes to a model with everything else.
pub(crate) const FEEDBACK_CHARS_MAX: usize = 20_000;

/// `POST /v1/jobs/{id}/resume`.
pub(crate) async fn resume(
    State(context): State<Shared>,
    caller: Caller,
    PathJob(id): PathJob,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let key = submit::header_key(request.headers())?.map(str::to_owned);
    let body = body::json(request, &context).await?;
    let idempotency = key.map(|key| {
        // The same key for another job is another body.
        let hash = body::canonical_hash(&value!([id.to_string(), body]));
        submit::idempotency("POST /v1/jobs/{id}/resume", &key, hash, OtherBody::Refuse)
    });
    let (step, verdict) = read(body)?;
    let by = caller.answers_as();
    let said = Said { job: id, step, verdict, by, hooks: None, idempotency };
    let Resumed { job, replayed } = answer(&context, &caller, said).await?;
    Ok(submit::marked(json(StatusCode::ACCEPTED, &JobView::from(&*job)), replayed))
}

/// A job that has its answer.
pub(crate) struct Resumed {
    pub(crate) job: Box<Job>,
    /// The same was said before.
    pub(crate) replayed: bool,
}

/// Gives a job its answer.
pub(crate) async fn answer(context: &Context, caller: &Caller, said: Said) -> Result<Resumed, Problem> {
    let (id, wanted) = (said.job, said.step.clone());
    match context.store.answer(&caller.tenant, said).await? {
        Answered::Taken(job) => Ok(Resumed { job, replayed: false }),
        Answered::Replayed(job) => Ok(Resumed { job, replayed: true }),
        Answered::Conflict { job } => {
            let detail = format!(
                "the idempotency key was used before with another body, for job {job}; send the same body again, or \
                 take a new key"
            );
            Err(Problem::new(Code::IdempotencyConflict, detail))
        }
        Answered::Otherwise { step } => {
            let detail = format!(
                "`{step}` of job {id} was answered before, otherwise, and the job goes on with that; \
                 `GET /v1/jobs/{id}/steps` says by whom"
            );
            Err(Problem::new(Code::AlreadyAnswered, detail))
        }
        Answered::NotWaiting(job) => Err(not_waiting(id, &job, wanted.as_ref())),
        Answered::Unknown => Err(Problem::not_found("job", &id.to_string())),
    }
}

fn not_waiting(id: JobId, job: &Job, wanted: Option<&StepId>) -> Problem {
    let detail = match (job.waiting.as_deref(), wanted) {
        (Some(waiting), Some(wanted)) => format!(
            "job {id} waits with `{}`, not with `{}`; look at what it asks now",
            waiting.ask.step,
            shown(wanted.as_str())
        ),
        _ => format!("job {id} is {} and asks nobody anything", job.status),
    };
    Problem::new(Code::JobNotWaiting, detail)
}

/// The question that is meant, and what is said about it.
fn read(body: Value) -> Result<(Option<StepId>, Verdict), Problem> {
    let mut fields = Fields::of(body)?;
    let step = fields.text("step");
    let approve = fields.flag("approve");
    let feedback = fields.text("feedback");
    let verdict = verdict(&mut fields, approve, feedback, ["/approve", "/feedback"]);
    fields.finish()?;
    // Without a verdict there was a mistake, which has been told.
    let verdict = verdict.ok_or_else(|| Problem::new(Code::Internal, "the verdict got lost"))?;
    Ok((step.map(StepId::new), verdict))
}

/// What a person means, by fields at these paths. Nothing written is an approval only where they did not say the contrary.
pub(crate) fn verdict(
    fields: &mut Fields,
    approve: Option<bool>,
    feedback: Option<String>,
    [approve_path, path]: [&str; 2],
) -> Option<Verdict> {
    let is_empty_text = feedback.is_some();
    let feedback = feedback.filter(|text| !text.trim().is_empty());
    if feedback.as_ref().is_some_and(|text| text.chars().count() > FEEDBACK_CHARS_MAX) {
        fields.error(path.to_owned(), format!("is longer than {FEEDBACK_CHARS_MAX} characters"));
        return None;
    }
    match (approve, feedback) {
        (Some(true), remark) => Some(Verdict::Approve { remark }),
        (Some(false) | None, Some(feedback)) => Some(Verdict::Revise { feedback }),
        (None, None) if is_empty_text => Some(Verdict::Approve { remark: None }),
        (None, None) => {
            let message = format!("is missing; say `true`, or what is to change as `{}`", &path[1..]);
            fields.error(approve_path.to_owned(), message);
            None
        }
        (Some(false), None) => {
            let message =
                "is missing or empty; an answer that is not approved needs to be told what is to change";
            fields.error(path.to_owned(), message);
            None
        }
    }
}

pub(crate) fn about() -> Operation {
    let done = Answer::json("The job goes on, or has failed because it was sent back too often.", "Job");
    Operation::new("jobs", "resumeJob", "answer what it asks a person")
        .about(
            "Approves the answer of a task with `human_input`, or sends it back with feedback: the task is then done \
             anew and asks again. The same answer again is harmless. Name the `step` that you looked at: after feedback \
             the job asks with another one.",
        )
        .of_job()
        .idempotent()
        .body(
            "NewAnswer",
            &[
                ("approve", value!({ "approve": true })),
                ("feedback", value!({ "step": "draft/turn-1/human", "approve": false, "feedback": "Shorter." })),
            ],
        )
        .answers(202, done.header("Idempotent-Replayed").links("id", JOB_LINKS))
        .fails(&[Code::JobNotWaiting, Code::AlreadyAnswered])
}

/// What the document says of the body.
pub(crate) fn schemas() -> Vec<(&'static str, Schema)> {
    let feedback = "What is to change; empty for an approval, unless `approve` is false. With `approve` true it is a remark that \
                    no model sees.";
    let new = Schema::object()
        .about("What a person says: `approve`, `feedback`, or both.")
        .may("step", Schema::text().about("The question that is meant; without one, the one that is open."))
        .may(
            "approve",
            Schema::yes_or_no()
                .about("Whether the job goes on with the answer as it is; true without feedback."),
        )
        .may("feedback", Schema::text().with("maxLength", FEEDBACK_CHARS_MAX).about(feedback))
        .closed();
    vec![("NewAnswer", new)]
}
