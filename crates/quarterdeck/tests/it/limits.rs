//! Limits of the machine that the server runs into: open files, and a disk that takes no more.

#![cfg(target_os = "linux")]

use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::process::{Kept, PATIENCE, Process, Project, SUMS, finished, get, http, with_inner_sim};

/// Files that a process has open.
fn open_files(server: &Process) -> usize {
    let id = server.child.id().expect("it runs");
    std::fs::read_dir(format!("/proc/{id}/fd")).unwrap().count()
}

fn question(n: usize) -> Value {
    json!({"crew": "sums", "input": {"question": n}})
}

#[tokio::test]
async fn connections_beyond_the_limit_of_open_files_wait_and_nothing_is_lost() {
    let project = Project::new(&with_inner_sim(""), &[("sums.yaml", SUMS)]);
    let mut server = project.serve("127.0.0.1:0").await;
    let mut kept = Kept::open(&server.address).await;
    let (status, first) = kept.post("/v1/jobs", &question(0)).await;
    assert_eq!(status, 202, "{first}");
    finished(&server.url(""), first["id"].as_str().unwrap()).await;

    server.limit(&format!("--nofile={}", open_files(&server) + 8));
    let mut crowd = Vec::new();
    for _ in 0..40 {
        crowd.push(TcpStream::connect(&server.address).await.unwrap());
    }
    let line = server.says("cannot accept a connection; trying again").await;
    assert!(line.contains("Too many open files"), "{line}");
    let waiting = tokio::spawn(http().get(server.url("/health")).send());
    let mut accepted = Vec::new();
    for n in 1..6 {
        let (status, job) = kept.post("/v1/jobs", &question(n)).await;
        assert_eq!(status, 202, "who is connected is served: {job}");
        accepted.push(job["id"].as_str().unwrap().to_owned());
    }
    drop(crowd);
    let health = tokio::time::timeout(PATIENCE, waiting).await.expect("in time").unwrap().unwrap();
    assert_eq!(health.status(), 200, "whoever waited is served once there is room");
    for id in accepted {
        let job = finished(&server.url(""), &id).await;
        assert_eq!(job["status"], "succeeded", "{job}");
    }
}

#[tokio::test]
async fn server_whose_disk_refuses_writes_stops_and_the_next_one_has_every_job() {
    let project = Project::new(&with_inner_sim("[worker]\nslots = 1\n"), &[("sums.yaml", SUMS)]);
    // Writes beyond the limit fail instead of ending the process by a signal.
    let mut command = Command::new("sh");
    command.current_dir(project.folder.path()).env_clear().kill_on_drop(true);
    command.args(["-c", "trap '' XFSZ; exec \"$0\" serve --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0"]);
    command.arg(env!("CARGO_BIN_EXE_quarterdeck"));
    let mut server = Process::start(&mut command, "API").await;
    let mut accepted = Vec::new();
    let submit = |url: String, n: usize| async move {
        http().post(url).header("idempotency-key", format!("key-{n}")).json(&question(n)).send().await
    };
    for n in 0..5 {
        let answer = submit(server.url("/v1/jobs"), n).await.unwrap();
        assert_eq!(answer.status(), 202);
        accepted.push(answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned());
    }
    let log = project.path().join("data/quarterdeck.db-wal");
    server.limit(&format!("--fsize={}", std::fs::metadata(log).unwrap().len()));
    let mut refused = 5;
    // Until the disk refuses: what is answered before that counts.
    while let Ok(answer) = submit(server.url("/v1/jobs"), refused).await {
        if answer.status() != 202 {
            assert_eq!(answer.status(), 503);
            let problem: Value = answer.json().await.unwrap();
            assert_eq!(problem["code"], "store_unavailable", "{problem}");
            break;
        }
        accepted.push(answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned());
        refused += 1;
    }
    let line = server.says("the store stopped after an I/O error").await;
    assert!(line.contains("disk I/O error"), "{line}");
    let ended = tokio::time::timeout(PATIENCE, server.child.wait()).await.expect("it stops").unwrap();
    assert_eq!(ended.code(), Some(1), "it ends rather than go on with a file that it cannot trust");

    let server = project.serve("127.0.0.1:0").await;
    let again = submit(server.url("/v1/jobs"), refused).await.unwrap();
    assert_eq!(again.status(), 202);
    accepted.push(again.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned());
    for id in &accepted {
        let job = finished(&server.url(""), id).await;
        assert_eq!(job["status"], "succeeded", "{job}");
    }
    let listed = get(&server.url("/v1/jobs?limit=100")).await;
    assert_eq!(listed["jobs"].as_array().map(Vec::len), Some(accepted.len()), "{listed}");
}
