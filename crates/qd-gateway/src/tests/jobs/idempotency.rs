//! Repeating requests with a key: on every route that makes jobs.

use std::sync::Arc;
use std::time::Duration;

use qd_env::{Env, ManualClock};
use serde_json::{Value, json};

use crate::Rates;
use crate::tests::client::Reply;
use crate::tests::{Server, publish, spec};

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

/// With the key of a number, unless the body has one.
async fn again(server: &Server, n: usize, path: &str, body: &Value) -> Reply {
    if body.get("idempotency_key").is_some() {
        return server.post(path, body).await;
    }
    server.post_with(path, &[(KEY, &n.to_string())], body).await
}

#[tokio::test]
async fn a_repeated_request_hears_of_its_job_although_it_would_not_be_accepted_now() {
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    let server = Server::built(Env::with(clock.clone(), 5), |_| {}, |_| {}, Rates::default()).await;
    let in_body = ("/tasks", json!({ "task": "a", "idempotency_key": "in-the-body" }));
    let asked: Vec<_> = routes().map(|(path, body, _)| (path, body)).into_iter().chain([in_body]).collect();
    let mut made = Vec::new();
    for (n, (path, body)) in asked.iter().enumerate() {
        made.push(id(&again(&server, n, path, body).await));
    }
    // From now on it wants two variables, and none of them is a text.
    for crew in ["solo", "assistant"] {
        publish(&server.store, crew, &spec(crew, "Compare {left} and {right}", None)).await;
    }
    clock.advance(Duration::from_secs(3));
    for (n, (path, body)) in asked.iter().enumerate() {
        let again = again(&server, n, path, body).await;
        assert_eq!(
            (again.status, again.header("idempotent-replayed")),
            (202, Some("true")),
            "{}",
            again.text()
        );
        assert_eq!(id(&again), made[n], "{path}");
        let new = server.post_with(path, &[(KEY, "new")], body).await;
        assert!([422, 503].contains(&new.status), "{path}: {}", new.text());
    }
}
