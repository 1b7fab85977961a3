//! `jobs resume`: answers a job that waits for a person, by flags or by asking at the terminal.

use serde_json::{Value, json};

use super::encoded;
use crate::cli::{Format, Global, JobsResume};
use crate::client::Client;
use crate::exit::{Exit, ended};
use crate::{ask, output};

pub(super) async fn run(global: &Global, args: JobsResume) -> anyhow::Result<Exit> {
    let client = Client::of(&args.target)?;
    let id = encoded(&args.job);
    let job = if args.approve || args.feedback.is_some() {
        let body = json!({"step": args.step, "approve": args.approve, "feedback": args.feedback});
        ask::resume(&client, &id, &body).await?
    } else {
        by_asking(&client, &id, args.step.as_deref()).await?
    };
    if global.output == Format::Table {
        let text = |key: &str| job[key].as_str().unwrap_or_default();
        output::print(&format!("{} {}", text("id"), text("status")))?;
    } else {
        output::show(global.output, &job, |_| String::new())?;
    }
    Ok(Exit::Ok)
}

async fn by_asking(client: &Client, id: &str, step: Option<&str>) -> anyhow::Result<Value> {
    if !ask::is_somebody_there() {
        let message = "say --approve or --feedback TEXT; without them it asks, which takes a terminal";
        return Err(ended(Exit::Usage, message));
    }
    let job = client.get(&format!("/v1/jobs/{id}")).await?;
    let waiting = &job["waiting"];
    let asks = waiting["step"].as_str();
    if asks.is_none() || step.is_some_and(|step| asks != Some(step)) {
        let status = job["status"].as_str().unwrap_or_default();
        let what = asks.map_or_else(|| format!("is {status}"), |asks| format!("waits with `{asks}`"));
        return Err(ended(Exit::Conflict, format!("the job {what}; there is nothing else to answer")));
    }
    ask::answer(client, id, waiting).await
}
