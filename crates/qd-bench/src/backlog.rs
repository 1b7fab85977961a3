//! A million jobs queued: what accepting and dispatching cost beside an empty queue, memory per queued job, and the
//! time until a restarted server is ready.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::load::{Outcome, Target, Wire, no_headers, run as load};
use crate::process::{Server, project};

/// Jobs queued.
const BACKLOG: u64 = 1_000_000;
/// Enough that the workers do not come to its end while the urgent jobs run.
const SHORT: u64 = 60_000;
const RATE: f64 = 2_000.0;

pub(crate) async fn run() -> anyhow::Result<()> {
    println!("## a million queued jobs");
    let settings = |slots: usize| {
        format!(
            "default_model = \"sim/standard\"\n[providers.sim]\n[worker]\nslots = {slots}\n\
             [queue]\nmax_depth = 100000000\n[log]\nlevel = \"error\"\n"
        )
    };
    let folder = project(&settings(0))?;
    let mut server = Server::serve(folder.path()).await?;
    let (empty, _) = server.rss_mib()?;
    accepting(&server, "empty").await?;
    let (before, _) = server.rss_mib()?;
    let queued = fill(&server, BACKLOG).await?;
    let (filled, _) = server.rss_mib()?;
    println!(
        "memory: {empty:.0} MiB at start, {before:.0} MiB after the first load, {filled:.0} MiB with {queued} more queued: \
         {:.0} bytes a job",
        (filled - before) * f64::from(1 << 20) / queued as f64
    );
    accepting(&server, "a million queued").await?;

    server.child.kill().await?;
    let mut server = Server::serve(folder.path()).await?;
    println!("kill -9 and restart to ready: {:.2} s", server.started_in.as_secs_f64());
    println!("memory after the restart: {:.0} MiB", server.rss_mib()?.0);
    server.child.kill().await?;
    dispatching(&settings(8)).await
}

async fn accepting(server: &Server, what: &str) -> anyhow::Result<()> {
    let body = Arc::new(|n: u64| format!("{{\"crew\":\"echo\",\"input\":{{\"message\":\"{n}\"}}}}"));
    let target = Target {
        address: server.address.clone(),
        path: "/v1/jobs",
        headers: no_headers(),
        body,
        status: 202,
    };
    load(target.clone(), 64, Some(RATE), Duration::from_secs(2)).await?;
    let outcome: Outcome = load(target, 64, Some(RATE), Duration::from_secs(10)).await?;
    println!("accepting, {what}: {}", outcome.line());
    Ok(())
}

async fn fill(server: &Server, most: u64) -> anyhow::Result<u64> {
    let body = Arc::new(|n: u64| format!("{{\"crew\":\"echo\",\"input\":{{\"message\":\"{n}\"}}}}"));
    let target = Target {
        address: server.address.clone(),
        path: "/v1/jobs",
        headers: no_headers(),
        body,
        status: 202,
    };
    let (begin, mut queued) = (Instant::now(), 0);
    while queued < most {
        queued += load(target.clone(), 64, None, Duration::from_secs(2)).await?.requests;
    }
    println!("filled with {queued} jobs in {:.0} s", begin.elapsed().as_secs_f64());
    Ok(queued)
}

/// The time from accepting an urgent job to its end: alone, and while workers have more than they can do, with a short
/// queue and with a million jobs of the lowest level.
async fn dispatching(settings: &str) -> anyhow::Result<()> {
    let folder = project(settings)?;
    let mut server = Server::serve(folder.path()).await?;
    urgent(&server, "empty").await?;
    server.child.kill().await?;
    for (jobs, what) in [(SHORT, "busy, a short queue"), (BACKLOG, "busy, a million queued")] {
        behind(settings, jobs, what).await?;
    }
    Ok(())
}

async fn behind(settings: &str, jobs: u64, what: &str) -> anyhow::Result<()> {
    let folder = project(settings)?;
    // Filled without workers, then served with them: the urgent ones share the claims with the backlog.
    let path = folder.path().join("quarterdeck.toml");
    let held = std::fs::read_to_string(&path)?.replace("slots = 8", "slots = 0");
    std::fs::write(&path, held)?;
    let mut server = Server::serve(folder.path()).await?;
    fill(&server, jobs).await?;
    server.child.kill().await?;
    std::fs::write(&path, settings)?;
    let server = Server::serve(folder.path()).await?;
    urgent(&server, what).await
}

async fn urgent(server: &Server, what: &str) -> anyhow::Result<()> {
    let mut wire = Wire::connect(&server.address).await?;
    let mut times = hdrhistogram::Histogram::<u64>::new(3)?;
    for n in 0..500 {
        let begin = Instant::now();
        let body = format!("{{\"crew\":\"echo\",\"priority\":5,\"input\":{{\"message\":\"urgent {n}\"}}}}");
        let status = wire.post_with("/v1/jobs", "prefer: wait=30\r\n", &body).await?;
        anyhow::ensure!(status == 200, "answered {status}");
        times.record(u64::try_from(begin.elapsed().as_micros())?)?;
    }
    let ms = |quantile: f64| times.value_at_quantile(quantile) as f64 / 1e3;
    println!("accept to result of an urgent job, {what}: p50 {:.2} ms, p99 {:.2} ms", ms(0.5), ms(0.99));
    Ok(())
}
