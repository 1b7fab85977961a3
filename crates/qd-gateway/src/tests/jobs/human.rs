//! Jobs that wait for people: how they show what they ask, and how they are answered.

use std::time::Duration;

use qd_store::{Actor, Outcome};
use qd_types::{AskRules, OnExpiry, Scope, TenantId};
use serde_json::{Value, json};

use crate::WantedKey;
use crate::routes::jobs::resume::FEEDBACK_CHARS_MAX;
use crate::tests::Server;
use crate::tests::client::Reply;
use crate::tests::engine::output;
use crate::tests::events::read_events;

const RULES: AskRules = AskRules {
    reminder_seconds: 60,
    reminders: 2,
    expires_seconds: 3_600,
    on_expiry: OnExpiry::Fail,
    max_rounds: 1,
};

/// A job that waits in its first round, with its path.
async fn waiting(server: &Server) -> String {
    let made = server.post("/v1/jobs", &json!({ "crew": "fixed" })).await;
    let claimed = server.waits(1, RULES).await;
    assert_eq!(made.json()["id"], claimed.job.id.to_string());
    format!("/v1/jobs/{}", claimed.job.id)
}

async fn resume(server: &Server, job: &str, body: Value) -> Reply {
    server.post(&format!("{job}/resume"), &body).await
}

#[tokio::test]
async fn a_waiting_job_shows_what_it_asks_and_goes_on_with_the_answer() {
    let server = Server::start().await;
    let job = waiting(&server).await;
    let shown = server.get(&job).await.json();
    assert_eq!(shown["status"], "waiting");
    let asks = &shown["waiting"];
    for (field, value) in [
        ("step", json!("draft/turn-1/human")),
        ("task", json!("draft")),
        ("agent", json!("writer")),
        ("output", json!("draft 1")),
        ("round", json!(1)),
        ("feedback_left", json!(1)),
        ("reminders", json!(0)),
    ] {
        assert_eq!(asks[field], value, "{field}");
    }
    assert!(asks["expires_at"].is_string() && asks["since"].is_string(), "{asks}");
    let listed = server.get("/v1/jobs?status=waiting").await.json();
    assert_eq!(listed["jobs"][0]["waiting"]["output"], "draft 1");
    assert_eq!(server.get("/v1/stats").await.json()["jobs"]["waiting"], 1);

    let answered = resume(&server, &job, json!({ "approve": true, "feedback": "well done" })).await;
    assert_eq!((answered.status, &answered.json()["status"]), (202, &json!("queued")));
    assert_eq!(answered.json()["waiting"], Value::Null);
    let claimed = server.claim().await;
    server.finish(&claimed, Outcome::Succeeded(output())).await;
    let steps = server.get(&format!("{job}/steps")).await.json();
    let human = &steps["steps"][0];
    assert_eq!((&human["kind"], &human["status"]), (&json!("human"), &json!("finished")));
    let by = json!({ "who": "anyone", "key_id": null, "name": null });
    let answer = json!({ "approved": true, "feedback": "well done", "answered_by": by });
    assert_eq!((&human["answer"], &human["agent"]), (&answer, &json!("writer")));

    let events = read_events(&server, claimed.job.id).await;
    let of = |name: &str| events.iter().find(|event| event.0 == name).map(|event| &event.1).unwrap();
    let asked = of("job.waiting");
    assert_eq!((&asked["output"], &asked["step"]), (&json!("draft 1"), &json!("draft/turn-1/human")));
    assert!(asked.get("reminder").is_none());
    assert_eq!(of("step.answered")["answer"], answer);
    assert!(events.iter().any(|event| event.0 == "job.succeeded"));
}

#[tokio::test]
async fn answers_mean_what_they_say_and_nothing_else() {
    let fits = "x".repeat(FEEDBACK_CHARS_MAX);
    for (body, approved) in [
        (json!({ "approve": true }), true),
        (json!({ "feedback": "" }), true),
        (json!({ "feedback": " \n", "approve": null }), true),
        (json!({ "approve": true, "feedback": "fine" }), true),
        (json!({ "approve": false, "feedback": "shorter" }), false),
        (json!({ "feedback": "shorter" }), false),
        (json!({ "feedback": fits, "step": "draft/turn-1/human" }), false),
    ] {
        let server = Server::start().await;
        let job = waiting(&server).await;
        let reply = resume(&server, &job, body.clone()).await;
        assert_eq!(reply.status, 202, "{body}: {}", reply.text());
        let steps = server.get(&format!("{job}/steps")).await.json();
        assert_eq!(steps["steps"][0]["answer"]["approved"], approved, "{body}");
    }
}

