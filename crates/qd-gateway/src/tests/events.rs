//! Server-sent events: replay, resuming, live pieces, the end.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use qd_store::Outcome;
use qd_types::JobId;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::{Reply, parse, raw, unchunked};
use super::engine::{ended, failed, failure, model, output, piece, started, step};
use super::{Server, contract, soon};

/// One event as a reader sees it.
#[derive(Debug, Clone, PartialEq)]
struct Event {
    id: Option<u64>,
    name: String,
    fields: Value,
}

fn events(text: &str) -> Vec<Event> {
    let blocks = text.split("\n\n").filter(|block| block.lines().any(|line| line.starts_with("data: ")));
    blocks.map(event).collect()
}

fn event(block: &str) -> Event {
    let line = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
    let event = Event {
        id: line("id: ").map(|id| id.parse().unwrap()),
        name: line("event: ").unwrap().to_owned(),
        fields: serde_json::from_str(line("data: ").unwrap()).unwrap(),
    };
    contract::check_event(event.id, &event.name, &event.fields);
    event
}

fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.name.as_str()).collect()
}

/// A reader that is still listening.
pub(in crate::tests) struct Listener {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Listener {
    async fn open(address: SocketAddr, id: JobId, last: Option<&str>) -> Self {
        let last = last.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
        Self::open_with(address, id, &last).await
    }

    /// With more lines of its head.
    pub(in crate::tests) async fn open_with(address: SocketAddr, id: JobId, more: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head =
            format!("GET /v1/jobs/{id}/events HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{more}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        Self { stream, bytes: Vec::new() }
    }

    fn text(&self) -> String {
        let Some(end) = self.bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return String::new();
        };
        String::from_utf8(unchunked(&self.bytes[end + 4..])).unwrap()
    }

    /// Reads until what has come holds this; answers everything so far.
    pub(in crate::tests) async fn until(&mut self, what: &str) -> String {
        soon(what, async {
            while !self.text().contains(what) {
                assert!(self.stream.read_buf(&mut self.bytes).await.unwrap() > 0, "ended: {}", self.text());
            }
        })
        .await;
        self.text()
    }

