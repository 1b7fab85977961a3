//! Accepted jobs: `POST /chat` over 64 connections, strict durability, workers idle, a queue of two million.

use std::sync::Arc;
use std::time::Duration;

use crate::load::{Target, no_headers, run as load};
use crate::process::{Server, project};

pub(crate) async fn run() -> anyhow::Result<()> {
    println!("## accepted jobs/s");
    let folder = project(
        "default_crew = \"echo\"\ndefault_model = \"sim/standard\"\n[providers.sim]\n[worker]\nslots = 0\n\
         [queue]\nmax_depth = 2000000\n[log]\nlevel = \"error\"\n",
    )?;
    let server = Server::serve(folder.path()).await?;
    let body = Arc::new(|n: u64| format!("{{\"user_id\":\"user-{n}\",\"message\":\"hello\"}}"));
    let target =
        Target { address: server.address.clone(), path: "/chat", headers: no_headers(), body, status: 202 };
    load(target.clone(), 64, None, Duration::from_secs(2)).await?;
    let closed = load(target.clone(), 64, None, Duration::from_secs(10)).await?;
    println!("closed loop: {}", closed.line());
    for rate in [5_000.0, 10_000.0] {
        let open = load(target.clone(), 64, Some(rate), Duration::from_secs(10)).await?;
        println!("open loop at {rate}/s: {}", open.line());
    }
    let (now, most) = server.rss_mib()?;
    println!("server memory: {now:.0} MiB now, {most:.0} MiB at most");
    Ok(())
}
