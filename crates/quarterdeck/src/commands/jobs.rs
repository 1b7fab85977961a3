//! `jobs list`, `jobs get`, `jobs cancel`, `jobs redrive`, `jobs resume` and `jobs export`.

mod change;
mod dead;
mod export;
mod pages;
mod resume;
pub(super) mod submit;

use std::fmt::Write as _;

use serde_json::Value;

use crate::cli::{Dead, Format, Global, Jobs, JobsGet, JobsList};
use crate::client::Client;
use crate::exit::{Exit, ended};
use crate::output::{self, excerpt, harmless};
use change::Change;
use pages::Pages;

/// `dead`: jobs that failed.
pub(super) async fn dead(global: &Global, args: Dead) -> anyhow::Result<Exit> {
    dead::run(global, args).await
}

pub(super) async fn run(global: &Global, args: Jobs) -> anyhow::Result<Exit> {
    match args {
        Jobs::List(args) => list(global, args).await,
        Jobs::Get(args) => get(global, args).await,
        Jobs::Cancel(args) => change::run(global, Change::Cancel, args).await,
        Jobs::Redrive(args) => change::run(global, Change::Redrive, args).await,
        Jobs::Resume(args) => resume::run(global, args).await,
        Jobs::Export(args) => export::run(args).await,
    }
}

const HEADINGS: [&str; 7] = ["id", "crew", "status", "created", "tasks", "cost", "result"];

async fn list(global: &Global, args: JobsList) -> anyhow::Result<Exit> {
    if args.limit == 0 {
        return Err(ended(Exit::Usage, "--limit 0 lists nothing; it is at least 1"));
    }
    let client = Client::of(&args.target)?;
    let most = if args.all { usize::MAX } else { args.limit };
    let mut pages = Pages::new(&client, &args.filter, most);
    if global.output == Format::Json {
        let mut jobs = Vec::new();
        while let Some(page) = pages.next().await? {
            jobs.extend(page);
        }
        output::show(global.output, &Value::Array(jobs), |_| String::new())?;
        return Ok(Exit::Ok);
    }
    // Page by page: a list may be longer than memory.
    let mut is_first = true;
    while let Some(page) = pages.next().await? {
        if global.output == Format::Jsonl {
            page.iter().try_for_each(|job| output::print(&job.to_string()))?;
            continue;
        }
        let rows: Vec<_> = page.iter().map(row).collect();
        let table = output::table(&HEADINGS, &rows);
        let lines = table.lines().skip(usize::from(!is_first));
        lines.into_iter().try_for_each(output::print)?;
        is_first = false;
    }
    if global.output == Format::Table && is_first {
        output::print(&output::table(&HEADINGS, &[]))?;
    }
    if pages.are_more() && global.output == Format::Table && !global.quiet {
        output::say("There are more; raise --limit, or list --all.");
    }
    Ok(Exit::Ok)
}

fn row(job: &Value) -> Vec<String> {
    let text = |key: &str| job[key].as_str().unwrap_or_default().to_owned();
    let progress = &job["progress"];
    let result = job["output"]["raw"].as_str().or(job["error"]["message"].as_str()).unwrap_or_default();
    vec![
        text("id"),
        text("crew"),
        text("status"),
        text("created_at"),
        format!("{}/{}", progress["completed_tasks"], progress["total_tasks"]),
        format!("${}", text("cost_usd")),
        excerpt(result, if output::width().is_some() { 200 } else { 40 }),
    ]
}

async fn get(global: &Global, args: JobsGet) -> anyhow::Result<Exit> {
    let client = Client::of(&args.target)?;
    let job = client.get(&format!("/v1/jobs/{}", encoded(&args.job))).await?;
    output::show(global.output, &job, |job| {
        let mut text = String::new();
        for key in ["id", "crew", "status", "created_at", "started_at", "finished_at", "retry_at", "cost_usd"]
        {
            if let Some(value) = job[key].as_str() {
                let _ = writeln!(text, "{key:<12} {value}");
            }
        }
        if let Some(step) = job["waiting"]["step"].as_str() {
            let output = job["waiting"]["output"].as_str().unwrap_or_default();
            let _ = writeln!(text, "{:<12} {step}: {}", "waits with", output::excerpt(output, 200));
        }
        for key in ["attempt", "input", "usage"] {
            let _ = writeln!(text, "{key:<12} {}", harmless(&job[key].to_string()));
        }
        if let Some(message) = job["error"]["message"].as_str() {
            let _ = writeln!(
                text,
                "{:<12} {} ({})",
                "error",
                harmless(message),
                job["error"]["code"].as_str().unwrap_or_default()
            );
        }
        if let Some(raw) = job["output"]["raw"].as_str() {
            let _ = writeln!(text, "\n{}", harmless(raw));
        }
        text
    })?;
    Ok(Exit::Ok)
}

/// What a path or query may hold as it is; the rest percent-encoded.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
