//! `jobs list`, `jobs get` and `jobs cancel`.

use std::fmt::Write as _;

use serde_json::Value;

use crate::cli::{Format, Global, Jobs, JobsGet, JobsList};
use crate::client::Client;
use crate::exit::Exit;
use crate::output::{self, excerpt, harmless, table};

pub(super) async fn run(global: &Global, args: Jobs) -> anyhow::Result<Exit> {
    match args {
        Jobs::List(args) => list(global, args).await,
        Jobs::Get(args) => get(global, args).await,
        Jobs::Cancel(args) => cancel(global, args).await,
    }
}

async fn list(global: &Global, args: JobsList) -> anyhow::Result<Exit> {
    let client = Client::new(args.target.url.as_deref())?;
    let mut path = format!("/v1/jobs?limit={}", args.limit);
    for (name, value) in [("status", &args.status), ("crew", &args.crew)] {
        if let Some(value) = value {
            let _ = write!(path, "&{name}={}", encoded(value));
        }
    }
    let page = client.get(&path).await?;
    output::show(global.output, &page["jobs"], |jobs| {
        let rows: Vec<_> = jobs.as_array().into_iter().flatten().map(row).collect();
        table(&["id", "crew", "status", "created", "tasks", "cost", "result"], &rows)
    })?;
    if page["next_cursor"].is_string() && global.output == Format::Table && !global.quiet {
        output::say("There are more; raise --limit.");
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
        excerpt(result, 40),
    ]
}

async fn cancel(global: &Global, args: JobsGet) -> anyhow::Result<Exit> {
    let client = Client::new(args.target.url.as_deref())?;
    let job = client.cancel(&encoded(&args.job)).await?;
    output::show(global.output, &job, |job| {
        format!("{} {}", job["id"].as_str().unwrap_or_default(), job["status"].as_str().unwrap_or_default())
    })?;
    Ok(Exit::Ok)
}

async fn get(global: &Global, args: JobsGet) -> anyhow::Result<Exit> {
    let client = Client::new(args.target.url.as_deref())?;
    let job = client.get(&format!("/v1/jobs/{}", encoded(&args.job))).await?;
    output::show(global.output, &job, |job| {
        let mut text = String::new();
        for key in ["id", "crew", "status", "created_at", "started_at", "finished_at", "retry_at", "cost_usd"]
        {
            if let Some(value) = job[key].as_str() {
                let _ = writeln!(text, "{key:<12} {value}");
            }
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
