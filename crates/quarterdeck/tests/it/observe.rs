//! What the server tells about itself while it works, fails, tries again and stops: every metric of the catalogue, log
//! lines with the fields of the list, and nothing of what it was given to keep.

use std::collections::BTreeSet;

use qd_telemetry::{CATALOGUE, FIELDS, Kind};
use serde_json::{Value, json};

use crate::process::{Process, Project, SUMS, finished, http, post, sim, until};

/// In a prompt, an answer, an argument of a tool, a key, and what callers send besides.
const SECRETS: [&str; 6] =
    ["xyzzyprompt", "xyzzyanswer", "61234567", "xyzzykey", "xyzzyconversation", "xyzzynobody"];

const ASK: &str = r"
name: ask
agents:
  host: {role: Host, goal: Talk, backstory: You listen.}
tasks:
  - {name: answer, description: Say hello, expected_output: A greeting, agent: host, human_input: true}
";

fn configuration(sim: &Process) -> String {
    format!(
        r#"
default_model = "remote/standard"
[routing]
small = "remote/standard"
[log]
level = "trace"
format = "json"
[retry]
base_ms = 10
cap_ms = 20
wait_in_slot_ms = 0
[providers.remote]
kind = "openai"
base_url = "{}"
api_key = "xyzzykey"
trace_header = true
"#,
        sim.url("/v1")
    )
}

/// Jobs that end well, fail at once, are tried again; requests that are refused; an event stream.
async fn exercise(server: &str) {
    for (question, status) in [
        ("xyzzyprompt: what is 61234567 * 3? [[sim: answer=xyzzyanswer]]", "succeeded"),
        ("xyzzyprompt [[sim: tool=calculator times=1]] what is 61234567 * 3?", "succeeded"),
        ("xyzzyprompt [[sim: fault=401]]", "failed"),
        ("xyzzyprompt [[sim: fault=500 times=1]]", "succeeded"),
    ] {
        let body = json!({
            "crew": "sums", "input": { "question": question }, "conversation_id": "xyzzyconversation",
            "metadata": { "note": "xyzzyprompt" },
        });
        let sent =
            http().post(format!("{server}/v1/jobs")).header("idempotency-key", question.len().to_string());
        let job: Value = sent.json(&body).send().await.unwrap().json().await.unwrap();
        let job = finished(server, job["id"].as_str().unwrap_or_else(|| panic!("{job}"))).await;
        assert_eq!(job["status"], status, "{job}");
        if question.contains("answer=") {
            assert!(job["output"]["raw"].as_str().unwrap().contains("xyzzyanswer"), "{job}");
        }
        let events = http().get(format!("{server}/v1/jobs/{}/events", job["id"].as_str().unwrap())).send();
        assert!(events.await.unwrap().text().await.unwrap().contains(&format!("event: job.{status}")));
    }
    // Somebody is asked, and answers.
    let (_, asking) = post(&format!("{server}/v1/jobs"), &json!({ "crew": "ask", "input": {} })).await;
    let id = asking["id"].as_str().unwrap_or_else(|| panic!("{asking}"));
    let answered = until("somebody is asked", || async {
        let body = json!({ "approve": true, "feedback": "xyzzyprompt" });
        let (status, _) = post(&format!("{server}/v1/jobs/{id}/resume"), &body).await;
        (status == 202).then_some(())
    });
    answered.await;
    assert_eq!(finished(server, id).await["status"], "succeeded");
    // The built-in crew leaves the choice of the model to the rules.
    let (_, task) = post(&format!("{server}/tasks"), &json!({ "task": "xyzzyprompt" })).await;
    let job = finished(server, task["task_id"].as_str().unwrap()).await;
    assert_eq!(job["status"], "succeeded", "{job}");
    let refused = json!({ "crew": "xyzzynobody", "input": { "xyzzyprompt": 1 }, "priority": "xyzzyprompt" });
    assert_eq!(post(&format!("{server}/v1/jobs"), &refused).await.0, 422);
    let lost = http().get(format!("{server}/xyzzyprompt")).send().await.unwrap();
    assert_eq!(lost.status(), 404);
}

fn assert_complete(exposition: &str) {
    for line in CATALOGUE {
        let (name, kind) = (line.name, line.kind.as_str());
        for head in [format!("# HELP {name} {}.", line.help), format!("# TYPE {name} {kind}")] {
            assert!(exposition.lines().any(|found| found == head), "{head}\n{exposition}");
        }
        let sample = if line.kind == Kind::Histogram { format!("{name}_count") } else { name.to_owned() };
        let has_sample = exposition
            .lines()
            .any(|found| found.strip_prefix(&sample).is_some_and(|rest| rest.starts_with(['{', ' '])));
        assert!(has_sample, "{sample}\n{exposition}");
    }
    let served = exposition.lines().filter(|line| line.starts_with("# TYPE ")).count();
    assert_eq!(served, CATALOGUE.len(), "nothing beside the catalogue is served");
}

fn assert_fields(lines: &[String]) -> BTreeSet<String> {
    let known: BTreeSet<&str> = FIELDS.iter().map(|field| field.name).collect();
    let mut messages = BTreeSet::new();
    for line in lines.iter().filter(|line| line.starts_with('{')) {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        for field in line.as_object().unwrap().keys() {
            assert!(known.contains(field.as_str()), "field `{field}` is not on the list: {line}");
        }
        messages.insert(line["message"].as_str().unwrap_or_else(|| panic!("no message: {line}")).to_owned());
    }
    messages
}

#[tokio::test]
async fn metrics_are_complete_and_neither_they_nor_the_logs_tell_what_jobs_hold() {
    let sim = sim(&[]).await;
    let project = Project::new(&configuration(&sim), &[("sums.yaml", SUMS), ("ask.yaml", ASK)]);
    let mut process = project.serve("127.0.0.1:0").await;
    let admin = process.address_after("Health").await;
    let server = process.url("");
    exercise(&server).await;

    let scraped = http().get(format!("http://{admin}/metrics")).send().await.unwrap().text().await.unwrap();
    assert_complete(&scraped);
    let stats = http().get(format!("{server}/v1/stats")).send().await.unwrap().text().await.unwrap();
    let counted: Value = serde_json::from_str(&stats).unwrap();
    assert_eq!(
        (&counted["recent"]["succeeded"], &counted["recent"]["failed"]),
        (&json!(5), &json!(1)),
        "{stats}"
    );

    process.terminate();
    let lines = process.all_lines().await;
    let messages = assert_fields(&lines);
    for message in [
        "starting",
        "worker started",
        "ready",
        "model answered",
        "job succeeded",
        "job failed",
        "model call failed",
        "job is tried again later",
        "request refused",
        "worker drains",
    ] {
        assert!(messages.contains(message), "no line says `{message}`: {messages:#?}");
    }
    for (what, text) in [("metrics", &scraped), ("stats", &stats), ("logs", &lines.join("\n"))] {
        for secret in SECRETS {
            assert!(!text.contains(secret), "`{secret}` stands in the {what}:\n{text}");
        }
    }
}
