//! `/chat` and `/tasks`: shapes, statuses, and where the text goes.

mod amp;
mod openai;
mod systems;

use std::time::Duration;

use qd_store::Outcome;
use qd_types::{CrewName, JobId};
use serde_json::{Value, json};

use super::Server;
use super::engine::failure;

fn job_of(body: &Value, field: &str) -> JobId {
    JobId::parse(body[field].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_chat_goes_from_queued_to_completed() {
    let server = Server::start().await;
    let said = server.post("/chat", &json!({ "user_id": "ann", "message": "hello", "priority": 3 })).await;
    assert_eq!(said.status, 202);
    let said = said.json();
    assert_eq!(said["status"], "queued");
    assert_eq!(said.as_object().unwrap().len(), 3, "{said}");
    let id = job_of(&said, "job_id");
    let job = server.stored(id).await;
    assert_eq!(job.conversation.unwrap().as_str(), "ann");
    assert_eq!((job.priority.get(), json!(job.input)), (3, json!({ "message": "hello" })));

    let path = format!("/chat/{id}");
    let read = async || server.get(&path).await.json();
    let queued = read().await;
    assert_eq!(queued, json!({ "job_id": id, "status": "queued", "submitted_at": said["submitted_at"] }));
    let claimed = server.claim().await;
    assert_eq!(read().await["status"], "processing");
    let retry = Outcome::Retry { after: Duration::ZERO, failure: failure() };
    server.finish(&claimed, retry).await;
    let retrying = read().await;
    assert_eq!((&retrying["status"], retrying.get("error")), (&json!("processing"), None));
    server.store.tick(10).await.unwrap();
    server.succeed().await;
    let done = read().await;
    assert_eq!((&done["status"], &done["response"]), (&json!("completed"), &json!("the answer")));
    assert!(done["completed_at"].is_string() && done.get("error").is_none());
}

#[tokio::test]
async fn failed_and_cancelled_chats_say_so() {
    let server = Server::start().await;
    let said = server.post("/chat", &json!({ "user_id": "u", "message": "m" })).await.json();
    let claimed = server.claim().await;
    server.finish(&claimed, Outcome::Failed(failure())).await;
    let failed = server.get(&format!("/chat/{}", said["job_id"].as_str().unwrap())).await.json();
    assert_eq!(
        (&failed["status"], &failed["error"]),
        (&json!("failed"), &json!("the provider is overloaded"))
    );
    assert!(failed.get("response").is_none() && failed["completed_at"].is_string());

    let task = server.post("/tasks", &json!({ "task": "t" })).await.json();
    let id = task["task_id"].as_str().unwrap().to_owned();
    server.request("POST", &format!("/v1/jobs/{id}/cancel"), &[], b"").await;
    let cancelled = server.get(&format!("/tasks/{id}")).await.json();
    assert_eq!(
        (&cancelled["status"], &cancelled["error"]),
        (&json!("failed"), &json!("the job was cancelled"))
    );
}

#[tokio::test]
async fn a_task_has_one_shape_from_beginning_to_end() {
    let server = Server::start().await;
    let given = server.post("/tasks", &json!({ "task": "count" })).await;
    assert_eq!(given.status, 202);
    let given = given.json();
    let id = job_of(&given, "task_id");
    let expected = json!({ "task_id": id, "status": "pending", "result": null, "error": null, "cost_usd": 0.0,
        "duration_ms": null });
    assert_eq!(given, expected);
    assert_eq!(server.stored(id).await.metadata["user_id"], "anonymous");
    assert_eq!(server.stored(id).await.conversation, None);
    let path = format!("/tasks/{id}");
    assert_eq!(server.get(&path).await.json(), expected);
    server.eventful().await;
    let done = server.get(&path).await.json();
    assert_eq!((&done["status"], &done["result"]), (&json!("complete"), &json!("the answer")));
    assert!((done["cost_usd"].as_f64().unwrap() - 0.0246).abs() < 1e-9, "{done}");
    assert!(done["duration_ms"].is_u64());
    // Both facades and the native API see the same job.
    assert_eq!(server.get(&format!("/chat/{id}")).await.json()["status"], "completed");
    assert_eq!(server.get(&format!("/v1/jobs/{id}")).await.json()["status"], "succeeded");
}

#[tokio::test]
async fn the_text_goes_to_message_or_to_the_only_variable() {
    for (crew, input) in [
        ("assistant", json!({ "message": "m" })),
        ("solo", json!({ "topic": "m" })),
        // Its other variable has a default.
        ("research", json!({ "topic": "m" })),
    ] {
        let server = Server::with(|options| options.default_crew = CrewName::new(crew), |_| {}).await;
        let said = server.post("/chat", &json!({ "user_id": "u", "message": "m" })).await;
        assert_eq!(said.status, 202, "{crew}: {}", said.text());
        assert_eq!(json!(server.stored(job_of(&said.json(), "job_id")).await.input), input, "{crew}");
    }
}

#[tokio::test]
async fn a_default_crew_that_cannot_take_a_text_is_the_servers_fault_and_is_explained() {
    for (crew, explanation) in [
        ("nobody", "is not published"),
        ("pair", "has no place for a text"),
        ("fixed", "has no place for a text"),
        ("broken", "model `nowhere/model` is not known"),
    ] {
        let server = Server::with(|options| options.default_crew = CrewName::new(crew), |_| {}).await;
        for (path, body) in
            [("/chat", json!({ "user_id": "u", "message": "m" })), ("/tasks", json!({ "task": "t" }))]
        {
            let problem = server.post(path, &body).await.problem(503, "crew_unavailable");
            assert!(problem["detail"].as_str().unwrap().contains(explanation), "{crew}: {problem}");
        }
    }
}
