//! Bodies of webhooks about single items of a job's log: what an item alone does not say is looked up.

use qd_types::{Ask, Entry, Job, LogItem, Logged, News, Seq, StepId, TaskId, ToolCall};
use serde_json::Value;

use super::send::Answer;
use super::webhooks::Webhooks;
use crate::engine::Shared;

/// What is sent about the item of a place; the same at every try, because logs only grow.
pub(super) async fn body(
    shared: &Shared,
    webhooks: &Webhooks,
    job: &Job,
    place: Seq,
) -> Result<Value, Answer> {
    let logged = read(shared, job, place - 1, 1).await?.pop();
    let logged = logged.ok_or_else(|| Answer::Never("the job is no longer kept".to_owned()))?;
    let earlier = if refers_back(&logged.item) {
        read(shared, job, 0, usize::try_from(place).unwrap_or(usize::MAX)).await?
    } else {
        Vec::new()
    };
    let task = match task_of(&logged.item) {
        Some(task) => texts(shared, job, &task).await,
        None => None,
    };
    let (call, ask) = (call(&logged.item, &earlier), ask(&logged.item, &earlier));
    Ok((webhooks.tell)(&News { job, logged: &logged, task, call, ask }))
}

async fn read(shared: &Shared, job: &Job, after: Seq, limit: usize) -> Result<Vec<Logged>, Answer> {
    match shared.store.log(&job.tenant, job.id, after, limit).await {
        Ok(log) => Ok(log.unwrap_or_default()),
        Err(_) => Err(Answer::Failed("the store could not be read")),
    }
}

/// Whether an item says only which earlier one it belongs to.
fn refers_back(item: &LogItem) -> bool {
    match item {
        LogItem::Entry { entry } => matches!(**entry, Entry::Tool { .. }),
        LogItem::Reminded { .. } => true,
        LogItem::TaskStarted { .. } | LogItem::TaskFinished { .. } | LogItem::Status { .. } => false,
    }
}

fn task_of(item: &LogItem) -> Option<TaskId> {
    match item {
        LogItem::Entry { entry } => entry.step().map(StepId::task),
        LogItem::TaskStarted { task, .. } | LogItem::TaskFinished { task, .. } => Some(task.clone()),
        LogItem::Status { .. } | LogItem::Reminded { .. } => None,
    }
}

/// What a task asks for and what it expects. A crew that this process cannot have any more is no reason to say nothing.
async fn texts(shared: &Shared, job: &Job, task: &TaskId) -> Option<(String, String)> {
    let key = (job.tenant.clone(), job.crew.clone(), job.crew_version);
    shared.plans.plan(key).await.ok()?.task_texts(task, &job.input)
}

/// The call that a tool returned from: of the model step of the same turn, the one of the same number.
fn call<'a>(item: &LogItem, earlier: &'a [Logged]) -> Option<(&'a ToolCall, &'a str)> {
    let LogItem::Entry { entry } = item else { return None };
    let Entry::Tool { step, .. } = &**entry else { return None };
    let (turn, tool) = step.as_str().rsplit_once('/')?;
    let number: usize = tool.strip_prefix("tool-")?.parse().ok()?;
    let model = format!("{turn}/model");
    earlier.iter().find_map(|logged| match &logged.item {
        LogItem::Entry { entry } => match &**entry {
            Entry::Model { step, reply, .. } if step.as_str() == model => {
                Some((reply.tool_calls.get(number)?, reply.text.as_str()))
            }
            _ => None,
        },
        _ => None,
    })
}

/// The question that somebody is reminded of.
fn ask<'a>(item: &LogItem, earlier: &'a [Logged]) -> Option<&'a Ask> {
    let LogItem::Reminded { step, .. } = item else { return None };
    earlier.iter().find_map(|logged| match &logged.item {
        LogItem::Status { ask: Some(ask), .. } if ask.step == *step => Some(&**ask),
        _ => None,
    })
}
