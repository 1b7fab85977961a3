//! `webhooks`: endpoints of a server, what was sent to whom, sending it again, trying an endpoint.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::jobs::encoded;
use crate::cli::{Format, Global, Webhooks, WebhooksList, WebhooksTest};
use crate::client::Client;
use crate::exit::{Exit, ended};
use crate::output;

const DELIVERY_HEADINGS: [&str; 7] = ["id", "event", "to", "status", "tries", "created", "note"];
const ENDPOINT_HEADINGS: [&str; 5] = ["name", "url", "events", "crews", "note"];
/// How long a test is waited for: longer than a receiver may take.
const TEST_PATIENCE: Duration = Duration::from_secs(75);
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn run(global: &Global, args: Webhooks) -> anyhow::Result<Exit> {
    match args {
        Webhooks::Endpoints(args) => {
            let answer = Client::of(&args.target)?.get("/v1/webhooks").await?;
            show_all(global, &answer["webhooks"], &ENDPOINT_HEADINGS, endpoint_row, "There are no endpoints.")
        }
        Webhooks::List(args) => list(global, &args).await,
        Webhooks::Get(args) => {
            let client = Client::of(&args.target)?;
            let found = client.get(&format!("/v1/deliveries/{}", encoded(&args.delivery))).await?;
            output::show(global.output, &found, |found| {
                serde_json::to_string_pretty(found).unwrap_or_default()
            })?;
            Ok(Exit::Ok)
        }
        Webhooks::Resend(args) => {
            let client = Client::of(&args.target)?;
            let mut resent = Vec::new();
            for id in &args.deliveries {
                resent
                    .push(client.post(&format!("/v1/deliveries/{}/resend", encoded(id)), &json!({})).await?);
            }
            show_all(global, &Value::Array(resent), &DELIVERY_HEADINGS, delivery_row, "")
        }
        Webhooks::Test(args) => test(global, &args).await,
    }
}

async fn list(global: &Global, args: &WebhooksList) -> anyhow::Result<Exit> {
    let mut path = format!("/v1/deliveries?limit={}", args.limit);
    let filters =
        [("status", &args.status), ("job", &args.job), ("endpoint", &args.endpoint), ("event", &args.event)];
    for (name, value) in filters {
        if let Some(value) = value {
            let _ = write!(path, "&{name}={}", encoded(value));
        }
    }
    let answer = Client::of(&args.target)?.get(&path).await?;
    show_all(global, &answer["deliveries"], &DELIVERY_HEADINGS, delivery_row, "There are no deliveries.")
}

/// Sends a test and waits until it was taken or refused.
async fn test(global: &Global, args: &WebhooksTest) -> anyhow::Result<Exit> {
    let client = Client::of(&args.target)?;
    let made = client.post(&format!("/v1/webhooks/{}/test", encoded(&args.endpoint)), &json!({})).await?;
    let path = format!("/v1/deliveries/{}", made["id"].as_str().unwrap_or_default());
    let tried = async {
        loop {
            let found = client.get(&path).await?;
            if !found["last_try"].is_null() {
                return anyhow::Ok(found);
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    let late = || ended(Exit::TimedOut, "the test was not sent in time; is the server busy or stopping?");
    let found = tokio::time::timeout(TEST_PATIENCE, tried).await.map_err(|_| late())??;
    output::show(global.output, &found, |found| output::table(&DELIVERY_HEADINGS, &[delivery_row(found)]))?;
    if found["status"] == "delivered" {
        return Ok(Exit::Ok);
    }
    let why = output::harmless(found["last_try"]["error"].as_str().unwrap_or("no explanation"));
    Err(ended(Exit::Failed, format!("the endpoint `{}` did not take the test: {why}", args.endpoint)))
}

fn show_all<const N: usize>(
    global: &Global,
    all: &Value,
    headings: &[&str; N],
    row: impl Fn(&Value) -> Vec<String>,
    none: &str,
) -> anyhow::Result<Exit> {
    let rows: Vec<_> = all.as_array().into_iter().flatten().map(row).collect();
    if rows.is_empty() && global.output == Format::Table {
        if !global.quiet {
            output::say(none);
        }
        return Ok(Exit::Ok);
    }
    output::show(global.output, all, |_| output::table(headings, &rows))?;
    Ok(Exit::Ok)
}

fn text(of: &Value) -> String {
    output::harmless(of.as_str().unwrap_or_default())
}

fn delivery_row(one: &Value) -> Vec<String> {
    let to = if one["endpoint"].is_null() { &one["url"] } else { &one["endpoint"] };
    let note = match (&one["next_at"], &one["last_try"]["error"]) {
        (Value::String(next), Value::String(error)) => format!("{error}; again at {next}"),
        (_, Value::String(error)) => error.clone(),
        _ => String::new(),
    };
    vec![
        text(&one["id"]),
        text(&one["event"]),
        text(to),
        text(&one["status"]),
        one["tries"].to_string(),
        text(&one["created_at"]),
        output::harmless(&note),
    ]
}

fn endpoint_row(one: &Value) -> Vec<String> {
    let words = |of: &Value| {
        let words = of.as_array().map(|words| words.iter().filter_map(Value::as_str).collect::<Vec<_>>());
        words.map_or_else(|| "all".to_owned(), |words| words.join(", "))
    };
    let note = match (&one["disabled_at"], &one["failing_since"]) {
        (Value::String(at), _) => format!("disabled since {at}: {}", text(&one["disabled_because"])),
        (_, Value::String(since)) => format!("failing since {since}"),
        _ => String::new(),
    };
    vec![text(&one["name"]), text(&one["url"]), words(&one["events"]), words(&one["crews"]), note]
}
