//! The API of CrewAI's platform: what each call takes and answers.

use std::sync::Arc;
use std::time::Duration;

use qd_egress::Bounds;
use qd_store::{Actor, Outcome};
use qd_types::{AskRules, JobId, OnExpiry, Scope, TenantId};
use serde_json::{Value, json};

use crate::tests::Server;
use crate::tests::client::Reply;
use crate::tests::engine::{failure, output};
use crate::{Auth, WantedKey};

const RULES: AskRules = AskRules {
    reminder_seconds: 0,
    reminders: 0,
    expires_seconds: 0,
    on_expiry: OnExpiry::Fail,
    max_rounds: 1,
};

const URL: &str = "https://receiver.example/hooks?token=s3cret";

async fn server() -> Server {
    let bounds = Arc::new(Bounds::new(&qd_egress::Options::default()).unwrap());
    Server::with(|options| options.job_webhooks = Some(bounds), |_| {}).await
}

async fn kickoff(server: &Server, body: &Value) -> Reply {
    server.post("/v1/crews/solo/kickoff", body).await
}

/// The id of a kickoff that was taken.
async fn started(server: &Server) -> String {
    let reply = kickoff(server, &json!({ "inputs": { "topic": "tides" } })).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["kickoff_id"].as_str().unwrap().to_owned()
}

async fn status(server: &Server, id: &str) -> Value {
    let reply = server.get(&format!("/v1/crews/solo/status/{id}")).await;
    let other = server.get(&format!("/v1/crews/solo/{id}/status")).await;
    assert_eq!((reply.status, other.status), (200, 200), "{}", reply.text());
    assert_eq!(reply.json(), other.json());
    reply.json()
}

/// Errors are problems that say the same in that API's words.
#[track_caller]
fn refused(reply: &Reply, status: u16, code: &str) -> Value {
    let problem = reply.problem(status, code);
    assert!(problem["error"].is_string(), "{problem}");
    assert_eq!(problem["message"], problem["detail"], "{problem}");
    problem
}

#[tokio::test]
async fn a_crew_tells_its_inputs() {
    let server = server().await;
    let inputs = async |crew: &str| server.get(&format!("/v1/crews/{crew}/inputs")).await;
    assert_eq!(inputs("research").await.json(), json!({ "inputs": ["tone", "topic"] }));
    assert_eq!(inputs("fixed").await.json(), json!({ "inputs": [] }));
    refused(&inputs("nobody").await, 404, "not_found");
    refused(&inputs("broken").await, 422, "invalid_crew");
}

#[tokio::test]
async fn a_kickoff_is_a_job_in_every_state() {
    let server = server().await;
    let id = started(&server).await;
    let running = json!({
        "status": "running", "current_task": null, "progress": { "completed_tasks": 0, "total_tasks": 2 },
    });
    assert_eq!(status(&server, &id).await, running);
    server.waits(1, RULES).await;
    let waiting = status(&server, &id).await;
    assert_eq!((&waiting["status"], &waiting["state"]), (&json!("running"), &json!("Pending Human Input")));
    let asks = json!({ "task_id": "draft/turn-1/human", "task": "draft", "output": "draft 1" });
    assert_eq!(waiting["human_input"], asks);
    let approve = json!({ "execution_id": id, "task_id": "draft/turn-1/human", "is_approve": true });
    let resumed = server.post("/v1/crews/solo/resume", &approve).await;
    assert_eq!((resumed.status, &resumed.json()["status"]), (200, &json!("resumed")));
    let claimed = server.claim().await;
    server.finish(&claimed, Outcome::Succeeded(output())).await;
    let completed = status(&server, &id).await;
    assert_eq!(
        (&completed["status"], &completed["result"]["output"]),
        (&json!("completed"), &json!("the answer"))
    );
    assert_eq!(completed["result"]["tasks"][0]["output"], "the draft");

    let id = started(&server).await;
    let claimed = server.claim().await;
    server.finish(&claimed, Outcome::Failed(failure())).await;
    let failed = status(&server, &id).await;
    assert_eq!(
        (&failed["status"], &failed["error"]),
        (&json!("error"), &json!("the provider is overloaded"))
    );
    assert!(failed["execution_time"].is_f64(), "{failed}");
}

#[tokio::test]
async fn refusals_of_kickoffs_are_told_in_the_words_of_that_api() {
    let server = server().await;
    let missing = refused(&kickoff(&server, &json!({})).await, 422, "validation_failed");
    assert_eq!(
        (&missing["error"], &missing["details"]),
        (&json!("Validation Error"), &json!({ "missing_inputs": ["topic"] }))
    );
    let unknown = server.post("/v1/crews/nobody/kickoff", &json!({})).await;
    refused(&unknown, 404, "not_found");
    let inputs = json!({ "topic": "t" });
    let authentication = json!({ "strategy": "none", "token": "s3cret" });
    let human =
        json!({ "inputs": inputs, "humanInputWebhook": { "url": URL, "authentication": authentication } });
    let reply = kickoff(&server, &human).await;
    refused(&reply, 422, "validation_failed");
    assert!(!reply.text().contains("s3cret"), "{}", reply.text());
    // Without a secret to sign with, no URL is taken.
    let unsigned = Server::start().await;
    let with = |url: &str| json!({ "inputs": inputs, "taskWebhookUrl": url });
    refused(&kickoff(&unsigned, &with(URL)).await, 422, "not_supported");
    assert_eq!(kickoff(&unsigned, &with("")).await.status, 200, "an empty one is none");
}

