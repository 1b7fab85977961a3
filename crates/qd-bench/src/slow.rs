//! What clients that dawdle cost the others: heads that never end, bodies that drip, event streams that nobody reads.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::load::{Target, Wire, no_headers, run as load};
use crate::process::{Server, project};

const SLOW_HEADS: usize = 400;
const SLOW_BODIES: usize = 400;
const NOT_READING: usize = 200;
const RATE: f64 = 1_000.0;

pub(crate) async fn run() -> anyhow::Result<()> {
    println!(
        "## slow clients: {SLOW_HEADS} heads, {SLOW_BODIES} bodies, {NOT_READING} streams that nobody reads"
    );
    let folder = project(
        "default_crew = \"echo\"\ndefault_model = \"sim/standard\"\n[providers.sim]\n[worker]\nslots = 16\n\
         [queue]\nmax_depth = 2000000\n[log]\nlevel = \"error\"\n",
    )?;
    let server = Server::serve(folder.path()).await?;
    let body = Arc::new(|n: u64| format!("{{\"user_id\":\"user-{n}\",\"message\":\"hello\"}}"));
    let target =
        Target { address: server.address.clone(), path: "/chat", headers: no_headers(), body, status: 202 };
    load(target.clone(), 64, Some(RATE), Duration::from_secs(2)).await?;
    // Twice without and twice with them, in turns: the machine is noisy.
    for round in 1..=2 {
        let alone = load(target.clone(), 64, Some(RATE), Duration::from_secs(10)).await?;
        println!("round {round}, alone: {}", alone.line());
        let mut slow = dawdlers(&server.address).await?;
        let beside = load(target.clone(), 64, Some(RATE), Duration::from_secs(10)).await?;
        println!("round {round}, beside them: {}", beside.line());
        println!("p99 {:.2} times", beside.ms(0.99) / alone.ms(0.99));
        slow.abort_all();
    }
    let (now, most) = server.rss_mib()?;
    println!("server memory: {now:.0} MiB now, {most:.0} MiB at most");
    Ok(())
}

async fn dawdlers(address: &str) -> anyhow::Result<JoinSet<()>> {
    let mut wire = Wire::connect(address).await?;
    // A job with many events for those who do not read: each of them is owed all of it.
    wire.post("/v1/jobs", "{\"crew\":\"echo\",\"input\":{\"message\":\"hello\"}}").await?;
    let job = wire.body_text().unwrap_or_default().to_owned();
    let id = job.split_once("\"id\":\"").and_then(|(_, rest)| rest.split('"').next()).unwrap_or_default();
    let stream = format!("GET /v1/jobs/{id}/events HTTP/1.1\r\nhost: x\r\n\r\n");
    let mut all = JoinSet::new();
    for _ in 0..SLOW_HEADS {
        let address = address.to_owned();
        all.spawn(async move { drip(&address, b"POST /chat HTTP/1.1\r\nhost: x\r\nx-header: ").await });
    }
    let head =
        b"POST /chat HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n";
    for _ in 0..SLOW_BODIES {
        let address = address.to_owned();
        all.spawn(async move { drip(&address, head).await });
    }
    for _ in 0..NOT_READING {
        let (address, stream) = (address.to_owned(), stream.clone());
        all.spawn(async move {
            let Ok(mut socket) = TcpStream::connect(&address).await else { return };
            let _ = socket.write_all(stream.as_bytes()).await;
            std::future::pending::<()>().await;
        });
    }
    Ok(all)
}

/// Sends a beginning, then one byte after the other; begins anew when it is cut off.
async fn drip(address: &str, beginning: &[u8]) {
    loop {
        let Ok(mut socket) = TcpStream::connect(address).await else { return };
        if socket.write_all(beginning).await.is_err() {
            continue;
        }
        while socket.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}
