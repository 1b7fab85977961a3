//! `schedule`: what is executed again and again on a server.

use serde_json::{Value, json};

use super::jobs::encoded;
use crate::cli::{Format, Global, Schedule, ScheduleAdd};
use crate::client::Client;
use crate::exit::Exit;
use crate::output::harmless;
use crate::{input, output};

const HEADINGS: [&str; 7] = ["name", "cron", "zone", "crew", "next", "last", "note"];

pub(super) async fn run(global: &Global, args: Schedule) -> anyhow::Result<Exit> {
    match args {
        Schedule::Add(args) => add(global, &args).await,
        Schedule::List(args) => show_all(global, &all(&Client::of(&args.target)?).await?),
        Schedule::Get(args) => {
            let found = Client::of(&args.target)?.get(&path(&args.name)).await?;
            output::show(global.output, &found, |found| {
                harmless(&serde_json::to_string_pretty(found).unwrap_or_default())
            })?;
            Ok(Exit::Ok)
        }
        Schedule::Pause(args) => {
            let client = Client::of(&args.target)?;
            changed(global, &client, &args.names, "pause").await
        }
        Schedule::Resume(args) => {
            let client = Client::of(&args.target)?;
            changed(global, &client, &args.names, "resume").await
        }
        Schedule::Rm(args) => {
            let client = Client::of(&args.target)?;
            for name in &args.names {
                let gone = client.delete(&path(name)).await?;
                if global.output == Format::Table {
                    output::print(&format!("{name} is deleted"))?;
                } else {
                    output::show(global.output, &gone, |_| String::new())?;
                }
            }
            Ok(Exit::Ok)
        }
        Schedule::Run(args) => {
            let client = Client::of(&args.target)?;
            let job = client.post(&format!("{}/run", path(&args.name)), &json!({})).await?;
            output::show(global.output, &job, |job| job["id"].as_str().unwrap_or_default().to_owned())?;
            Ok(Exit::Ok)
        }
    }
}

/// All of them, page by page: a tenant has a thousand at most.
async fn all(client: &Client) -> anyhow::Result<Value> {
    let (mut schedules, mut place) = (Vec::new(), String::new());
    loop {
        let mut page = client.get(&format!("/v1/schedules?limit=100{place}")).await?;
        if let Value::Array(found) = page["schedules"].take() {
            schedules.extend(found);
        }
        match page["next_cursor"].as_str() {
            Some(cursor) => place = format!("&cursor={}", encoded(cursor)),
            None => return Ok(schedules.into()),
        }
    }
}

fn path(name: &str) -> String {
    format!("/v1/schedules/{}", encoded(name))
}

async fn add(global: &Global, args: &ScheduleAdd) -> anyhow::Result<Exit> {
    let mut body = json!({
        "cron": args.cron,
        "crew": args.crew,
        "input": input::read(&args.input)?,
        "timezone": args.timezone,
        "missed": args.missed,
        "priority": args.priority,
        "conversation_id": args.conversation,
        "budget_usd": args.budget,
        "paused": args.paused,
    });
    let client = Client::of(&args.target)?;
    let made = if args.replace {
        client.put(&path(&args.name), &body).await?
    } else {
        body["name"] = json!(args.name);
        client.post("/v1/schedules", &body).await?
    };
    show_all(global, &json!([made]))
}

async fn changed(global: &Global, client: &Client, names: &[String], verb: &str) -> anyhow::Result<Exit> {
    let mut changed = Vec::new();
    for name in names {
        changed.push(client.post(&format!("{}/{verb}", path(name)), &json!({})).await?);
    }
    show_all(global, &Value::Array(changed))
}

fn show_all(global: &Global, all: &Value) -> anyhow::Result<Exit> {
    let rows: Vec<_> = all.as_array().into_iter().flatten().map(row).collect();
    if rows.is_empty() && global.output == Format::Table {
        if !global.quiet {
            output::say("There are no schedules.");
        }
        return Ok(Exit::Ok);
    }
    output::show(global.output, all, |_| output::table(&HEADINGS, &rows))?;
    Ok(Exit::Ok)
}

fn row(schedule: &Value) -> Vec<String> {
    let text = |key: &str| harmless(schedule[key].as_str().unwrap_or_default());
    let note = match (&schedule["paused"], &schedule["last_error"]) {
        (Value::Bool(true), _) => "paused".to_owned(),
        (_, Value::String(error)) => harmless(error),
        _ => String::new(),
    };
    vec![text("name"), text("cron"), text("timezone"), text("crew"), text("next_at"), text("last_at"), note]
}
