//! Bodies of webhooks about single items of a job's log: what an item alone does not say is looked up.

use qd_types::{Ask, Entry, Job, LogItem, Logged, News, Seq, StepId, TaskId, ToolCall};
use serde_json::Value;

use super::send::Answer;
use super::webhooks::Webhooks;
use crate::engine::Shared;

/// Items that are read at first when an earlier one is looked for.
const NEARBY: Seq = 16;

/// What is sent about the item of a place; the same at every try, because logs only grow.
pub(super) async fn body(
    shared: &Shared,
    webhooks: &Webhooks,
    job: &Job,
    place: Seq,
) -> Result<Value, Answer> {
    let read = |after, limit| read(shared, job, after, limit);
    let logged = read(place.saturating_sub(1), 1).await?.pop();
    let logged = logged.ok_or_else(|| Answer::Never("the job is no longer kept".to_owned()))?;
    let task = match task_of(&logged.item) {
        Some(task) => texts(shared, job, &task).await,
        None => None,
    };
    let call = match model_step_of(&logged.item) {
        Some((step, number)) => before(place, read, |item| call(item, &step, number)).await?,
        None => None,
    };
    let ask = match &logged.item {
        LogItem::Reminded { step, .. } => before(place, read, |item| ask(item, step)).await?,
        _ => None,
    };
    let call = call.as_ref().map(|(call, text)| (call, text.as_str()));
    Ok((webhooks.tell)(&News { job, logged: &logged, task, call, ask: ask.as_deref() }))
}

async fn read(shared: &Shared, job: &Job, after: Seq, limit: usize) -> Result<Vec<Logged>, Answer> {
    match shared.store.log(&job.tenant, job.id, after, limit).await {
        Ok(log) => Ok(log.unwrap_or_default()),
        Err(_) => Err(Answer::Failed("the store could not be read")),
    }
}

/// The last item before a place that is wanted. It lies nearby, so it is looked for from there backwards, in growing
/// stretches: a log that is read from its start for each of its items is read as often as it has some.
async fn before<T, F>(
    place: Seq,
    read: impl Fn(Seq, usize) -> F,
    wanted: impl Fn(&LogItem) -> Option<T>,
) -> Result<Option<T>, Answer>
where
    F: Future<Output = Result<Vec<Logged>, Answer>>,
{
    let (mut end, mut stretch) = (place.saturating_sub(1), NEARBY);
    while end > 0 {
        let after = end.saturating_sub(stretch);
        let log = read(after, usize::try_from(end - after).unwrap_or(usize::MAX)).await?;
        if let Some(found) = log.iter().rev().find_map(|logged| wanted(&logged.item)) {
            return Ok(Some(found));
        }
        (end, stretch) = (after, stretch * 2);
    }
    Ok(None)
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

/// The model step that asked for what a tool returns, the one of the same turn, and which of its calls that is.
fn model_step_of(item: &LogItem) -> Option<(String, usize)> {
    let LogItem::Entry { entry } = item else { return None };
    let Entry::Tool { step, .. } = &**entry else { return None };
    let (turn, tool) = step.as_str().rsplit_once('/')?;
    Some((format!("{turn}/model"), tool.strip_prefix("tool-")?.parse().ok()?))
}

/// The call of a number, if this is the model step that asked for it, and what the model said beside it.
fn call(item: &LogItem, model_step: &str, number: usize) -> Option<(ToolCall, String)> {
    let LogItem::Entry { entry } = item else { return None };
    match &**entry {
        Entry::Model { step, reply, .. } if step.as_str() == model_step => {
            Some((reply.tool_calls.get(number)?.clone(), reply.text.clone()))
        }
        _ => None,
    }
}

/// The question of a step, if this is where it was asked.
fn ask(item: &LogItem, step: &StepId) -> Option<Box<Ask>> {
    match item {
        LogItem::Status { ask: Some(ask), .. } if ask.step == *step => Some(ask.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use qd_types::{LogItem, Logged, StepId, Timestamp};

    use super::before;

    #[tokio::test]
    async fn an_earlier_item_is_found_from_behind_without_the_log_before_it() {
        let item = |seq| LogItem::Reminded { step: StepId::new(format!("step-{seq}")), number: 1 };
        for (place, wanted, most) in [
            (1_000, Some(999), 16),
            (1_000, Some(950), 16 + 32 + 64),
            (1_000, Some(1), 999),
            (1_000, None, 999),
            (1, None, 0),
        ] {
            let count = Cell::new(0);
            let read = |after: u64, limit: usize| {
                count.set(count.get() + limit);
                let of = |seq| Logged { seq, at: Timestamp(0), attempt: 1, item: item(seq) };
                std::future::ready(Ok((after + 1..).take(limit).map(of).collect()))
            };
            let found = before(place, read, |found| wanted.filter(|seq| *found == item(*seq))).await;
            let Ok(found) = found else { panic!("it reads nothing that could fail") };
            assert_eq!(found, wanted, "before {place}");
            assert!(count.get() <= most, "{} items were read for {wanted:?}", count.get());
        }
    }
}
