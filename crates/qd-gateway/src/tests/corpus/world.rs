//! The server that the corpus is tried on: it has one thing of each kind, and its bounds are low, so that whatever keeps a
//! place that it took is missing for the cases after it.

use std::collections::BTreeMap;
use std::sync::Arc;

use qd_egress::Bounds;
use qd_store::{Delivery, Destination, Event, Outcome};
use qd_types::{AskRules, CrewName, DeliveryId, JobId, OnExpiry, TenantId};
use serde_json::{Value, json};

use crate::WebhookEndpoint;
use crate::tests::client::{parse, raw, request};
use crate::tests::connections::hold;
use crate::tests::engine::{failure, output};
use crate::tests::{Server, soon};

const CONNECTIONS: usize = 6;
const BODY_MAX: usize = 256 * 1024;
/// Places that a large document in chunks takes.
const UPLOADS: usize = 4;

const RULES: AskRules = AskRules {
    reminder_seconds: 0,
    reminders: 0,
    expires_seconds: 0,
    on_expiry: OnExpiry::Fail,
    max_rounds: 1,
};

/// Ids of what there is.
pub(super) struct Things {
    /// A job that has failed.
    pub(super) failed: String,
    /// A job that has succeeded.
    pub(super) done: String,
    /// A job that waits for a person, of the crew `solo`.
    pub(super) waiting: String,
    pub(super) key: String,
    pub(super) batch: String,
    pub(super) delivery: String,
}

pub(super) struct World {
    pub(super) server: Server,
    pub(super) things: Things,
}

impl World {
    pub(super) async fn new() -> Self {
        let endpoint = WebhookEndpoint {
            name: "shop".to_owned(),
            url: "https://shop.example/hooks".to_owned(),
            events: Event::LAST.to_vec(),
            crews: None,
        };
        let bounds = Arc::new(Bounds::new(&qd_egress::Options::default()).unwrap());
        let set = |options: &mut crate::Options| {
            options.webhooks = vec![endpoint];
            options.job_webhooks = Some(bounds);
            options.systems =
                BTreeMap::from([("shop".to_owned(), vec![CrewName::new("solo"), CrewName::new("broken")])]);
            options.max_connections = CONNECTIONS;
            options.body_bytes_max = BODY_MAX;
            options.body_bytes_in_flight_max = BODY_MAX;
            options.watchers_max = 2;
            options.batches.uploads_max = UPLOADS;
            options.batches.json_items_max = 20;
            options.batches.upload_bytes_max = 2 * BODY_MAX;
            options.batches.upload_items_max = 20;
        };
        let server = Server::with(set, |_| {}).await;
        let things = things(&server).await;
        Self { server, things }
    }

    /// Everything that is kept for callers.
    pub(super) async fn kept(&self) -> Vec<Value> {
        let mut kept = vec![json!(format!("{:?}", self.server.store.stats().await.unwrap()))];
        for path in [
            "/v1/jobs?limit=500".to_owned(),
            "/v1/dead-letters".to_owned(),
            "/v1/batches".to_owned(),
            "/v1/schedules".to_owned(),
            "/v1/crews".to_owned(),
            "/v1/keys".to_owned(),
            "/v1/breakers".to_owned(),
            "/v1/deliveries".to_owned(),
            "/v1/audit".to_owned(),
            "/v1/conversations/ann".to_owned(),
            format!("/v1/jobs/{}/steps", self.things.waiting),
        ] {
            let reply = self.server.get(&path).await;
            assert_eq!(reply.status, 200, "{path}: {}", reply.text());
            kept.push(reply.json());
        }
        kept
    }

    /// Nothing is under way any more, every place is free again, and the server answers.
    pub(super) async fn is_at_rest(&self) {
        let server = &self.server;
        let idle = || async {
            let text = request(server.admin, "GET", "/metrics", &[], b"").await.text();
            ["quarterdeck_http_requests_in_flight 0.0", "quarterdeck_sse_connections 0.0"]
                .iter()
                .all(|gauge| text.lines().any(|line| line == *gauge))
        };
        soon("requests under way end", async { while !idle().await {} }).await;
        soon("the connections are free", async {
            while request(server.address, "GET", "/health", &[], b"").await.status != 200 {}
        })
        .await;
        drop(hold(server.address, CONNECTIONS).await);
        soon("the connections are free", async {
            while request(server.address, "GET", "/health", &[], b"").await.status != 200 {}
        })
        .await;
        // As much memory as all bodies may take together.
        let body = " ".repeat(BODY_MAX - 2) + "{}";
        let full =
            server.request("POST", "/chat", &[("content-type", "application/json")], body.as_bytes()).await;
        full.problem(422, "validation_failed");
        // Every place for uploads.
        let chunked = b"POST /v1/batches HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-type: application/json\r\n\
              transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
        parse(&raw(server.address, chunked).await).problem(422, "validation_failed");
    }
}

async fn things(server: &Server) -> Things {
    let made = async |path: &str, body: Value| {
        let reply = server.post(path, &body).await;
        assert!((200..300).contains(&reply.status), "{path}: {}", reply.text());
        reply.json()["id"].as_str().unwrap().to_owned()
    };
    let job = json!({ "crew": "solo", "input": { "topic": "t" } });
    let failed = made("/v1/jobs", job.clone()).await;
    let claimed = server.claim().await;
    server.finish(&claimed, Outcome::Failed(failure())).await;
    // Its conversation stays.
    let chat = json!({ "crew": "assistant", "input": { "message": "m" }, "conversation_id": "ann" });
    let done = made("/v1/jobs", chat).await;
    let claimed = server.claim().await;
    let turn = qd_store::Turn { role: qd_store::TurnRole::User, text: "hello".to_owned() };
    let finish = qd_store::Finish {
        job: claimed.job.id,
        fence: claimed.lease.fence,
        items: Vec::new(),
        progress: qd_types::Progress::default(),
        outcome: Outcome::Succeeded(output()),
        history: vec![turn],
        doubt_settled: true,
    };
    server.store.finish(finish).await.unwrap().unwrap();
    let waiting = made("/v1/jobs", job).await;
    server.waits(1, RULES).await;
    let key = made("/v1/keys", json!({ "name": "ci", "scopes": ["jobs:read"] })).await;
    let batch = made("/v1/batches", json!({ "crew": "fixed", "inputs": [{}] })).await;
    let nightly = json!({ "name": "nightly", "cron": "@yearly", "crew": "fixed", "paused": true });
    assert_eq!(server.post("/v1/schedules", &nightly).await.status, 201);
    let (job, to) = (JobId::parse(&done).unwrap(), Destination::Endpoint("shop".to_owned()));
    let made_at = server.stored(job).await.created_at;
    let delivery = DeliveryId(job.0);
    let told = Delivery::new(delivery, TenantId::default(), None, Event::Test, to, made_at);
    server.store.post_delivery(told).await.unwrap();
    Things { failed, done, waiting, key, batch, delivery: delivery.to_string() }
}
