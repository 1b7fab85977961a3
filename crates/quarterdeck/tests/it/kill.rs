//! The real binary under mixed load, killed with -9 at random: what clients were promised, the provider's ledger and the
//! store must agree. Lost 0, double results 0, journaled calls repeated 0; order, fairness, conversations and event
//! streams hold over every crash.
//!
//! More kills by `QUARTERDECK_TEST_KILLS=1000 cargo xtask test -- kill`; `QUARTERDECK_TEST_SEED` repeats a run's choices.

mod budget;
mod check;
mod load;

use std::sync::atomic::Ordering;

use crate::process::{PATIENCE, Project, SUMS, get, sim, with_sim};
use load::Load;

/// Talks: one call, with the history of its conversation.
pub(crate) const TALK: &str = r#"
name: talk
agents:
  host: {role: Host, goal: Talk, backstory: You listen.}
tasks:
  - {name: answer, description: "{message}", expected_output: An answer, agent: host}
"#;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_server_loses_nothing_and_repeats_no_journaled_call() {
    let (kills, seed) =
        (number("QUARTERDECK_TEST_KILLS", 100), number("QUARTERDECK_TEST_SEED", fastrand::u64(..)));
    eprintln!("QUARTERDECK_TEST_SEED={seed} QUARTERDECK_TEST_KILLS={kills}");
    let mut rng = fastrand::Rng::with_seed(seed);
    // A ledger that forgets nothing: a run of 1,000 kills makes some ten thousand calls.
    let sim = sim(&["--latency-ms", "60", "--fault", "503:0.03"]).await;
    let settings =
        "[worker]\nslots = 8\n[retry]\nbase_ms = 20\n[queue]\nmax_depth = 100000\n[log]\nlevel = \"error\"\n";
    let project = Project::new(&with_sim(&sim, settings), &[("sums.yaml", SUMS), ("talk.yaml", TALK)]);
    let mut server = project.serve("127.0.0.1:0").await;
    let address = server.address.clone();
    let load = Load::new(format!("http://{address}"), seed);
    let clients = load.start();

    let (mut in_mid_call, mut restarts) = (0, Vec::new());
    for n in 0..kills {
        if n > 0 && n % 100 == 0 {
            eprintln!("{n} kills, {} jobs promised", load.promises().len());
        }
        load::pause(rng.u64(150..800)).await;
        let under_way = get(&sim.url("/ledger")).await["in_flight"].as_u64().unwrap();
        server.kill().await;
        in_mid_call += u64::from(under_way > 0);
        restarts.push(jiff::Timestamp::now().as_millisecond());
        server = project.serve(&address).await;
    }
    load.stop.store(true, Ordering::SeqCst);
    for client in clients {
        tokio::time::timeout(PATIENCE, client).await.expect("clients end in time").unwrap();
    }
    assert!(in_mid_call >= kills / 3, "kills hit calls in flight: {in_mid_call} of {kills}");
    let promises = load.promises();
    check::Run::read(&server.url(""), &sim.url("/ledger"), promises, restarts).await.check(kills).await;
}
