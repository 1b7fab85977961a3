//! How a kickoff stands.

use std::collections::HashMap;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use qd_types::{Code, Job, JobStatus, LogItem, Logged, TaskId, TaskOutput, Timestamp};
use serde::Serialize;
use serde_json::{Value, json as value};

use super::{Kickoff, PENDING, answered};
use crate::access::Caller;
use crate::context::{Context, Shared};
use crate::facades::error_text;
use crate::openapi::{Answer, Operation, Schema};
use crate::problem::Problem;
use crate::routes::{json, steps};

#[derive(Serialize)]
struct DoneTask<'a> {
    task_id: &'a str,
    output: &'a str,
    agent: &'a str,
    execution_time: Option<f64>,
}

/// `GET /v1/crews/{name}/status/{id}` and `GET /v1/crews/{name}/{id}/status`: that API has been documented with both.
pub(crate) async fn status(State(context): State<Shared>, caller: Caller, kickoff: Kickoff) -> Response {
    answered(read(&context, &caller, &kickoff).await)
}

async fn read(context: &Context, caller: &Caller, kickoff: &Kickoff) -> Result<Response, Problem> {
    let job = kickoff.job(&caller.tenant, context).await?;
    let log = if job.status == JobStatus::Succeeded {
        steps::log(context, &caller.tenant, job.id).await?
    } else {
        Vec::new()
    };
    Ok(json(StatusCode::OK, &shown(&job, &log)))
}

fn shown(job: &Job, log: &[Logged]) -> Value {
    match job.status {
        JobStatus::Scheduled | JobStatus::Queued | JobStatus::Running | JobStatus::Retrying => running(job),
        JobStatus::Waiting => {
            let mut shown = running(job);
            shown["state"] = PENDING.into();
            if let Some(waiting) = &job.waiting {
                shown["human_input"] = value!({ "task_id": waiting.ask.step, "task": waiting.ask.task, "output": waiting.ask.output });
            }
            shown
        }
        JobStatus::Succeeded => completed(job, log),
        JobStatus::Failed | JobStatus::Cancelled => value!({
            "status": "error",
            "error": error_text(job),
            "execution_time": seconds(job),
        }),
    }
}

fn running(job: &Job) -> Value {
    let progress = &job.progress;
    value!({
        "status": "running",
        "current_task": progress.current_task,
        "progress": { "completed_tasks": progress.completed_tasks, "total_tasks": progress.total_tasks },
    })
}

fn completed(job: &Job, log: &[Logged]) -> Value {
    let output = job.output.as_ref();
    let took = spans(log);
    let tasks: Vec<DoneTask<'_>> = output
        .iter()
        .flat_map(|output| &output.tasks)
        .map(|TaskOutput { name, agent, raw, .. }| DoneTask {
            task_id: name.as_str(),
            output: raw,
            agent: agent.as_str(),
            execution_time: took.get(name).copied(),
        })
        .collect();
    value!({
        "status": "completed",
        "result": { "output": output.map(|output| &output.raw), "tasks": tasks },
        "execution_time": seconds(job),
    })
}

/// From its first start to its end; 0 for a job that no worker took up.
fn seconds(job: &Job) -> f64 {
    match (job.started_at, job.finished_at) {
        (Some(started), Some(finished)) => finished.since(started).as_secs_f64(),
        _ => 0.0,
    }
}

/// From the first start of each task to its end, waiting included.
fn spans(log: &[Logged]) -> HashMap<&TaskId, f64> {
    let mut started: HashMap<&TaskId, Timestamp> = HashMap::new();
    let mut spans = HashMap::new();
    for logged in log {
        match &logged.item {
            LogItem::TaskStarted { task, .. } => {
                started.entry(task).or_insert(logged.at);
            }
            LogItem::TaskFinished { task, .. } => {
                let since = started.get(task).copied().unwrap_or(logged.at);
                spans.insert(task, logged.at.since(since).as_secs_f64());
            }
            _ => {}
        }
    }
    spans
}

pub(crate) fn about() -> Operation {
    described(Operation::new("facades", "readKickoff", "how a kickoff stands, as CrewAI AMP tells it"))
}

pub(crate) fn about_other() -> Operation {
    described(Operation::new(
        "facades",
        "readKickoffStatus",
        "the same, by the path of other releases of that API",
    ))
}

fn described(operation: Operation) -> Operation {
    operation
        .path("name", "The crew.", Schema::name())
        .path("id", "The kickoff.", Schema::job_id())
        .answers(200, Answer::json("How it stands.", "AmpStatus"))
        .fails(&[Code::NotFound, Code::StoreUnavailable])
}

pub(super) fn schemas() -> Vec<(&'static str, Schema)> {
    let seconds = || Schema::number().about("Seconds.");
    let progress =
        Schema::object().field("completed_tasks", Schema::count()).field("total_tasks", Schema::count());
    let task = Schema::object()
        .field("task_id", Schema::text())
        .field("output", Schema::text())
        .field("agent", Schema::text())
        .field("execution_time", seconds().nullable());
    let result = Schema::object().field("output", Schema::text()).field("tasks", Schema::list(task));
    let asks = Schema::object()
        .about("What a person is asked, while the state is `Pending Human Input`.")
        .field("task_id", Schema::text().about("What `resume` takes."))
        .field("task", Schema::text())
        .field("output", Schema::text());
    let status = Schema::object()
        .field("status", Schema::words(["running", "completed", "error"]))
        .optional("state", Schema::words([PENDING]))
        .optional("human_input", asks)
        .optional("current_task", Schema::text().nullable())
        .optional("progress", progress)
        .optional("result", result)
        .optional("error", Schema::text())
        .optional("execution_time", seconds());
    vec![("AmpStatus", status)]
}
