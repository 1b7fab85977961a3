//! Requests at the edge of what is taken, and what is told of those beyond it. What is wrong in one way is the corpus's.

use serde_json::{Value, json};

use super::Server;
use super::client::{parse, raw};

const JSON: (&str, &str) = ("content-type", "application/json");

fn long(n: usize) -> String {
    "x".repeat(n)
}

/// A job that would be fine but for one field.
fn with(field: &str, value: Value) -> Value {
    let mut body = json!({ "crew": "solo", "input": { "topic": "t" } });
    body[field] = value;
    body
}

#[tokio::test]
async fn bodies_are_taken_up_to_the_limit_exactly() {
    let server = Server::with(|options| options.body_bytes_max = 4096, |_| {}).await;
    let body = |size: usize| {
        let empty = json!({ "task": "" }).to_string().len();
        json!({ "task": "x".repeat(size - empty) }).to_string().into_bytes()
    };
    for (size, status) in [(4095, 202), (4096, 202), (4097, 413), (100_000, 413)] {
        let body = body(size);
        let reply = server.request("POST", "/tasks", &[JSON], &body).await;
        assert_eq!(reply.status, status, "{size}: {}", reply.text());
        // Without a length the size shows only while reading.
        let mut chunked =
            b"POST /tasks HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-type: application/json\r\n\
              transfer-encoding: chunked\r\n\r\n"
                .to_vec();
        for piece in body.chunks(1000) {
            chunked.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            chunked.extend_from_slice(piece);
            chunked.extend_from_slice(b"\r\n");
        }
        chunked.extend_from_slice(b"0\r\n\r\n");
        let reply = parse(&raw(server.address, &chunked).await);
        assert_eq!(reply.status, status, "{size} in chunks: {}", reply.text());
        if status == 413 {
            reply.problem(413, "payload_too_large");
        }
    }
}

#[tokio::test]
async fn a_length_besides_chunks_does_not_smuggle_a_second_request() {
    let server = Server::start().await;
    let inner = "POST /tasks HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\ncontent-length: 12\r\n\r\n{\"task\":\"s\"}";
    let request = format!(
        "POST /chat HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         transfer-encoding: chunked\r\nconnection: close\r\n\r\n0\r\n\r\n{inner}",
        inner.len() + 5
    );
    let answer = raw(server.address, request.as_bytes()).await;
    let answers = String::from_utf8_lossy(&answer).matches("HTTP/1.1 ").count();
    assert!(answers <= 1, "{}", String::from_utf8_lossy(&answer));
    assert_eq!(server.store.stats().await.unwrap(), qd_store::Stats::default());
}

#[tokio::test]
async fn every_mistake_is_told_at_once() {
    let server = Server::start().await;
    let body = json!({
        "crew": "solo", "input": {}, "priority": 9, "timeout_seconds": "long", "max_attempts": 0, "run_at": "soon",
        "expires_at": 5, "metadata": { "a": 1 }, "conversation_id": "", "budget_usd": "1e3", "colour": "red",
    });
    let reply = server.post("/v1/jobs", &body).await;
    let problem = reply.problem(422, "validation_failed");
    let mut paths = reply.paths();
    paths.sort();
    let expected = [
        "/budget_usd",
        "/colour",
        "/conversation_id",
        "/expires_at",
        "/input/topic",
        "/max_attempts",
        "/metadata/a",
        "/priority",
        "/run_at",
        "/timeout_seconds",
    ];
    assert_eq!(paths, expected);
    assert!(problem["errors"].as_array().unwrap().iter().all(|e| !e["message"].as_str().unwrap().is_empty()));
}

#[tokio::test]
async fn values_at_their_bounds_are_taken() {
    let server = Server::start().await;
    let pairs: serde_json::Map<String, Value> =
        (0..16).map(|n| (format!("k{n}"), json!("ü".repeat(512)))).collect();
    for body in [
        with("priority", json!(5)),
        with("timeout_seconds", json!(1)),
        with("max_attempts", json!(1)),
        with("conversation_id", json!("ü".repeat(128))),
        with("metadata", json!(pairs)),
        with("run_at", json!("2001-01-01T00:00:00Z")),
        with("run_at", json!("2016-12-31T23:59:60Z")),
        with("priority", Value::Null),
        json!({ "crew": "solo", "input": { "topic": "\u{0} <script> \u{202e}" } }),
    ] {
        let reply = server.post("/v1/jobs", &body).await;
        assert_eq!(reply.status, 202, "{body}: {}", reply.text());
    }
    let key = long(255);
    let reply = server.post_with("/tasks", &[("idempotency-key", &key)], &json!({ "task": "t" })).await;
    assert_eq!(reply.status, 202);
}

#[tokio::test]
async fn headers_that_ask_for_what_there_is_not_change_nothing() {
    let server = Server::start().await;
    for headers in [
        [("range", "bytes=0-1"), ("if-range", "\"v1\"")],
        [("upgrade", "websocket"), ("sec-websocket-version", "13")],
        [("upgrade", "h2c"), ("http2-settings", "AAMAAABkAAQAAP__")],
        [("expect", "100-continue"), ("te", "trailers")],
        [("accept", "text/nothing"), ("accept-encoding", "*;q=0")],
    ] {
        let reply = server.request("GET", "/health", &headers, b"").await;
        assert_eq!(reply.status, 200, "{headers:?}: {}", reply.text());
        assert!(reply.json().is_object(), "{headers:?}");
    }
    let head = server.request("HEAD", "/health", &[], b"").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}
