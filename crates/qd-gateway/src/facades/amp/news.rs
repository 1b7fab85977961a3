//! Bodies of webhooks as AMP sends them.

use qd_types::{Ask, Entry, Job, JobStatus, LogItem, News};
use serde_json::{Value, json};

use super::PENDING;
use crate::facades::error_text;

/// Words of an output that its summary has.
const SUMMARY_WORDS: usize = 10;

/// What a URL of a kickoff is told.
#[must_use]
pub fn amp_json(news: &News<'_>) -> Value {
    let mut body = match &news.logged.item {
        LogItem::Entry { entry } => step(news, entry),
        LogItem::TaskFinished { task, agent, raw } => {
            let (description, expected) = texts(news);
            json!({
                "description": description,
                "name": task,
                "expected_output": expected,
                "summary": summary(raw),
                "agent": agent,
                "output": raw,
                "output_json": output_json(news.job, task.as_str()),
            })
        }
        LogItem::Status { ask: Some(ask), .. } => question(news.job, ask, None),
        LogItem::Reminded { number, .. } => {
            news.ask.map_or_else(|| json!({}), |ask| question(news.job, ask, Some(*number)))
        }
        LogItem::TaskStarted { .. } | LogItem::Status { .. } => crew(news.job),
    };
    body["kickoff_id"] = json!(news.job.id);
    body["meta"] = json!(news.job.hooks.as_ref().and_then(|hooks| hooks.meta.as_ref()));
    body
}

fn texts<'a>(news: &'a News<'_>) -> (Option<&'a str>, Option<&'a str>) {
    (
        news.task.as_ref().map(|(description, _)| description.as_str()),
        news.task.as_ref().map(|(_, expected)| expected.as_str()),
    )
}

fn step(news: &News<'_>, entry: &Entry) -> Value {
    let (prompt, _) = texts(news);
    match entry {
        Entry::Tool { result, .. } => json!({
            "prompt": prompt,
            "thought": news.call.map(|(_, said)| said),
            "tool": result.name,
            "tool_input": news.call.map(|(call, _)| &call.arguments),
            "result": result.content,
        }),
        Entry::Model { reply, .. } => json!({
            "prompt": prompt, "thought": null, "tool": null, "tool_input": null, "result": reply.text,
        }),
        _ => json!({}),
    }
}

/// The job is over.
fn crew(job: &Job) -> Value {
    let output = job.output.as_ref();
    let usage = &job.usage;
    let mut body = json!({
        "result": output.map(|output| &output.raw),
        "result_json": output.and_then(|output| output.json.as_ref()),
        "token_usage": {
            "total_tokens": usage.total_tokens(),
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
        },
    });
    // That API says nothing of executions that failed; its own receivers pass over what they do not know.
    if job.status != JobStatus::Succeeded {
        body["error"] = json!(error_text(job));
    }
    body
}

fn question(job: &Job, ask: &Ask, reminder: Option<u32>) -> Value {
    let mut body = json!({
        "execution_id": job.id,
        "state": PENDING,
        "task_id": ask.step,
        "task_name": ask.task,
        "agent": ask.agent,
        "task_output": ask.output,
    });
    if let Some(number) = reminder {
        body["reminder"] = json!(number);
    }
    body
}

fn summary(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().take(SUMMARY_WORDS).collect();
    format!("{}...", words.join(" "))
}

fn output_json<'a>(job: &'a Job, task: &str) -> Option<&'a Value> {
    let tasks = &job.output.as_ref()?.tasks;
    tasks.iter().find(|output| output.name.as_str() == task)?.json.as_ref()
}