#[tokio::test]
async fn kickoffs_are_idempotent_by_key_and_show_no_secret() {
    let server = server().await;
    let body = json!({
        "inputs": { "topic": "t" }, "crewWebhookUrl": URL, "meta": { "a": 1 },
        "humanInputWebhook": { "url": URL, "authentication": { "strategy": "basic", "username": "u", "password": "pa55" } },
    });
    let key = [("idempotency-key", "k")];
    let first = server.post_with("/v1/crews/solo/kickoff", &key, &body).await;
    let again = server.post_with("/v1/crews/solo/kickoff", &key, &body).await;
    assert_eq!((first.status, first.json()), (200, again.json()));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    let other = server.post_with("/v1/crews/fixed/kickoff", &key, &json!({})).await;
    refused(&other, 422, "idempotency_conflict");
    let id = first.json()["kickoff_id"].as_str().unwrap().to_owned();
    server.waits(1, RULES).await;
    for path in [format!("/v1/jobs/{id}"), format!("/v1/jobs/{id}/deliveries"), "/v1/jobs".to_owned()] {
        let text = server.get(&path).await.text();
        assert!(!text.contains("s3cret") && !text.contains("pa55"), "{text}");
    }
    let deliveries = server.get(&format!("/v1/jobs/{id}/deliveries")).await.json();
    assert_eq!(deliveries["deliveries"][0]["event"], "amp.human_input");
    let job = server.stored(JobId::parse(&id).unwrap()).await;
    assert!(!format!("{job:?}").contains("pa55"), "not in logs either");
}

#[tokio::test]
async fn answers_are_taken_in_the_words_of_that_api() {
    let server = server().await;
    let id = started(&server).await;
    let resume = async |more: Value| {
        let mut body = json!({ "execution_id": id, "task_id": "draft" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        server.post("/v1/crews/solo/resume", &body).await
    };
    let not_pending = resume(json!({ "is_approve": true })).await;
    assert_eq!(not_pending.status, 400);
    assert_eq!(not_pending.json()["error"], "Execution is not in pending human input state");
    server.waits(1, RULES).await;
    refused(&resume(json!({})).await, 422, "validation_failed");
    assert_eq!(resume(json!({ "is_approve": true, "task_id": "polish" })).await.status, 400);
    refused(&resume(json!({ "is_approve": true, "execution_id": "x" })).await, 404, "not_found");
    let elsewhere = json!({ "execution_id": id, "task_id": "draft", "is_approve": true });
    refused(&server.post("/v1/crews/fixed/resume", &elsewhere).await, 404, "not_found");
    let sent_back = resume(json!({ "is_approve": false, "human_feedback": "shorter" })).await;
    assert_eq!((sent_back.status, &sent_back.json()["status"]), (200, &json!("retrying")));
    server.waits(2, RULES).await;
    let over = resume(json!({ "is_approve": false, "human_feedback": "no" })).await;
    assert_eq!((over.status, &over.json()["status"]), (200, &json!("completed")));
    assert_eq!(status(&server, &id).await["status"], "error");
}

#[tokio::test]
async fn a_kickoff_is_stopped_once() {
    let server = server().await;
    let id = started(&server).await;
    let stop = async |id: &str| server.post_bare(&format!("/v1/crews/solo/stop/{id}"), &[]).await;
    let stopped = stop(&id).await;
    assert_eq!((stopped.status, stopped.json()), (200, json!({ "status": "stopped", "kickoffId": id })));
    let again = stop(&id).await;
    let detail = json!({ "detail": "Cannot stop execution. Current state: REVOKED" });
    assert_eq!((again.status, again.json()), (400, detail));
    assert_eq!(status(&server, &id).await["status"], "error");
    for unknown in ["018f0000-0000-7000-8000-000000000000", "x"] {
        refused(&stop(unknown).await, 404, "not_found");
        refused(&server.get(&format!("/v1/crews/solo/status/{unknown}")).await, 404, "not_found");
    }
    refused(&server.get(&format!("/v1/crews/fixed/status/{id}")).await, 404, "not_found");
}

#[tokio::test]
async fn kickoffs_of_others_do_not_exist() {
    let server = Server::with(|options| options.auth = Auth::Keys, |_| {}).await;
    let bearer = async |tenant: &str| {
        let scopes = Scope::ALL.iter().copied().collect();
        let lifetime = Duration::from_secs(60);
        let wanted = WantedKey { tenant: TenantId::new(tenant), name: "k".into(), scopes, lifetime };
        let issued = server.keys.issue(wanted, Actor::Console).await.unwrap();
        format!("Bearer {}", issued.key.reveal())
    };
    let (ours, theirs) = (bearer("acme").await, bearer("globex").await);
    let (ours, theirs) = ([("authorization", ours.as_str())], [("authorization", theirs.as_str())]);
    let body = json!({ "inputs": { "message": "m" } });
    let made = server.post_with("/v1/crews/assistant/kickoff", &theirs, &body).await;
    let id = made.json()["kickoff_id"].as_str().unwrap().to_owned();
    let path = format!("/v1/crews/assistant/status/{id}");
    assert_eq!(server.request("GET", &path, &theirs, b"").await.status, 200);
    refused(&server.request("GET", &path, &ours, b"").await, 404, "not_found");
    let answer = json!({ "execution_id": id, "task_id": "t", "is_approve": true });
    refused(&server.post_with("/v1/crews/assistant/resume", &ours, &answer).await, 404, "not_found");
    refused(&server.post_bare(&format!("/v1/crews/assistant/stop/{id}"), &ours).await, 404, "not_found");
}
