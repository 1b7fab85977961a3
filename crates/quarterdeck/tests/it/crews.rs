//! The example crews, run on the simulator as a user runs them, and as a service.

use std::path::PathBuf;

use futures::StreamExt;
use serde_json::{Value, json};

use crate::process::{Project, finished, get, http, post, run, said, with_inner_sim};

const SAVING_CALLS: &str = include_str!("../../../../docs/guides/saving-calls.md");

fn example(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/crews").join(name).canonicalize().unwrap()
}

#[tokio::test]
async fn example_crews_run_to_their_end_with_one_command() {
    let folder = tempfile::tempdir().unwrap();
    for (crew, input, calls) in [
        ("research.yaml", vec!["topic=tidal power"], 3),
        ("support.yaml", vec!["message=Where is my order?"], 1),
        ("newsletter", vec!["subject=night trains"], 3),
    ] {
        let path = example(crew);
        let mut args = vec!["run", path.to_str().unwrap(), "--sim", "-o", "json"];
        for pair in &input {
            args.extend(["-i", pair]);
        }
        let output = run(folder.path(), &args).await;
        let (out, err, code) = said(&output);
        assert_eq!(code, 0, "{crew}: {err}");
        let job: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(job["status"], "succeeded");
        assert!(job["output"]["raw"].as_str().unwrap().len() > 40, "{crew}: {}", job["output"]["raw"]);
        assert_eq!(job["usage"]["model_calls"], calls, "{crew}");
        assert_ne!(job["cost_usd"], "0.00", "simulated calls have a price");
        assert!(err.contains("done"), "progress is told on standard error: {err}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a run leaves nothing behind");
}

#[tokio::test]
async fn support_conversation_remembers_over_a_restart() {
    let support = std::fs::read_to_string(example("support.yaml")).unwrap();
    let project = Project::new(&with_inner_sim("default_crew = \"support\""), &[("support.yaml", &support)]);
    let mut server = project.serve("127.0.0.1:0").await;
    let mut answers = Vec::new();
    for message in ["My parcel is late. [[sim: answer=Please tell me the order number]]", "It is 4711."] {
        let (status, accepted) =
            post(&server.url("/chat"), &json!({"user_id": "ada", "message": message})).await;
        assert_eq!((status, accepted["status"].as_str()), (202, Some("queued")));
        let id = accepted["job_id"].as_str().unwrap().to_owned();
        finished(&server.url(""), &id).await;
        let chat = get(&server.url(&format!("/chat/{id}"))).await;
        assert_eq!(chat["status"], "completed");
        answers.push((id, chat["response"].as_str().unwrap().to_owned()));
        server.kill().await;
        server = project.serve("127.0.0.1:0").await;
    }
    assert_eq!(answers[0].1, "Please tell me the order number");
    let job = get(&server.url(&format!("/v1/jobs/{}", answers[1].0))).await;
    assert_eq!(job["conversation_id"], "ada");
    // The history is part of the second prompt: it has more tokens than the first one by the first exchange.
    let first = get(&server.url(&format!("/v1/jobs/{}", answers[0].0))).await;
    let tokens = |job: &Value| job["usage"]["input_tokens"].as_u64().unwrap();
    assert!(tokens(&job) > tokens(&first), "{} {}", tokens(&job), tokens(&first));
}

#[tokio::test]
async fn tokens_reach_whoever_listens_while_they_come() {
    let project = Project::new(&with_inner_sim(""), &[]);
    let server = project.serve("127.0.0.1:0").await;
    let wish = "Tell me about tides [[sim: latency=300ms]]";
    let (_, job) =
        post(&server.url("/v1/jobs"), &json!({"crew": "assistant", "input": {"message": wish}})).await;
    let id = job["id"].as_str().unwrap();
    let mut events =
        http().get(server.url(&format!("/v1/jobs/{id}/events"))).send().await.unwrap().bytes_stream();
    let mut text = String::new();
    while let Some(Ok(piece)) = events.next().await {
        text.push_str(&String::from_utf8_lossy(&piece));
    }
    // The last of each: an agent with tools finishes other steps before it speaks.
    let place =
        |word: &str| text.rfind(&format!("event: {word}\n")).unwrap_or_else(|| panic!("no {word} in {text}"));
    let order = [
        "job.queued",
        "job.started",
        "task.started",
        "delta",
        "step.finished",
        "task.finished",
        "job.succeeded",
    ];
    assert!(order.windows(2).all(|pair| place(pair[0]) < place(pair[1])), "{text}");
}

/// The crew of the guide to saving calls, word for word.
fn guide_crew() -> &'static str {
    let (_, rest) =
        SAVING_CALLS.split_once("<!-- crews/faq.yaml -->\n```yaml\n").expect("the guide has a crew");
    rest.split_once("```").unwrap().0
}

/// Its requests.
fn guide_requests() -> Vec<Value> {
    let bodies = SAVING_CALLS.lines().filter_map(|line| line.trim().strip_prefix("-d '")?.strip_suffix('\''));
    bodies.map(|body| serde_json::from_str(body).unwrap()).collect()
}

#[tokio::test]
async fn second_job_of_the_guide_to_saving_calls_costs_nothing_also_after_a_restart() {
    let project = Project::new(&with_inner_sim(""), &[("faq.yaml", guide_crew())]);
    let mut server = project.serve("127.0.0.1:0").await;
    let mut jobs = Vec::new();
    for request in guide_requests() {
        let sent = http().post(server.url("/v1/jobs")).header("prefer", "wait=30").json(&request);
        let job: Value = sent.send().await.unwrap().json().await.unwrap();
        assert_eq!(job["status"], "succeeded", "{job}");
        jobs.push(job);
        server.kill().await;
        server = project.serve("127.0.0.1:0").await;
    }
    let [first, second] = &jobs[..] else { panic!("the guide has two requests") };
    assert_eq!(first["output"], second["output"]);
    assert_ne!(first["cost_usd"], "0.00");
    let path = format!("/v1/jobs/{}/steps", second["id"].as_str().unwrap());
    let step = get(&server.url(&path)).await["steps"][0].clone();
    assert_eq!(
        (&step["source"], &step["cost_usd"], &step["saved_usd"]),
        (&json!("cached"), &json!("0.00"), &first["cost_usd"])
    );
}
