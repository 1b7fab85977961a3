//! The model layer in trouble: calls that fail, hang or are limited, a provider that goes away and comes back. Each scenario
//! is a server in front of a simulator, with jobs at a steady rate that are followed to their end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::Value;

use crate::load::{Outcome, Target, Wire, no_headers, run as load};
use crate::process::{Server, project};

/// How long jobs get to end after the last one was sent.
const PATIENCE: Duration = Duration::from_secs(180);

/// A server in front of a simulator.
struct Pair {
    sim: Server,
    server: Server,
    _folders: [tempfile::TempDir; 2],
}

impl Pair {
    /// With a scenario of the simulator, and settings of its provider and of the server.
    async fn start(scenario: &str, provider: &str, settings: &str) -> anyhow::Result<Self> {
        let scenarios = tempfile::tempdir()?;
        let path = scenarios.path().join("scenario.toml");
        std::fs::write(&path, scenario)?;
        let sim = Server::sim(&["--scenario", path.to_str().context("a path that is no text")?]).await?;
        let folder = project(&format!(
            "default_crew = \"echo\"\ndefault_model = \"sim/standard\"\n[log]\nlevel = \"error\"\n\
             [queue]\nmax_depth = 1000000\n{settings}[providers.sim]\nbase_url = \"http://{}/v1\"\n{provider}",
            sim.address
        ))?;
        let server = Server::serve(folder.path()).await?;
        Ok(Self { sim, server, _folders: [scenarios, folder] })
    }

    /// Jobs at a steady rate, accepted only.
    async fn offer(&self, rate: f64, span: Duration) -> anyhow::Result<Outcome> {
        let body =
            Arc::new(|n: u64| format!("{{\"crew\":\"echo\",\"input\":{{\"message\":\"hello {n}\"}}}}"));
        let target = Target {
            address: self.server.address.clone(),
            path: "/v1/jobs",
            headers: no_headers(),
            body,
            status: 202,
        };
        load(target, 32, Some(rate), span).await
    }

    async fn stats(&self) -> anyhow::Result<Value> {
        read(&self.server.address, "/v1/stats").await
    }

    async fn ledger(&self) -> anyhow::Result<Value> {
        read(&self.sim.address, "/ledger/summary").await
    }

