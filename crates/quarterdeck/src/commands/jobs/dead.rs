//! `dead`: failed jobs that nobody has dealt with, by cause; running them again and discarding them, which says how many they
//! are and asks.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::encoded;
use crate::ask;
use crate::cli::{Cause, Dead, DeadDiscard, DeadList, DeadRedrive, Global};
use crate::client::Client;
use crate::exit::Exit;
use crate::output;

const HEADINGS: [&str; 7] = ["count", "crew", "error", "task", "first", "last", "newest job"];
const PATH: &str = "/v1/dead-letters";

pub(crate) async fn run(global: &Global, args: Dead) -> anyhow::Result<Exit> {
    match args {
        Dead::List(args) => list(global, &args).await,
        Dead::Redrive(args) => redrive(global, &args).await,
        Dead::Discard(args) => discard(global, &args).await,
    }
}

impl Cause {
    fn conditions(&self) -> [(&'static str, Option<&String>); 5] {
        [
            ("crew", self.crew.as_ref()),
            ("code", self.code.as_ref()),
            ("task", self.task.as_ref()),
            ("failed_after", self.failed_after.as_ref()),
            ("failed_before", self.failed_before.as_ref()),
        ]
    }

    fn body(&self, more: Value) -> Value {
        let mut body = more;
        for (name, value) in self.conditions() {
            if let Some(value) = value {
                body[name] = json!(value);
            }
        }
        body
    }
}

async fn list(global: &Global, args: &DeadList) -> anyhow::Result<Exit> {
    let mut path = PATH.to_owned();
    for (n, (name, value)) in
        args.cause.conditions().into_iter().filter_map(|(name, value)| Some((name, value?))).enumerate()
    {
        let _ = write!(path, "{}{name}={}", if n == 0 { '?' } else { '&' }, encoded(value));
    }
    let answer = Client::of(&args.target)?.get(&path).await?;
    output::show(global.output, &answer["groups"], |groups| {
        let rows: Vec<_> = groups.as_array().into_iter().flatten().map(row).collect();
        if rows.is_empty() {
            "No failed job waits to be dealt with.".to_owned()
        } else {
            output::table(&HEADINGS, &rows)
        }
    })?;
    Ok(Exit::Ok)
}

fn row(group: &Value) -> Vec<String> {
    let text = |key: &str| group[key].as_str().unwrap_or_default().to_owned();
    vec![
        group["count"].to_string(),
        text("crew"),
        text("code"),
        text("task"),
        text("first_failed_at"),
        text("last_failed_at"),
        text("newest_job"),
    ]
}

async fn redrive(global: &Global, args: &DeadRedrive) -> anyhow::Result<Exit> {
    let client = Client::of(&args.target)?;
    let body = args.cause.body(json!({"limit": args.limit, "per_second": args.per_second}));
    let act = format!("run again, {} a second,", args.per_second);
    if !is_meant(&client, "redrive", &act, &body, args.yes).await? {
        return Ok(Exit::Ok);
    }
    let answer = client.post(&format!("{PATH}/redrive"), &body).await?;
    output::show(global.output, &answer, |answer| {
        let mut told = format!("{} run again, {} left", of(&answer["redriven"]), answer["left"]);
        for skipped in answer["skipped"].as_array().into_iter().flatten() {
            let text = |key: &str| skipped[key].as_str().map(output::harmless).unwrap_or_default();
            let _ = write!(told, "\n{}: {}", text("job"), text("detail"));
        }
        told
    })?;
    let all = answer["skipped"].as_array().is_none_or(Vec::is_empty);
    Ok(if all { Exit::Ok } else { Exit::Failed })
}

async fn discard(global: &Global, args: &DeadDiscard) -> anyhow::Result<Exit> {
    let client = Client::of(&args.target)?;
    let body = args.cause.body(json!({"limit": args.limit, "reason": args.reason}));
    if !is_meant(&client, "discard", "discard", &body, args.yes).await? {
        return Ok(Exit::Ok);
    }
    let answer = client.post(&format!("{PATH}/discard"), &body).await?;
    output::show(global.output, &answer, |answer| {
        format!("{} discarded, {} left", of(&answer["discarded"]), answer["left"])
    })?;
    Ok(Exit::Ok)
}

/// Counts, says so, and asks unless it is told not to.
async fn is_meant(client: &Client, verb: &str, act: &str, body: &Value, yes: bool) -> anyhow::Result<bool> {
    let mut dry = body.clone();
    dry["dry_run"] = json!(true);
    let counted = client.post(&format!("{PATH}/{verb}"), &dry).await?;
    let (matched, left) = (counted["matched"].as_u64().unwrap_or_default(), &counted["left"]);
    if matched == 0 {
        output::say("no failed job is meant; nothing was done");
        return Ok(false);
    }
    if !yes {
        ask::confirm(&format!("{act} {matched} of {left} failed jobs at {}", client.base()))?;
    }
    Ok(true)
}

fn of(ids: &Value) -> String {
    match ids.as_array().map_or(0, Vec::len) {
        1 => "1 job".to_owned(),
        count => format!("{count} jobs"),
    }
}
