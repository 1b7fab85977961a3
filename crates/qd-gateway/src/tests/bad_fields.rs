//! Well-formed JSON with wrong fields: each mistake is told with its path, all of them at once, and nothing is stored.

use serde_json::{Value, json};

use super::Server;

fn long(n: usize) -> String {
    "x".repeat(n)
}

async fn check(server: &Server, route: &str, cases: Vec<(Value, &str, &str)>) {
    for (body, code, paths) in cases {
        let reply = server.post(route, &body).await;
        reply.problem(422, code);
        let mut told = reply.paths();
        told.sort();
        assert_eq!(told.join(" "), paths, "{route} {body}\n{}", reply.text());
    }
    assert_eq!(server.store.stats().await.unwrap(), qd_store::Stats::default(), "nothing was stored");
}

/// A job that would be fine but for one field.
fn with(field: &str, value: Value) -> Value {
    let mut body = json!({ "crew": "solo", "input": { "topic": "t" } });
    body[field] = value;
    body
}

const FAILED: &str = "validation_failed";

#[tokio::test]
async fn wrong_types_and_values_of_every_field_of_a_job() {
    let server = Server::start().await;
    let strings = ["crew", "conversation_id", "run_at", "expires_at"];
    let numbers = ["priority", "timeout_seconds", "max_attempts"];
    let objects = ["input", "metadata"];
    let mut cases = Vec::new();
    for field in strings {
        for wrong in [json!(1), json!(true), json!([]), json!({}), json!(1.5)] {
            cases.push((with(field, wrong), field));
        }
    }
    for field in numbers {
        for wrong in
            [json!("1"), json!(true), json!([1]), json!({}), json!(1.5), json!(0), json!(-1), json!(1e300)]
        {
            cases.push((with(field, wrong), field));
        }
        for wrong in [json!(i64::MAX), json!(i64::MIN), json!(u64::MAX), json!(2_147_483_648_u64), json!(1.0)]
        {
            cases.push((with(field, wrong), field));
        }
    }
    for field in objects {
        for wrong in [json!("x"), json!(1), json!(false), json!([["a", "b"]])] {
            cases.push((with(field, wrong), field));
        }
    }
    for (field, wrong) in [
        ("priority", json!(6)),
        ("timeout_seconds", json!(86_401)),
        ("max_attempts", json!(21)),
        ("crew", json!("")),
        ("crew", json!("  ")),
        ("conversation_id", json!("")),
        ("conversation_id", json!(long(129))),
        ("conversation_id", json!("a\u{0}b")),
        ("conversation_id", json!("a\nb")),
    ] {
        cases.push((with(field, wrong), field));
    }
    for wrong in [
        "",
        "now",
        "tomorrow",
        "2099-01-01",
        "2099-01-01T00:00:00",
        "2099-13-01T00:00:00Z",
        "2099-02-30T00:00:00Z",
        "2099-01-01T24:01:00Z",
        "0000-00-00T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "4102444800",
        "2099-01-01T00:00Z",
        "2099-01-01T00:00:00Z[UTC]",
        "2099-01-01T00:00:00+99:00",
        "20990101T000000Z",
    ] {
        cases.push((with("run_at", json!(wrong)), "run_at"));
        cases.push((with("expires_at", json!(wrong)), "expires_at"));
    }
    assert!(cases.len() >= 100, "{}", cases.len());
    for (body, field) in cases {
        let reply = server.post("/v1/jobs", &body).await;
        reply.problem(422, FAILED);
        // Without an input the crew lacks its variable, which is told as well.
        assert!(reply.paths().contains(&format!("/{field}")), "{body}: {}", reply.text());
    }
    assert_eq!(server.store.stats().await.unwrap(), qd_store::Stats::default(), "nothing was stored");
}

#[tokio::test]
async fn bodies_that_are_no_objects() {
    let server = Server::start().await;
    for route in ["/v1/jobs", "/chat", "/tasks"] {
        let cases = [json!(null), json!([]), json!([{}]), json!("x"), json!(1), json!(true)];
        check(&server, route, cases.into_iter().map(|body| (body, FAILED, "")).collect()).await;
    }
}

