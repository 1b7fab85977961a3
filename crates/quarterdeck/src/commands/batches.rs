//! `batches`: many inputs for one crew; how far they are, what became of them.

mod submit;

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::jobs::encoded;
use crate::cli::{Batches, BatchesList, BatchesResults, Format, Global};
use crate::client::Client;
use crate::exit::Exit;
use crate::output::{self, excerpt, harmless};

const HEADINGS: [&str; 8] = ["id", "crew", "status", "created", "done", "failed", "cost", "note"];
const RESULT_HEADINGS: [&str; 4] = ["input", "status", "job", "result"];
/// Results of one table: more of them are further tables without headings, so that none is longer than memory.
const ROWS: usize = 500;

pub(super) async fn run(global: &Global, args: Batches) -> anyhow::Result<Exit> {
    match args {
        Batches::Submit(args) => submit::run(global, args).await,
        Batches::List(args) => list(global, &args).await,
        Batches::Get(args) => {
            let client = Client::of(&args.target)?;
            let batch = client.get(&format!("/v1/batches/{}", encoded(&args.batch))).await?;
            output::show(global.output, &batch, whole)?;
            Ok(Exit::Ok)
        }
        Batches::Results(args) => results(global, &args).await,
        Batches::Cancel(args) => {
            let client = Client::of(&args.target)?;
            let mut cancelled = Vec::new();
            for id in &args.batches {
                let path = format!("/v1/batches/{}/cancel", encoded(id));
                cancelled.push(client.post(&path, &json!({})).await?);
            }
            show_all(global, &Value::Array(cancelled))
        }
    }
}

async fn list(global: &Global, args: &BatchesList) -> anyhow::Result<Exit> {
    let mut path = format!("/v1/batches?limit={}", args.limit);
    for (name, value) in [("status", &args.status), ("crew", &args.crew)] {
        if let Some(value) = value {
            let _ = write!(path, "&{name}={}", encoded(value));
        }
    }
    let answer = Client::of(&args.target)?.get(&path).await?;
    if answer["next_cursor"].is_string() && global.output == Format::Table && !global.quiet {
        output::say("There are more; raise --limit.");
    }
    show_all(global, &answer["batches"])
}

fn show_all(global: &Global, all: &Value) -> anyhow::Result<Exit> {
    let rows: Vec<_> = all.as_array().into_iter().flatten().map(row).collect();
    if rows.is_empty() && global.output == Format::Table {
        if !global.quiet {
            output::say("There are no batches.");
        }
        return Ok(Exit::Ok);
    }
    output::show(global.output, all, |_| output::table(&HEADINGS, &rows))?;
    Ok(Exit::Ok)
}

/// Inputs that have their end, and all.
fn done(batch: &Value) -> (u64, u64) {
    let count = |name: &str| batch["counts"][name].as_u64().unwrap_or_default();
    let over = ["succeeded", "failed", "cancelled", "invalid"].map(count).iter().sum();
    (over, count("total"))
}

fn row(batch: &Value) -> Vec<String> {
    let text = |key: &str| harmless(batch[key].as_str().unwrap_or_default());
    let (over, total) = done(batch);
    let invalid = batch["counts"]["invalid"].as_u64().unwrap_or_default();
    vec![
        text("id"),
        text("crew"),
        text("status"),
        text("created_at"),
        format!("{over}/{total}"),
        batch["counts"]["failed"].to_string(),
        format!("${}", text("cost_usd")),
        if invalid > 0 { format!("{invalid} invalid") } else { String::new() },
    ]
}

fn whole(batch: &Value) -> String {
    let mut text = String::new();
    for key in ["id", "crew", "status", "created_at", "finished_at", "cost_usd"] {
        if let Some(value) = batch[key].as_str() {
            let _ = writeln!(text, "{key:<12} {}", harmless(value));
        }
    }
    for (name, count) in batch["counts"].as_object().into_iter().flatten() {
        if name == "total" || *count != 0 {
            let _ = writeln!(text, "{name:<12} {count}");
        }
    }
    text
}

async fn results(global: &Global, args: &BatchesResults) -> anyhow::Result<Exit> {
    let mut path = format!("/v1/batches/{}/results", encoded(&args.batch));
    if let Some(status) = &args.status {
        let _ = write!(path, "?status={}", encoded(status));
    }
    let mut lines = Client::of(&args.target)?.lines(&path).await?;
    let (mut rows, mut count) = (Vec::new(), 0);
    while let Some(result) = lines.next().await? {
        match global.output {
            Format::Jsonl => output::print(&result.to_string())?,
            // One document, though never whole in memory.
            Format::Json => output::print(&format!("{}{result}", if count == 0 { "[" } else { "," }))?,
            Format::Table => rows.push(result_row(&result)),
        }
        count += 1;
        if rows.len() == ROWS {
            print_rows(&mut rows, count == ROWS)?;
        }
    }
    match global.output {
        Format::Table => print_rows(&mut rows, count <= ROWS)?,
        Format::Json => output::print(if count == 0 { "[]" } else { "]" })?,
        Format::Jsonl => {}
    }
    Ok(Exit::Ok)
}

fn print_rows(rows: &mut Vec<Vec<String>>, is_first: bool) -> anyhow::Result<()> {
    let table = output::table(&RESULT_HEADINGS, &std::mem::take(rows));
    table.lines().skip(usize::from(!is_first)).try_for_each(output::print)
}

fn result_row(result: &Value) -> Vec<String> {
    let text = |value: &Value| harmless(value.as_str().unwrap_or_default());
    let said = result["output"]["raw"].as_str().or(result["error"]["message"].as_str()).unwrap_or_default();
    vec![
        result["index"].to_string(),
        text(&result["status"]),
        text(&result["job_id"]),
        excerpt(said, if output::width().is_some() { 200 } else { 60 }),
    ]
}
