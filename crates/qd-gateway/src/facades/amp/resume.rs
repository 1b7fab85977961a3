//! Answering a kickoff that asks a person.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{Request, StatusCode};
use qd_store::{Answer as Said, OtherBody};
use qd_types::{Code, Job, JobStatus, Verdict};
use serde_json::{Value, json as value};

use super::{answered, hooks, job, refused};
use crate::access::Caller;
use crate::body::{self, Fields};
use crate::context::{Context, Shared};
use crate::openapi::{Answer, Operation, Schema};
use crate::problem::Problem;
use crate::routes::jobs::resume::{self, FEEDBACK_CHARS_MAX, Resumed};
use crate::routes::{Name, json};
use crate::submit;

/// `POST /v1/crews/{name}/resume`.
pub(crate) async fn resume(
    State(context): State<Shared>,
    caller: Caller,
    Name(name): Name,
    request: Request<Body>,
) -> Response {
    answered(answer(&context, &caller, &name, request).await)
}

/// What the request says.
struct Resume {
    execution_id: String,
    task_id: String,
    verdict: Verdict,
    hooks: qd_types::Hooks,
}

async fn answer(
    context: &Context,
    caller: &Caller,
    name: &str,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let key = submit::header_key(request.headers())?.map(str::to_owned);
    let body = body::json(request, context).await?;
    let idempotency = key.map(|key| {
        let hash = body::canonical_hash(&value!([name, body]));
        submit::idempotency("POST /v1/crews/{name}/resume", &key, hash, OtherBody::Refuse)
    });
    let Resume { execution_id, task_id, verdict, hooks } = read(context, body)?;
    let job = job(name, &execution_id, &caller.tenant, context).await?;
    // By the step, or by the name of the task whose question is open.
    let open = job.waiting.as_ref().map(|waiting| &waiting.ask).filter(|ask| ask.task.as_str() == task_id);
    let step = open.map_or_else(|| qd_types::StepId::new(&task_id), |ask| ask.step.clone());
    let is_approval = verdict.is_approval();
    let hooks = (!hooks.is_empty()).then_some(hooks);
    let said = Said { job: job.id, step: Some(step), verdict, by: caller.answers_as(), hooks, idempotency };
    match resume::answer(context, caller, said).await {
        Ok(Resumed { job, .. }) => Ok(json(StatusCode::OK, &told(&job, is_approval))),
        Err(problem) if matches!(problem.code, Code::JobNotWaiting | Code::AlreadyAnswered) => {
            Ok(refused("Execution is not in pending human input state", &problem.detail))
        }
        Err(problem) => Err(problem),
    }
}

fn told(job: &Job, is_approval: bool) -> Value {
    let (status, message) = match (job.status, is_approval) {
        (JobStatus::Failed, false) => {
            ("completed", "The answer was sent back more often than it may be; the execution has failed")
        }
        (_, true) => ("resumed", "The execution goes on with the answer"),
        (_, false) => ("retrying", "The task is done anew with the feedback"),
    };
    value!({ "status": status, "message": message })
}

fn read(context: &Context, body: Value) -> Result<Resume, Problem> {
    let mut fields = Fields::of(body)?;
    let execution_id = fields.required_text("execution_id");
    let task_id = fields.required_text("task_id");
    let feedback = fields.text("human_feedback");
    let approve = fields.flag("is_approve");
    let verdict = resume::verdict(&mut fields, approve, feedback, ["/is_approve", "/human_feedback"]);
    let hooks = hooks::read(&mut fields, context);
    hooks::refuse_event_streams(&mut fields);
    fields.finish()?;
    match (execution_id, task_id, verdict) {
        (Some(execution_id), Some(task_id), Some(verdict)) => {
            Ok(Resume { execution_id, task_id, verdict, hooks })
        }
        _ => Err(Problem::new(Code::Internal, "a field got lost")),
    }
}

pub(crate) fn about() -> Operation {
    let example = value!({
        "execution_id": "0198c0de-0000-7000-8000-000000000001", "task_id": "draft/turn-1/human",
        "human_feedback": "Shorter.", "is_approve": false,
    });
    Operation::new("facades", "resumeKickoff", "answer a kickoff that asks a person, as with CrewAI AMP")
        .about(
            "URLs for news are remembered; those that come with the answer take their place. `task_id` is the one of the \
             question, or the name of its task.",
        )
        .path("name", "The crew.", Schema::name())
        .idempotent()
        .body("AmpResume", &[("feedback", example)])
        .answers(200, Answer::json("It goes on.", "AmpResumed"))
        .answers(400, Answer::json("It is not in the state `Pending Human Input`, or not with this question.", "AmpRefusal"))
        .fails(&[Code::NotFound, Code::NotSupported, Code::StoreUnavailable])
}

pub(super) fn schemas() -> Vec<(&'static str, Schema)> {
    let resume = Schema::object()
        .field("execution_id", Schema::said().about("The kickoff."))
        .field("task_id", Schema::said().about("Of the question."))
        .may("human_feedback", Schema::text().with("maxLength", FEEDBACK_CHARS_MAX))
        .may("is_approve", Schema::yes_or_no());
    let resumed = Schema::object()
        .field("status", Schema::words(["resumed", "retrying", "completed"]))
        .field("message", Schema::text());
    vec![("AmpResume", hooks::described(resume).closed()), ("AmpResumed", resumed)]
}
