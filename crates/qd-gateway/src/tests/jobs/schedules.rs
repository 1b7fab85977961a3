//! Schedules as callers meet them: made, changed, paused, run by hand, and refused with every mistake.

use std::sync::Arc;
use std::time::Duration;

use qd_env::{Env, ManualClock};
use qd_types::{Scope, TenantId};
use serde_json::{Value, json};

use crate::tests::Server;
use crate::tests::client::Reply;
use crate::{Rates, WantedKey};

/// A Thursday.
const NOW: i64 = 1_767_225_600_000;

async fn still() -> Server {
    let env = Env::with(Arc::new(ManualClock::at(NOW)), 3);
    Server::built(env, |_| {}, |options| options.schedules = 3, Rates::default()).await
}

fn hourly(name: &str) -> Value {
    json!({ "name": name, "cron": "@hourly", "crew": "solo", "input": { "topic": "t" } })
}

impl Server {
    async fn put_schedule(&self, path: &str, body: &Value) -> Reply {
        let kind = [("content-type", "application/json")];
        self.request("PUT", path, &kind, body.to_string().as_bytes()).await
    }
}

#[tokio::test]
async fn a_schedule_is_made_changed_paused_and_deleted() {
    let server = still().await;
    let body = json!({
        "name": "morning", "cron": "30 6 * * 1-5", "timezone": "Europe/Berlin", "crew": "solo",
        "input": { "topic": "t" }, "priority": 4, "conversation_id": "ann", "timeout_seconds": 60,
        "max_attempts": 2, "budget_usd": "0.5", "metadata": { "a": "b" }, "missed": "run_all",
    });
    let made = server.post("/v1/schedules", &body).await;
    assert_eq!(
        (made.status, made.header("location")),
        (201, Some("/v1/schedules/morning")),
        "{}",
        made.text()
    );
    let shown = made.json();
    for (field, value) in body.as_object().unwrap() {
        let value = if field == "budget_usd" { &json!("0.50") } else { value };
        assert_eq!(&shown[field], value, "{field}");
    }
    // Half past six in Berlin on that day.
    assert_eq!(shown["next_at"], "2026-01-01T05:30:00.000Z");
    assert_eq!(server.get("/v1/schedules/morning").await.json(), shown);
    server.post("/v1/schedules", &body).await.problem(409, "already_exists");
    let paused = server.post_bare("/v1/schedules/morning/pause", &[]).await.json();
    assert_eq!((&paused["paused"], &paused["next_at"]), (&json!(true), &Value::Null));
    assert_eq!(server.post_bare("/v1/schedules/morning/pause", &[]).await.json(), paused);
    let resumed = server.post_bare("/v1/schedules/morning/resume", &[]).await.json();
    assert_eq!((&resumed["paused"], &resumed["next_at"]), (&json!(false), &shown["next_at"]));
    assert_eq!(server.post_bare("/v1/schedules/morning/resume", &[]).await.json(), resumed);
    let other = json!({ "cron": "@hourly", "crew": "pair", "input": { "left": 1, "right": 2 } });
    let replaced = server.put_schedule("/v1/schedules/morning", &other).await;
    assert_eq!((replaced.status, &replaced.json()["crew"]), (200, &json!("pair")));
    let shown = replaced.json();
    assert_eq!(
        (&shown["priority"], &shown["timezone"], &shown["missed"]),
        (&json!(1), &json!("UTC"), &json!("run_once"))
    );
    assert_eq!(shown["next_at"], "2026-01-01T01:00:00.000Z");
    assert_eq!(server.put_schedule("/v1/schedules/another", &other).await.status, 201);
    let list = server.get("/v1/schedules").await.json();
    let names: Vec<_> =
        list["schedules"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["another", "morning"]);
    assert_eq!(server.delete("/v1/schedules/another").await.status, 200);
    for method in ["GET", "DELETE"] {
        server.request(method, "/v1/schedules/another", &[], b"").await.problem(404, "not_found");
    }
    for verb in ["pause", "resume", "run"] {
        server.post_bare(&format!("/v1/schedules/another/{verb}"), &[]).await.problem(404, "not_found");
        server.post_bare(&format!("/v1/schedules/a%20b/{verb}"), &[]).await.problem(404, "not_found");
    }
    for name in ["b", "c"] {
        assert_eq!(server.post("/v1/schedules", &hourly(name)).await.status, 201);
    }
    server.post("/v1/schedules", &hourly("d")).await.problem(429, "quota_exceeded");
    assert_eq!(server.store.stats().await.unwrap().queued, 0, "no job was made of all this");
}

