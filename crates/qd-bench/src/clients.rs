//! Clients that submit, listen by SSE, and take the result, 500 at once; streams that listen and hear nothing, 10,000
//! at once; a long steady load. Each for as long as `QUARTERDECK_BENCH_SECONDS` says, else for what the name says.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::load::{Target, Wire, no_headers, run as load};
use crate::process::{Server, project};

const CLIENTS: usize = 500;
const STREAMS: usize = 10_000;

fn seconds(default: u64) -> u64 {
    std::env::var("QUARTERDECK_BENCH_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn settings(more: &str) -> String {
    format!(
        "default_crew = \"echo\"\ndefault_model = \"sim/standard\"\n{more}[server]\nmax_connections_per_address = 20000\n\
         [log]\nlevel = \"error\"\n"
    )
}

/// How long calls take: about as long as a short answer of a real model.
fn latency() -> String {
    std::env::var("QUARTERDECK_BENCH_LATENCY_MS").unwrap_or_else(|_| "800".to_owned())
}

/// 500 clients in a closed loop.
pub(crate) async fn clients() -> anyhow::Result<()> {
    let span = Duration::from_secs(seconds(300));
    println!("## {CLIENTS} clients: submit, SSE, result, calls of {} ms, {} s", latency(), span.as_secs());
    let sim = Server::sim(&["--latency-ms", &latency()]).await?;
    let provider =
        format!("[providers.sim]\nbase_url = \"http://{}/v1\"\n[worker]\nslots = 500\n", sim.address);
    let folder = project(&settings(&provider))?;
    let server = Server::serve(folder.path()).await?;
    let end = Instant::now() + span;
    let tasks: Vec<_> = (0..CLIENTS).map(|n| tokio::spawn(client(server.address.clone(), n, end))).collect();
    let (mut first, mut whole, mut errors) = (Histogram::<u64>::new(3)?, Histogram::<u64>::new(3)?, 0_u64);
    for task in tasks {
        let seen = task.await??;
        first.add(&seen.first)?;
        whole.add(&seen.whole)?;
        errors += seen.errors;
    }
    let ms = |histogram: &Histogram<u64>, quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1e3;
    println!(
        "{} jobs, errors {errors}; first event p50 {:.1} ms, p99 {:.1} ms; result p50 {:.0} ms, p99 {:.0} ms",
        whole.len(),
        ms(&first, 0.5),
        ms(&first, 0.99),
        ms(&whole, 0.5),
        ms(&whole, 0.99)
    );
    println!("server memory at most: {:.0} MiB", server.rss_mib()?.1);
    Ok(())
}

struct Seen {
    /// Microseconds from opening the stream to its first event.
    first: Histogram<u64>,
    /// Microseconds from submitting to the last event.
    whole: Histogram<u64>,
    errors: u64,
}

async fn client(address: String, number: usize, end: Instant) -> anyhow::Result<Seen> {
    let mut seen = Seen { first: Histogram::new(3)?, whole: Histogram::new(3)?, errors: 0 };
    let mut wire = Wire::connect(&address).await?;
    let mut n = 0;
    while Instant::now() < end {
        let begin = Instant::now();
        let body = format!("{{\"crew\":\"echo\",\"input\":{{\"message\":\"client {number} {n}\"}}}}");
        n += 1;
        let status = wire.post("/v1/jobs", &body).await?;
        let path = wire.body_text().and_then(|job| {
            let id = job.split_once("\"id\":\"")?.1.split('"').next()?;
            Some(format!("/v1/jobs/{id}"))
        });
        let (202, Some(path)) = (status, path) else {
            seen.errors += 1;
            continue;
        };
        let opened = Instant::now();
        let (first, complete) = listen(&address, &format!("{path}/events")).await?;
        seen.first.record(micros(first.duration_since(opened)))?;
        let result = wire.get(&path).await?;
        let ok =
            complete && result == 200 && wire.body_text().is_some_and(|job| job.contains("\"succeeded\""));
        seen.errors += u64::from(!ok);
        seen.whole.record(micros(begin.elapsed()))?;
    }
    Ok(seen)
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX).max(1)
}

