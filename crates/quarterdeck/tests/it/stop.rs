//! SIGTERM: what is under way is finished and journaled or handed back, and the next process goes on.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::process::{
    PATIENCE, Project, SUMS, Socket, finished, get, http, in_mid_call, post, quarterdeck, sim, until,
    with_sim,
};

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

/// Submits on a connection of its own; answers the job's id.
async fn submit(url: String, n: u64) -> String {
    let body = json!({"crew": "sums", "input": {"question": n}});
    let sent = http().post(format!("{url}/v1/jobs")).json(&body).send().await;
    let answer = sent.unwrap_or_else(|error| panic!("request {n} failed: {error:?}"));
    assert_eq!(answer.status(), 202, "request {n}");
    let job: Value = answer.json().await.unwrap();
    job["id"].as_str().unwrap().to_owned()
}

/// 100 requests a second, whatever becomes of the earlier ones, until told to stop. Answers the jobs.
async fn steady_load(url: String, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    let mut requests = JoinSet::new();
    for n in 0.. {
        pace.tick().await;
        if stop.load(Ordering::SeqCst) {
            break;
        }
        requests.spawn(submit(url.clone(), n));
    }
    let all = tokio::time::timeout(PATIENCE, requests.join_all()).await;
    all.expect("every request is answered")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_under_load_fail_no_request_lose_no_job_and_burn_no_try() {
    let sim = sim(&["--latency-ms", "40"]).await;
    let project = Project::new(
        &with_sim(&sim, "[worker]\nslots = 64\n[log]\nlevel = \"error\"\n"),
        &[("sums.yaml", SUMS)],
    );
    let socket = Socket::open();
    let mut server = socket.serve(&project).await;
    let stop = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn(steady_load(socket.url(), Arc::clone(&stop)));
    for round in 0..20 {
        // Each server must have done some work before it is told to stop.
        let started = get(&sim.url("/ledger")).await["totals"]["started"].as_u64().unwrap();
        until("this server made calls", || async {
            let now = get(&sim.url("/ledger")).await;
            (now["totals"]["started"].as_u64().unwrap() > started + 10 && now["in_flight"] != 0).then_some(())
        })
        .await;
        server.terminate();
        let status = tokio::time::timeout(PATIENCE, server.child.wait()).await.expect("it stops").unwrap();
        assert_eq!(status.code(), Some(0), "round {round}");
        server = socket.serve(&project).await;
    }
    stop.store(true, Ordering::SeqCst);
    let ids = load.await.unwrap();
    assert!(ids.len() >= 200, "only {} requests", ids.len());
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "one job for each request");
    let mut taken_over = 0;
    for id in &ids {
        let job = finished(&socket.url(), id).await;
        assert_eq!(job["status"], "succeeded", "{job}");
        taken_over += usize::from(job["attempt"].as_u64().unwrap() > 1);
    }
    assert!(taken_over > 0, "no job was under way at any stop");
    let ledger = get(&sim.url("/ledger")).await;
    assert_eq!(ledger["forgotten"], 0, "the ledger is whole");
    for (call, counts) in ledger["calls"].as_object().unwrap() {
        assert_eq!(counts["started"], 1, "{call} was made once");
        assert!(call.ends_with("/1"), "{call} is a first try");
    }
    eprintln!("{} requests, {taken_over} jobs handed over", ids.len());
}

#[tokio::test]
async fn supervisor_hears_when_the_server_is_ready_and_when_it_stops() {
    let sim = sim(&[]).await;
    let project = Project::new(&with_sim(&sim, ""), &[]);
    let path = project.path().join("notify");
    let socket = tokio::net::UnixDatagram::bind(&path).unwrap();
    let mut child = quarterdeck(&project.path())
        .args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--quiet"])
        .env("NOTIFY_SOCKET", &path)
        .spawn()
        .unwrap();
    let hear = async |expected: &str| {
        let mut bytes = [0; 256];
        let length = tokio::time::timeout(PATIENCE, socket.recv(&mut bytes)).await.expect(expected).unwrap();
        assert_eq!(String::from_utf8_lossy(&bytes[..length]).trim(), expected);
    };
    hear("READY=1").await;
    let id = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    hear("STOPPING=1").await;
    assert!(tokio::time::timeout(PATIENCE, child.wait()).await.unwrap().unwrap().success());
}
