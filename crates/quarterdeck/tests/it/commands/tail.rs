//! `tail`: one job or all of them, and readers that go away.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

use crate::process::{PATIENCE, Project, in_mid_call, post, quarterdeck, sim, with_inner_sim, with_sim};

fn tail(project: &Project, args: &[&str]) -> Child {
    let mut command = quarterdeck(&project.path());
    command.arg("tail").args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

#[tokio::test]
async fn tail_ends_at_once_when_its_reader_has_gone() {
    let sim = sim(&["--latency-ms", "50000"]).await;
    let project = Project::new(&with_sim(&sim, ""), &[]);
    let server = project.serve("127.0.0.1:0").await;
    let url = server.url("");
    let (_, job) =
        post(&server.url("/v1/jobs"), &json!({"crew": "assistant", "input": {"message": "hi"}})).await;
    in_mid_call(&sim).await;
    for args in
        [vec!["-o", "jsonl", "--url", &url], vec![job["id"].as_str().unwrap(), "-o", "jsonl", "--url", &url]]
    {
        let mut child = tail(&project, &args);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        if args.len() == 5 {
            // As `head -1` does: a line, then gone, while nothing more happens for long.
            let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
            assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["event"], "job.queued");
        }
        drop(lines);
        let output = tokio::time::timeout(PATIENCE / 3, child.wait_with_output())
            .await
            .expect("ends at once")
            .unwrap();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && !err.contains("error"), "{:?} {err}", output.status);
    }
}

#[tokio::test]
async fn all_jobs_of_a_server_are_followed() {
    let project = Project::new(&with_inner_sim(""), &[("sums.yaml", crate::process::SUMS)]);
    let server = project.serve("127.0.0.1:0").await;
    let url = server.url("");
    let mut child = tail(&project, &["-o", "jsonl", "--url", &url]);
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let first = tokio::time::timeout(PATIENCE, said.next_line()).await.unwrap().unwrap().unwrap();
    assert!(first.contains("Following all jobs"), "{first}");
    let mut wanted = Vec::new();
    for n in 0..3 {
        let (_, job) =
            post(&server.url("/v1/jobs"), &json!({"crew": "sums", "input": {"question": n}})).await;
        wanted.push(job["id"].as_str().unwrap().to_owned());
    }
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while !wanted.is_empty() {
        let line =
            tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("all are told").unwrap().unwrap();
        let event: Value = serde_json::from_str(&line).unwrap();
        if event["event"] == "job.succeeded" {
            wanted.retain(|id| event["job"]["id"] != id.as_str());
        }
    }
    let id = child.id().unwrap();
    let interrupted = std::process::Command::new("kill").args(["-INT", &id.to_string()]).status().unwrap();
    assert!(interrupted.success());
    let status = tokio::time::timeout(PATIENCE, child.wait()).await.expect("ends").unwrap();
    assert_eq!(status.code(), Some(130));
}
