//! The idle server: memory, time to ready, size of the binary.

use std::time::Duration;

use crate::process::{Server, binary, project};

pub(crate) async fn run() -> anyhow::Result<()> {
    println!("## idle");
    let folder = project("default_model = \"sim/standard\"\n[providers.sim]\n[log]\nlevel = \"error\"\n")?;
    let mut starts = Vec::new();
    for round in 0..10 {
        let mut server = Server::serve(folder.path()).await?;
        starts.push(server.started_in.as_secs_f64() * 1e3);
        if round == 9 {
            tokio::time::sleep(Duration::from_secs(3)).await;
            println!("memory after 3 s idle: {:.0} MiB", server.rss_mib()?.0);
        }
        server.child.kill().await?;
    }
    starts.sort_by(f64::total_cmp);
    println!("start to ready: median {:.0} ms, longest {:.0} ms of 10", starts[5], starts[9]);
    println!("binary: {:.1} MiB", std::fs::metadata(binary()?)?.len() as f64 / (1 << 20) as f64);
    Ok(())
}
