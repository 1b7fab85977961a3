//! A client of CrewAI's platform: kicks a crew off, is told of everything at its own URLs, answers, and reads the result.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{Hook, Project, Receiver, SECRET, SOON, get, is_signed, post, until, with_inner_sim};

const CREW: &str = r#"
name: letters
agents:
  clerk: {role: Clerk, goal: Answer, backstory: You are exact., tools: [calculator]}
tasks:
  - {name: draft, description: "Write about {topic}", expected_output: A text, agent: clerk, human_input: true}
  - {name: polish, description: Make it shine, expected_output: A text, agent: clerk}
"#;

/// What came to a path so far; what came twice, because of a kill, once.
fn at(receiver: &Receiver, path: &str) -> Vec<Hook> {
    let mut seen = HashSet::new();
    let of_path = receiver.hooks().into_iter().filter(|hook| hook.path == path);
    of_path.filter(|hook| seen.insert(hook.id.clone())).collect()
}

async fn nth(receiver: &Receiver, path: &str, count: usize) -> Hook {
    until("a webhook comes", || async { at(receiver, path).into_iter().nth(count - 1) }).await
}

#[tokio::test]
async fn a_kickoff_tells_its_urls_of_everything_and_is_answered_and_read_as_there() {
    let receiver = Receiver::start(SOON, |_, _| 200).await;
    let base = receiver.url.trim_end_matches("/hooks").to_owned();
    let url = |path: &str| format!("{base}{path}");
    let settings = format!("[delivery]\nsecret = \"{SECRET}\"");
    let project = Project::new(&with_inner_sim(&settings), &[("letters.yaml", CREW)]);
    let mut server = project.serve("127.0.0.1:0").await;
    let inputs = get(&server.url("/v1/crews/letters/inputs")).await;
    assert_eq!(inputs, json!({ "inputs": ["topic"] }));
    let kickoff = json!({
        "inputs": {"topic": "what is 6 * 7? [[sim: tool=calculator times=1]]"},
        "meta": {"order": 4711},
        "taskWebhookUrl": url("/task"),
        "stepWebhookUrl": url("/step"),
        "crewWebhookUrl": url("/crew"),
        "humanInputWebhook": {
            "url": url("/human"), "authentication": {"strategy": "bearer", "token": "s3cret-token"},
        },
    });
    let (status, started) = post(&server.url("/v1/crews/letters/kickoff"), &kickoff).await;
    assert_eq!(status, 200, "{started}");
    let id = started["kickoff_id"].as_str().unwrap().to_owned();

    let asked = nth(&receiver, "/human", 1).await;
    assert_eq!(asked.authorization, "Bearer s3cret-token");
    let question = asked.body();
    for (field, value) in [
        ("execution_id", json!(id)),
        ("kickoff_id", json!(id)),
        ("state", json!("Pending Human Input")),
        ("task_id", json!("draft/turn-2/human")),
        ("task_name", json!("draft")),
        ("meta", json!({"order": 4711})),
    ] {
        assert_eq!(question[field], value, "{field}");
    }
    let status = get(&server.url(&format!("/v1/crews/letters/status/{id}"))).await;
    assert_eq!((&status["status"], &status["state"]), (&json!("running"), &json!("Pending Human Input")));
    assert_eq!(status["human_input"]["output"], question["task_output"]);
    assert_eq!(get(&server.url(&format!("/v1/crews/letters/{id}/status"))).await, status);

    // It waits over a kill, and its URLs are remembered; one of them is replaced by the answer.
    server.kill().await;
    let server = project.serve("127.0.0.1:0").await;
    let resume = server.url("/v1/crews/letters/resume");
    let feedback = json!({
        "execution_id": id, "task_id": question["task_id"], "human_feedback": "Shorter.", "is_approve": false,
        "crewWebhookUrl": url("/done"),
    });
    let (status, answer) = post(&resume, &feedback).await;
    assert_eq!((status, &answer["status"]), (200, &json!("retrying")), "{answer}");
    let again = nth(&receiver, "/human", 2).await.body();
    assert_eq!(again["task_id"], "draft/turn-3/human");
    let late = json!({"execution_id": id, "task_id": question["task_id"], "is_approve": true});
    let (status, refused) = post(&resume, &late).await;
    assert_eq!((status, &refused["error"]), (400, &json!("Execution is not in pending human input state")));
    let approve = json!({"execution_id": id, "task_id": "draft", "human_feedback": "", "is_approve": true});
    let (status, answer) = post(&resume, &approve).await;
    assert_eq!((status, &answer["status"]), (200, &json!("resumed")), "{answer}");

    let done = nth(&receiver, "/done", 1).await;
    let status = get(&server.url(&format!("/v1/crews/letters/status/{id}"))).await;
    assert_eq!(
        (&status["status"], &status["result"]["output"]),
        (&json!("completed"), &done.body()["result"])
    );
    assert_eq!(status["result"]["tasks"][1]["task_id"], "polish");
    assert!(status["execution_time"].is_f64() && status["result"]["tasks"][0]["execution_time"].is_f64());
    assert!(done.body()["token_usage"]["total_tokens"].as_u64() > Some(0), "{}", done.text);
    let task = nth(&receiver, "/task", 2).await.body();
    for field in ["description", "name", "expected_output", "summary", "agent", "output", "kickoff_id"] {
        assert!(task[field].is_string(), "{field}: {task}");
    }
    check_steps(&receiver).await;
    for hook in receiver.hooks() {
        assert!(is_signed(&hook, SECRET) && !hook.text.contains("s3cret-token"), "{}", hook.text);
        assert_eq!(hook.authorization.is_empty(), hook.path != "/human", "{}", hook.path);
        assert_eq!(hook.body()["meta"], json!({"order": 4711}));
    }
    // The native API shows the same job, and no URL or token.
    let job = get(&server.url(&format!("/v1/jobs/{id}"))).await;
    assert_eq!(job["status"], "succeeded");
    assert!(!job.to_string().contains(&base) && !job.to_string().contains("s3cret"), "{job}");
    let stop = post(&server.url(&format!("/v1/crews/letters/stop/{id}")), &json!({})).await;
    assert_eq!(stop, (400, json!({"detail": "Cannot stop execution. Current state: SUCCESS"})));
}

/// One for each tool and each answer: three answers, and a call of each task.
async fn check_steps(receiver: &Receiver) {
    nth(receiver, "/step", 5).await;
    let steps: Vec<Value> = at(receiver, "/step").iter().map(Hook::body).collect();
    assert_eq!(steps.len(), 5, "{steps:#?}");
    let tool = steps.iter().find(|step| step["tool"] == "calculator").expect("a tool's step");
    assert!(tool["tool_input"].as_str().unwrap().contains("expression"), "{tool}");
    assert!(tool["prompt"].as_str().unwrap().starts_with("Write about what is 6 * 7?"), "{tool}");
    assert!(steps.iter().all(|step| step["result"].is_string()), "{steps:?}");
}
