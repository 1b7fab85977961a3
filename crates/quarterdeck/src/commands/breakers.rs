//! `breakers`: which models of a server are left alone, how much they may be sent, and an operator's word about it.

use serde_json::{Value, json};

use crate::cli::{Breakers, Format, Global, Target};
use crate::client::Client;
use crate::exit::Exit;
use crate::output;

const HEADINGS: [&str; 5] = ["model", "breaker", "calls", "limits left", "note"];

pub(super) async fn run(global: &Global, args: Breakers) -> anyhow::Result<Exit> {
    let (args, state) = match args {
        Breakers::List(args) => return list(global, &args.target).await,
        Breakers::Open(args) => (args, "open"),
        Breakers::Close(args) => (args, "closed"),
        Breakers::Auto(args) => (args, "auto"),
    };
    let client = Client::of(&args.target)?;
    let body = json!({ "deployment": args.deployment, "state": state });
    let one = client.post("/v1/breakers", &body).await?;
    output::show(global.output, &one, |one| output::table(&HEADINGS, &[row(one)]))?;
    Ok(Exit::Ok)
}

async fn list(global: &Global, target: &Target) -> anyhow::Result<Exit> {
    let answer = Client::of(target)?.get("/v1/breakers").await?;
    let breakers = answer["breakers"].as_array().cloned().unwrap_or_default();
    if global.output == Format::Jsonl {
        breakers.iter().try_for_each(|one| output::print(&one.to_string()))?;
        return Ok(Exit::Ok);
    }
    let rows: Vec<_> = breakers.iter().map(row).collect();
    output::show(global.output, &answer["breakers"], |_| output::table(&HEADINGS, &rows))?;
    if breakers.is_empty() && global.output == Format::Table && !global.quiet {
        output::say("The server has called no model yet.");
    }
    Ok(Exit::Ok)
}

fn row(one: &Value) -> Vec<String> {
    let limits = one["limits"].as_array().into_iter().flatten().map(|limit| {
        let per = if limit["per_seconds"] == 60 { "min" } else { "day" };
        let of = limit["of"].as_str().unwrap_or_default();
        format!("{} of {} {of}/{per}", limit["left"], limit["limit"])
    });
    let note = match (one["forced"].as_bool(), one["refused"].as_bool()) {
        (Some(true), _) => "by an operator",
        (_, Some(true)) => "key or name refused",
        _ => "",
    };
    vec![
        one["deployment"].as_str().unwrap_or_default().to_owned(),
        one["state"].as_str().unwrap_or_default().to_owned(),
        format!("{}/{}", one["in_flight"], one["max_in_flight"]),
        limits.collect::<Vec<_>>().join(", "),
        note.to_owned(),
    ]
}
