//! Calls of one second: 512 slots, the simulator as a process of its own over HTTP.

use std::sync::Arc;
use std::time::Duration;

use crate::load::{Target, no_headers, run as load};
use crate::process::{Server, project};

pub(crate) async fn run() -> anyhow::Result<()> {
    println!("## 1 s calls, 512 slots, simulator over HTTP");
    let sim = Server::sim(&["--latency-ms", "1000"]).await?;
    let folder = project(&format!(
        "default_crew = \"echo\"\ndefault_model = \"sim/standard\"\n[worker]\nslots = 512\n[queue]\nmax_depth = 2000000\n\
         [log]\nlevel = \"error\"\n[providers.sim]\nkind = \"sim\"\nbase_url = \"http://{}/v1\"\n",
        sim.address
    ))?;
    let server = Server::serve(folder.path()).await?;
    let body = Arc::new(|n: u64| format!("{{\"user_id\":\"user-{n}\",\"message\":\"hello\"}}"));
    let target =
        Target { address: server.address.clone(), path: "/chat", headers: no_headers(), body, status: 202 };
    let feed = tokio::spawn(load(target, 32, Some(600.0), Duration::from_secs(20)));
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (before, since) = (answered(&sim).await?, std::time::Instant::now());
    tokio::time::sleep(Duration::from_secs(12)).await;
    let rate = (answered(&sim).await? - before) as f64 / since.elapsed().as_secs_f64();
    let (now, most) = server.rss_mib()?;
    println!("{rate:.0} calls/s; server memory {now:.0} MiB now, {most:.0} MiB at most");
    println!("accepting at 600/s meanwhile: {}", feed.await??.line());
    Ok(())
}

async fn answered(sim: &Server) -> anyhow::Result<u64> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(&sim.address).await?;
    stream.write_all(b"GET /ledger HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n\r\n").await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    // The body may be chunked; the totals come first and are found by their name.
    let after = body.split_once("\"answered\":").map_or("0", |(_, rest)| rest);
    Ok(after.split(|c: char| !c.is_ascii_digit()).next().unwrap_or("0").parse()?)
}
