//! `tail [JOB]`: a job's events until it is over, or what happens to all jobs of a server from now on.

mod all;

use serde_json::json;

use super::jobs::encoded;
use crate::cli::{Format, Global, Tail};
use crate::client::Client;
use crate::exit::Exit;
use crate::follow::{self, Teller};
use crate::output;

pub(super) async fn run(global: &Global, args: Tail) -> anyhow::Result<Exit> {
    let client = Client::of(&args.target)?;
    let mut stop = super::serve::stop_signals()?;
    let following = async {
        match &args.job {
            Some(job) => one(global, &client, job).await,
            None => all::follow(global, &client).await,
        }
    };
    tokio::select! {
        ended = following => ended,
        // Nothing may happen for long: a reader that went away ends us without waiting for the next line.
        () = output::reader_gone() => Ok(Exit::Ok),
        () = stop.wait() => Ok(Exit::Interrupted),
    }
}

async fn one(global: &Global, client: &Client, job: &str) -> anyhow::Result<Exit> {
    let mut teller = Teller::new();
    let job = follow::to_the_end(client, &encoded(job), |event| match global.output {
        Format::Table => {
            teller.hear(event);
            Ok(())
        }
        Format::Json | Format::Jsonl => {
            let line = json!({"event": event.name, "id": event.id, "data": event.data});
            output::print(&line.to_string())
        }
    })
    .await?;
    if global.output == Format::Table {
        super::run::print_result(global, &job)?;
    }
    follow::outcome(&job)
}
