//! A job's history as server-sent events. What is in the log and concerns nobody outside (facts, signals) is no event.

mod document;

use std::fmt::Write as _;

use bytes::Bytes;
use qd_types::{
    Ask, Billed, Call, Delta, Entry, Job, JobId, JobStatus, LogItem, Logged, Seq, Source, Waiting,
};
use serde::Serialize;

use super::human::AnswerView;
use super::job::{ErrorView, UsageView};
use super::time::Rfc3339;

pub(crate) use document::schemas;

/// An event's fields; absent ones are left out.
#[derive(Serialize, Default)]
struct EventView<'a> {
    job_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Rfc3339>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<JobStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_at: Option<Rfc3339>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_at: Option<Rfc3339>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<Vec<ToolCallView<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_error: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    round: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    feedback_left: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Rfc3339>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reminder: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<AnswerView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Source>,
    #[serde(rename = "try", skip_serializing_if = "Option::is_none")]
    number: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_usd: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    possibly_billed: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    billed: Option<Billed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorView<'a>>,
}

#[derive(Serialize)]
struct ToolCallView<'a> {
    id: &'a str,
    name: &'a str,
    arguments: &'a str,
}

#[derive(Serialize)]
struct DeltaView<'a> {
    step: &'a str,
    call: u32,
    offset: u64,
    text: &'a str,
}

/// The first event of every job, which is not in its log: it follows from the job itself.
pub(crate) fn accepted(job: &Job) -> Bytes {
    let scheduled = job.run_at.is_some_and(|at| at > job.created_at);
    let status = if scheduled { JobStatus::Scheduled } else { JobStatus::Queued };
    let view = EventView {
        job_id: job.id.to_string(),
        at: Some(Rfc3339(job.created_at)),
        attempt: Some(0),
        status: Some(status),
        run_at: job.run_at.map(Rfc3339),
        ..EventView::default()
    };
    frame("job.queued", Some(0), &view)
}

/// A durable event; nothing for what is nobody's business.
pub(crate) fn durable(job: JobId, logged: &Logged) -> Option<Bytes> {
    let (name, view) = match &logged.item {
        LogItem::Entry { entry } => entry_event(entry)?,
        LogItem::TaskStarted { task, agent } => (
            "task.started",
            EventView { task: Some(task.to_string()), agent: Some(agent.as_str()), ..EventView::default() },
        ),
        LogItem::TaskFinished { task, agent, raw } => (
            "task.finished",
            EventView {
                task: Some(task.to_string()),
                agent: Some(agent.as_str()),
                output: Some(raw),
                ..EventView::default()
            },
        ),
        LogItem::Status { ask: Some(ask), .. } => ("job.waiting", asked(ask, logged)),
        LogItem::Reminded { step, number } => (
            "job.waiting",
            EventView {
                status: Some(JobStatus::Waiting),
                step: Some(step.as_str()),
                task: Some(step.task().to_string()),
                reminder: Some(*number),
                ..EventView::default()
            },
        ),
        LogItem::Status { status, at, failure, ask: None } => (
            status_event(*status),
            EventView {
                status: Some(*status),
                retry_at: at.map(Rfc3339),
                error: failure.as_ref().map(ErrorView::from),
                ..EventView::default()
            },
        ),
    };
    let view = EventView {
        job_id: job.to_string(),
        at: Some(Rfc3339(logged.at)),
        attempt: Some(logged.attempt),
        ..view
    };
    Some(frame(name, Some(logged.seq), &view))
}

/// A question, whole: whoever hears it needs nothing else to answer.
fn asked<'a>(ask: &'a Ask, logged: &Logged) -> EventView<'a> {
    let expires_at = Waiting::expiry(&ask.rules, logged.at);
    EventView {
        status: Some(JobStatus::Waiting),
        step: Some(ask.step.as_str()),
        task: Some(ask.task.to_string()),
        agent: Some(ask.agent.as_str()),
        output: Some(&ask.output),
        round: Some(ask.round),
        feedback_left: Some(ask.feedback_left()),
        expires_at: expires_at.map(Rfc3339),
        ..EventView::default()
    }
}

fn status_event(status: JobStatus) -> &'static str {
    match status {
        // A job that waits for its time is queued as far as events go; its status says more.
        JobStatus::Scheduled | JobStatus::Queued => "job.queued",
        JobStatus::Running => "job.started",
        JobStatus::Retrying => "job.retrying",
        JobStatus::Waiting => "job.waiting",
        JobStatus::Succeeded => "job.succeeded",
        JobStatus::Failed => "job.failed",
        JobStatus::Cancelled => "job.cancelled",
    }
}

fn entry_event(entry: &Entry) -> Option<(&'static str, EventView<'_>)> {
    match entry {
        Entry::Model { step, reply, source, usage, cost, call } => {
            let calls = reply.tool_calls.iter().map(|call| ToolCallView {
                id: &call.id,
                name: &call.name,
                arguments: &call.arguments,
            });
            let view = EventView {
                kind: Some("model"),
                model: Some(&reply.model),
                text: Some(&reply.text),
                tool_calls: (!reply.tool_calls.is_empty()).then(|| calls.collect()),
                source: Some(*source),
                usage: Some(UsageView::from(usage)),
                cost_usd: Some(cost.to_string()),
                possibly_billed: Some(call.possibly_billed),
                ..of_call(step, call)
            };
            Some(("step.finished", view))
        }
        Entry::Tool { step, result, call } => {
            let view = EventView {
                kind: Some("tool"),
                tool: Some(&result.name),
                text: Some(&result.content),
                is_error: Some(result.is_error),
                possibly_billed: Some(call.possibly_billed),
                ..of_call(step, call)
            };
            Some(("step.finished", view))
        }
        Entry::CallFailed { step, failure, billed, call } => {
            let view = EventView {
                error: Some(ErrorView::from(failure)),
                billed: Some(*billed),
                ..of_call(step, call)
            };
            Some(("step.failed", view))
        }
        Entry::Human { step, verdict, by, waited_ms } => {
            let view = EventView {
                step: Some(step.as_str()),
                task: Some(step.task().to_string()),
                duration_ms: Some(*waited_ms),
                answer: Some(AnswerView::new(verdict, by)),
                ..EventView::default()
            };
            Some(("step.answered", view))
        }
        Entry::Intent { .. } | Entry::Recourse { .. } | Entry::Fact { .. } | Entry::Signal { .. } => None,
    }
}

fn of_call<'a>(step: &'a qd_types::StepId, call: &'a Call) -> EventView<'a> {
    EventView {
        step: Some(step.as_str()),
        task: Some(step.task().to_string()),
        agent: call.agent.as_ref().map(|agent| agent.as_str()),
        number: Some(call.number),
        duration_ms: Some(call.duration_ms),
        ..EventView::default()
    }
}

/// A piece of a streaming answer: no id, for it cannot be asked for again.
pub(crate) fn delta(delta: &Delta) -> Bytes {
    let view =
        DeltaView { step: delta.step.as_str(), call: delta.call, offset: delta.offset, text: &delta.text };
    frame("delta", None, &view)
}

/// JSON holds no line breaks, so that one `data:` line is enough.
fn frame(name: &str, id: Option<Seq>, view: &impl Serialize) -> Bytes {
    let mut text = String::with_capacity(256);
    if let Some(id) = id {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "id: {id}");
    }
    let _ = write!(text, "event: {name}\ndata: ");
    let mut bytes = text.into_bytes();
    // A view holds text keys and numbers only, so that it always can be written.
    let _ = serde_json::to_writer(&mut bytes, view);
    bytes.extend_from_slice(b"\n\n");
    bytes.into()
}
