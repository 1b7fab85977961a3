//! A quiet tenant beside a noisy one: how long its jobs wait for their first model call, alone and while another tenant
//! sends a hundred times as many, which is three times what the slots can do. With spare slots and without.
//!
//! Calls of the quiet one go to a provider in here that notes when they arrive, those of the noisy one to the simulator;
//! both take as long.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::auth::key;
use crate::latency::{micros, provider};
use crate::load::{Target, Wire, run as load};
use crate::process::{Server, project};

const ROUNDS: usize = 2;
const SPAN: Duration = Duration::from_secs(40);
const QUIET_RATE: u64 = 5;
const NOISY_RATE: f64 = 500.0;
/// What a call takes.
const CALL: Duration = Duration::from_millis(100);
/// Sixteen slots do 160 of these calls a second.
const SLOTS: usize = 16;
/// How long the noisy one sends before the other is looked at.
const LEAD: Duration = Duration::from_secs(3);

const NOISE: &str = "name: noise\n\
    agents:\n  echo: {role: Echo, goal: Answer, backstory: You are brief., llm: sim/standard}\n\
    tasks:\n  - {name: answer, description: \"{message}\", expected_output: An answer, agent: echo}\n";

pub(crate) async fn run() -> anyhow::Result<()> {
    println!(
        "## a quiet tenant ({QUIET_RATE} jobs/s) beside a noisy one ({NOISY_RATE}/s), {SLOTS} slots, calls of {} ms",
        CALL.as_millis()
    );
    for _ in 0..ROUNDS {
        let alone = round(SLOTS / 4, false).await?;
        println!("alone: {}", line(&alone));
        for spare in [SLOTS / 4, 0] {
            let beside = round(spare, true).await?;
            let ratio = ms(&beside, 0.99) / ms(&alone, 0.99);
            println!("beside the noisy one, {spare} spare slots: {}, {ratio:.2} times at p99", line(&beside));
        }
    }
    Ok(())
}

fn ms(waits: &Histogram<u64>, quantile: f64) -> f64 {
    waits.value_at_quantile(quantile) as f64 / 1e3
}

fn line(waits: &Histogram<u64>) -> String {
    format!(
        "{} jobs, p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms",
        waits.len(),
        ms(waits, 0.5),
        ms(waits, 0.99),
        ms(waits, 1.0)
    )
}

/// From sending a job of the quiet tenant to its call arriving, for each of its jobs.
async fn round(spare: usize, noisy: bool) -> anyhow::Result<Histogram<u64>> {
    let (stub, mut arrivals) = provider(CALL).await?;
    let folder = project(&format!(
        "default_model = \"stub/m\"\n[worker]\nslots = {SLOTS}\nspare_slots = {spare}\n[queue]\nmax_depth = 2000000\n\
         [log]\nlevel = \"error\"\n[auth]\nmode = \"keys\"\n[limits]\nkey_requests_per_second = 0\n\
         tenant_requests_per_second = 0\n{stub}\
         [providers.sim.sim.latency]\nfirst_token = {{ kind = \"fixed\", ms = {} }}\n",
        CALL.as_millis()
    ))?;
    std::fs::write(folder.path().join("crews/noise.yaml"), NOISE)?;
    let (quiet_key, noisy_key) =
        (header(folder.path(), "quiet").await?, header(folder.path(), "noisy").await?);
    let mut server = Server::serve(folder.path()).await?;
    let noise = noisy.then(|| {
        let target = Target {
            address: server.address.clone(),
            path: "/v1/jobs",
            headers: Arc::new(move |_| noisy_key.clone()),
            body: Arc::new(|n| format!("{{\"crew\":\"noise\",\"input\":{{\"message\":\"{n}\"}}}}")),
            status: 202,
        };
        tokio::spawn(load(target, 16, Some(NOISY_RATE), LEAD + SPAN))
    });
    tokio::time::sleep(LEAD).await;
    let mut wire = Wire::connect(&server.address).await?;
    let mut waits = Histogram::<u64>::new(3)?;
    let mut ticks = tokio::time::interval(Duration::from_millis(1_000 / QUIET_RATE));
    for n in 0..SPAN.as_secs() * QUIET_RATE {
        ticks.tick().await;
        let sent = Instant::now();
        let body = format!("{{\"crew\":\"echo\",\"input\":{{\"message\":\"{n}\"}}}}");
        let status = wire.post_with("/v1/jobs", &quiet_key, &body).await?;
        anyhow::ensure!(status == 202, "answered {status}");
        let call = arrivals.recv().await.ok_or_else(|| anyhow::anyhow!("the provider is gone"))?;
        waits.record(micros(call.duration_since(sent)))?;
    }
    if let Some(noise) = noise {
        let sent = noise.await??;
        anyhow::ensure!(sent.errors == 0, "{} of the noisy one's were refused", sent.errors);
    }
    server.child.kill().await?;
    Ok(waits)
}

async fn header(folder: &Path, tenant: &str) -> anyhow::Result<String> {
    Ok(format!("authorization: Bearer {}\r\n", key(folder, tenant).await?))
}