/// Reads a stream to its end: when its first event came, and whether it ended with the job's success.
async fn listen(address: &str, path: &str) -> anyhow::Result<(Instant, bool)> {
    let mut stream = open(address, path).await?;
    let (mut bytes, mut first) = (Vec::new(), None);
    while stream.read_buf(&mut bytes).await? > 0 {
        if first.is_none() && bytes.windows(7).any(|seven| seven == b"event: ") {
            first = Some(Instant::now());
        }
    }
    let complete = String::from_utf8_lossy(&bytes).contains("event: job.succeeded");
    Ok((first.context("a stream without an event")?, complete))
}

async fn open(address: &str, path: &str) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    Ok(stream)
}

/// 10,000 streams of a job that does not move.
pub(crate) async fn idle_streams() -> anyhow::Result<()> {
    println!("## {STREAMS} idle event streams");
    let folder = project(&settings("[providers.sim]\n[worker]\nslots = 0\n"))?;
    let server = Server::serve(folder.path()).await?;
    let mut wire = Wire::connect(&server.address).await?;
    wire.post("/v1/jobs", "{\"crew\":\"echo\",\"input\":{\"message\":\"still\"}}").await?;
    let job = wire.body_text().context("a job")?;
    let id = job.split_once("\"id\":\"").and_then(|(_, rest)| rest.split('"').next()).context("an id")?;
    let path = format!("/v1/jobs/{id}/events");
    let before = server.rss_mib()?.0;
    let mut streams = Vec::with_capacity(STREAMS);
    for _ in 0..STREAMS {
        let mut stream = open(&server.address, &path).await?;
        let mut bytes = Vec::new();
        while !bytes.windows(10).any(|ten| ten == b"job.queued") {
            anyhow::ensure!(stream.read_buf(&mut bytes).await? > 0, "a stream ended");
        }
        streams.push(stream);
    }
    // Long enough for a comment on each.
    tokio::time::sleep(Duration::from_secs(20)).await;
    let after = server.rss_mib()?.0;
    println!(
        "memory: {before:.0} MiB before, {after:.0} MiB with {STREAMS} streams: {:.1} KiB each",
        (after - before) * 1024.0 / STREAMS as f64
    );
    Ok(())
}

/// A steady load, with what must not grow looked at every half minute.
pub(crate) async fn soak() -> anyhow::Result<()> {
    let span = Duration::from_secs(seconds(1_800));
    println!("## soak: 50 jobs/s, {} s", span.as_secs());
    let sim = Server::sim(&["--latency-ms", "100"]).await?;
    let provider = format!(
        "[providers.sim]\nbase_url = \"http://{}/v1\"\n[worker]\nslots = 64\n[conversations]\nttl_seconds = 120\n",
        sim.address
    );
    let folder = project(&settings(&provider))?;
    let server = Server::serve(folder.path()).await?;
    let body = Arc::new(|n: u64| format!("{{\"user_id\":\"user-{}\",\"message\":\"hello {n}\"}}", n % 5_000));
    let target =
        Target { address: server.address.clone(), path: "/chat", headers: no_headers(), body, status: 202 };
    let running = tokio::spawn(load(target, 8, Some(50.0), span));
    let begin = Instant::now();
    while !running.is_finished() {
        let files = std::fs::read_dir(format!("/proc/{}/fd", server.child.id().context("the server runs")?))?;
        let size = |name: &str| {
            std::fs::metadata(folder.path().join("data").join(name)).map_or(0, |file| file.len() / 1024)
        };
        println!(
            "{:5.0} s: memory {:.1} MiB, files {}, WAL {} KiB, database {} KiB",
            begin.elapsed().as_secs_f64(),
            server.rss_mib()?.0,
            files.count(),
            size("quarterdeck.db-wal"),
            size("quarterdeck.db")
        );
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
    println!("accepting: {}", running.await??.line());
    Ok(())
}
