//! The routes that take JSON, each with a body that it takes: what cases spoil.

use serde_json::{Value, json};

use super::world::{Things, World};
use super::{Request, request};

/// A route and what it takes.
pub(super) struct Route {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) good: Value,
    /// Its fields that are whole numbers, each with its least and most.
    pub(super) numbers: Vec<Number>,
    /// Whether it takes `Idempotency-Key`.
    pub(super) is_keyed: bool,
    /// Whether a request without a body is good as well.
    pub(super) is_optional: bool,
}

impl Route {
    pub(super) fn request(&self, name: impl Into<String>) -> Request {
        request(name, self.method, self.path.clone())
    }
}

type Number = (&'static str, i64, i64);

const PRIORITY: Number = ("priority", 1, 5);
const TIMEOUT: Number = ("timeout_seconds", 1, 86_400);
const ATTEMPTS: Number = ("max_attempts", 1, 20);

fn post(path: impl Into<String>, good: Value, numbers: &[Number]) -> Route {
    let (path, numbers) = (path.into(), numbers.to_vec());
    Route { method: "POST", path, good, numbers, is_keyed: true, is_optional: false }
}

fn keyless(route: Route) -> Route {
    Route { is_keyed: false, ..route }
}

/// All of them.
pub(super) fn json_routes(things: &Things) -> Vec<Route> {
    let Things { failed, waiting, key, .. } = things;
    let messages = json!([{ "role": "user", "content": "m" }]);
    let answer = json!({ "execution_id": waiting, "task_id": "draft", "is_approve": true });
    let redrive = post(format!("/v1/jobs/{failed}/redrive"), json!({ "input": { "topic": "u" } }), &[]);
    let schedule = json!({ "cron": "@daily", "crew": "fixed" });
    let mut named = schedule.clone();
    named["name"] = json!("weekly");
    let put = keyless(post("/v1/schedules/weekly", schedule, &[PRIORITY, TIMEOUT, ATTEMPTS]));
    let batch = json!({ "crew": "fixed", "inputs": [{}] });
    let of_batch = [("concurrency", 1, 1_000), PRIORITY, TIMEOUT, ATTEMPTS];
    let limit = ("limit", 1, 1_000);
    let new_key = json!({ "name": "n", "scopes": ["stats"] });
    let rotate = format!("/v1/keys/{key}/rotate");
    let task = json!({ "description": "d", "crew_name": "solo" });
    vec![
        post("/v1/jobs", json!({ "crew": "fixed" }), &[PRIORITY, TIMEOUT, ATTEMPTS]),
        Route { is_optional: true, ..redrive },
        post(format!("/v1/jobs/{waiting}/resume"), json!({ "approve": true }), &[]),
        keyless(post("/v1/dead-letters/redrive", json!({}), &[("per_second", 1, 1_000), limit])),
        keyless(post("/v1/dead-letters/discard", json!({ "reason": "old" }), &[limit])),
        post("/v1/batches", batch, &of_batch),
        keyless(post("/v1/schedules", named, &[PRIORITY, TIMEOUT, ATTEMPTS])),
        Route { method: "PUT", ..put },
        keyless(post("/v1/breakers", json!({ "deployment": "sim/a", "state": "open" }), &[])),
        keyless(post("/v1/keys", new_key, &[("expires_in_days", 1, 3_650)])),
        keyless(post(rotate, json!({}), &[("overlap_seconds", 0, 2_592_000)])),
        post("/v1/crews/solo/kickoff", json!({ "inputs": { "topic": "t" } }), &[]),
        post("/v1/crews/solo/resume", answer, &[]),
        post("/chat", json!({ "user_id": "u", "message": "m" }), &[PRIORITY]),
        post("/tasks", json!({ "task": "t" }), &[]),
        post("/crews/shop/tasks", task, &[("timeout", 1, 86_400)]),
        post("/v1/chat/completions", json!({ "model": "assistant", "messages": messages }), &[]),
    ]
}

#[tokio::test]
async fn what_the_corpus_spoils_is_taken_as_it_is() {
    let count = json_routes(&World::new().await.things).len();
    for at in 0..count {
        let world = World::new().await;
        let route = json_routes(&world.things).remove(at);
        // Two of them wait for their job.
        let engine = async {
            if ["/crews/shop/tasks", "/v1/chat/completions"].contains(&route.path.as_str()) {
                world.server.queued().await;
                world.server.succeed().await;
            }
        };
        let (body, kind) = (route.good.to_string(), [("content-type", "application/json")]);
        let (reply, ()) =
            tokio::join!(world.server.request(route.method, &route.path, &kind, body.as_bytes()), engine);
        assert!((200..300).contains(&reply.status), "{} {}: {}", route.method, route.path, reply.text());
    }
}

#[tokio::test]
async fn every_route_that_takes_json_is_in_the_corpus() {
    let world = World::new().await;
    let ours = json_routes(&world.things).len();
    let document = crate::openapi();
    let operations =
        document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
    let bodies = operations.filter(|operation| operation.get("requestBody").is_some()).count();
    // Crews are taken in YAML as well, and have a section of their own.
    assert_eq!(ours + 1, bodies);
}
