//! Repeating requests with a key: on every route that makes jobs.

use qd_store::{NewJob, OtherBody};
use qd_types::{CrewName, JobId, TenantId};
use serde_json::{Value, json};

use crate::tests::Server;
use crate::tests::client::Reply;

const KEY: &str = "idempotency-key";

fn id(reply: &Reply) -> String {
    let body = reply.json();
    let id = ["id", "job_id", "task_id"].iter().find_map(|field| body[field].as_str());
    id.unwrap_or_else(|| panic!("no id: {body}")).to_owned()
}

fn routes() -> [(&'static str, Value, Value); 3] {
    [
        (
            "/v1/jobs",
            json!({ "crew": "solo", "input": { "topic": "a" } }),
            json!({ "crew": "solo", "input": { "topic": "b" } }),
        ),
        ("/chat", json!({ "user_id": "u", "message": "a" }), json!({ "user_id": "u", "message": "b" })),
        ("/tasks", json!({ "task": "a" }), json!({ "task": "b" })),
    ]
}

#[tokio::test]
async fn the_same_key_and_body_give_the_same_job_marked_as_replayed() {
    let server = Server::start().await;
    for (route, body, _) in routes() {
        let first = server.post_with(route, &[(KEY, "k-1")], &body).await;
        assert_eq!(
            (first.status, first.header("idempotent-replayed")),
            (202, None),
            "{route}: {}",
            first.text()
        );
        let again = server.post_with(route, &[(KEY, "k-1")], &body).await;
        assert_eq!((again.status, again.header("idempotent-replayed")), (202, Some("true")), "{route}");
        assert_eq!((id(&again), again.json()), (id(&first), first.json()), "{route}");
        assert_eq!(again.header("location"), first.header("location"));
    }
    // The same key on another route is another key.
    assert_eq!(server.store.stats().await.unwrap().queued, 3);
}

#[tokio::test]
async fn the_same_key_with_another_body_is_refused_and_names_the_job() {
    let server = Server::start().await;
    for (route, body, other) in routes() {
        let first = server.post_with(route, &[(KEY, "k")], &body).await;
        let refused = server.post_with(route, &[(KEY, "k")], &other).await;
        let problem = refused.problem(422, "idempotency_conflict");
        assert!(problem["detail"].as_str().unwrap().contains(&id(&first)), "{problem}");
    }
}

#[tokio::test]
async fn another_spelling_of_the_body_is_the_same_body() {
    let server = Server::start().await;
    let headers = [("content-type", "application/json"), (KEY, "k")];
    let first = br#"{"crew":"research","input":{"topic":"\u00fc","tone":"x"}}"#;
    let second = "{ \"input\": {\"tone\":\"x\", \"topic\":\"ü\"},\n \"crew\":\"research\" }".as_bytes();
    let (first, second) = (
        server.request("POST", "/v1/jobs", &headers, first).await,
        server.request("POST", "/v1/jobs", &headers, second).await,
    );
    assert_eq!((id(&first), second.header("idempotent-replayed")), (id(&second), Some("true")));
}

#[tokio::test]
async fn without_a_key_every_request_is_a_job_of_its_own() {
    let server = Server::start().await;
    for (route, body, _) in routes() {
        let (first, second) = (server.post(route, &body).await, server.post(route, &body).await);
        assert_ne!(id(&first), id(&second), "{route}");
    }
}

#[tokio::test]
async fn a_replay_shows_the_job_as_it_is_now_and_waits_if_asked() {
    let server = Server::start().await;
    let (route, body, _) = routes()[0].clone();
    server.post_with(route, &[(KEY, "k")], &body).await;
    server.succeed().await;
    let plain = server.post_with(route, &[(KEY, "k")], &body).await;
    assert_eq!((plain.status, &plain.json()["status"]), (202, &json!("succeeded")));
    let waited = server.post_with(route, &[(KEY, "k"), ("prefer", "wait=30")], &body).await;
    assert_eq!((waited.status, waited.header("idempotent-replayed")), (200, Some("true")));
}

#[tokio::test]
async fn a_key_in_the_body_of_a_task_gives_the_existing_job_whatever_the_body() {
    let server = Server::start().await;
    let first = server.post("/tasks", &json!({ "task": "a", "idempotency_key": "k" })).await;
    let again =
        server.post("/tasks", &json!({ "task": "other", "user_id": "u", "idempotency_key": "k" })).await;
    assert_eq!((again.status, id(&again)), (202, id(&first)), "{}", again.text());
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
}

#[tokio::test]
async fn the_header_wins_over_the_key_in_the_body() {
    let server = Server::start().await;
    let body = |task: &str| json!({ "task": task, "idempotency_key": "in-the-body" });
    let first = server.post_with("/tasks", &[(KEY, "in-the-header")], &body("a")).await;
    let of_body = server.post("/tasks", &body("a")).await;
    assert_ne!(id(&first), id(&of_body));
    server
        .post_with("/tasks", &[(KEY, "in-the-header")], &body("b"))
        .await
        .problem(422, "idempotency_conflict");
}

#[tokio::test]
async fn refused_requests_do_not_burn_the_key() {
    let server = Server::with(|_| {}, |store| store.max_depth = 1).await;
    let (route, body, other) = routes()[0].clone();
    server
        .post_with(route, &[(KEY, "k")], &json!({ "crew": "solo" }))
        .await
        .problem(422, "validation_failed");
    server.post(route, &body).await;
    server.post_with(route, &[(KEY, "k")], &other).await.problem(503, "queue_full");
    server.succeed().await;
    let made = server.post_with(route, &[(KEY, "k")], &body).await;
    assert_eq!((made.status, made.header("idempotent-replayed")), (202, None));
}

#[tokio::test]
async fn a_repeated_request_hears_of_its_job_although_it_would_not_be_accepted_now() {
    let server = Server::start().await;
    let body = json!({ "crew": "solo", "input": { "topic": "a" } });
    let first = server.post("/v1/jobs", &body).await;
    let job =
        server.store.job(&TenantId::default(), JobId::parse(&id(&first)).unwrap()).await.unwrap().unwrap();
    // As if it had been accepted while its crew was still there.
    let gone = json!({ "crew": "gone", "input": { "topic": "a" } });
    let hash = crate::body::canonical_hash(&gone);
    let accepted = NewJob {
        id: JobId::parse("0198c0de-0000-7000-8000-000000000001").unwrap(),
        tenant: job.tenant,
        crew: CrewName::new("gone"),
        crew_version: job.crew_version,
        machine_version: job.machine_version,
        total_tasks: 1,
        input: job.input,
        priority: job.priority,
        conversation: None,
        run_at: None,
        expires_at: None,
        timeout_seconds: 300,
        max_attempts: 5,
        metadata: job.metadata,
        budget: None,
        webhook_url: None,
        hooks: None,
        redrive_of: None,
        idempotency: Some(crate::submit::idempotency("POST /v1/jobs", "k", hash, OtherBody::Refuse)),
    };
    let accepted_id = accepted.id.to_string();
    server.store.enqueue(accepted).await.unwrap();
    let again = server.post_with("/v1/jobs", &[(KEY, "k")], &gone).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (202, Some("true")), "{}", again.text());
    assert_eq!(id(&again), accepted_id);
    server.post_with("/v1/jobs", &[(KEY, "other")], &gone).await.problem(422, "unknown_crew");
}