#[tokio::test]
async fn an_answer_is_taken_once_and_told_apart_from_others() {
    let server = Server::start().await;
    let job = waiting(&server).await;
    let step = "draft/turn-1/human";
    let first = json!({ "step": step, "feedback": "shorter" });
    let taken = resume(&server, &job, first.clone()).await;
    assert_eq!((taken.status, taken.header("idempotent-replayed")), (202, None));
    let again = resume(&server, &job, first.clone()).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (202, Some("true")));
    for other in [json!({ "step": step, "approve": true }), json!({ "step": step, "feedback": "longer" })] {
        resume(&server, &job, other).await.problem(409, "already_answered");
    }
    server.waits(2, RULES).await;
    // The same words to another question are another answer, unless they are to the old one by name.
    assert_eq!(resume(&server, &job, first).await.header("idempotent-replayed"), Some("true"));
    let unknown = resume(&server, &job, json!({ "step": "draft/turn-9/human", "approve": true })).await;
    let detail = unknown.problem(409, "job_not_waiting")["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("draft/turn-2/human") && detail.contains("draft/turn-9/human"), "{detail}");
    // It was sent back as often as it may be.
    let over = resume(&server, &job, json!({ "feedback": "still not" })).await;
    assert_eq!((over.status, &over.json()["status"]), (202, &json!("failed")));
    assert_eq!(over.json()["error"]["code"], "human_input_rejected");
}

#[tokio::test]
async fn a_job_that_asks_nothing_takes_no_answer() {
    let server = Server::start().await;
    let made = server.post("/v1/jobs", &json!({ "crew": "fixed" })).await;
    let job = format!("/v1/jobs/{}", made.json()["id"].as_str().unwrap());
    let approve = || json!({ "approve": true });
    resume(&server, &job, approve()).await.problem(409, "job_not_waiting");
    server.succeed().await;
    resume(&server, &job, approve()).await.problem(409, "job_not_waiting");
    for unknown in ["018f0000-0000-7000-8000-000000000000", "nonsense"] {
        resume(&server, &format!("/v1/jobs/{unknown}"), approve()).await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn idempotency_keys_of_answers_are_strict() {
    let server = Server::start().await;
    let job = waiting(&server).await;
    let key = [("idempotency-key", "k")];
    let path = format!("{job}/resume");
    let body = json!({ "feedback": "shorter" });
    assert_eq!(server.post_with(&path, &key, &body).await.status, 202);
    server.waits(2, RULES).await;
    let again = server.post_with(&path, &key, &body).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (202, Some("true")));
    assert_eq!(again.json()["status"], "waiting", "it is no answer to the new question");
    let other = server.post_with(&path, &key, &json!({ "approve": true })).await;
    other.problem(422, "idempotency_conflict");
    let second = waiting(&server).await;
    let elsewhere = server.post_with(&format!("{second}/resume"), &key, &body).await;
    elsewhere.problem(422, "idempotency_conflict");
}

#[tokio::test]
async fn who_answered_is_written_down_by_their_key() {
    let server = Server::start().await;
    let job = waiting(&server).await;
    let scopes = [Scope::JobsWrite].into_iter().collect();
    let lifetime = Duration::from_secs(60);
    let wanted = WantedKey { tenant: TenantId::default(), name: "ada".into(), scopes, lifetime };
    let key = server.keys.issue(wanted, Actor::Console).await.unwrap();
    let bearer = format!("Bearer {}", key.key.reveal());
    let headers = [("authorization", bearer.as_str())];
    let answered = server.post_with(&format!("{job}/resume"), &headers, &json!({ "approve": true })).await;
    assert_eq!(answered.status, 202, "{}", answered.text());
    let steps = server.get(&format!("{job}/steps")).await.json();
    let by = json!({ "who": "key", "key_id": key.stored.id.to_string(), "name": "ada" });
    assert_eq!(steps["steps"][0]["answer"]["answered_by"], by);
}

#[tokio::test]
async fn a_question_that_was_cancelled_is_told_as_a_step_that_failed() {
    let server = Server::start().await;
    let job = waiting(&server).await;
    let steps = server.get(&format!("{job}/steps")).await.json();
    assert_eq!(steps["steps"][0]["status"], "waiting");
    let cancelled = server.post_bare(&format!("{job}/cancel"), &[]).await;
    assert_eq!((cancelled.status, &cancelled.json()["waiting"]), (202, &Value::Null));
    let steps = server.get(&format!("{job}/steps")).await.json();
    assert_eq!(steps["steps"][0]["status"], "failed");
    let again = server.post_bare(&format!("{job}/redrive"), &[]).await;
    assert_eq!(again.status, 202, "{}", again.text());
}