    /// Waits until no job is open.
    async fn settle(&self) -> anyhow::Result<Value> {
        let begin = Instant::now();
        loop {
            let stats = self.stats().await?;
            let open: u64 = ["scheduled", "queued", "running", "retrying"]
                .iter()
                .map(|status| stats["jobs"][status].as_u64().unwrap_or(0))
                .sum();
            if open == 0 {
                return Ok(stats);
            }
            anyhow::ensure!(begin.elapsed() < PATIENCE, "{open} jobs are still open: {}", stats["jobs"]);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn print(&self, offered: &Outcome, stats: &Value, ledger: &Value) {
        let recent = &stats["recent"];
        let spans = &recent["duration_seconds"];
        println!("accepting: {}", offered.line());
        println!(
            "jobs: {} succeeded, {} failed; from acceptance to end p50 {:.2} s, p95 {:.2} s, p99 {:.2} s",
            recent["succeeded"],
            recent["failed"],
            spans["p50"].as_f64().unwrap_or_default(),
            spans["p95"].as_f64().unwrap_or_default(),
            spans["p99"].as_f64().unwrap_or_default()
        );
        println!(
            "calls for each needed one: {:.3}; paid twice: {}; statuses: {}",
            ledger["calls_per_need"].as_f64().unwrap_or_default(),
            ledger["paid_twice"],
            ledger["statuses"]
        );
    }
}

async fn read(address: &str, path: &str) -> anyhow::Result<Value> {
    let mut wire = Wire::connect(address).await?;
    let status = wire.get(path).await?;
    anyhow::ensure!(status == 200, "{path} answered {status}");
    Ok(serde_json::from_str(wire.body_text().context("a text")?)?)
}

/// 100 jobs/s of which one call in ten fails, in six ways.
pub(crate) async fn faults() -> anyhow::Result<()> {
    println!("## one call in ten fails: 100 jobs/s, 60 s");
    let kinds = ["429", "500", "529", "reset", "truncated", "hang"];
    let rules =
        kinds.map(|kind| format!("[[faults]]\nkind = \"{kind}\"\nrate = {}\n", one_sixth_of_a_tenth(kind)));
    let scenario = format!("{}[latency]\nfirst_token = {{ kind = \"fixed\", ms = 100 }}\n", "");
    let pair = Pair::start(
        &(scenario + &rules.concat()),
        "first_token_timeout_seconds = 2\n",
        "[worker]\nslots = 128\n",
    )
    .await?;
    let offered = pair.offer(100.0, Duration::from_secs(60)).await?;
    let stats = pair.settle().await?;
    pair.print(&offered, &stats, &pair.ledger().await?);
    Ok(())
}

/// Rules are tried one after the other: each sees what those before it left.
fn one_sixth_of_a_tenth(kind: &str) -> f64 {
    let before =
        ["429", "500", "529", "reset", "truncated", "hang"].iter().position(|k| *k == kind).unwrap_or(0);
    let share = 0.1 / 6.0;
    share / (1.0 - share * before as f64)
}

/// 500 jobs/s with calls of 100 ms.
pub(crate) async fn offered() -> anyhow::Result<()> {
    println!("## 500 jobs/s offered, calls of 100 ms, 60 s");
    let scenario = "[latency]\nfirst_token = { kind = \"fixed\", ms = 100 }\n";
    let pair = Pair::start(scenario, "", "[worker]\nslots = 256\n").await?;
    let offered = pair.offer(500.0, Duration::from_secs(60)).await?;
    let stats = pair.settle().await?;
    pair.print(&offered, &stats, &pair.ledger().await?);
    Ok(())
}

/// About 500 jobs in flight of which one call in ten hangs.
pub(crate) async fn hangs() -> anyhow::Result<()> {
    println!("## 500 jobs in flight, one call in ten hangs, cut after 2 s");
    let scenario =
        "[latency]\nfirst_token = { kind = \"fixed\", ms = 1200 }\n[[faults]]\nkind = \"hang\"\nrate = 0.1\n";
    let pair = Pair::start(scenario, "first_token_timeout_seconds = 2\n", "[worker]\nslots = 600\n").await?;
    let offered = pair.offer(330.0, Duration::from_secs(30)).await?;
    let stats = pair.settle().await?;
    let ledger = pair.ledger().await?;
    pair.print(&offered, &stats, &ledger);
    println!("calls at once, at most: {}", ledger["max_in_flight"]);
    Ok(())
}

/// A provider that refuses everything for a minute.
pub(crate) async fn outage() -> anyhow::Result<()> {
    println!("## a provider is down for 60 s: 100 jobs/s, 150 s");
    let scenario = "[latency]\nfirst_token = { kind = \"fixed\", ms = 100 }\n";
    let pair = Arc::new(Pair::start(scenario, "", "[worker]\nslots = 128\n").await?);
    let offering = tokio::spawn({
        let pair = Arc::clone(&pair);
        async move { pair.offer(100.0, Duration::from_secs(150)).await }
    });
    tokio::time::sleep(Duration::from_secs(20)).await;
    let mut control = Wire::connect(&pair.sim.address).await?;
    let status = control.post("/control", "{\"outage\":{\"kind\":\"503\"},\"seconds\":60}").await?;
    anyhow::ensure!(status == 200, "the outage was answered {status}");
    let onset = Instant::now();
    let opened = loop {
        let breakers = read(&pair.server.address, "/v1/breakers").await?;
        if breakers["breakers"][0]["state"] == "open" {
            break onset.elapsed();
        }
        anyhow::ensure!(onset.elapsed() < Duration::from_secs(30), "the breaker does not open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    println!("breaker open {:.2} s after onset", opened.as_secs_f64());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let calls = |ledger: &Value| ledger["calls"].as_u64().unwrap_or_default();
    let before = calls(&pair.ledger().await?);
    tokio::time::sleep(Duration::from_secs(59).saturating_sub(onset.elapsed())).await;
    println!("calls while it was open: {}", calls(&pair.ledger().await?) - before);
    let done = |stats: &Value| stats["recent"]["succeeded"].as_u64().unwrap_or_default();
    tokio::time::sleep(Duration::from_secs(60).saturating_sub(onset.elapsed())).await;
    let (recovery, mut earlier) = (Instant::now(), done(&pair.stats().await?));
    let mut back = None;
    while recovery.elapsed() < Duration::from_secs(60) && back.is_none() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = done(&pair.stats().await?);
        if now - earlier >= 95 {
            back = Some(recovery.elapsed());
        }
        earlier = now;
    }
    match back {
        Some(back) => println!("95 jobs and more a second again {:.0} s after recovery", back.as_secs_f64()),
        None => println!("not back within 60 s of recovery"),
    }
    let offered = offering.await??;
    let stats = pair.settle().await?;
    pair.print(&offered, &stats, &pair.ledger().await?);
    Ok(())
}

/// Three times as much as the provider allows, which it tells in its headers.
pub(crate) async fn overload() -> anyhow::Result<()> {
    println!("## 1,200 requests a minute allowed, 60 jobs/s offered, 60 s");
    let scenario =
        "[latency]\nfirst_token = { kind = \"fixed\", ms = 100 }\n[[limits]]\nrequests_per_minute = 1200\n";
    let pair = Arc::new(Pair::start(scenario, "", "[worker]\nslots = 64\n").await?);
    let offering = tokio::spawn({
        let pair = Arc::clone(&pair);
        async move { pair.offer(60.0, Duration::from_secs(65)).await }
    });
    let count = |ledger: &Value, status: &str| ledger["statuses"][status].as_u64().unwrap_or_default();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let before = pair.ledger().await?;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let after = pair.ledger().await?;
    let (good, refused) =
        (count(&after, "200") - count(&before, "200"), count(&after, "429") - count(&before, "429"));
    // What was left of the first bucket at 5 s, and what came back in 60.
    let first = count(&before, "200");
    let could = (1_200.0 + 5.0 * 20.0 - first as f64).max(0.0) + 60.0 * 20.0;
    println!(
        "in the 60 s after the first 5: {good} answered of {could:.0} allowed ({:.1} %), {refused} refused with 429 ({:.2} %); \
         429 in the first 5 s: {}",
        100.0 * good as f64 / could,
        100.0 * refused as f64 / (good + refused).max(1) as f64,
        count(&before, "429")
    );
    println!("accepting: {}", offering.await??.line());
    Ok(())
}
