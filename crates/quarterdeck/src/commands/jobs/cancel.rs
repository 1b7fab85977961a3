//! `jobs cancel`: some jobs by id, or all open ones that a filter names.

use std::io::{IsTerminal, Write};

use serde_json::{Value, json};

use super::encoded;
use super::pages::Pages;
use crate::cli::{Filter, Format, Global, JobsCancel};
use crate::client::Client;
use crate::exit::{self, Exit, ended};
use crate::output;

/// Statuses of jobs that can be cancelled.
const OPEN: [&str; 5] = ["scheduled", "queued", "retrying", "waiting", "running"];
/// Ids that are held while they are counted.
const JOBS_MAX: usize = 1_000_000;

pub(super) async fn run(global: &Global, args: JobsCancel) -> anyhow::Result<Exit> {
    let client = Client::new(args.target.url.as_deref())?;
    let filter = &args.filter;
    let is_empty = [&filter.status, &filter.crew, &filter.created_after, &filter.created_before]
        .iter()
        .all(|value| value.is_none());
    if args.jobs.is_empty() && is_empty {
        let message = "name jobs by their ids, or by a filter such as --crew or --status";
        return Err(ended(Exit::Usage, message));
    }
    let by_filter = args.jobs.is_empty();
    let ids = if by_filter { matching(&client, filter).await? } else { args.jobs };
    if args.dry_run {
        let jobs = ids.iter().map(|id| json!({"id": id, "status": "would be cancelled"})).collect();
        show(global, jobs, true)?;
        output::say(&format!("{} would be cancelled; nothing was done", counted(ids.len())));
        return Ok(Exit::Ok);
    }
    if by_filter && !ids.is_empty() && !args.yes {
        confirm(&client, ids.len())?;
    }
    cancel(global, &client, &ids, by_filter).await
}

/// Ids of the open jobs that a filter names.
async fn matching(client: &Client, filter: &Filter) -> anyhow::Result<Vec<String>> {
    let statuses: Vec<&str> = match filter.status.as_deref() {
        Some(status @ ("succeeded" | "failed" | "cancelled")) => {
            return Err(ended(Exit::Usage, format!("jobs that {status} are over and cannot be cancelled")));
        }
        Some(status) => vec![status],
        None => OPEN.to_vec(),
    };
    let mut ids = Vec::new();
    for status in statuses {
        let filter = Filter { status: Some(status.to_owned()), ..filter.clone() };
        let mut pages = Pages::new(client, &filter, JOBS_MAX);
        while let Some(page) = pages.next().await? {
            ids.extend(page.iter().filter_map(|job| job["id"].as_str().map(str::to_owned)));
        }
    }
    // A job that moved on while we looked stands in two lists.
    ids.sort();
    ids.dedup();
    Ok(ids)
}

fn confirm(client: &Client, count: usize) -> anyhow::Result<()> {
    let jobs = counted(count);
    if !std::io::stdin().is_terminal() {
        let message =
            format!("this would cancel {jobs} at {}; say --yes, or look with --dry-run", client.base());
        return Err(ended(Exit::Usage, message));
    }
    let mut err = std::io::stderr();
    write!(err, "Cancel {jobs} at {}? [y/N] ", client.base())?;
    err.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(ended(Exit::Failed, "nothing was cancelled"))
}

/// All of them, whatever becomes of one; how it ends is said by the first that could not be cancelled.
async fn cancel(global: &Global, client: &Client, ids: &[String], by_filter: bool) -> anyhow::Result<Exit> {
    let are_many = ids.len() != 1 || by_filter;
    let (mut done, mut cancelled, mut outcome) = (0, Vec::new(), Exit::Ok);
    for id in ids {
        match client.cancel(&encoded(id)).await {
            // Told as it happens, but for the one document that is to hold all.
            Ok(job) if global.output == Format::Json => cancelled.push(job),
            Ok(job) => show(global, vec![job], are_many)?,
            Err(error) if !are_many || exit::of(&error) == Exit::Unreachable => return Err(error),
            // It ended by itself in the meantime, which is what was wished.
            Err(error) if by_filter && exit::of(&error) == Exit::Conflict => continue,
            Err(error) => {
                output::complain(&error.context(output::excerpt(id, 60)));
                outcome = Exit::Failed;
                continue;
            }
        }
        done += 1;
    }
    if global.output == Format::Json {
        show(global, cancelled, are_many)?;
    }
    if !global.quiet && are_many {
        output::say(&format!("{} cancelled", counted(done)));
    }
    Ok(outcome)
}

/// Jobs with what became of them: one document each, or one of all of them.
fn show(global: &Global, mut jobs: Vec<Value>, are_many: bool) -> anyhow::Result<()> {
    let text = |job: &Value, key: &str| job[key].as_str().unwrap_or_default().to_owned();
    if global.output == Format::Table {
        let mut lines = jobs.iter().map(|job| format!("{} {}", text(job, "id"), text(job, "status")));
        return lines.try_for_each(|line| output::print(&line));
    }
    match jobs.pop() {
        Some(job) if !are_many => output::show(global.output, &job, |_| String::new()),
        last => {
            jobs.extend(last);
            output::show(global.output, &Value::Array(jobs), |_| String::new())
        }
    }
}

fn counted(count: usize) -> String {
    if count == 1 { "1 job".to_owned() } else { format!("{count} jobs") }
}
