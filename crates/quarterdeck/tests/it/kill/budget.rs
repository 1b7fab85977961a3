//! A day's budget over kills of the real binary: what the provider charged never passes it, whatever was under way (G6).

use std::time::Duration;

use serde_json::{Value, json};

use super::{TALK, load, number};
use crate::process::{Project, get, post, sim, until, with_sim};

/// In nano-dollars; some hundred calls of the simulator.
const BUDGET: i64 = 20_000_000;

fn nano(dollars: &Value) -> i64 {
    let dollars: qd_types::NanoDollars = dollars.as_str().expect("money is text").parse().unwrap();
    dollars.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_server_never_spends_more_than_its_budget() {
    let seed = number("QUARTERDECK_TEST_SEED", fastrand::u64(..));
    eprintln!("QUARTERDECK_TEST_SEED={seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let sim = sim(&["--latency-ms", "80"]).await;
    let settings = "[worker]\nslots = 64\n[budgets]\ntenant_day_usd = 0.02\n[log]\nlevel = \"error\"\n";
    let project = Project::new(&with_sim(&sim, settings), &[("talk.yaml", TALK)]);
    let mut server = project.serve("127.0.0.1:0").await;
    let address = server.address.clone();
    for n in 0..400 {
        let job = json!({ "crew": "talk", "input": { "message": format!("What of {n}?") } });
        assert_eq!(post(&server.url("/v1/jobs"), &job).await.0, 202);
    }
    for _ in 0..6 {
        // Calls are under way when it dies: they may be on the bill.
        load::pause(rng.u64(60..200)).await;
        server.kill().await;
        server = project.serve(&address).await;
        assert!(charged(&sim.url("/ledger/summary")).await <= BUDGET);
    }
    until("all jobs are over", || async {
        let stats = get(&server.url("/v1/stats")).await;
        let open = ["scheduled", "queued", "running", "retrying", "waiting"];
        let left: u64 = open.iter().map(|status| stats["jobs"][status].as_u64().unwrap_or(0)).sum();
        (left == 0).then_some(())
    })
    .await;
    let spent = charged(&sim.url("/ledger/summary")).await;
    assert!(spent <= BUDGET, "{spent} of {BUDGET}");
    assert!(spent > BUDGET / 3, "most of it is spent on answers: {spent} of {BUDGET}");
    let usage = get(&server.url("/v1/usage")).await;
    let told = nano(&usage["total"]["cost_usd"]) + nano(&usage["total"]["possible_cost_usd"]);
    assert!(told <= BUDGET && told > 0, "{usage}");
    let failed = get(&server.url("/v1/jobs?status=failed&limit=500")).await;
    let failed = failed["jobs"].as_array().unwrap();
    assert!(!failed.is_empty(), "the budget was used up");
    // One that was under way at three deaths in a row, each before anything came back, is given up for that.
    let may_be =
        |job: &Value| matches!(job["error"]["code"].as_str(), Some("budget_exceeded" | "worker_crashed"));
    assert!(failed.iter().all(may_be), "{failed:?}");
}

/// What the provider has charged so far.
async fn charged(ledger: &str) -> i64 {
    tokio::time::timeout(Duration::from_secs(10), get(ledger))
        .await
        .map(|page| nano(&page["billed"]["cost_usd"]))
        .unwrap()
}
