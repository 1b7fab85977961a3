//! What this machine can do without us: an axum echo under the same load, batched SQLite inserts, fdatasync.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::routing::post;
use serde_json::Value;

use crate::load::{Target, no_headers, run as load};

pub(crate) async fn run() -> anyhow::Result<()> {
    println!("## baselines");
    let echo = echo().await?;
    println!("axum echo, 64 connections, closed loop: {}", echo.line());
    println!("SQLite inserts, WAL, synchronous=FULL, 64 a commit, 512 bytes: {:.0}/s", inserts()?);
    let (p50, p99) = fdatasync()?;
    println!("fdatasync of 4 KiB: p50 {p50:.3} ms, p99 {p99:.3} ms");
    Ok(())
}

/// The same requests as `accept`, answered with their own body.
pub(crate) async fn echo() -> anyhow::Result<crate::load::Outcome> {
    let router =
        axum::Router::new().route("/chat", post(|Json(body): Json<Value>| async move { Json(body) }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let body = Arc::new(|n: u64| format!("{{\"user_id\":\"user-{n}\",\"message\":\"hello\"}}"));
    let outcome = load(
        Target { address, path: "/chat", headers: no_headers(), body, status: 200 },
        64,
        None,
        Duration::from_secs(5),
    )
    .await?;
    server.abort();
    Ok(outcome)
}

fn inserts() -> anyhow::Result<f64> {
    let folder = tempfile::tempdir_in(".")?;
    let connection = rusqlite::Connection::open(folder.path().join("b.db"))?;
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB)")?;
    let payload = vec![7_u8; 512];
    let (start, mut rows) = (Instant::now(), 0_u64);
    while start.elapsed() < Duration::from_secs(2) {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for _ in 0..64 {
            connection.prepare_cached("INSERT INTO t (x) VALUES (?1)")?.execute([&payload])?;
            rows += 1;
        }
        connection.execute_batch("COMMIT")?;
    }
    Ok(rows as f64 / start.elapsed().as_secs_f64())
}

fn fdatasync() -> anyhow::Result<(f64, f64)> {
    let mut file = tempfile::tempfile_in(".")?;
    let mut times = Vec::new();
    for _ in 0..500 {
        file.write_all(&[1; 4096])?;
        let start = Instant::now();
        file.sync_data()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok((times[times.len() / 2], times[times.len() * 99 / 100]))
}
