//! `tail JOB`: its events until it is over.

use serde_json::json;

use super::jobs::encoded;
use crate::cli::{Format, Global, Tail};
use crate::client::Client;
use crate::exit::Exit;
use crate::follow::{self, Teller};
use crate::output;

pub(super) async fn run(global: &Global, args: Tail) -> anyhow::Result<Exit> {
    let client = Client::new(args.target.url.as_deref())?;
    let mut teller = Teller::new();
    let job = follow::to_the_end(&client, &encoded(&args.job), |event| match global.output {
        Format::Table => teller.hear(event),
        Format::Json | Format::Jsonl => {
            let line = json!({"event": event.name, "id": event.id, "data": event.data});
            // A reader that went away is noticed at the end.
            let _ = output::print(&line.to_string());
        }
    })
    .await?;
    if global.output == Format::Table {
        super::run::print_result(global, &job)?;
    }
    follow::outcome(&job)
}
