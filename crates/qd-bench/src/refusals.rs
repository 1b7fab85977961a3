//! Ten times more than the server can do: what is refused is refused at once, and health answers meanwhile.
//!
//! Eight slots and calls of 20 ms do some 350 jobs a second; 4,000 are offered, and the queue holds 500. Two loads run side by
//! side: one counts refusals as what is expected, the other asks for health.

use std::sync::Arc;
use std::time::Duration;

use qd_load::Latency;

use crate::load::{Outcome, Target, Wire, no_headers, run as load};
use crate::process::{Server, project};

const OFFERED: f64 = 4_000.0;
const SPAN: Duration = Duration::from_secs(20);
const HEALTH_EVERY: Duration = Duration::from_millis(20);

pub(crate) async fn run() -> anyhow::Result<()> {
    println!("## ten times more than can be done, {} s", SPAN.as_secs());
    let folder = project(
        "default_crew = \"echo\"\ndefault_model = \"sim/standard\"\n[providers.sim.sim.latency]\n\
         first_token = { kind = \"fixed\", ms = 20.0 }\n[worker]\nslots = 8\n[queue]\nmax_depth = 500\n[log]\nlevel = \"error\"\n",
    )?;
    let mut server = Server::serve(folder.path()).await?;
    let body = Arc::new(|n: u64| format!("{{\"user_id\":\"user-{n}\",\"message\":\"hello\"}}"));
    let target = |status| Target {
        address: server.address.clone(),
        path: "/chat",
        headers: no_headers(),
        body: body.clone(),
        status,
    };
    // The queue is full when it begins.
    load(target(202), 64, Some(OFFERED), Duration::from_secs(3)).await?;
    let asking = health(server.address.clone());
    let (refused, health) = tokio::try_join!(load(target(503), 64, Some(OFFERED), SPAN), asking)?;
    let accepted = refused.errors;
    println!(
        "offered {OFFERED:.0}/s: {} refused, {accepted} accepted; {}",
        refused.requests - accepted,
        refused.line()
    );
    println!(
        "health meanwhile: p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms",
        health.ms(0.5),
        health.ms(0.99),
        health.ms(1.0)
    );
    server.child.kill().await?;
    Ok(())
}

/// Asks for health again and again on one connection.
async fn health(address: String) -> anyhow::Result<Outcome> {
    let mut wire = Wire::connect(&address).await?;
    let begun = tokio::time::Instant::now();
    let (requests, errors, latency) = (0, 0, Latency::default());
    let mut outcome = Outcome { requests, errors, elapsed: Duration::ZERO, latency };
    while begun.elapsed() < SPAN {
        let asked = tokio::time::Instant::now();
        anyhow::ensure!(wire.get("/health").await? == 200, "health said no");
        outcome.requests += 1;
        outcome.latency.note(asked.elapsed());
        tokio::time::sleep(HEALTH_EVERY).await;
    }
    outcome.elapsed = begun.elapsed();
    Ok(outcome)
}