#[tokio::test]
async fn crews_inputs_and_metadata_that_do_not_fit() {
    let server = Server::start().await;
    let many: serde_json::Map<String, Value> = (0..17).map(|n| (format!("k{n}"), json!("v"))).collect();
    let job = |crew: &str, input: Value| json!({ "crew": crew, "input": input });
    let cases = vec![
        (json!({}), FAILED, "/crew"),
        (json!({ "crew": null }), FAILED, "/crew"),
        (job("nobody", json!({})), "unknown_crew", "/crew"),
        (job("../solo", json!({ "topic": "t" })), "unknown_crew", "/crew"),
        (job(&long(129), json!({})), "unknown_crew", "/crew"),
        (job("solo\u{0}", json!({})), "unknown_crew", "/crew"),
        (job("SOLO", json!({})), "unknown_crew", "/crew"),
        (json!({ "crew": "solo" }), FAILED, "/input/topic"),
        (job("solo", json!({})), FAILED, "/input/topic"),
        (job("pair", json!({})), FAILED, "/input/left /input/right"),
        (job("pair", json!({ "left": "l", "rigth": "r" })), FAILED, "/input/right /input/rigth"),
        (job("solo", json!({ "topic": "t", "a/b~c": 1 })), FAILED, "/input/a~1b~0c"),
        (job("fixed", json!({ "x": 1 })), FAILED, "/input/x"),
        (with("metadata", json!(many)), FAILED, "/metadata"),
        (with("metadata", json!({ "a": 1, "b": null, "c": "fine" })), FAILED, "/metadata/a /metadata/b"),
        (with("metadata", json!({ "a": long(513) })), FAILED, "/metadata/a"),
        (with("metadata", json!({ "": "v" })), FAILED, "/metadata/"),
        (with("metadata", json!({ "a": ["v"] })), FAILED, "/metadata/a"),
        (with("budget_usd", json!(1.5)), FAILED, "/budget_usd"),
        (with("budget_usd", json!("-1")), FAILED, "/budget_usd"),
        (with("budget_usd", json!("NaN")), FAILED, "/budget_usd"),
        (with("budget_usd", json!("0.0000000001")), FAILED, "/budget_usd"),
        (with("budget_usd", json!("99999999999")), FAILED, "/budget_usd"),
        (with("webhook_url", json!("https://example.com")), "not_supported", "/webhook_url"),
        (with("budget", json!(1)), FAILED, "/budget"),
        (with("id", json!("x")), FAILED, "/id"),
        (with("status", json!("succeeded")), FAILED, "/status"),
        (with("__proto__", json!({})), FAILED, "/__proto__"),
        (with("expires_at", json!("2001-01-01T00:00:00Z")), FAILED, "/expires_at"),
        (
            json!({ "crew": "fixed", "run_at": "2099-01-01T00:00:00Z", "expires_at": "2099-01-01T00:00:00Z" }),
            FAILED,
            "/expires_at",
        ),
    ];
    check(&server, "/v1/jobs", cases).await;
}

#[tokio::test]
async fn every_mistake_is_told_at_once() {
    let server = Server::start().await;
    let body = json!({
        "crew": "solo", "input": {}, "priority": 9, "timeout_seconds": "long", "max_attempts": 0, "run_at": "soon",
        "expires_at": 5, "metadata": { "a": 1 }, "conversation_id": "", "budget_usd": "1e3", "colour": "red",
    });
    let reply = server.post("/v1/jobs", &body).await;
    let problem = reply.problem(422, FAILED);
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
async fn messages_help() {
    let server = Server::start().await;
    for (body, hint) in [
        (json!({ "crew": "nobody" }), "there are assistant, broken, fixed, pair, research, solo"),
        (with("priority", json!(9)), "between 1 and 5"),
        (with("run_at", json!("soon")), "RFC 3339"),
        (json!({ "crew": "solo", "input": { "topc": 1, "topic": 2 } }), "did you mean `topic`?"),
        (with("priorty", json!(1)), "it takes crew, input, priority"),
        (with("budget_usd", json!("1,50")), "such as 0.25"),
        (with("webhook_url", json!("https://example.com")), "set `delivery.secret`"),
        (with("expires_at", json!("2001-01-01T00:00:00Z")), "choose a later moment"),
    ] {
        let reply = server.post("/v1/jobs", &body).await;
        assert!(reply.text().contains(hint), "{body}: {}", reply.text());
    }
}

#[tokio::test]
async fn wrong_fields_of_chats() {
    let server = Server::start().await;
    let with = |field: &str, value: Value| {
        let mut body = json!({ "user_id": "u", "message": "m" });
        body[field] = value;
        body
    };
    let cases = vec![
        (json!({}), FAILED, "/message /user_id"),
        (json!({ "user_id": "u" }), FAILED, "/message"),
        (json!({ "message": "m" }), FAILED, "/user_id"),
        (with("message", json!("")), FAILED, "/message"),
        (with("message", json!(" \n")), FAILED, "/message"),
        (with("message", json!(5)), FAILED, "/message"),
        (with("message", json!(["m"])), FAILED, "/message"),
        (with("message", json!(null)), FAILED, "/message"),
        (with("user_id", json!("")), FAILED, "/user_id"),
        (with("user_id", json!(7)), FAILED, "/user_id"),
        (with("user_id", json!(long(129))), FAILED, "/user_id"),
        (with("user_id", json!("a\u{7}")), FAILED, "/user_id"),
        (with("priority", json!(0)), FAILED, "/priority"),
        (with("priority", json!(6)), FAILED, "/priority"),
        (with("priority", json!("high")), FAILED, "/priority"),
        (with("priority", json!(1.5)), FAILED, "/priority"),
        (with("stream", json!(true)), FAILED, "/stream"),
    ];
    check(&server, "/chat", cases).await;
}

#[tokio::test]
async fn wrong_fields_of_tasks() {
    let server = Server::start().await;
    let with = |field: &str, value: Value| {
        let mut body = json!({ "task": "t" });
        body[field] = value;
        body
    };
    let cases = vec![
        (json!({}), FAILED, "/task"),
        (with("task", json!("")), FAILED, "/task"),
        (with("task", json!({})), FAILED, "/task"),
        (with("user_id", json!("")), FAILED, "/user_id"),
        (with("user_id", json!(1)), FAILED, "/user_id"),
        (with("user_id", json!(long(129))), FAILED, "/user_id"),
        (with("idempotency_key", json!("")), FAILED, "/idempotency_key"),
        (with("idempotency_key", json!(long(256))), FAILED, "/idempotency_key"),
        (with("idempotency_key", json!("a b")), FAILED, "/idempotency_key"),
        (with("idempotency_key", json!("ü")), FAILED, "/idempotency_key"),
        (with("idempotency_key", json!("a\r\nb: c")), FAILED, "/idempotency_key"),
        (with("idempotency_key", json!(1)), FAILED, "/idempotency_key"),
        (with("priority", json!(1)), FAILED, "/priority"),
    ];
    check(&server, "/tasks", cases).await;
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
