//! Systems: a task for one of their crews, awaited; and how their crews do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use qd_env::{Env, ManualClock};
use qd_store::Outcome;
use qd_types::{CrewName, JobId, Scope, TenantId};
use serde_json::{Value, json};

use super::job_of;
use crate::Rates;
use crate::tests::client::Reply;
use crate::tests::engine::{failure, output};
use crate::tests::events::Listener;
use crate::tests::{Server, publish, soon, spec};

const SHOP: &str = "/crews/shop/tasks";

async fn server() -> Server {
    let crews = ["solo", "research", "pair", "broken"].map(CrewName::new).to_vec();
    Server::with(|options| options.systems = BTreeMap::from([("shop".to_owned(), crews)]), |_| {}).await
}

fn task(crew: &str) -> Value {
    json!({ "description": "count", "crew_name": crew })
}

fn with(field: &str, value: Value) -> Value {
    let mut body = task("solo");
    body[field] = value;
    body
}

impl Server {
    /// Asks, and has the job end like this meanwhile.
    async fn awaited(&self, path: &str, body: &Value, outcome: Outcome) -> Reply {
        let engine = async {
            self.queued().await;
            let claimed = self.claim().await;
            self.finish(&claimed, outcome).await;
        };
        tokio::join!(self.post(path, body), engine).0
    }

    async fn metric(&self, name: &str) -> Value {
        let reply = self.get("/crews/shop/metrics").await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()["metrics"][name].clone()
    }
}

#[tokio::test]
async fn a_task_is_answered_with_its_result_or_why_there_is_none() {
    let server = server().await;
    for (outcome, status, told) in [
        (Outcome::Succeeded(output()), 200, json!({ "status": "success", "result": "the answer" })),
        (Outcome::Failed(failure()), 500, json!({ "detail": "the provider is overloaded" })),
        (Outcome::Cancelled, 500, json!({ "detail": "the job was cancelled" })),
    ] {
        for path in [SHOP, "/crews/default/tasks"] {
            let reply = server.awaited(path, &task("solo"), outcome.clone()).await;
            assert_eq!((reply.status, reply.header("content-type")), (status, Some("application/json")));
            let mut told = told.clone();
            told["job_id"] = reply.json()["job_id"].clone();
            assert_eq!(reply.json(), told, "{path}");
            let job = server.stored(job_of(&told, "job_id")).await;
            assert_eq!(json!(job.input), json!({ "topic": "count" }));
        }
    }
}

#[tokio::test]
async fn a_job_that_goes_on_is_accepted_once_the_time_is_up() {
    let server = server().await;
    let reply = soon("the answer", server.post(SHOP, &with("timeout", json!(1)))).await;
    assert_eq!(reply.status, 202);
    let id = job_of(&reply.json(), "job_id");
    assert_eq!(reply.json(), json!({ "status": "accepted", "job_id": id.to_string() }));
    let job = server.stored(id).await;
    assert_eq!((job.timeout_seconds, job.status.is_terminal()), (1, false));
}

#[tokio::test]
async fn with_too_many_waiting_a_task_is_accepted_at_once() {
    let server = Server::with(|options| options.watchers_max = 1, |_| {}).await;
    let job = server.post("/v1/jobs", &json!({ "crew": "fixed" })).await.json();
    let mut listener = Listener::open_with(server.address, job_of(&job, "id"), "").await;
    listener.until("job.queued").await;
    let body = task("solo");
    let reply = soon("the answer", server.post("/crews/default/tasks", &body)).await;
    assert_eq!((reply.status, reply.json()["status"].clone()), (202, json!("accepted")));
}

#[tokio::test]
async fn priorities_have_words_and_fields_their_defaults() {
    let server = server().await;
    for (word, level) in [(json!("low"), 1), (json!("medium"), 3), (json!("high"), 5), (Value::Null, 3)] {
        let body = with("priority", word.clone());
        let reply = server.awaited(SHOP, &body, Outcome::Succeeded(output())).await;
        let job = server.stored(job_of(&reply.json(), "job_id")).await;
        assert_eq!((job.priority.get(), job.timeout_seconds), (level, 300), "{word}");
    }
    let reply = server.awaited(SHOP, &with("timeout", json!(86_400)), Outcome::Cancelled).await;
    assert_eq!(server.stored(job_of(&reply.json(), "job_id")).await.timeout_seconds, 86_400);
}

#[tokio::test]
async fn a_system_that_is_not_there_and_a_crew_without_a_place_for_a_text_are_explained() {
    let server = server().await;
    let reply = server.get("/crews/press/metrics").await;
    assert!(reply.problem(404, "not_found")["detail"].as_str().unwrap().contains("there are default, shop"));
    let problem = server.post(SHOP, &task("pair")).await.problem(422, "validation_failed");
    assert_eq!(problem["errors"][0]["path"], "/crew_name");
    assert!(
        problem["errors"][0]["message"].as_str().unwrap().contains("has no place for a text"),
        "{problem}"
    );
    assert_eq!(server.store.stats().await.unwrap().queued, 0, "nothing was stored");
}

#[tokio::test]
async fn the_names_in_a_refusal_are_bounded() {
    let systems = (0..100).map(|n| (format!("s{n:03}"), vec![CrewName::new("solo")])).collect();
    let server = Server::with(|options| options.systems = systems, |_| {}).await;
    let problem = server.post("/crews/x/tasks", &task("solo")).await.problem(404, "not_found");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.ends_with("s017, s018, …") && detail.len() < 250, "{detail}");
}