    /// Reads to the end.
    pub(in crate::tests) async fn rest(mut self) -> Reply {
        soon("the end of the stream", self.stream.read_to_end(&mut self.bytes)).await.unwrap();
        let reply = parse(&self.bytes);
        contract::check("GET", "/v1/jobs/x/events", &reply);
        reply
    }
}

async fn replay(server: &Server, id: JobId, last: Option<&str>) -> Reply {
    Listener::open(server.address, id, last).await.rest().await
}

/// The events of a job that is over: name and fields.
pub(in crate::tests) async fn read_events(server: &Server, id: JobId) -> Vec<(String, Value)> {
    let text = replay(server, id, None).await.text();
    events(&text).into_iter().map(|event| (event.name, event.fields)).collect()
}

async fn accepted(server: &Server) -> JobId {
    let made = server.post("/v1/jobs", &json!({ "crew": "fixed" })).await;
    JobId::parse(made.json()["id"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_finished_job_is_replayed_once_in_order_and_the_stream_ends() {
    let server = Server::start().await;
    let id = accepted(&server).await;
    server.eventful().await;
    let reply = replay(&server, id, None).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/event-stream")));
    let events = events(&reply.text());
    let expected = [
        (0, "job.queued"),
        (1, "job.started"),
        // 2 is a fact, which is nobody's business.
        (3, "task.started"),
        (4, "step.finished"),
        (5, "step.finished"),
        (6, "step.failed"),
        (7, "job.queued"),
        (8, "job.started"),
        (9, "step.finished"),
        (10, "task.finished"),
        (11, "job.succeeded"),
    ];
    let seen: Vec<(u64, &str)> =
        events.iter().map(|event| (event.id.unwrap(), event.name.as_str())).collect();
    assert_eq!(seen, expected);
    for event in &events {
        assert_eq!(event.fields["job_id"], id.to_string(), "{event:?}");
        assert!(event.fields["at"].is_string() && event.fields["attempt"].is_u64(), "{event:?}");
    }
    assert_eq!(events[2].fields["task"], "draft");
    let model = &events[3].fields;
    assert_eq!(
        (&model["kind"], &model["text"], &model["cost_usd"]),
        (&json!("model"), &json!("first"), &json!("0.0123"))
    );
    assert_eq!(
        (&events[4].fields["tool"], &events[4].fields["is_error"]),
        (&json!("calculator"), &json!(false))
    );
    assert_eq!(events[5].fields["error"]["code"], "model_overloaded");
    assert_eq!(events[9].fields["output"], "the draft");
    assert_eq!(events[10].fields["status"], "succeeded");
}

#[tokio::test]
async fn a_reader_that_comes_back_gets_every_later_event_once() {
    let server = Server::start().await;
    let id = accepted(&server).await;
    server.eventful().await;
    let all = events(&replay(&server, id, None).await.text());
    for last in 0..11 {
        let later = events(&replay(&server, id, Some(&last.to_string())).await.text());
        let expected: Vec<Event> = all.iter().filter(|event| event.id.unwrap() > last).cloned().collect();
        assert_eq!(later, expected, "after {last}");
    }
    // What makes a browser stop coming back.
    let nothing = replay(&server, id, Some("11")).await;
    assert_eq!((nothing.status, nothing.body.len()), (204, 0));
    // An empty id means that none was seen.
    assert_eq!(events(&replay(&server, id, Some("")).await.text()), all);
}

#[tokio::test]
async fn ids_that_no_event_has_are_refused() {
    let server = Server::start().await;
    let id = accepted(&server).await;
    for bad in [
        "1",
        "99999999999",
        "9223372036854775808",
        "18446744073709551616",
        "-1",
        "+1",
        "x",
        "1.0",
        "1,2",
        " ü",
    ] {
        replay(&server, id, Some(bad)).await.problem(400, "invalid_request");
    }
    let nowhere = JobId::parse("018f0000-0000-7000-8000-000000000000").unwrap();
    replay(&server, nowhere, None).await.problem(404, "not_found");
    replay(&server, nowhere, Some("3")).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_listener_hears_events_as_they_happen_and_pieces_in_between() {
    let server = Server::start().await;
    let id = accepted(&server).await;
    let mut listener = Listener::open(server.address, id, None).await;
    listener.until("job.queued").await;
    let claimed = server.claim().await;
    server.record(&claimed, vec![started("draft")]).await;
    listener.until("task.started").await;
    for (offset, text) in [(0, "Once "), (5, "upon")] {
        server.store.emit(piece(id, 1, offset, text));
    }
    listener.until("upon").await;
    server.record(&claimed, vec![model(1, "Once upon a time"), ended("draft")]).await;
    listener.until("task.finished").await;
    server.finish(&claimed, Outcome::Failed(failure())).await;
    let heard = events(&listener.rest().await.text());
    assert_eq!(
        names(&heard),
        [
            "job.queued",
            "job.started",
            "task.started",
            "delta",
            "delta",
            "step.finished",
            "task.finished",
            "job.failed"
        ]
    );
    let delta = &heard[4];
    assert_eq!(delta.id, None);
    assert_eq!(delta.fields, json!({ "step": step(1).as_str(), "call": 1, "offset": 5, "text": "upon" }));
    assert_eq!(heard[7].fields["error"]["code"], "model_overloaded");
}

#[tokio::test]
async fn pieces_of_an_answer_that_was_told_in_whole_are_left_out() {
    let server = Server::start().await;
    let id = accepted(&server).await;
    let claimed = server.claim().await;
    server.record(&claimed, vec![model(1, "whole")]).await;
    let mut listener = Listener::open(server.address, id, None).await;
    listener.until("whole").await;
    server.store.emit(piece(id, 1, 0, "late"));
    server.store.emit(piece(id, 2, 0, "next"));
    let text = listener.until("next").await;
    assert!(!text.contains("late"), "{text}");
}

#[tokio::test]
async fn a_late_listener_gets_what_follows_and_then_the_whole_message() {
    let server = Server::start().await;
    let id = accepted(&server).await;
    let claimed = server.claim().await;
    server.record(&claimed, vec![started("draft")]).await;
    // Nobody watches: this piece is lost.
    server.store.emit(piece(id, 1, 0, "Once "));
    let mut listener = Listener::open(server.address, id, Some("1")).await;
    listener.until("task.started").await;
    server.store.emit(piece(id, 1, 5, "upon"));
    listener.until("upon").await;
    server.record(&claimed, vec![model(1, "Once upon")]).await;
    let heard = events(&listener.until("step.finished").await);
    assert_eq!(names(&heard), ["task.started", "delta", "step.finished"]);
    assert_eq!((&heard[1].fields["offset"], &heard[2].fields["text"]), (&json!(5), &json!("Once upon")));
}

#[tokio::test]
async fn a_job_with_a_long_history_is_told_in_whole() {
    let server = Server::start().await;
    let id = accepted(&server).await;
    let claimed = server.claim().await;
    for round in 0..10 {
        server.record(&claimed, (0..64).map(|n| failed(1, round * 64 + n + 1)).collect()).await;
    }
    server.finish(&claimed, Outcome::Succeeded(output())).await;
    let heard = events(&replay(&server, id, None).await.text());
    let ids: Vec<u64> = heard.iter().map(|event| event.id.unwrap()).collect();
    assert_eq!(ids, (0..=642).collect::<Vec<u64>>());
}

#[tokio::test]
async fn a_silent_stream_sends_comments() {
    let server = Server::with(|options| options.keep_alive = Duration::from_millis(20), |_| {}).await;
    let id = accepted(&server).await;
    let mut listener = Listener::open(server.address, id, None).await;
    let text = listener.until(":\n\n:\n\n").await;
    assert_eq!(names(&events(&text)), ["job.queued"]);
}

#[tokio::test]
async fn retrying_scheduled_and_cancelled_jobs_have_their_events() {
    let server = Server::start().await;
    let id = accepted(&server).await;
    let claimed = server.claim().await;
    server.finish(&claimed, Outcome::Retry { after: Duration::from_secs(60), failure: failure() }).await;
    server.request("POST", &format!("/v1/jobs/{id}/cancel"), &[], b"").await;
    let heard = events(&replay(&server, id, None).await.text());
    assert_eq!(names(&heard), ["job.queued", "job.started", "job.retrying", "job.cancelled"]);
    assert!(heard[2].fields["retry_at"].is_string());
    assert_eq!(heard[2].fields["error"]["message"], "the provider is overloaded");

    let later = json!({ "crew": "fixed", "run_at": "2099-01-01T00:00:00Z" });
    let made = server.post("/v1/jobs", &later).await.json();
    let id = JobId::parse(made["id"].as_str().unwrap()).unwrap();
    let mut listener = Listener::open(server.address, id, None).await;
    let heard = events(&listener.until("run_at").await);
    assert_eq!((&heard[0].fields["status"], heard[0].id), (&json!("scheduled"), Some(0)));
}

#[tokio::test]
async fn streams_end_with_a_hint_when_the_server_stops() {
    let server = Server::start().await;
    let id = accepted(&server).await;
    let mut listener = Listener::open(server.address, id, None).await;
    listener.until("job.queued").await;
    server.process.draining.store(true, Ordering::SeqCst);
    let stopping = server.running.stop(10 * super::PATIENCE);
    let (reply, ()) = soon("the stop", async { tokio::join!(listener.rest(), stopping) }).await;
    assert!(reply.text().ends_with("retry: 2000\n\n"), "{}", reply.text());
}

#[tokio::test]
async fn a_reader_that_lags_loses_pieces_but_no_event_and_holds_no_memory() {
    let server = Server::start().await;
    let id = accepted(&server).await;
    let listener = Listener::open(server.address, id, None).await;
    soon("the listener", async {
        while !server.store.is_watched(id) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let claimed = server.claim().await;
    let kilobyte = "x".repeat(1024);
    for n in 0..40_u32 {
        server.record(&claimed, vec![failed(1, n + 1)]).await;
        // Far more than sockets hold, and nobody reads.
        for piece_of in 0..1_000_u64 {
            server.store.emit(piece(id, 1, piece_of, &kilobyte));
            tokio::task::yield_now().await;
        }
    }
    server.finish(&claimed, Outcome::Succeeded(output())).await;
    let heard = events(&listener.rest().await.text());
    let pieces = heard.iter().filter(|event| event.name == "delta").count();
    assert!(pieces < 39_000, "{pieces} pieces were kept for a reader that did not read");
    let ids: Vec<u64> = heard.iter().filter_map(|event| event.id).collect();
    assert_eq!(ids, (0..=42).collect::<Vec<u64>>());
}

#[tokio::test]
async fn watchers_are_bounded_and_their_places_come_back() {
    let server = Server::with(|options| options.watchers_max = 1, |_| {}).await;
    let id = accepted(&server).await;
    let mut first = Listener::open(server.address, id, None).await;
    first.until("job.queued").await;
    let refused = replay(&server, id, None).await;
    refused.problem(503, "overloaded");
    // Whoever prefers to wait is answered at once instead.
    let made = server.post_with("/v1/jobs", &[("prefer", "wait=60")], &json!({ "crew": "fixed" })).await;
    assert_eq!((made.status, made.header("preference-applied")), (202, None));
    drop(first);
    server.succeed().await;
    soon("a free place", async {
        while replay(&server, id, None).await.status != 200 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_stream_of_our_own_writing_reads_like_one_of_the_http_library() {
    let server = Server::start().await;
    let id = accepted(&server).await;
    server.eventful().await;
    let get = |version: &str| {
        let head =
            format!("GET /v1/jobs/{id}/events HTTP/{version}\r\nhost: t\r\nx-request-id: same\r\n\r\n");
        async move { parse(&raw(server.address, head.as_bytes()).await) }
    };
    let (library, ours) = (get("1.0").await, get("1.1").await);
    assert_eq!(ours.text(), library.text());
    assert_eq!(ours.header("transfer-encoding"), Some("chunked"));
    assert_eq!(ours.header("date").map(str::len), library.header("date").map(str::len));
    for name in
        ["content-type", "cache-control", "x-request-id", "x-accel-buffering", "x-content-type-options"]
    {
        assert!(ours.header(name).is_some(), "{name}");
        assert_eq!(ours.header(name), library.header(name), "{name}");
    }
    let head = format!("HEAD /v1/jobs/{id}/events HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
    let reply = parse(&raw(server.address, head.as_bytes()).await);
    assert_eq!((reply.status, reply.body.len()), (200, 0));
}

#[tokio::test]
async fn a_listener_that_talks_is_let_finish_its_word_and_cut_if_it_goes_on() {
    let server = Server::start().await;
    let id = accepted(&server).await;
    let mut polite = Listener::open(server.address, id, None).await;
    polite.until("job.queued").await;
    polite.stream.write_all(b"GET /health HTTP/1.1\r\nhost: t\r\n\r\n").await.unwrap();
    let mut endless = Listener::open(server.address, id, None).await;
    endless.until("job.queued").await;
    // Either end may be the first to notice.
    let _ = soon("the cut", async {
        endless.stream.write_all(&vec![b'x'; 4 * 1024 * 1024]).await?;
        endless.stream.read_to_end(&mut endless.bytes).await
    })
    .await;
    assert!(!endless.text().contains("job.succeeded"));
    server.succeed().await;
    assert!(polite.rest().await.text().contains("job.succeeded"));
}