#[tokio::test]
async fn schedules_are_listed_page_by_page() {
    let server = still().await;
    for name in ["c", "a", "b"] {
        assert_eq!(server.post("/v1/schedules", &hourly(name)).await.status, 201);
    }
    let mut names = Vec::new();
    let mut path = "/v1/schedules?limit=2".to_owned();
    loop {
        let page = server.get(&path).await.json();
        let found: Vec<_> =
            page["schedules"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
        names.push(found);
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/schedules?limit=2&cursor={cursor}");
    }
    assert_eq!(names, [vec![json!("a"), json!("b")], vec![json!("c")]]);
    for query in ["limit=0", "limit=501", "cursor=no%20name", "page=2"] {
        server.get(&format!("/v1/schedules?{query}")).await.problem(422, "validation_failed");
    }
}

#[tokio::test]
async fn a_schedule_is_run_by_hand_as_its_ticks_run() {
    let server = still().await;
    let body = json!({
        "cron": "@yearly", "crew": "solo", "input": { "topic": "t" }, "priority": 4, "metadata": { "a": "b" }, "paused": true,
    });
    assert_eq!(server.put_schedule("/v1/schedules/yearly", &body).await.status, 201);
    let key = [("idempotency-key", "k")];
    let job = server.post_bare("/v1/schedules/yearly/run", &key).await;
    assert_eq!(job.status, 202, "{}", job.text());
    let shown = job.json();
    assert_eq!(
        (&shown["priority"], &shown["metadata"], &shown["input"]),
        (&json!(4), &body["metadata"], &body["input"])
    );
    let again = server.post_bare("/v1/schedules/yearly/run", &key).await;
    assert_eq!((&again.json()["id"], again.header("idempotent-replayed")), (&shown["id"], Some("true")));
    assert_ne!(server.post_bare("/v1/schedules/yearly/run", &[]).await.json()["id"], shown["id"]);
    assert_eq!(server.get("/v1/schedules/yearly").await.json()["last_job_id"], Value::Null);
}

#[tokio::test]
async fn wrong_schedules_are_refused_with_every_mistake() {
    let server = still().await;
    let with = |field: &str, value: Value| {
        let mut body = hourly("n");
        body[field] = value;
        body
    };
    for (body, code, paths) in [
        (json!({}), "validation_failed", "/crew /cron /name"),
        (json!([]), "validation_failed", ""),
        (with("name", json!("")), "validation_failed", "/name"),
        (with("name", json!("a b")), "validation_failed", "/name"),
        (with("name", json!("a/b")), "validation_failed", "/name"),
        (with("name", json!("ü")), "validation_failed", "/name"),
        (with("name", json!("x".repeat(65))), "validation_failed", "/name"),
        (with("cron", json!("")), "validation_failed", "/cron"),
        (with("cron", json!("hourly")), "validation_failed", "/cron"),
        (with("cron", json!("* * * * * *")), "validation_failed", "/cron"),
        (with("cron", json!("60 * * * *")), "validation_failed", "/cron"),
        (with("cron", json!("0 0 30 2 *")), "validation_failed", "/cron"),
        (with("cron", json!(5)), "validation_failed", "/cron"),
        (with("timezone", json!("Berlin")), "validation_failed", "/timezone"),
        (with("timezone", json!("")), "validation_failed", "/timezone"),
        (with("timezone", json!(1)), "validation_failed", "/timezone"),
        (with("missed", json!("never")), "validation_failed", "/missed"),
        (with("paused", json!("no")), "validation_failed", "/paused"),
        (with("crew", json!("nobody")), "unknown_crew", "/crew"),
        (with("crew", json!("broken")), "invalid_crew", "/crew"),
        (with("input", json!({})), "validation_failed", "/input/topic"),
        (with("priority", json!(6)), "validation_failed", "/priority"),
        (with("conversation_id", json!("")), "validation_failed", "/conversation_id"),
        (with("timeout_seconds", json!(0)), "validation_failed", "/timeout_seconds"),
        (with("max_attempts", json!(21)), "validation_failed", "/max_attempts"),
        (with("budget_usd", json!("x")), "validation_failed", "/budget_usd"),
        (with("metadata", json!({ "a": 1 })), "validation_failed", "/metadata/a"),
        (with("webhook_url", json!("https://a.example/")), "not_supported", "/webhook_url"),
        (with("run_at", json!("2030-01-01T00:00:00Z")), "validation_failed", "/run_at"),
    ] {
        let reply = server.post("/v1/schedules", &body).await;
        reply.problem(422, code);
        let mut told = reply.paths();
        told.sort();
        assert_eq!(told.join(" "), paths, "{body}\n{}", reply.text());
    }
    for (cron, why) in [("0 0 30 2 *", "`0 0 30 2 *` is never due"), ("* * * *", "is no cron expression")] {
        let told = server.post("/v1/schedules", &with("cron", json!(cron))).await.text();
        assert!(told.contains(why), "{told}");
    }
    server.put_schedule("/v1/schedules/a%20b", &hourly("n")).await.problem(422, "validation_failed");
    server.put_schedule("/v1/schedules/n", &hourly("n")).await.problem(422, "validation_failed");
    assert_eq!(server.get("/v1/schedules").await.json(), json!({ "schedules": [], "next_cursor": null }));
}

#[tokio::test]
async fn schedules_of_tenants_are_apart() {
    let server = Server::with(|options| options.auth = crate::Auth::Keys, |_| {}).await;
    let mut keys = Vec::new();
    for tenant in ["acme", "globex"] {
        let lifetime = Duration::from_secs(3_600);
        let scopes = Scope::ALL.iter().copied().collect();
        let wanted = WantedKey { tenant: TenantId::new(tenant), name: "test".into(), scopes, lifetime };
        let issued = server.keys.issue(wanted, qd_store::Actor::Console).await.unwrap();
        keys.push(format!("Bearer {}", issued.key.reveal()));
    }
    let ask = async |key: &str, method: &str, path: &str, body: &Value| {
        let headers = [("authorization", key), ("content-type", "application/json")];
        let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        server.request(method, path, &headers, &bytes).await
    };
    let body = json!({ "cron": "@daily", "crew": "assistant", "input": { "message": "m" } });
    assert_eq!(ask(&keys[0], "PUT", "/v1/schedules/s", &body).await.status, 201);
    for (method, path) in [
        ("GET", "/v1/schedules/s"),
        ("DELETE", "/v1/schedules/s"),
        ("POST", "/v1/schedules/s/pause"),
        ("POST", "/v1/schedules/s/resume"),
        ("POST", "/v1/schedules/s/run"),
    ] {
        ask(&keys[1], method, path, &Value::Null).await.problem(404, "not_found");
    }
    assert_eq!(
        ask(&keys[1], "GET", "/v1/schedules", &Value::Null).await.json(),
        json!({ "schedules": [], "next_cursor": null })
    );
    assert_eq!(ask(&keys[1], "PUT", "/v1/schedules/s", &body).await.status, 201, "one of its own");
    assert_eq!(ask(&keys[0], "DELETE", "/v1/schedules/s", &Value::Null).await.status, 200);
    assert_eq!(ask(&keys[1], "GET", "/v1/schedules/s", &Value::Null).await.status, 200);
}
