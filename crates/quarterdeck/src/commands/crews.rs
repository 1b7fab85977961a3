//! `crews`: what a server can execute, and publishing more.

use serde_json::Value;

use super::jobs::encoded;
use crate::cli::{Crews, CrewsPublish, Global};
use crate::client::Client;
use crate::crew_files;
use crate::exit::Exit;
use crate::output;

const HEADINGS: [&str; 5] = ["name", "version", "tasks", "needs", "problems"];

pub(super) async fn run(global: &Global, args: Crews) -> anyhow::Result<Exit> {
    match args {
        Crews::List(args) => {
            let answer = Client::of(&args.target)?.get("/v1/crews").await?;
            output::show(global.output, &answer["crews"], |crews| {
                let rows: Vec<_> = crews.as_array().into_iter().flatten().map(row).collect();
                output::table(&HEADINGS, &rows)
            })?;
        }
        Crews::Get(args) => {
            let version = args.number.map(|version| format!("?version={version}")).unwrap_or_default();
            let path = format!("/v1/crews/{}{version}", encoded(&args.crew));
            let crew = Client::of(&args.target)?.get(&path).await?;
            output::show(global.output, &crew, |crew| {
                serde_json::to_string_pretty(crew).unwrap_or_default()
            })?;
        }
        Crews::Publish(args) => publish(global, &args).await?,
    }
    Ok(Exit::Ok)
}

fn row(crew: &Value) -> Vec<String> {
    let words = |key: &str| {
        let items = crew[key].as_array().into_iter().flatten();
        items.filter_map(Value::as_str).map(output::harmless).collect::<Vec<_>>().join(", ")
    };
    vec![
        crew["name"].as_str().unwrap_or_default().to_owned(),
        crew["version"].to_string(),
        crew["tasks"].as_array().map_or(0, Vec::len).to_string(),
        words("required_variables"),
        words("problems"),
    ]
}

async fn publish(global: &Global, args: &CrewsPublish) -> anyhow::Result<()> {
    let (text, own_name) = crew_files::to_publish(&args.file)?;
    let name = args.name.clone().unwrap_or(own_name);
    let crew = Client::of(&args.target)?.put_crew(&encoded(&name), text, args.if_version).await?;
    output::show(global.output, &crew, |crew| {
        let mut told = format!("{name} is published as version {}", crew["version"]);
        for warning in crew["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            told += &format!("\n{}", output::harmless(warning));
        }
        told
    })?;
    Ok(())
}
