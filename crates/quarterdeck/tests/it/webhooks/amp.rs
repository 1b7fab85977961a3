//! A client of CrewAI's platform: kicks a crew off, is told of everything at its own URLs, answers, and reads the result.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{Hook, Process, Project, Receiver, SECRET, SOON, get, is_signed, post, until, with_inner_sim};

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

/// A server with a crew, a receiver of its news, and a kickoff that is told of there.
struct Client {
    receiver: Receiver,
    base: String,
    project: Project,
    server: Process,
    id: String,
}

impl Client {
    async fn start() -> Self {
        let receiver = Receiver::start(SOON, |_, _| 200).await;
        let base = receiver.url.trim_end_matches("/hooks").to_owned();
        let settings = format!("[delivery]\nsecret = \"{SECRET}\"");
        let project = Project::new(&with_inner_sim(&settings), &[("letters.yaml", CREW)]);
        let server = project.serve("127.0.0.1:0").await;
        let mut client = Self { receiver, base, project, server, id: String::new() };
        client.kickoff().await;
        client
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    async fn kickoff(&mut self) {
        let inputs = get(&self.server.url("/v1/crews/letters/inputs")).await;
        assert_eq!(inputs, json!({ "inputs": ["topic"] }));
        let kickoff = json!({
            "inputs": {"topic": "what is 6 * 7? [[sim: tool=calculator times=1]]"},
            "meta": {"order": 4711},
            "taskWebhookUrl": self.url("/task"),
            "stepWebhookUrl": self.url("/step"),
            "crewWebhookUrl": self.url("/crew"),
            "humanInputWebhook": {
                "url": self.url("/human"), "authentication": {"strategy": "bearer", "token": "s3cret-token"},
            },
        });
        let (status, started) = post(&self.server.url("/v1/crews/letters/kickoff"), &kickoff).await;
        assert_eq!(status, 200, "{started}");
        self.id = started["kickoff_id"].as_str().unwrap().to_owned();
    }

    async fn status(&self) -> Value {
        get(&self.server.url(&format!("/v1/crews/letters/status/{}", self.id))).await
    }

    async fn resume(&self, body: Value) -> (u16, Value) {
        let mut body = body;
        body["execution_id"] = json!(self.id);
        post(&self.server.url("/v1/crews/letters/resume"), &body).await
    }

    /// What the question is, as its webhook and the status tell it.
    async fn asked(&self) -> Value {
        let asked = nth(&self.receiver, "/human", 1).await;
        assert_eq!(asked.authorization, "Bearer s3cret-token");
        let question = asked.body();
        for (field, value) in [
            ("execution_id", json!(self.id)),
            ("kickoff_id", json!(self.id)),
            ("state", json!("Pending Human Input")),
            ("task_id", json!("draft/turn-2/human")),
            ("task_name", json!("draft")),
        ] {
            assert_eq!(question[field], value, "{field}");
        }
        let status = self.status().await;
        assert_eq!((&status["status"], &status["state"]), (&json!("running"), &json!("Pending Human Input")));
        assert_eq!(status["human_input"]["output"], question["task_output"]);
        let other = get(&self.server.url(&format!("/v1/crews/letters/{}/status", self.id))).await;
        assert_eq!(other, status);
        question
    }

    /// Sends it back once, then approves.
    async fn answer(&self, question: &Value) {
        let first = json!({
            "task_id": question["task_id"], "human_feedback": "Shorter.", "is_approve": false,
            "crewWebhookUrl": self.url("/done"),
        });
        let (status, answer) = self.resume(first).await;
        assert_eq!((status, &answer["status"]), (200, &json!("retrying")), "{answer}");
        let again = nth(&self.receiver, "/human", 2).await.body();
        assert_eq!(again["task_id"], "draft/turn-3/human");
        let late = json!({"task_id": question["task_id"], "is_approve": true});
        let (status, refused) = self.resume(late).await;
        let not_pending = json!("Execution is not in pending human input state");
        assert_eq!((status, &refused["error"]), (400, &not_pending));
        let approve = json!({"task_id": "draft", "human_feedback": "", "is_approve": true});
        let (status, answer) = self.resume(approve).await;
        assert_eq!((status, &answer["status"]), (200, &json!("resumed")), "{answer}");
    }
}

#[tokio::test]
async fn a_kickoff_tells_its_urls_of_everything_and_is_answered_and_read_as_there() {
    let mut client = Client::start().await;
    let question = client.asked().await;
    // It waits over a kill, and its URLs are remembered; one of them is replaced by the answer.
    client.server.kill().await;
    client.server = client.project.serve("127.0.0.1:0").await;
    client.answer(&question).await;

    let done = nth(&client.receiver, "/done", 1).await;
    let status = client.status().await;
    assert_eq!(status["status"], "completed");
    assert_eq!(status["result"]["output"], done.body()["result"]);
    assert_eq!(status["result"]["tasks"][1]["task_id"], "polish");
    assert!(status["execution_time"].is_f64() && status["result"]["tasks"][0]["execution_time"].is_f64());
    assert!(done.body()["token_usage"]["total_tokens"].as_u64() > Some(0), "{}", done.text);
    let task = nth(&client.receiver, "/task", 2).await.body();
    for field in ["description", "name", "expected_output", "summary", "agent", "output", "kickoff_id"] {
        assert!(task[field].is_string(), "{field}: {task}");
    }
    check_steps(&client.receiver).await;
    for hook in client.receiver.hooks() {
        assert!(is_signed(&hook, SECRET) && !hook.text.contains("s3cret-token"), "{}", hook.text);
        assert_eq!(hook.authorization.is_empty(), hook.path != "/human", "{}", hook.path);
        assert_eq!(hook.body()["meta"], json!({"order": 4711}));
    }
    // The native API shows the same job, and no URL or token.
    let job = get(&client.server.url(&format!("/v1/jobs/{}", client.id))).await;
    assert_eq!(job["status"], "succeeded");
    assert!(!job.to_string().contains(&client.base) && !job.to_string().contains("s3cret"), "{job}");
    let stop = client.server.url(&format!("/v1/crews/letters/stop/{}", client.id));
    let detail = json!({"detail": "Cannot stop execution. Current state: SUCCESS"});
    assert_eq!(post(&stop, &json!({})).await, (400, detail));
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
