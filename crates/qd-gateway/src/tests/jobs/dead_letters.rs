//! Failed jobs by cause, run again in bulk or with another input, discarded with a reason.

use qd_store::Outcome;
use qd_types::{Class, Code, Failure, JobId, TaskId};
use serde_json::{Value, json};

use super::super::Server;
use super::id;

const DEAD: &str = "/v1/dead-letters";

/// Makes a job that fails.
async fn failed(server: &Server, topic: &str, code: Code) -> JobId {
    failed_of(server, &json!({ "crew": "solo", "input": { "topic": topic } }), code).await
}

async fn failed_of(server: &Server, job: &Value, code: Code) -> JobId {
    let made = server.post("/v1/jobs", job).await;
    let claimed = server.claim().await;
    assert_eq!(claimed.job.id, id(&made));
    let failure = Failure::new(code, Class::Permanent, "why").in_task(TaskId::new("draft"));
    server.finish(&claimed, Outcome::Failed(failure)).await;
    claimed.job.id
}

async fn groups(server: &Server, query: &str) -> Value {
    let page = server.get(&format!("{DEAD}{query}")).await;
    assert_eq!(page.status, 200, "{}", page.text());
    page.json()
}

#[tokio::test]
async fn failed_jobs_are_counted_by_cause_and_run_again_so_many_a_second() {
    let server = Server::start().await;
    let mut auth = Vec::new();
    for n in 0..3 {
        auth.push(failed(&server, &format!("a{n}"), Code::ModelAuth).await);
    }
    failed(&server, "b", Code::ContentFilter).await;
    let all = groups(&server, "").await;
    let causes: Vec<_> =
        all["groups"].as_array().unwrap().iter().map(|g| (&g["code"], &g["count"])).collect();
    assert_eq!(causes, [(&json!("model_auth"), &json!(3)), (&json!("content_filter"), &json!(1))]);
    assert_eq!((&all["total"], &all["groups"][0]["newest_job"]), (&json!(4), &json!(auth[2].to_string())));
    assert_eq!(groups(&server, "?code=content_filter&crew=solo&task=draft").await["total"], 1);

    let ask = |more: Value| {
        let mut body = json!({ "code": "model_auth", "per_second": 2 });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let path = format!("{DEAD}/redrive");
    let counted = server.post(&path, &ask(json!({ "dry_run": true }))).await;
    assert_eq!(
        (counted.status, &counted.json()["matched"], &counted.json()["left"]),
        (200, &json!(3), &json!(3))
    );
    let made = server.post(&path, &ask(json!({ "limit": 2 }))).await;
    assert_eq!((made.status, &made.json()["left"]), (202, &json!(1)), "{}", made.text());
    let rest = server.post(&path, &ask(json!({}))).await.json();
    assert_eq!((&rest["matched"], &rest["left"]), (&json!(1), &json!(0)), "{rest}");
    let new: Vec<JobId> = made.json()["redriven"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| JobId::parse(id.as_str().unwrap()).unwrap())
        .collect();
    let (first, second) = (server.stored(new[0]).await, server.stored(new[1]).await);
    assert_eq!((first.redrive_of, second.redrive_of), (Some(auth[0]), Some(auth[1])));
    // Two a second: the first at once, the second half a second later.
    assert_eq!(first.run_at, None);
    let after = second.run_at.unwrap().0 - second.created_at.0;
    assert!((400..=500).contains(&after), "{after} ms");
    assert_eq!(groups(&server, "").await["total"], 1);
}

#[tokio::test]
async fn a_job_that_cannot_be_run_again_is_told_and_stays() {
    let server = Server::start().await;
    failed(&server, "a", Code::NoOutput).await;
    super::super::publish(&server.store, "solo", &super::super::spec("solo", "On {topic} and {more}", None))
        .await;
    server.get("/v1/crews").await;
    let answer = server.post(&format!("{DEAD}/redrive"), &json!({})).await.json();
    assert_eq!((&answer["redriven"], &answer["left"]), (&json!([]), &json!(1)), "{answer}");
    assert_eq!(answer["skipped"][0]["code"], "validation_failed");
    assert!(answer["skipped"][0]["detail"].as_str().unwrap().contains("more"), "{answer}");
    // It stands in nobody's way.
    let other = json!({ "crew": "pair", "input": { "left": 1, "right": 2 } });
    let behind = failed_of(&server, &other, Code::NoOutput).await;
    let answer = server.post(&format!("{DEAD}/redrive"), &json!({ "limit": 1 })).await.json();
    assert_eq!((&answer["matched"], &answer["left"]), (&json!(2), &json!(1)), "{answer}");
    let made = JobId::parse(answer["redriven"][0].as_str().unwrap()).unwrap();
    assert_eq!(server.stored(made).await.redrive_of, Some(behind));
}

#[tokio::test]
async fn a_failed_job_is_run_again_with_another_input() {
    let server = Server::start().await;
    let first = failed(&server, "tides", Code::ContentFilter).await;
    let path = format!("/v1/jobs/{first}/redrive");
    let key = [("idempotency-key", "k")];
    let made = server.post_with(&path, &key, &json!({ "input": { "topic": "waves" } })).await;
    assert_eq!((made.status, &made.json()["input"]), (202, &json!({ "topic": "waves" })), "{}", made.text());
    assert_eq!(made.json()["redrive_of"], json!(first.to_string()));
    let again = server.post_with(&path, &key, &json!({ "input": { "topic": "waves" } })).await;
    assert_eq!(again.json()["id"], made.json()["id"]);
    server.post_bare(&path, &key).await.problem(422, "idempotency_conflict");
}

#[tokio::test]
async fn what_is_discarded_keeps_its_reason_in_the_audit_log() {
    let server = Server::start().await;
    let first = failed(&server, "a", Code::NoOutput).await;
    let second = failed(&server, "b", Code::NoOutput).await;
    let path = format!("{DEAD}/discard");
    let by_id = server.post(&path, &json!({ "jobs": [first.to_string()], "reason": "not ours" })).await;
    assert_eq!(by_id.json(), json!({ "matched": 1, "discarded": [first.to_string()], "left": 1 }));
    let counted = server.post(&path, &json!({ "crew": "solo", "reason": "x", "dry_run": true })).await.json();
    assert_eq!((&counted["matched"], &counted["discarded"]), (&json!(1), &json!([])));
    let rest = server.post(&path, &json!({ "crew": "solo", "reason": "old" })).await.json();
    assert_eq!((&rest["discarded"], &rest["left"]), (&json!([second.to_string()]), &json!(0)));
    assert_eq!(groups(&server, "").await, json!({ "groups": [], "total": 0 }));
    let acts = server.get("/v1/audit").await.json();
    let reasons: Vec<_> =
        acts["acts"].as_array().unwrap().iter().map(|act| &act["detail"]["reason"]).collect();
    assert_eq!(reasons, ["not ours", "old"], "{acts}");
    // The job itself is as it was.
    assert_eq!(server.get(&format!("/v1/jobs/{first}")).await.json()["status"], "failed");
}

#[tokio::test]
async fn large_dead_letters_are_all_discarded_although_they_are_read_in_pieces() {
    let server = Server::with(|options| options.body_bytes_max = 4 << 20, |_| {}).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        // Two of them fill what is read at once.
        ids.push(json!(failed(&server, &"x".repeat(3 << 20), Code::NoOutput).await.to_string()));
    }
    let path = format!("{DEAD}/discard");
    let counted = server.post(&path, &json!({ "reason": "x", "dry_run": true })).await.json();
    assert_eq!((&counted["matched"], &counted["left"]), (&json!(3), &json!(3)));
    let all = server.post(&path, &json!({ "crew": "solo", "reason": "x" })).await;
    assert_eq!(all.json(), json!({ "matched": 3, "discarded": ids, "left": 0 }));
}
