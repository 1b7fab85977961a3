//! What keys cost: jobs accepted by `POST /chat` over 64 connections, without keys, with one for each connection's tenant
//! and paces that are counted but not reached, and with an idempotency key besides. Rounds alternate, so that all kinds
//! meet the same machine.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::process::Command;

use crate::load::{Headers, Target, run as load};
use crate::process::{Server, binary, project};

const ROUNDS: usize = 3;
const SPAN: Duration = Duration::from_secs(10);
const KEYS: usize = 16;
/// Where the numbers of warming up begin.
const WARM_UP: u64 = 1 << 40;

fn settings(mode: &str) -> String {
    format!(
        "default_crew = \"echo\"\ndefault_model = \"sim/standard\"\n[providers.sim]\n[worker]\nslots = 0\n\
         [queue]\nmax_depth = 20000000\n[log]\nlevel = \"error\"\n[auth]\nmode = \"{mode}\"\n\
         [limits]\nkey_requests_per_second = 1000000\nkey_burst = 1000000\n\
         tenant_requests_per_second = 1000000\ntenant_burst = 1000000\n"
    )
}

/// What requests carry.
#[derive(Debug, Clone, Copy)]
enum Carried {
    Nothing,
    Key,
    KeyAndIdempotencyKey,
}

pub(crate) async fn run() -> anyhow::Result<()> {
    println!("## what keys cost: accepted jobs/s, closed loop, medians of {ROUNDS}");
    let kinds = [
        ("open", Carried::Nothing),
        ("keys and paces", Carried::Key),
        ("keys, paces and idempotency keys", Carried::KeyAndIdempotencyKey),
    ];
    let mut rates = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        for ((_, carried), rates) in kinds.iter().zip(&mut rates) {
            rates.push(round(*carried).await?);
        }
    }
    let medians = rates.map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        rates[ROUNDS / 2]
    });
    for ((name, _), rate) in kinds.iter().zip(medians) {
        println!("{name}: {rate:.0}/s, {:.0} % of open", 100.0 * rate / medians[0]);
    }
    Ok(())
}

/// One kind on a store of its own.
async fn round(carried: Carried) -> anyhow::Result<f64> {
    let mode = if matches!(carried, Carried::Nothing) { "open" } else { "keys" };
    let folder = project(&settings(mode))?;
    let mut keys = Vec::new();
    for n in 0..KEYS {
        keys.push(key(folder.path(), &format!("tenant-{n}")).await?);
    }
    let headers = move |n: u64| {
        let key = &keys[usize::try_from(n).unwrap_or_default() % KEYS];
        match carried {
            Carried::Nothing => String::new(),
            Carried::Key => format!("authorization: Bearer {key}\r\n"),
            Carried::KeyAndIdempotencyKey => {
                format!("authorization: Bearer {key}\r\nidempotency-key: order-{n}\r\n")
            }
        }
    };
    let mut server = Server::serve(folder.path()).await?;
    // Numbers of requests begin anew with each load: what warms up must not use the keys of what is measured.
    let body = Arc::new(|n: u64| format!("{{\"user_id\":\"user-{n}\",\"message\":\"hello\"}}"));
    let headers: Headers = Arc::new(headers);
    let target = Target { address: server.address.clone(), path: "/chat", headers, body, status: 202 };
    let shifted = Arc::clone(&target.headers);
    let before = Target { headers: Arc::new(move |n| shifted(n + WARM_UP)), ..target.clone() };
    load(before, 64, None, Duration::from_secs(2)).await?;
    let closed = load(target, 64, None, SPAN).await?;
    println!("  {carried:?}: {}", closed.line());
    server.child.kill().await?;
    Ok(closed.rate())
}

/// Makes a key of a tenant on the store of a stopped server.
pub(crate) async fn key(folder: &std::path::Path, tenant: &str) -> anyhow::Result<String> {
    let output = Command::new(binary()?)
        .args(["keys", "create", "bench", "--quiet", "--scope", "jobs:write", "--tenant", tenant])
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .await?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout).context("a key is ASCII")?.trim().to_owned())
}
