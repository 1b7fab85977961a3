//! `submit CREW`: queues a job on a server.

use serde_json::json;

use crate::cli::{Format, Global, Submit};
use crate::client::Client;
use crate::exit::Exit;
use crate::follow::{self, Teller};
use crate::{input, output};

pub(crate) async fn run(global: &Global, args: Submit) -> anyhow::Result<Exit> {
    let client = Client::of(&args.target)?;
    let mut body = json!({"crew": args.crew, "input": input::read(&args.input)?});
    if let Some(level) = args.priority {
        body["priority"] = json!(level);
    }
    if let Some(conversation) = args.conversation {
        body["conversation_id"] = json!(conversation);
    }
    let job = client.submit(&body, args.idempotency_key.as_deref()).await?;
    let id = job["id"].as_str().unwrap_or_default().to_owned();
    if !args.wait {
        match global.output {
            Format::Table => output::print(&id)?,
            format => output::show(format, &job, |_| String::new())?,
        }
        return Ok(Exit::Ok);
    }
    let mut teller = Teller::new();
    let job = follow::to_the_end(&client, &id, |event| {
        if !global.quiet {
            teller.hear(event);
        }
        Ok(())
    })
    .await?;
    crate::commands::run::print_result(global, &job)?;
    follow::outcome(&job)
}
