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

/// The job, once it waits for a person.
async fn waiting(url: &str, id: &str) -> Value {
    until("the job waits", || async {
        let job = get(&format!("{url}/v1/jobs/{id}")).await;
        (job["status"] == "waiting").then_some(job)
    })
    .await
}

#[tokio::test]
async fn a_call_that_may_happen_once_is_never_repeated_and_a_person_is_asked_what_came_of_it() {
    let service = Service::start(false).await;
    let project = Project::new(&service.settings("at_most_once"), &[("orders.yaml", CREW)]);
    let mut server = project.serve("127.0.0.1:0").await;
    let id = submit(&server.url("")).await;
    until("the service is asked", || async { (service.heard().len() == 1).then_some(()) }).await;
    assert_eq!(tool_steps(&server.url(""), &id).await[0]["status"], "unknown");
    for _ in 0..2 {
        server.kill().await;
        service.answers.send_replace(true);
        server = project.serve("127.0.0.1:0").await;
        let job = waiting(&server.url(""), &id).await;
        let asked = job["waiting"]["output"].as_str().unwrap();
        assert!(asked.contains("`order_state`") && asked.contains("its worker was gone"), "{job}");
    }
    let answer = json!({"approve": true, "feedback": "It is on a ship."});
    let (status, job) = post(&server.url(&format!("/v1/jobs/{id}/resume")), &answer).await;
    assert_eq!(status, 202, "{job}");
    let job = finished(&server.url(""), &id).await;
    assert_eq!(job["status"], "succeeded", "{job}");
    assert!(job["output"]["raw"].as_str().unwrap().contains("It is on a ship."), "{job}");
    assert_eq!(service.heard().len(), 1);
    let steps = tool_steps(&server.url(""), &id).await;
    assert_eq!((steps.len(), &steps[0]["status"]), (1, &json!("finished")), "{steps:?}");
    // Another job is another call.
    let again = submit(&server.url("")).await;
    assert_eq!(finished(&server.url(""), &again).await["status"], "succeeded");
    let heard = service.heard();
    assert!(heard.len() == 2 && key(&heard[0]) != key(&heard[1]), "{heard:?}");
}

#[tokio::test]
async fn a_call_that_may_happen_once_and_is_not_answered_waits_for_a_person_without_a_slot() {
    let service = Service::start(false).await;
    let settings = service.settings("at_most_once").replace("bearer =", "timeout_seconds = 1\nbearer =");
    let project = Project::new(&format!("{settings}[worker]\nslots = 1\n"), &[("orders.yaml", CREW)]);
    let server = project.serve("127.0.0.1:0").await;
    let id = submit(&server.url("")).await;
    let job = waiting(&server.url(""), &id).await;
    assert!(job["waiting"]["output"].as_str().unwrap().contains("did not answer within 1 s"), "{job}");
    // The only slot is free meanwhile.
    let (_, other) =
        post(&server.url("/v1/jobs"), &json!({"crew": "assistant", "input": {"message": "hi"}})).await;
    assert_eq!(finished(&server.url(""), other["id"].as_str().unwrap()).await["status"], "succeeded");
    let answer = json!({"approve": false, "feedback": "the shop was closed"});
    let (status, job) = post(&server.url(&format!("/v1/jobs/{id}/resume")), &answer).await;
    assert_eq!(status, 202, "{job}");
    let job = finished(&server.url(""), &id).await;
    assert_eq!(job["status"], "succeeded", "{job}");
    assert!(job["output"]["raw"].as_str().unwrap().contains("not carried out: the shop was closed"), "{job}");
    assert_eq!(service.heard().len(), 1);
}
