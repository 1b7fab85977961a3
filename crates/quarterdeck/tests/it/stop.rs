//! SIGTERM: what is under way is finished and journaled or handed back, and the next process goes on.

use std::time::Duration;

use serde_json::json;

use crate::process::{PATIENCE, Project, SUMS, finished, get, http, in_mid_call, post, sim, until, with_sim};

#[tokio::test]
async fn terminated_server_hands_its_jobs_over_without_repeating_a_call() {
    let sim = sim(&["--latency-ms", "150"]).await;
    let project = Project::new(&with_sim(&sim, "[worker]\nslots = 4\n"), &[("sums.yaml", SUMS)]);
    let mut server = project.serve("127.0.0.1:0").await;
    let mut ids = Vec::new();
    for n in 0..6 {
        let (status, job) =
            post(&server.url("/v1/jobs"), &json!({"crew": "sums", "input": {"question": n}})).await;
        assert_eq!(status, 202, "{job}");
        ids.push(job["id"].as_str().unwrap().to_owned());
    }
    in_mid_call(&sim).await;
    server.terminate();
    let status =
        tokio::time::timeout(PATIENCE, server.child.wait()).await.expect("it stops in time").unwrap();
    assert_eq!(status.code(), Some(0));

    let server = project.serve("127.0.0.1:0").await;
    for id in &ids {
        let job = finished(&server.url(""), id).await;
        assert_eq!(job["status"], "succeeded", "{job}");
    }
    let ledger = get(&sim.url("/ledger")).await;
    for (call, counts) in ledger["calls"].as_object().unwrap() {
        assert_eq!(counts["started"], 1, "{call} was made once: nothing was dropped, nothing in doubt");
    }
}

#[tokio::test]
async fn second_signal_stops_at_once_and_the_job_goes_on_later() {
    let sim = sim(&["--latency-ms", "20000"]).await;
    let project = Project::new(&with_sim(&sim, ""), &[("sums.yaml", SUMS)]);
    let mut server = project.serve("127.0.0.1:0").await;
    let (_, job) = post(&server.url("/v1/jobs"), &json!({"crew": "sums", "input": {"question": 1}})).await;
    in_mid_call(&sim).await;
    server.terminate();
    // The first signal is being handled once the server says that it is no longer ready.
    until("it is not ready any more", || async {
        let answer = http().get(server.url("/ready")).send().await;
        answer.map_or(true, |answer| answer.status() != 200).then_some(())
    })
    .await;
    server.terminate();
    let status =
        tokio::time::timeout(Duration::from_secs(10), server.child.wait()).await.expect("at once").unwrap();
    assert_eq!(status.code(), Some(130));

    let server = project.serve("127.0.0.1:0").await;
    let id = job["id"].as_str().unwrap();
    let again = get(&server.url(&format!("/v1/jobs/{id}"))).await;
    assert!(matches!(again["status"].as_str(), Some("queued" | "running")), "{again}");
}
