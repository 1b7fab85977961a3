//! `batches submit`: a file of inputs, read while it is sent.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::time::Duration;

use futures::stream;
use serde_json::Value;
use tokio::sync::mpsc;

use super::super::jobs::encoded;
use super::{done, whole};
use crate::cli::{BatchesSubmit, Format, Global};
use crate::client::Client;
use crate::exit::{Exit, ended};
use crate::output::{self, harmless};

const PIECE_BYTES: usize = 64 * 1024;
/// Pieces that were read and not sent yet.
const PIECES_AHEAD: usize = 4;
/// Between two looks at how far it is.
const PAUSE: Duration = Duration::from_millis(500);

pub(super) async fn run(global: &Global, args: BatchesSubmit) -> anyhow::Result<Exit> {
    let client = Client::of(&args.target)?;
    let source: Box<dyn Read + Send> = match args.file.as_str() {
        "-" => Box::new(io::stdin()),
        path => Box::new(File::open(path).map_err(|error| {
            ended(Exit::Usage, format!("cannot read `{path}`: {error}; `-` reads standard input"))
        })?),
    };
    let (path, key) = (format!("/v1/batches?{}", query(&args)?), args.idempotency_key.as_deref());
    let mut batch = client.upload(&path, "application/x-ndjson", body(source), key).await?;
    let id = batch["id"].as_str().unwrap_or_default().to_owned();
    if !global.quiet {
        complain_of_invalid(&batch);
    }
    if args.wait {
        batch = until_over(global, &client, &id).await?;
    }
    match global.output {
        Format::Table if args.wait => output::print(whole(&batch).trim_end())?,
        Format::Table => output::print(&id)?,
        format => output::show(format, &batch, |_| String::new())?,
    }
    if !args.wait || batch["counts"]["succeeded"] == batch["counts"]["total"] {
        return Ok(Exit::Ok);
    }
    let hint = format!("not every input succeeded; see `quarterdeck batches results {id}`");
    Err(ended(Exit::Failed, hint))
}

fn query(args: &BatchesSubmit) -> anyhow::Result<String> {
    let mut query = format!("crew={}", encoded(&args.crew));
    let number = |number: Option<u32>| number.map(|number| number.to_string());
    for (name, value) in [
        ("concurrency", number(args.concurrency)),
        ("priority", number(args.priority.map(u32::from))),
        ("timeout_seconds", number(args.timeout)),
        ("max_attempts", number(args.max_attempts)),
        ("budget_usd", args.budget.clone()),
        ("webhook_url", args.webhook_url.clone()),
    ] {
        if let Some(value) = value {
            let _ = write!(query, "&{name}={}", encoded(&value));
        }
    }
    for label in &args.labels {
        let Some((key, value)) = label.split_once('=') else {
            return Err(ended(Exit::Usage, format!("--label `{label}` is no KEY=VALUE")));
        };
        let _ = write!(query, "&metadata.{}={}", encoded(key), encoded(value));
    }
    Ok(query)
}

/// Reads on a thread that may wait, and no further ahead than a few pieces.
fn body(mut source: Box<dyn Read + Send>) -> reqwest::Body {
    let (sender, receiver) = mpsc::channel::<io::Result<Vec<u8>>>(PIECES_AHEAD);
    tokio::task::spawn_blocking(move || {
        loop {
            let mut piece = vec![0; PIECE_BYTES];
            let read = match source.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => Ok(read),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let is_broken = read.is_err();
            let piece = read.map(|read| {
                piece.truncate(read);
                piece
            });
            if sender.blocking_send(piece).is_err() || is_broken {
                break;
            }
        }
    });
    reqwest::Body::wrap_stream(stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|piece| (piece, receiver))
    }))
}

fn complain_of_invalid(batch: &Value) {
    let invalid = batch["counts"]["invalid"].as_u64().unwrap_or_default();
    if invalid == 0 {
        return;
    }
    output::say(&format!("{invalid} inputs are invalid and will not run:"));
    for one in batch["invalid_inputs"].as_array().into_iter().flatten() {
        output::say(&format!(
            "  {}: {}",
            one["index"],
            harmless(one["message"].as_str().unwrap_or_default())
        ));
    }
}

async fn until_over(global: &Global, client: &Client, id: &str) -> anyhow::Result<Value> {
    let mut seen = None;
    loop {
        let batch = client.get(&format!("/v1/batches/{id}")).await?;
        let (over, total) = done(&batch);
        if !global.quiet && seen != Some(over) {
            output::say(&format!("{over} of {total} done"));
        }
        seen = Some(over);
        if batch["status"] != "running" {
            return Ok(batch);
        }
        tokio::time::sleep(PAUSE).await;
    }
}