#[tokio::test]
async fn a_repeated_task_is_answered_by_the_same_job() {
    let server = server().await;
    let ask = |path: &'static str, body: Value| {
        let server = &server;
        async move { server.post_with(path, &[("idempotency-key", "k")], &body).await }
    };
    let engine = async {
        server.queued().await;
        server.succeed().await;
    };
    let (first, ()) = tokio::join!(ask(SHOP, task("solo")), engine);
    let again = ask(SHOP, task("solo")).await;
    assert_eq!((first.status, again.status), (200, 200));
    assert_eq!(first.json(), again.json());
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    ask(SHOP, task("research")).await.problem(422, "idempotency_conflict");
    // Another system is another route.
    let body = with("timeout", json!(1));
    let other = ask("/crews/default/tasks", body).await;
    assert_eq!(other.status, 202);
    assert_ne!(other.json()["job_id"], first.json()["job_id"]);
}

#[tokio::test]
async fn a_repeated_task_is_answered_even_when_its_crew_takes_no_text_any_more() {
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    let env = Env::with(clock.clone(), 5);
    let server = Server::built(env, |_| {}, |_| {}, Rates::default()).await;
    let (path, key, body) = ("/crews/default/tasks", [("idempotency-key", "k")], task("solo"));
    let engine = async {
        server.queued().await;
        server.succeed().await;
    };
    let (first, ()) = tokio::join!(server.post_with(path, &key, &body), engine);
    publish(&server.store, "solo", &spec("solo", "Compare {left} and {right}", None)).await;
    clock.advance(Duration::from_secs(3));
    server.post(path, &body).await.problem(422, "validation_failed");
    let again = server.post_with(path, &key, &body).await;
    assert_eq!((again.status, again.json()), (200, first.json()));
}

#[tokio::test]
async fn metrics_tell_how_each_crew_of_a_system_does() {
    let server = server().await;
    let idle = server.get("/crews/shop/metrics").await.json();
    assert_eq!(idle["metrics"].as_object().unwrap().len(), 16, "four of each of its four crews: {idle}");
    for (name, current) in [
        ("completion_rate", Value::Null),
        ("avg_response_time", Value::Null),
        ("error_rate", Value::Null),
        ("workload", json!(0.0)),
    ] {
        let metric = &idle["metrics"][format!("shop_solo_{name}")];
        assert_eq!((&metric["current"], &metric["level"]), (&current, &json!("ok")), "{name}");
    }
    for outcome in [Outcome::Succeeded(output()), Outcome::Failed(failure()), Outcome::Succeeded(output())] {
        server.awaited(SHOP, &task("solo"), outcome).await;
    }
    server.post("/v1/jobs", &json!({ "crew": "research", "input": { "topic": "t" } })).await;

    let completion = server.metric("shop_solo_completion_rate").await;
    assert!((completion["current"].as_f64().unwrap() - 2.0 / 3.0).abs() < 1e-9, "{completion}");
    assert_eq!(completion["level"], "warning");
    assert_eq!(completion["thresholds"], json!({ "warning": 0.8, "critical": 0.6 }));
    assert!(completion["timestamp"].as_str().unwrap().ends_with('Z'));
    let errors = server.metric("shop_solo_error_rate").await;
    assert_eq!((&errors["level"], &errors["thresholds"]["critical"]), (&json!("critical"), &json!(0.1)));
    let response = server.metric("shop_solo_avg_response_time").await;
    assert!(response["current"].as_f64().unwrap() < 60.0 && response["level"] == "ok", "{response}");
    assert_eq!(server.metric("shop_research_workload").await["current"], 1.0);
    let all = server.get("/crews/default/metrics").await.json();
    assert_eq!(all["metrics"]["default_solo_error_rate"]["current"], errors["current"]);
    assert_eq!(all["metrics"].as_object().unwrap().len(), 24, "all six crews: {all}");
}

#[tokio::test]
async fn metrics_and_crews_are_those_of_the_tenant() {
    let server = server().await;
    server.awaited(SHOP, &task("solo"), Outcome::Failed(failure())).await;
    let scopes = [Scope::Stats, Scope::JobsWrite].into_iter().collect();
    let tenant = TenantId::new("other");
    let wanted = crate::WantedKey { tenant, name: "n".into(), scopes, lifetime: Duration::from_secs(60) };
    let key = server.keys.issue(wanted, qd_store::Actor::Console).await.unwrap();
    let bearer = format!("Bearer {}", key.key.reveal());
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let shop = server.request("GET", "/crews/shop/metrics", &headers, b"").await.json();
    assert_eq!(shop["metrics"]["shop_solo_error_rate"]["current"], Value::Null);
    // It has the crews of the configuration, and none that another tenant published.
    let all = server.request("GET", "/crews/default/metrics", &headers, b"").await.json();
    assert_eq!(all["metrics"].as_object().unwrap().len(), 4, "{all}");
    let body = task("solo").to_string();
    let reply = server.request("POST", "/crews/default/tasks", &headers, body.as_bytes()).await;
    let problem = reply.problem(404, "not_found");
    assert!(problem["detail"].as_str().unwrap().ends_with("there are assistant"), "{problem}");
}

#[tokio::test]
async fn a_job_of_a_system_is_a_job_like_any() {
    let server = server().await;
    let reply = server.awaited(SHOP, &task("solo"), Outcome::Succeeded(output())).await;
    let id = JobId::parse(reply.json()["job_id"].as_str().unwrap()).unwrap();
    assert_eq!(server.get(&format!("/v1/jobs/{id}")).await.json()["status"], "succeeded");
    assert_eq!(server.get(&format!("/tasks/{id}")).await.json()["result"], "the answer");
}
