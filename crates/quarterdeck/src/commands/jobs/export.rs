//! `jobs export`: jobs as JSON lines, a page in memory at a time. It can go on where it was broken off.

use serde_json::{Value, json};

use super::super::serve::stop_signals;
use super::pages::Pages;
use crate::cli::JobsExport;
use crate::client::Client;
use crate::exit::Exit;
use crate::follow::{self, is_over};
use crate::output;

pub(super) async fn run(args: JobsExport) -> anyhow::Result<Exit> {
    let client = Client::of(&args.target)?;
    let mut stop = stop_signals()?;
    let mut place = Place { cursor: args.cursor.clone(), jobs: 0, complete: false };
    let ended = tokio::select! {
        ended = write(&client, &args, &mut place) => ended.map(|()| Exit::Ok),
        () = output::reader_gone() => return Ok(Exit::Ok),
        () = stop.wait() => Ok(Exit::Interrupted),
    };
    let mut said = format!("{} jobs exported", place.jobs);
    match &place.cursor {
        _ if place.complete => {}
        // Of the page under way something may be written already.
        Some(cursor) => {
            said.push_str(&format!("; to go on, add --cursor {cursor} and drop the jobs that come twice"));
        }
        None => said.push_str("; it was broken off before the first page was whole"),
    }
    output::say(&said);
    ended
}

/// What is written for good.
struct Place {
    /// Behind the last whole page.
    cursor: Option<String>,
    jobs: usize,
    complete: bool,
}

async fn write(client: &Client, args: &JobsExport, place: &mut Place) -> anyhow::Result<()> {
    let mut pages = Pages::new(client, &args.filter, usize::MAX).after(place.cursor.clone());
    while let Some(page) = pages.next().await? {
        for job in &page {
            output::print(&whole(client, args, job).await?.to_string())?;
        }
        place.jobs += page.len();
        place.cursor = pages.cursor().map(str::to_owned);
    }
    place.complete = true;
    Ok(())
}

/// A job with what was asked for besides. A job that is deleted meanwhile, or its events, count as having none.
async fn whole(client: &Client, args: &JobsExport, job: &Value) -> anyhow::Result<Value> {
    let mut job = job.clone();
    let id = job["id"].as_str().unwrap_or_default().to_owned();
    if args.steps {
        let steps = client.get(&format!("/v1/jobs/{id}/steps")).await;
        job["steps"] = found(steps.map(|mut answer| answer["steps"].take()))?;
    }
    if args.events {
        let mut events = Vec::new();
        let followed = if is_over(&job) {
            let followed = follow::to_the_end(client, &id, |event| {
                if let Some(number) = event.id {
                    events.push(json!({"event": event.name, "id": number, "data": event.data}));
                }
                Ok(())
            });
            followed.await.map(|_| Value::Null)
        } else {
            Ok(Value::Null)
        };
        let is_there = is_over(&job) && followed.is_ok();
        found(followed)?;
        job["events"] = if is_there { Value::Array(events) } else { Value::Null };
    }
    Ok(job)
}

fn found(answer: anyhow::Result<Value>) -> anyhow::Result<Value> {
    match answer {
        Err(error) if crate::exit::of(&error) == Exit::NotFound => Ok(Value::Null),
        answer => answer,
    }
}
