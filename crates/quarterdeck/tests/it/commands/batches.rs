//! Batches of the real server: larger than its queue, over kills, from the command line.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::process::{Project, get, http, run, said, sim, until, with_inner_sim, with_sim};
use crate::webhooks::receiver::Receiver;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn messages(count: usize) -> String {
    (0..count).map(|n| format!("{{\"message\":\"input {n}\"}}\n")).collect()
}

async fn results(server: &str, id: &str) -> Vec<Value> {
    let answer = http().get(format!("{server}/v1/batches/{id}/results")).send().await.unwrap();
    lines(&answer.error_for_status().unwrap().text().await.unwrap())
}

async fn jobs_of(server: &str) -> Vec<Value> {
    let (mut jobs, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get(&format!("{server}/v1/jobs?limit=500{cursor}")).await;
        jobs.extend(page["jobs"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next_cursor"].as_str() else { return jobs };
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_server_loses_and_doubles_no_input_of_a_batch_larger_than_its_queue() {
    const INPUTS: usize = 400;
    const KILLS: usize = 6;
    let sim = sim(&["--latency-ms", "40"]).await;
    let receiver = Receiver::start(Duration::from_millis(1), |_, _| 204).await;
    let settings = format!(
        "[queue]\nmax_depth = 20\n[worker]\nslots = 8\n[log]\nlevel = \"error\"\n[egress]\nloopback = true\n\
         [delivery]\nsecret = \"{SECRET}\"\n"
    );
    let project = Project::new(&with_sim(&sim, &settings), &[]);
    let mut server = project.serve("127.0.0.1:0").await;
    let (address, url) = (server.address.clone(), server.url(""));
    let path = format!("{url}/v1/batches?crew=assistant&concurrency=100&webhook_url={}", receiver.url);
    let made = http().post(path).header("content-type", "application/x-ndjson").body(messages(INPUTS));
    let made: Value = made.send().await.unwrap().error_for_status().unwrap().json().await.unwrap();
    let id = made["id"].as_str().unwrap().to_owned();
    for kill in 1..=KILLS {
        until("more inputs are over", || async {
            let over = get(&format!("{url}/v1/batches/{id}")).await["counts"]["succeeded"].as_u64().unwrap();
            (over >= (kill * INPUTS / (KILLS + 2)) as u64).then_some(())
        })
        .await;
        server.kill().await;
        server = project.serve(&address).await;
    }
    let over = until("the batch is over", || async {
        let batch = get(&format!("{url}/v1/batches/{id}")).await;
        (batch["status"] != "running").then_some(batch)
    })
    .await;
    assert_eq!((&over["status"], &over["counts"]["succeeded"]), (&json!("finished"), &json!(INPUTS)));
    let results = results(&url, &id).await;
    assert_eq!(results.len(), INPUTS);
    for (index, result) in results.iter().enumerate() {
        assert_eq!((&result["index"], &result["status"]), (&json!(index), &json!("succeeded")));
    }
    let jobs = jobs_of(&url).await;
    assert_eq!(jobs.len(), INPUTS, "one job for each input");
    for job in &jobs {
        let index = job["batch_index"].as_u64().unwrap();
        assert_eq!(job["input"]["message"], format!("input {index}"));
        assert_eq!(results[usize::try_from(index).unwrap()]["job_id"], job["id"]);
    }
    let hooks =
        until("the end is told", || async { Some(receiver.hooks()).filter(|hooks| !hooks.is_empty()) }).await;
    let ids: BTreeSet<_> = hooks.iter().map(|hook| hook.id.clone()).collect();
    assert_eq!(ids.len(), 1, "one webhook, however often it was sent");
    let body = hooks[0].body();
    assert_eq!((&body["type"], &body["data"]), (&json!("batch.finished"), &over));
}

#[tokio::test]
async fn batches_are_sent_followed_read_and_stopped_from_the_command_line() {
    let project = Project::new(&with_inner_sim(""), &[]);
    let server = project.serve("127.0.0.1:0").await;
    let url = server.url("");
    let batches = async |args: &[&str]| {
        let args: Vec<&str> = ["batches"].iter().chain(args).copied().chain(["--url", &url]).collect();
        said(&run(&project.path(), &args).await)
    };
    std::fs::write(project.path().join("in.ndjson"), messages(5) + "nothing\n").unwrap();
    let (out, err, code) = batches(&["submit", "assistant", "in.ndjson", "--wait", "--label", "run=7"]).await;
    assert_eq!(code, 1, "{out}{err}");
    assert!(err.contains("1 inputs are invalid") && err.contains("5: line 6: the body is no JSON"), "{err}");
    assert!(err.contains("6 of 6 done") && err.contains("not every input succeeded"), "{err}");
    assert!(out.contains("succeeded    5") && out.contains("status       finished"), "{out}");
    std::fs::write(project.path().join("good.ndjson"), messages(3)).unwrap();
    let submit = ["submit", "assistant", "good.ndjson", "--idempotency-key", "k", "--concurrency", "2"];
    let (id, _, code) = batches(&submit).await;
    assert_eq!(code, 0);
    assert_eq!(batches(&submit).await.0, id, "the same batch");
    let id = id.trim();
    until("it is over", || async {
        (get(&format!("{url}/v1/batches/{id}")).await["status"] == "finished").then_some(())
    })
    .await;
    let (out, _, code) = batches(&["list", "-o", "json"]).await;
    let list: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, list.as_array().unwrap().len(), &list[0]["id"]), (0, 2, &json!(id)));
    assert_eq!(list[1]["metadata"], json!({ "run": "7" }));
    let (out, _, _) = batches(&["list"]).await;
    assert!(out.starts_with("ID") && out.contains("3/3") && out.contains("1 invalid"), "{out}");
    let (out, _, _) = batches(&["results", id, "-o", "jsonl"]).await;
    let results = lines(&out);
    assert_eq!(results.len(), 3);
    let (out, _, _) = batches(&["results", id, "-o", "json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), json!(results));
    let (out, _, _) = batches(&["results", id, "--status", "failed", "-o", "json"]).await;
    assert_eq!(out, "[]\n");
    let (out, _, _) = batches(&["results", id]).await;
    assert_eq!(out.lines().count(), 4, "{out}");
    let (_, err, code) = batches(&["cancel", id]).await;
    assert_eq!(code, 7, "{err}");
    let (_, err, code) = batches(&["get", "nothing"]).await;
    assert_eq!(code, 6, "{err}");
    let (_, err, code) = batches(&["submit", "assistant", "missing.ndjson"]).await;
    assert!(code == 2 && err.contains("missing.ndjson"), "{err}");
    let (_, err, code) = batches(&["submit", "assistant", "good.ndjson", "--label", "x"]).await;
    assert!(code == 2 && err.contains("KEY=VALUE"), "{err}");
    let (_, err, code) = batches(&["submit", "nobody", "good.ndjson"]).await;
    assert!(code == 2 && err.contains("unknown_crew"), "{err}");
}
