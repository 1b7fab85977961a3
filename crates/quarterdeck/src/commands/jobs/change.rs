//! `jobs cancel` and `jobs redrive`: some jobs by id, or all that a filter names and that it can be done to.

use serde_json::{Value, json};

use super::encoded;
use super::pages::Pages;
use crate::cli::{Filter, Format, Global, JobsChange};
use crate::client::Client;
use crate::exit::{self, Exit, ended};
use crate::{ask, output};

/// What is done to jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Cancel,
    /// Run again as new jobs.
    Redrive,
}

impl Change {
    fn verb(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Redrive => "redrive",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Cancel => "cancelled",
            Self::Redrive => "run again",
        }
    }

    /// Statuses of the jobs that a filter without one means.
    fn usual(self) -> &'static [&'static str] {
        match self {
            Self::Cancel => &["scheduled", "queued", "retrying", "waiting", "running"],
            // What somebody cancelled is run again only when it is asked for by that word.
            Self::Redrive => &["failed"],
        }
    }

    /// Why it cannot be done to jobs of a status.
    fn refusal(self, status: &str) -> Option<String> {
        match (self, status) {
            (Self::Cancel, "succeeded" | "failed" | "cancelled") => {
                Some(format!("jobs that {status} are over and cannot be cancelled"))
            }
            (Self::Redrive, "failed" | "cancelled") | (Self::Cancel, _) => None,
            (Self::Redrive, _) => {
                Some(format!("only jobs that failed or were cancelled can be run again, not those {status}"))
            }
        }
    }
}

/// Ids that are held while they are counted.
const JOBS_MAX: usize = 1_000_000;

pub(super) async fn run(global: &Global, change: Change, args: JobsChange) -> anyhow::Result<Exit> {
    let client = Client::of(&args.target)?;
    let filter = &args.filter;
    let is_empty = [&filter.status, &filter.crew, &filter.created_after, &filter.created_before]
        .iter()
        .all(|value| value.is_none());
    if args.jobs.is_empty() && is_empty {
        let message = "name jobs by their ids, or by a filter such as --crew or --status";
        return Err(ended(Exit::Usage, message));
    }
    let by_filter = args.jobs.is_empty();
    let ids = if by_filter { matching(&client, change, filter).await? } else { args.jobs };
    if args.dry_run {
        let jobs =
            ids.iter().map(|id| json!({"id": id, "status": format!("would be {}", change.done())})).collect();
        show(global, jobs, true)?;
        output::say(&format!("{} would be {}; nothing was done", counted(ids.len()), change.done()));
        return Ok(Exit::Ok);
    }
    if by_filter && !ids.is_empty() && !args.yes {
        confirm(&client, change, ids.len())?;
    }
    apply(global, &client, change, &ids, by_filter).await
}

/// Ids of the jobs that a filter names.
async fn matching(client: &Client, change: Change, filter: &Filter) -> anyhow::Result<Vec<String>> {
    let statuses: Vec<&str> = match filter.status.as_deref() {
        Some(status) => match change.refusal(status) {
            Some(refusal) => return Err(ended(Exit::Usage, refusal)),
            None => vec![status],
        },
        None => change.usual().to_vec(),
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

fn confirm(client: &Client, change: Change, count: usize) -> anyhow::Result<()> {
    ask::confirm(&format!("{} {} at {}", change.verb(), counted(count), client.base()))
}

/// All of them, whatever becomes of one; how it ends is said by the first that it could not be done to.
async fn apply(
    global: &Global,
    client: &Client,
    change: Change,
    ids: &[String],
    by_filter: bool,
) -> anyhow::Result<Exit> {
    let are_many = ids.len() != 1 || by_filter;
    let (mut done, mut changed, mut outcome) = (0, Vec::new(), Exit::Ok);
    for id in ids {
        match client.change(&encoded(id), change.verb()).await {
            // Told as it happens, but for the one document that is to hold all.
            Ok(job) if global.output == Format::Json => changed.push(job),
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
        show(global, changed, are_many)?;
    }
    if !global.quiet && are_many {
        output::say(&format!("{} {}", counted(done), change.done()));
    }
    Ok(outcome)
}

/// Jobs with what became of them: one document each, or one of all of them.
fn show(global: &Global, mut jobs: Vec<Value>, are_many: bool) -> anyhow::Result<()> {
    let text = |job: &Value, key: &str| job[key].as_str().unwrap_or_default().to_owned();
    if global.output == Format::Table {
        let mut lines = jobs.iter().map(|job| match job["redrive_of"].as_str() {
            Some(before) => format!("{} {} (again for {before})", text(job, "id"), text(job, "status")),
            None => format!("{} {}", text(job, "id"), text(job, "status")),
        });
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
