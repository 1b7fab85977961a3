//! Batches as callers meet them: taken in as one document or as lines, each input checked, one progress.

use std::time::Duration;

use qd_store::Outcome;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::tests::client::{Reply, parse, raw};
use crate::tests::engine::{failure, output};
use crate::tests::{Server, soon};

const LINES: (&str, &str) = ("content-type", "application/x-ndjson");

impl Server {
    async fn batch(&self, inputs: Value) -> Reply {
        self.post("/v1/batches", &json!({ "crew": "solo", "inputs": inputs })).await
    }

    async fn upload(&self, query: &str, headers: &[(&str, &str)], lines: &str) -> Reply {
        let mut all = vec![LINES];
        all.extend_from_slice(headers);
        self.request("POST", &format!("/v1/batches?{query}"), &all, lines.as_bytes()).await
    }

    async fn feed(&self) -> usize {
        self.store.feed_batches(1_000).await.unwrap().started.len()
    }

    async fn results(&self, id: &str, query: &str) -> Vec<Value> {
        let reply = self.get(&format!("/v1/batches/{id}/results{query}")).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/x-ndjson")));
        reply.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    async fn nothing_is_kept(&self) {
        assert_eq!(self.get("/v1/batches").await.json()["batches"], json!([]));
        assert_eq!(self.feed().await, 0);
    }
}

fn id(reply: &Reply) -> String {
    assert_eq!(reply.status, 202, "{}", reply.text());
    reply.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_batch_runs_to_its_end_and_tells_how_far_it_is() {
    let server = Server::start().await;
    let body = json!({
        "crew": "solo", "concurrency": 2, "max_attempts": 3, "timeout_seconds": 60, "budget_usd": "0.5",
        "metadata": { "run": "7" },
        "inputs": [
            { "topic": "a" },
            { "input": { "topic": "b" }, "priority": 5, "metadata": { "row": "2" } },
            { "wrong": "c" },
            { "topic": "d" },
        ],
    });
    let made = server.post("/v1/batches", &body).await;
    let id = id(&made);
    assert_eq!(made.header("location"), Some(format!("/v1/batches/{id}").as_str()));
    let shown = made.json();
    assert_eq!((&shown["counts"]["pending"], &shown["counts"]["invalid"]), (&json!(3), &json!(1)));
    let invalid = shown["invalid_inputs"].as_array().unwrap();
    assert_eq!((invalid.len(), &invalid[0]["index"]), (1, &json!(2)));
    assert!(invalid[0]["message"].as_str().unwrap().contains("topic"), "{invalid:?}");
    assert_eq!(server.feed().await, 2);
    // The urgent one first.
    let claimed = server.claim().await;
    assert_eq!((claimed.job.input["topic"].as_str(), claimed.job.metadata["row"].as_str()), (Some("b"), "2"));
    server.finish(&claimed, Outcome::Succeeded(output())).await;
    let job = server.get(&format!("/v1/jobs/{}", claimed.job.id)).await.json();
    assert_eq!(
        (&job["batch_id"], &job["batch_index"], &job["budget_usd"]),
        (&json!(id), &json!(1), &json!("0.50"))
    );
    server.feed().await;
    let now = server.get(&format!("/v1/batches/{id}")).await.json();
    assert_eq!((&now["status"], &now["counts"]["queued"]), (&json!("running"), &json!(2)));
    let claimed = server.claim().await;
    server.finish(&claimed, Outcome::Failed(failure())).await;
    server.succeed().await;
    let over = server.get(&format!("/v1/batches/{id}")).await.json();
    assert_eq!((&over["status"], over["finished_at"].is_string()), (&json!("finished"), true));
    let results = server.results(&id, "").await;
    let stand: Vec<_> = results.iter().map(|one| one["status"].as_str().unwrap()).collect();
    assert_eq!(stand, ["failed", "succeeded", "invalid", "succeeded"]);
    assert_eq!(results[1]["output"]["raw"], "the answer");
    assert_eq!(results[2]["error"]["code"], "validation_failed");
    assert_eq!(server.results(&id, "?status=failed").await, results[..1]);
    let again = server.post_bare(&format!("/v1/batches/{id}/cancel"), &[]).await;
    again.problem(409, "job_over");
}

#[tokio::test]
async fn lines_make_the_same_batch_as_a_document() {
    let server = Server::start().await;
    let query =
        "crew=solo&concurrency=3&priority=4&metadata.run=7&budget_usd=0.5&timeout_seconds=60&max_attempts=2";
    let lines = "{\"topic\":\"a\"}\r\n\n{\"input\":{\"topic\":\"b\"},\"priority\":5}\nno json\n[1]\n{\"topic\":\"c\"}";
    let made = server.upload(query, &[], lines).await;
    let id = id(&made);
    let shown = made.json();
    for (field, value) in [
        ("concurrency", json!(3)),
        ("priority", json!(4)),
        ("metadata", json!({ "run": "7" })),
        ("budget_usd", json!("0.50")),
        ("timeout_seconds", json!(60)),
        ("max_attempts", json!(2)),
    ] {
        assert_eq!(shown[field], value, "{field}");
    }
    let messages: Vec<_> = shown["invalid_inputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["message"].as_str().unwrap())
        .collect();
    assert_eq!(messages.len(), 2);
    assert!(messages[0].starts_with("line 4: the body is no JSON"), "{messages:?}");
    assert_eq!(messages[1], "must be an object, not an array");
    assert_eq!(server.feed().await, 3);
    let stand: Vec<_> = server.results(&id, "").await.iter().map(|one| one["status"].clone()).collect();
    assert_eq!(stand, ["queued", "queued", "invalid", "invalid", "queued"]);
}

#[tokio::test]
async fn an_upload_may_be_as_long_as_its_bounds_and_no_line_longer() {
    let server = Server::with(
        |options| {
            options.body_bytes_max = 100;
            options.batches.upload_bytes_max = 400;
            options.batches.upload_items_max = 5;
        },
        |_| {},
    )
    .await;
    let row = |size: usize| {
        let empty = json!({ "topic": "" }).to_string().len();
        json!({ "topic": "x".repeat(size - empty) }).to_string() + "\n"
    };
    let refused = [row(20).repeat(6), row(101), row(80).repeat(5)];
    for lines in refused {
        server.upload("crew=solo", &[], &lines).await.problem(413, "payload_too_large");
    }
    server.nothing_is_kept().await;
    for lines in [row(20).repeat(5), row(100), row(79).repeat(5)] {
        assert_eq!(server.upload("crew=solo", &[], &lines).await.status, 202, "as much as there may be");
    }
}

#[tokio::test]
async fn an_upload_that_breaks_off_or_dawdles_leaves_nothing_and_its_place_is_free_again() {
    let server = Server::with(
        |options| {
            options.batches.uploads_max = 1;
            options.body_read = Duration::from_millis(200);
        },
        |options| options.open_batches = 1,
    )
    .await;
    let head = "POST /v1/batches?crew=solo HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-ndjson\r\n\
                content-length: 1000\r\nconnection: close\r\n\r\n";
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(format!("{head}{{\"topic\":\"t\"}}\n").as_bytes()).await.unwrap();
    drop(stream);
    let slow = raw(server.address, format!("{head}{{\"topic\":\"t\"}}\n").as_bytes()).await;
    // The other one may still hold the only place.
    let slow = parse(&slow);
    assert!(matches!(slow.status, 408 | 503 | 429), "{}", slow.text());
    let retried = soon("the place is free", async {
        loop {
            let reply = server.upload("crew=solo", &[], "{\"topic\":\"t\"}\n").await;
            if reply.status == 202 {
                return reply;
            }
            assert!(matches!(reply.status, 429 | 503), "{}", reply.text());
        }
    });
    assert_eq!(retried.await.json()["counts"]["total"], 1);
    assert_eq!(server.get("/v1/batches").await.json()["batches"].as_array().unwrap().len(), 1);
    // As many as there may be are not over.
    let more = server.batch(json!([{ "topic": "t" }])).await;
    more.problem(429, "quota_exceeded");
}

/// A document that is large by blanks alone.
fn large() -> String {
    json!({ "crew": "solo", "inputs": [{ "topic": "t" }] }).to_string() + &" ".repeat(300 * 1024)
}

fn head(framing: &str) -> String {
    format!(
        "POST /v1/batches HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{framing}\r\n\
         connection: close\r\n\r\n"
    )
}

impl Server {
    async fn document(&self, body: &str) -> Reply {
        self.request("POST", "/v1/batches", &[("content-type", "application/json")], body.as_bytes()).await
    }

    /// Asks with a large document until it is answered so.
    async fn large_is_answered(&self, status: u16) -> Reply {
        soon("the answer", async {
            loop {
                let reply = self.document(&large()).await;
                assert!(matches!(reply.status, 202 | 503), "{}", reply.text());
                if reply.status == status {
                    return reply;
                }
            }
        })
        .await
    }
}

#[tokio::test]
async fn large_documents_take_places_among_the_uploads_and_small_ones_always_pass() {
    let server = Server::with(|options| options.batches.uploads_max = 5, |_| {}).await;
    assert_eq!(server.document(&large()).await.status, 202);
    let mut held = TcpStream::connect(server.address).await.unwrap();
    let length = format!("content-length: {}", large().len());
    held.write_all(head(&length).as_bytes()).await.unwrap();
    let refused = server.large_is_answered(503).await;
    refused.problem(503, "overloaded");
    assert_eq!(refused.header("retry-after"), Some("5"));
    // One that does not say how long it is may be long.
    let chunked = head("transfer-encoding: chunked") + "2\r\n{}\r\n0\r\n\r\n";
    parse(&raw(server.address, chunked.as_bytes()).await).problem(503, "overloaded");
    // There is a place for lines, and none is needed for little.
    assert_eq!(server.upload("crew=solo", &[], "{\"topic\":\"t\"}\n").await.status, 202);
    assert_eq!(server.batch(json!([{ "topic": "t" }])).await.status, 202);
    drop(held);
    server.large_is_answered(202).await;
}

#[tokio::test]
async fn a_large_document_takes_all_places_where_there_are_few() {
    let server = Server::with(|options| options.batches.uploads_max = 1, |_| {}).await;
    assert_eq!(server.document(&large()).await.status, 202);
}

#[tokio::test]
async fn the_same_key_gives_the_same_batch_whichever_way_it_comes() {
    let server = Server::start().await;
    let body = json!({ "crew": "solo", "inputs": [{ "topic": "t" }, { "wrong": 1 }] });
    let key = [("idempotency-key", "k")];
    let first = server.post_with("/v1/batches", &key, &body).await;
    let again = server.post_with("/v1/batches", &key, &body).await;
    assert_eq!(id(&first), id(&again));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.json()["invalid_inputs"], first.json()["invalid_inputs"]);
    let other = json!({ "crew": "solo", "inputs": [{ "topic": "u" }] });
    server.post_with("/v1/batches", &key, &other).await.problem(422, "idempotency_conflict");
    let lines = "{\"topic\":\"t\"}\n{\"topic\":\"u\"}\n";
    let by_lines = [("idempotency-key", "l")];
    let first = server.upload("crew=solo", &by_lines, lines).await;
    // Other spaces are the same document.
    let again = server.upload("crew=solo", &by_lines, "{ \"topic\": \"t\" }\n\n{\"topic\":\"u\"}").await;
    assert_eq!((id(&first), again.header("idempotent-replayed")), (id(&again), Some("true")));
    for (query, lines) in [("crew=solo&priority=2", lines), ("crew=solo", "{\"topic\":\"t\"}\n")] {
        server.upload(query, &by_lines, lines).await.problem(422, "idempotency_conflict");
    }
    assert_eq!(server.feed().await, 3, "two batches, and nothing of the others");
    // A crew that cannot be used any more is no reason to forget what was made of it.
    crate::tests::publish(&server.store, "fixed", &crate::tests::spec("fixed", "Say hello", None)).await;
    let body = json!({ "crew": "fixed", "inputs": [{}] });
    let first = server.post_with("/v1/batches", &[("idempotency-key", "m")], &body).await;
    crate::tests::publish(
        &server.store,
        "fixed",
        &crate::tests::spec("fixed", "Say {it}", Some("nowhere/model")),
    )
    .await;
    let again = soon("the newest version is seen", async {
        loop {
            if server.post("/v1/batches", &body).await.status == 422 {
                return server.post_with("/v1/batches", &[("idempotency-key", "m")], &body).await;
            }
        }
    });
    assert_eq!(id(&again.await), id(&first));
}

#[tokio::test]
async fn a_batch_larger_than_the_queue_is_accepted_and_its_results_come_in_order() {
    let server = Server::with(|_| {}, |options| options.max_depth = 10).await;
    let lines: String = (0..1_000).map(|n| format!("{{\"topic\":\"{n}\"}}\n")).collect();
    let id = id(&server.upload("crew=solo&concurrency=1000", &[], &lines).await);
    let mut rounds = 0;
    while server.feed().await > 0 {
        let claimed = server.store.claim(&qd_types::WorkerId::new("test"), 100).await.unwrap();
        for claimed in &claimed {
            server.finish(claimed, Outcome::Succeeded(output())).await;
        }
        rounds += 1;
    }
    assert!(rounds > 100, "a quarter of the queue stays free: {rounds}");
    let results = server.results(&id, "").await;
    assert_eq!(results.len(), 1_000);
    for (index, result) in results.iter().enumerate() {
        assert_eq!((&result["index"], &result["status"]), (&json!(index), &json!("succeeded")));
    }
    assert_eq!(server.get(&format!("/v1/batches/{id}")).await.json()["status"], "finished");
}

#[tokio::test]
async fn batches_are_listed_and_cancelled() {
    let server = Server::start().await;
    let first = id(&server.batch(json!([{ "topic": "a" }, { "topic": "b" }])).await);
    let second = id(&server.batch(json!([{ "topic": "a" }])).await);
    server.feed().await;
    for _ in 0..2 {
        let cancelled = server.post_bare(&format!("/v1/batches/{first}/cancel"), &[]).await;
        assert_eq!((cancelled.status, &cancelled.json()["status"]), (202, &json!("cancelled")));
        assert_eq!(cancelled.json()["counts"]["cancelled"], 2);
    }
    let page = server.get("/v1/batches?limit=1").await.json();
    assert_eq!(page["batches"][0]["id"], json!(second));
    let next = page["next_cursor"].as_str().unwrap();
    let rest = server.get(&format!("/v1/batches?limit=1&cursor={next}")).await.json();
    assert_eq!((&rest["batches"][0]["id"], &rest["next_cursor"]), (&json!(first), &Value::Null));
    for (query, count) in
        [("status=cancelled", 1), ("status=finished", 0), ("crew=solo", 2), ("crew=pair", 0)]
    {
        let list = server.get(&format!("/v1/batches?{query}")).await.json();
        assert_eq!(list["batches"].as_array().unwrap().len(), count, "{query}");
    }
}
