//! Making, reading, listing and cancelling jobs.

mod batches;
mod dead_letters;
mod human;
mod idempotency;
mod schedules;

use std::time::Duration;

use qd_store::Outcome;
use qd_types::{Class, Code, Failure, JobId};
use serde_json::{Value, json};

use super::client::Reply;
use super::engine::{failure, known, model};
use super::{Server, soon};

fn id(reply: &Reply) -> JobId {
    JobId::parse(reply.json()["id"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_job_is_accepted_with_its_defaults_and_can_be_read_where_the_answer_says() {
    let server = Server::start().await;
    let made = server.post("/v1/jobs", &json!({ "crew": "research", "input": { "topic": "tides" } })).await;
    assert_eq!(made.status, 202, "{}", made.text());
    let job = made.json();
    for (field, value) in [
        ("crew", json!("research")),
        ("crew_version", json!(1)),
        ("status", json!("queued")),
        ("priority", json!(1)),
        ("attempt", json!(0)),
        ("max_attempts", json!(5)),
        ("timeout_seconds", json!(300)),
        ("conversation_id", Value::Null),
        ("input", json!({ "topic": "tides" })),
        ("output", Value::Null),
        ("error", Value::Null),
        ("cost_usd", json!("0.00")),
        ("run_at", Value::Null),
        ("started_at", Value::Null),
        ("duration_ms", Value::Null),
        ("progress", json!({ "completed_tasks": 0, "total_tasks": 2, "current_task": null })),
        ("metadata", json!({})),
    ] {
        assert_eq!(job[field], value, "{field}");
    }
    let created = job["created_at"].as_str().unwrap();
    assert!(created.ends_with('Z') && created.len() == 24, "{created}");
    assert!(made.header("idempotent-replayed").is_none());
    let there = made.header("location").unwrap().to_owned();
    assert_eq!(there, format!("/v1/jobs/{}", job["id"].as_str().unwrap()));
    let read = server.get(&there).await;
    assert_eq!((read.status, read.json()), (200, job));
    assert_eq!(server.stored(id(&made)).await.total(), 2);
}

trait Total {
    fn total(&self) -> u32;
}

impl Total for qd_types::Job {
    fn total(&self) -> u32 {
        self.progress.total_tasks
    }
}

#[tokio::test]
async fn every_field_of_a_new_job_arrives() {
    let server = Server::start().await;
    let body = json!({
        "crew": "research", "input": { "topic": "tides", "tone": "warm" }, "priority": 5, "conversation_id": "ann",
        "run_at": "2099-01-01T01:00:00+01:00", "timeout_seconds": 86400, "expires_at": "2099-01-02T00:00:00Z",
        "max_attempts": 20, "metadata": { "team": "sea" }, "budget_usd": null, "webhook_url": null,
    });
    let made = server.post("/v1/jobs", &body).await;
    assert_eq!(made.status, 202, "{}", made.text());
    let job = made.json();
    for (field, value) in [
        ("status", json!("scheduled")),
        ("priority", json!(5)),
        ("conversation_id", json!("ann")),
        ("run_at", json!("2099-01-01T00:00:00.000Z")),
        ("expires_at", json!("2099-01-02T00:00:00.000Z")),
        ("timeout_seconds", json!(86400)),
        ("max_attempts", json!(20)),
        ("metadata", json!({ "team": "sea" })),
        ("input", json!({ "topic": "tides", "tone": "warm" })),
    ] {
        assert_eq!(job[field], value, "{field}");
    }
}

#[tokio::test]
async fn a_finished_job_shows_output_cost_and_times() {
    let server = Server::start().await;
    let made = server.post("/v1/jobs", &json!({ "crew": "solo", "input": { "topic": "t" } })).await;
    server.eventful().await;
    let job = server.get(made.header("location").unwrap()).await.json();
    assert_eq!(job["status"], "succeeded");
    assert_eq!(
        job["output"],
        json!({ "raw": "the answer", "json": { "a": 1 },
            "tasks": [{ "name": "draft", "agent": "writer", "raw": "the draft" }] })
    );
    assert_eq!(job["cost_usd"], "0.0246");
    assert_eq!((&job["usage"]["model_calls"], &job["usage"]["tool_calls"]), (&json!(2), &json!(1)));
    assert_eq!(job["usage"]["total_tokens"], 30);
    assert_eq!(job["attempt"], 2);
    assert!(job["duration_ms"].is_u64() && job["finished_at"].is_string() && job["started_at"].is_string());
}

#[tokio::test]
async fn failed_and_retrying_jobs_say_why() {
    let server = Server::start().await;
    let made = server.post("/v1/jobs", &json!({ "crew": "fixed" })).await;
    let claimed = server.claim().await;
    let retry = Outcome::Retry { after: Duration::from_secs(60), failure: failure() };
    server.finish(&claimed, retry).await;
    let job = server.get(made.header("location").unwrap()).await.json();
    assert_eq!(job["status"], "retrying");
    assert!(job["retry_at"].is_string());
    assert_eq!(
        job["error"],
        json!({ "code": "model_overloaded", "class": "overloaded", "message": "the provider is overloaded",
            "task": "draft", "retryable": true })
    );
    let made = server.post("/v1/jobs", &json!({ "crew": "fixed" })).await;
    let claimed = server.claim().await;
    server
        .finish(&claimed, Outcome::Failed(Failure::new(Code::JobTimeout, Class::Exhausted, "too long")))
        .await;
    let job = server.get(made.header("location").unwrap()).await.json();
    assert_eq!((&job["status"], &job["error"]["retryable"]), (&json!("failed"), &json!(false)));
}

#[tokio::test]
async fn cancelling_is_accepted_once_and_again_but_not_after_another_end() {
    let server = Server::start().await;
    let made = server.post("/v1/jobs", &json!({ "crew": "fixed" })).await;
    let route = format!("{}/cancel", made.header("location").unwrap());
    for _ in 0..2 {
        let cancelled = server.request("POST", &route, &[], b"").await;
        assert_eq!((cancelled.status, &cancelled.json()["status"]), (202, &json!("cancelled")));
    }
    let made = server.post("/v1/jobs", &json!({ "crew": "fixed" })).await;
    server.succeed().await;
    let late =
        server.request("POST", &format!("{}/cancel", made.header("location").unwrap()), &[], b"").await;
    let problem = late.problem(409, "job_over");
    assert!(problem["detail"].as_str().unwrap().contains("succeeded"));
    let nowhere = "/v1/jobs/018f0000-0000-7000-8000-000000000000/cancel";
    server.request("POST", nowhere, &[], b"").await.problem(404, "not_found");
}

#[tokio::test]
async fn lists_are_newest_first_filtered_and_paged_without_gaps() {
    let server = Server::start().await;
    let mut made = Vec::new();
    for n in 0..7 {
        let crew = if n % 2 == 0 { "fixed" } else { "solo" };
        let input = if n % 2 == 0 { json!({}) } else { json!({ "topic": "t" }) };
        let reply = server.post("/v1/jobs", &json!({ "crew": crew, "input": input })).await;
        made.push(reply.json()["id"].as_str().unwrap().to_owned());
    }
    made.reverse();
    let (mut listed, mut path) = (Vec::new(), "/v1/jobs?limit=3".to_owned());
    loop {
        let page = server.get(&path).await;
        assert_eq!(page.status, 200, "{}", page.text());
        let page = page.json();
        let jobs = page["jobs"].as_array().unwrap();
        assert!(jobs.len() <= 3);
        listed.extend(jobs.iter().map(|job| job["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/jobs?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(listed, made);
    server.succeed().await;
    for (query, count) in [
        ("", 7),
        ("?status=succeeded", 1),
        ("?status=queued", 6),
        ("?crew=solo", 3),
        ("?crew=nobody", 0),
        ("?created_after=2000-01-01T00:00:00Z", 7),
        ("?created_after=2000-01-01T00:00:00%2B02:00", 7),
        ("?created_before=2000-01-01T00:00:00Z", 0),
        ("?crew=fixed&status=queued&limit=500", 3),
    ] {
        let page = server.get(&format!("/v1/jobs{query}")).await;
        assert_eq!(page.json()["jobs"].as_array().map(Vec::len), Some(count), "{query}: {}", page.text());
    }
}

#[tokio::test]
async fn steps_show_cost_tries_and_what_was_not_done_again() {
    let server = Server::start().await;
    let made = server.post("/v1/jobs", &json!({ "crew": "fixed" })).await;
    server.eventful().await;
    let reply = server.get(&format!("{}/steps", made.header("location").unwrap())).await;
    assert_eq!(reply.status, 200);
    let body = reply.json();
    let steps = body["steps"].as_array().unwrap();
    let names: Vec<&str> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(names, ["draft/turn-1/model", "draft/turn-1/tool-0", "draft/turn-2/model"]);
    let first = &steps[0];
    assert_eq!(
        (&first["kind"], &first["model"], &first["agent"]),
        (&json!("model"), &json!("sim-1"), &json!("writer"))
    );
    assert_eq!(
        (&first["source"], &first["replayed"], &first["attempt"]),
        (&json!("executed"), &json!(true), &json!(1))
    );
    assert_eq!((&first["cost_usd"], &first["usage"]["total_tokens"]), (&json!("0.0123"), &json!(15)));
    assert_eq!((&steps[1]["kind"], &steps[1]["tool"]), (&json!("tool"), &json!("calculator")));
    let second = &steps[2];
    assert_eq!(
        (&second["status"], &second["replayed"], &second["try"]),
        (&json!("finished"), &json!(false), &json!(2))
    );
    let tries = second["failed_tries"].as_array().unwrap();
    assert_eq!(tries.len(), 1);
    assert_eq!(
        (&tries[0]["billed"], &tries[0]["error"]["code"]),
        (&json!("possibly"), &json!("model_overloaded"))
    );
}

#[tokio::test]
async fn answer_that_was_known_is_shown_with_what_it_saved() {
    let server = Server::start().await;
    let made = server.post("/v1/jobs", &json!({ "crew": "fixed" })).await;
    let claimed = server.claim().await;
    server.record(&claimed, vec![model(1, "made"), known(2, "known")]).await;
    let body = server.get(&format!("{}/steps", made.header("location").unwrap())).await.json();
    let shown = |n: usize| {
        let step = &body["steps"][n];
        [&step["source"], &step["cost_usd"], &step["saved_usd"], &step["usage"]["model_calls"]]
            .map(Clone::clone)
    };
    assert_eq!(shown(0), [json!("executed"), json!("0.0123"), json!("0.00"), json!(1)]);
    assert_eq!(shown(1), [json!("cached"), json!("0.00"), json!("0.0123"), json!(0)]);
}

#[tokio::test]
async fn a_full_queue_refuses_with_a_time_to_come_back() {
    let server = Server::with(|_| {}, |store| store.max_depth = 1).await;
    assert_eq!(server.post("/v1/jobs", &json!({ "crew": "fixed" })).await.status, 202);
    let chat = json!({ "user_id": "u", "message": "m" });
    for (path, body) in
        [("/v1/jobs", json!({ "crew": "fixed" })), ("/chat", chat), ("/tasks", json!({ "task": "t" }))]
    {
        let refused = server.post(path, &body).await;
        refused.problem(503, "queue_full");
        assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    }
    server.claim().await;
    assert_eq!(server.post("/v1/jobs", &json!({ "crew": "fixed" })).await.status, 202);
}

#[tokio::test]
async fn waiting_answers_with_the_finished_job_or_after_the_time_with_the_job_as_it_is() {
    let server = Server::start().await;
    let body = json!({ "crew": "fixed" });
    let late = server.post_with("/v1/jobs", &[("prefer", "wait=1")], &body).await;
    assert_eq!((late.status, late.header("preference-applied")), (202, Some("wait=1")));
    assert_eq!(late.json()["status"], "queued");
    server.succeed().await;

    let waiting = server.post_with("/v1/jobs", &[("prefer", "wait=60")], &body);
    let working = async {
        // The job is there before the answer is: that is what waiting means.
        loop {
            if server.store.stats().await.unwrap().queued == 1 {
                return server.succeed().await;
            }
            tokio::task::yield_now().await;
        }
    };
    let (reply, done) = soon("the finished job", async { tokio::join!(waiting, working) }).await;
    assert_eq!((reply.status, reply.header("preference-applied")), (200, Some("wait=60")));
    assert_eq!((id(&reply), &reply.json()["output"]["raw"]), (done, &json!("the answer")));
    assert!(reply.header("location").is_some());
}

#[tokio::test]
async fn a_failed_job_is_run_again_as_a_new_job_that_names_it() {
    let server = Server::start().await;
    let body = json!({
        "crew": "research", "input": { "topic": "tides" }, "priority": 5, "conversation_id": "ada",
        "timeout_seconds": 40, "max_attempts": 2, "metadata": { "team": "sea" },
    });
    let first = id(&server.post("/v1/jobs", &body).await);
    let path = format!("/v1/jobs/{first}/redrive");
    server.post_bare(&path, &[]).await.problem(409, "job_not_failed");
    let claimed = server.claim().await;
    server.post_bare(&path, &[]).await.problem(409, "job_not_failed");
    server.finish(&claimed, Outcome::Failed(failure())).await;
    // The crew is mended meanwhile.
    let version =
        super::publish(&server.store, "research", &super::spec("research", "On {topic}", None)).await;
    // A version is remembered for a moment; reading the crews looks at the store.
    server.get("/v1/crews").await;

    let made = server.post_bare(&path, &[("idempotency-key", "k")]).await;
    assert_eq!(made.status, 202, "{}", made.text());
    let again = made.json();
    assert_eq!(again["redrive_of"], json!(first.to_string()));
    assert_eq!(again["crew_version"], json!(version));
    assert_eq!(made.header("location").unwrap(), format!("/v1/jobs/{}", again["id"].as_str().unwrap()));
    for field in ["input", "priority", "conversation_id", "timeout_seconds", "max_attempts", "metadata"] {
        assert_eq!(again[field], body[field], "{field}");
    }
    let repeated = server.post_bare(&path, &[("idempotency-key", "k")]).await;
    assert_eq!(repeated.json()["id"], again["id"]);
    assert_eq!(repeated.header("idempotent-replayed"), Some("true"));
    let another = server.post_bare(&path, &[]).await;
    assert_ne!(another.json()["id"], again["id"], "without a key it is run once more");

    server.succeed().await;
    let over = format!("/v1/jobs/{}/redrive", again["id"].as_str().unwrap());
    server.post_bare(&over, &[]).await.problem(409, "job_not_failed");
    let nobody = "/v1/jobs/018f0000-0000-7000-8000-000000000000/redrive";
    server.post_bare(nobody, &[]).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_cancelled_job_is_run_again_though_its_conversation_and_the_queue_are_busy() {
    let server = Server::with(|_| {}, |store| store.max_depth = 1).await;
    let job = json!({ "crew": "fixed", "conversation_id": "ada" });
    let first = id(&server.post("/v1/jobs", &job).await);
    server.post_bare(&format!("/v1/jobs/{first}/cancel"), &[]).await;
    server.post("/v1/jobs", &job).await;
    server.post("/v1/jobs", &job).await.problem(503, "queue_full");
    assert_eq!(server.post_bare(&format!("/v1/jobs/{first}/redrive"), &[]).await.status, 202);
}
