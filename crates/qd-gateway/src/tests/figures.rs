//! Figures: for people, for autoscalers, for Prometheus; and that callers cannot make them grow.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::request;
use super::{Server, soon};

impl Server {
    async fn exposition(&self) -> String {
        let reply = request(self.admin, "GET", "/metrics", &[], b"").await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
        reply.text()
    }

    #[track_caller]
    fn assert_series(text: &str, expected: &[(&str, &str)]) {
        for (series, value) in expected {
            let line = format!("{series} {value}");
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}

async fn job(server: &Server, priority: u8) -> Value {
    server.post("/v1/jobs", &json!({ "crew": "fixed", "priority": priority })).await.json()
}

#[tokio::test]
async fn stats_show_the_queue_the_last_hour_and_the_workers() {
    let server = Server::start().await;
    for priority in [1, 1, 5, 3] {
        job(&server, priority).await;
    }
    let later = json!({ "crew": "fixed", "run_at": "2999-01-01T00:00:00Z" });
    server.post("/v1/jobs", &later).await;
    // Takes one of them up and ends it.
    server.eventful().await;
    let stats = server.get("/v1/stats").await;
    assert_eq!(stats.status, 200);
    let stats = stats.json();
    let depths: Vec<_> = stats["queue"]["by_priority"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| (&l["priority"], &l["depth"]))
        .collect();
    assert_eq!(stats["queue"]["depth"], 3, "{stats}");
    assert_eq!(depths.iter().map(|(p, _)| (*p).clone()).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(depths.iter().map(|(_, d)| d.as_u64().unwrap()).sum::<u64>(), 3);
    assert!(stats["queue"]["oldest_age_seconds"].as_f64().unwrap() < 60.0);
    assert_eq!(stats["queue"]["by_priority"][1]["oldest_age_seconds"], Value::Null);
    assert_eq!(
        stats["jobs"],
        json!({ "scheduled": 1, "queued": 3, "running": 0, "retrying": 0, "waiting": 0 })
    );
    let recent = &stats["recent"];
    assert_eq!(
        (&recent["succeeded"], &recent["failed"], &recent["cancelled"]),
        (&json!(1), &json!(0), &json!(0))
    );
    assert_eq!(recent["duration_seconds"]["count"], 1);
    assert!(recent["cost_usd"].is_string() && recent["window_seconds"].is_f64(), "{recent}");
    assert_eq!(stats["workers"], json!({ "slots": 10, "busy_slots": 7 }));
}

#[tokio::test]
async fn autoscalers_are_told_what_there_is_to_do_and_how_many_workers_that_takes() {
    let server = Server::start().await;
    for _ in 0..20 {
        job(&server, 1).await;
    }
    let _running = server.claim().await;
    let mut scale = request(server.admin, "GET", "/scale", &[], b"").await.json();
    assert!(scale["oldest_queued_age_seconds"].take().as_f64().unwrap() < 60.0);
    assert_eq!(
        scale,
        json!({
            "queued": 19, "running": 1, "demand": 20, "oldest_queued_age_seconds": null, "slots_per_worker": 10,
            "busy_slots": 7, "utilisation": 0.7, "desired": 3,
        })
    );
}

#[tokio::test]
async fn scrapers_get_the_format_that_they_ask_for() {
    let server = Server::start().await;
    let accept = [("accept", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")];
    let open = request(server.admin, "GET", "/metrics", &accept, b"").await;
    assert!(open.header("content-type").unwrap().starts_with("application/openmetrics-text; version=1.0.0"));
    assert!(open.text().ends_with("# EOF\n") && open.text().contains("# TYPE agent_job_errors counter\n"));
    assert!(server.exposition().await.contains("# TYPE agent_job_errors_total counter\n"));
}

#[tokio::test]
async fn requests_are_counted_by_route_template_method_and_status() {
    let server = Server::start().await;
    let id = job(&server, 2).await["id"].as_str().unwrap().to_owned();
    for path in [format!("/v1/jobs/{id}"), "/v1/jobs/x".to_owned(), "/v1/jobs/y".to_owned()] {
        server.get(&path).await;
    }
    server.request("BREW", "/v1/jobs", &[], b"").await.problem(405, "method_not_allowed");
    server.post("/v1/jobs", &json!({ "crew": "nobody" })).await;
    let key = [("idempotency-key", "k")];
    for crew in ["fixed", "fixed", "solo"] {
        server.post_with("/v1/jobs", &key, &json!({ "crew": crew, "input": {} })).await;
    }
    let text = server.exposition().await;
    Server::assert_series(
        &text,
        &[
            (r#"quarterdeck_http_requests_total{route="/v1/jobs",method="POST",code="202"}"#, "3"),
            (r#"quarterdeck_http_requests_total{route="/v1/jobs/{id}",method="GET",code="200"}"#, "1"),
            (r#"quarterdeck_http_requests_total{route="/v1/jobs/{id}",method="GET",code="404"}"#, "2"),
            (r#"quarterdeck_http_requests_total{route="/v1/jobs",method="other",code="405"}"#, "1"),
            (r#"quarterdeck_http_request_duration_seconds_count{route="/v1/jobs/{id}",method="GET"}"#, "3"),
            (r#"quarterdeck_http_rejections_total{reason="validation"}"#, "2"),
            (r#"quarterdeck_idempotency_requests_total{outcome="new"}"#, "1"),
            (r#"quarterdeck_idempotency_requests_total{outcome="replayed"}"#, "1"),
            (r#"quarterdeck_idempotency_requests_total{outcome="conflict"}"#, "1"),
            (r#"quarterdeck_jobs_submitted_total{crew="fixed",priority="2"}"#, "1"),
            (r#"quarterdeck_jobs_submitted_total{crew="fixed",priority="1"}"#, "1"),
            (r#"quarterdeck_queue_jobs{state="queued"}"#, "2.0"),
            (r#"quarterdeck_queue_depth{priority="2"}"#, "1.0"),
            ("agent_queue_depth", "2.0"),
            ("quarterdeck_http_requests_in_flight", "0.0"),
        ],
    );
    assert!(!text.contains("/metrics") && !text.contains(&id), "{text}");
}

#[tokio::test]
async fn answers_that_take_too_long_and_panics_are_counted_on_their_route() {
    let server = Server::with(|options| options.handler = Duration::from_millis(500), |_| {}).await;
    server.post_with("/v1/jobs", &[("prefer", "wait=30")], &json!({ "crew": "fixed" })).await;
    let text = server.exposition().await;
    let series = r#"quarterdeck_http_requests_total{route="/v1/jobs",method="POST",code="503"}"#;
    Server::assert_series(&text, &[(series, "1")]);
}

#[tokio::test]
async fn event_streams_are_counted_while_they_are_open() {
    let server = Server::start().await;
    let id = job(&server, 1).await["id"].as_str().unwrap().to_owned();
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!("GET /v1/jobs/{id}/events HTTP/1.1\r\nhost: test\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut byte = [0];
    soon("the first event", stream.read_exact(&mut byte)).await.unwrap();
    Server::assert_series(&server.exposition().await, &[("quarterdeck_sse_connections", "1.0")]);
    drop(stream);
    let closed = async {
        while !server.exposition().await.contains("quarterdeck_sse_connections 0.0") {
            tokio::task::yield_now().await;
        }
    };
    soon("the end of the stream", closed).await;
}

#[tokio::test]
async fn hostile_variety_makes_no_series() {
    let server = Server::start().await;
    job(&server, 1).await;
    for n in 0..1_000 {
        let (word, key) = (format!("hostile{n}"), [("idempotency-key", format!("hostile-key-{n}"))]);
        let key = key.each_ref().map(|(name, value)| (*name, value.as_str()));
        let body = json!({ "crew": word, "input": { &word: word }, "metadata": { &word: word } });
        match n % 5 {
            0 => server.get(&format!("/{word}/{word}?{word}={word}")).await,
            1 => server.get(&format!("/v1/jobs/{word}")).await,
            2 => server.request(&format!("HOSTILE{n}"), "/v1/jobs", &[("x-request-id", &word)], b"").await,
            3 => server.post_with("/v1/jobs", &key, &body).await,
            _ => {
                let body = json!({ "crew": "research", "input": { "topic": word }, "conversation_id": word });
                server.post_with("/v1/jobs", &key, &body).await
            }
        };
    }
    let text = server.exposition().await;
    let lower = text.to_lowercase();
    assert!(!lower.contains("hostile"), "{text}");
    Server::assert_series(
        &text,
        &[
            (r#"quarterdeck_http_requests_total{route="unmatched",method="GET",code="404"}"#, "200"),
            (r#"quarterdeck_jobs_submitted_total{crew="research",priority="1"}"#, "200"),
        ],
    );
    let series = text.lines().filter(|line| !line.starts_with('#')).count();
    assert!(series < 300, "{series} series\n{text}");
}
