//! `audit list` and `audit verify`: privileged acts, and whether the log of them is whole.

use qd_gateway::{act_view, audit_view, verify_audit};
use serde_json::Value;

use crate::cli::{Audit, AuditList, AuditVerify, Global};
use crate::commands::place::Place;
use crate::exit::Exit;
use crate::output;

const HEADINGS: [&str; 6] = ["n", "at", "actor", "deed", "subject", "detail"];

pub(in crate::commands) async fn run(global: &Global, args: Audit) -> anyhow::Result<Exit> {
    match args {
        Audit::List(args) => list(global, args).await,
        Audit::Verify(args) => verify(global, args).await,
    }
}

async fn list(global: &Global, args: AuditList) -> anyhow::Result<Exit> {
    let (after, limit) = (args.after, args.limit);
    let acts = match Place::of(global, &args.target).await? {
        Place::Server(client) => {
            client.get(&format!("/v1/audit?after={after}&limit={limit}")).await?["acts"].clone()
        }
        Place::Store(local) => local.store.audited(after, limit.into()).await?.iter().map(act_view).collect(),
    };
    let rows: Vec<_> = acts.as_array().into_iter().flatten().map(row).collect();
    output::show(global.output, &acts, |_| output::table(&HEADINGS, &rows))?;
    Ok(Exit::Ok)
}

fn row(act: &Value) -> Vec<String> {
    let text = |name: &str| output::excerpt(act[name].as_str().unwrap_or_default(), 80);
    let detail = act["detail"].as_object().into_iter().flatten();
    let detail: Vec<String> =
        detail.map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default())).collect();
    let detail = output::excerpt(&detail.join(" "), 120);
    vec![act["seq"].to_string(), text("at"), text("actor"), text("deed"), text("subject"), detail]
}

async fn verify(global: &Global, args: AuditVerify) -> anyhow::Result<Exit> {
    let found = match Place::of(global, &args.target).await? {
        Place::Server(client) => client.get("/v1/audit/check").await?,
        Place::Store(local) => audit_view(&verify_audit(&local.store).await?),
    };
    let is_intact = found["intact"] == true;
    output::show(global.output, &found, |found| {
        if is_intact {
            let head = found["head"].as_str().unwrap_or_default();
            format!("{} acts, none changed or missing; the head is {head}", found["acts"])
        } else {
            format!("The log is not whole: {}", found["mistake"].as_str().unwrap_or_default())
        }
    })?;
    Ok(if is_intact { Exit::Ok } else { Exit::Failed })
}
