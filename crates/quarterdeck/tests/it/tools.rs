//! Tools that are HTTP requests, over crashes: what only looks or knows its repetitions is asked again, what may happen once
//! is not.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::process::{Project, finished, get, post, until, with_inner_sim};

/// Answers one request a connection once it may, and keeps every request's head in lower case.
#[derive(Clone)]
struct Service {
    url: String,
    heard: Arc<Mutex<Vec<String>>>,
    /// Until this is set, nobody is answered.
    answers: tokio::sync::watch::Sender<bool>,
}

impl Service {
    async fn start(answers: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let service = Self { url, heard: Arc::default(), answers: tokio::sync::watch::Sender::new(answers) };
        let serving = service.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (heard, mut may) = (Arc::clone(&serving.heard), serving.answers.subscribe());
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
                        assert!(stream.read_buf(&mut head).await.unwrap() > 0, "a whole head");
                    }
                    heard.lock().unwrap().push(String::from_utf8_lossy(&head).to_lowercase());
                    may.wait_for(|may| *may).await.unwrap();
                    let body = r#"{"order": {"state": "on its way", "token": "tok-123456789"}}"#;
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                        body.len()
                    );
                    // Whoever asked may be dead.
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        service
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    fn settings(&self, effect: &str) -> String {
        let settings = format!(
            "[tools.order_state]\ndescription = \"The state of an order.\"\nurl = \"{}/orders/{{id}}\"\nmethod = \"POST\"\n\
             effect = \"{effect}\"\nbearer = \"tok-123456789\"\nresult = {{ state = \"/order/state\", token = \"/order/token\" }}\n\
             [tools.order_state.parameters]\nproperties.id = {{ type = \"string\" }}\nrequired = [\"id\"]\n",
            self.url
        );
        with_inner_sim(&settings)
    }
}

const CREW: &str = r"
name: orders
agents:
  clerk: {role: Clerk, goal: Help, backstory: You know the shop., tools: [order_state]}
tasks:
  - {name: look, description: 'Where is {order}? [[sim: tool=order_state]]', expected_output: An answer, agent: clerk}
";

async fn submit(url: &str) -> String {
    let (status, job) =
        post(&format!("{url}/v1/jobs"), &json!({"crew": "orders", "input": {"order": "7"}})).await;
    assert_eq!(status, 202, "{job}");
    job["id"].as_str().unwrap().to_owned()
}

async fn tool_steps(url: &str, id: &str) -> Vec<Value> {
    let page = get(&format!("{url}/v1/jobs/{id}/steps")).await;
    page["steps"].as_array().unwrap().iter().filter(|step| step["kind"] == "tool").cloned().collect()
}

fn key(head: &str) -> Option<&str> {
    head.lines().find_map(|line| line.strip_prefix("idempotency-key: "))
}

#[tokio::test]
async fn a_crew_asks_a_service_with_a_secret_that_no_model_sees() {
    let service = Service::start(true).await;
    let project = Project::new(&service.settings("read"), &[("orders.yaml", CREW)]);
    let server = project.serve("127.0.0.1:0").await;
    let id = submit(&server.url("")).await;
    let job = finished(&server.url(""), &id).await;
    assert_eq!(job["status"], "succeeded", "{job}");
    let heard = service.heard();
    assert!(
        heard[0].starts_with("post /orders/") && heard[0].contains("authorization: bearer tok-123456789"),
        "{heard:?}"
    );
    assert_eq!(key(&heard[0]), None);
    let events =
        crate::process::http().get(server.url(&format!("/v1/jobs/{id}/events"))).send().await.unwrap();
    let events = events.text().await.unwrap();
    assert!(
        events.contains("on its way") && events.contains("[secret]") && !events.contains("tok-123"),
        "{events}"
    );
}

#[tokio::test]
async fn a_call_in_flight_at_a_crash_is_repeated_under_the_same_key() {
    let service = Service::start(false).await;
    let project = Project::new(&service.settings("idempotent"), &[("orders.yaml", CREW)]);
    let mut server = project.serve("127.0.0.1:0").await;
    let id = submit(&server.url("")).await;
    until("the service is asked", || async { (service.heard().len() == 1).then_some(()) }).await;
    server.kill().await;
    service.answers.send_replace(true);
    let server = project.serve("127.0.0.1:0").await;
    let job = finished(&server.url(""), &id).await;
    assert_eq!(job["status"], "succeeded", "{job}");
    let heard = service.heard();
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert!(key(&heard[0]).is_some() && key(&heard[0]) == key(&heard[1]), "{heard:?}");
}

#[tokio::test]
async fn a_call_that_may_happen_once_is_never_repeated_and_its_doubt_is_told() {
    let service = Service::start(false).await;
    let project = Project::new(&service.settings("at_most_once"), &[("orders.yaml", CREW)]);
    let mut server = project.serve("127.0.0.1:0").await;
    let id = submit(&server.url("")).await;
    until("the service is asked", || async { (service.heard().len() == 1).then_some(()) }).await;
    assert_eq!(tool_steps(&server.url(""), &id).await[0]["status"], "unknown");
    server.kill().await;
    service.answers.send_replace(true);
    let server = project.serve("127.0.0.1:0").await;
    let job = finished(&server.url(""), &id).await;
    assert_eq!(
        (&job["status"], &job["error"]["code"]),
        (&json!("failed"), &json!("tool_outcome_unknown")),
        "{job}"
    );
    assert!(job["error"]["message"].as_str().unwrap().contains("`order_state`"), "{job}");
    assert_eq!(service.heard().len(), 1);
    assert_eq!(tool_steps(&server.url(""), &id).await.len(), 1);
    // Another job is another call.
    let again = submit(&server.url("")).await;
    assert_eq!(finished(&server.url(""), &again).await["status"], "succeeded");
    let heard = service.heard();
    assert!(heard.len() == 2 && key(&heard[0]) != key(&heard[1]), "{heard:?}");
}
