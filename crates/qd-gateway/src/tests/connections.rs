//! Connections that dawdle, that are too many, and that speak HTTP/2.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::client::{parse, request};
use super::{Server, soon};

const SHORT: Duration = Duration::from_millis(150);
const KEEP: &[u8] = b"GET /health HTTP/1.1\r\nhost: t\r\n\r\n";

/// Writes, then waits for the server to close; answers what came and how long it took.
async fn until_cut(address: SocketAddr, pieces: &[&[u8]]) -> (Vec<u8>, Duration) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let begun = Instant::now();
    for piece in pieces {
        stream.write_all(piece).await.unwrap();
    }
    let mut answer = Vec::new();
    let _ = soon("the cut", stream.read_to_end(&mut answer)).await;
    (answer, begun.elapsed())
}

#[tokio::test]
async fn heads_that_do_not_arrive_are_cut() {
    let server = Server::with(|options| options.header_read = SHORT, |_| {}).await;
    let preface: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for (name, bytes) in [
        ("nothing", &b""[..]),
        ("half a line", b"GET /hea"),
        ("no end", b"GET /health HTTP/1.1\r\nhost: t\r\n"),
        ("half a preface", &preface[..10]),
        ("a preface and nothing more", preface),
    ] {
        let (answer, took) = until_cut(server.address, &[bytes]).await;
        let http1 = String::from_utf8_lossy(&answer).into_owned();
        assert!(!http1.contains("200 OK"), "{name}: {http1}");
        assert!(took >= SHORT && took < Duration::from_secs(10), "{name}: {took:?}");
    }
}

#[tokio::test]
async fn an_idle_connection_is_kept_longer_than_a_head_may_take_but_not_for_ever() {
    let idle = 6 * SHORT;
    let set = |options: &mut crate::Options| {
        options.header_read = SHORT;
        options.idle = idle;
    };
    let server = Server::with(set, |_| {}).await;
    let (answer, took) = until_cut(server.address, &[KEEP]).await;
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    assert!(took >= idle && took < Duration::from_secs(10), "{took:?}");
    // A second head that begins and does not end is cut as soon as a first one.
    let (_, took) = until_cut(server.address, &[KEEP, b"GET /health HT"]).await;
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test]
async fn a_second_head_is_timed_like_the_first() {
    let set = |options: &mut crate::Options| {
        options.header_read = SHORT;
        options.idle = Duration::from_secs(600);
    };
    let server = Server::with(set, |_| {}).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for _ in 0..2 {
        stream.write_all(KEEP).await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"}") {
            assert!(soon("an answer", stream.read_buf(&mut seen)).await.unwrap() > 0);
        }
    }
    stream.write_all(b"GET /health HT").await.unwrap();
    let mut rest = Vec::new();
    // Without its own timer this would take the 600 s of an idle connection.
    let _ = soon("the cut", stream.read_to_end(&mut rest)).await;
    assert!(!rest.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_a_request_timeout() {
    let server = Server::with(|options| options.body_read = SHORT, |_| {}).await;
    for route in ["/v1/jobs", "/chat", "/tasks"] {
        let head = format!(
            "POST {route} HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\
             connection: close\r\n\r\n"
        );
        let (answer, _) = until_cut(server.address, &[head.as_bytes(), b"{\"a\""]).await;
        parse(&answer).problem(408, "request_timeout");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_job() {
    let server = Server::start().await;
    let head =
        "POST /tasks HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\ncontent-length: 12\r\n\r\n";
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(b"{\"task\":\"t\"").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let _ = soon("the end", stream.read_to_end(&mut answer)).await;
    assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(server.store.stats().await.unwrap(), qd_store::Stats::default());
}

#[tokio::test]
async fn a_client_that_takes_no_answers_loses_its_connection() {
    let set = |options: &mut crate::Options| {
        options.write_stall = SHORT;
        options.max_connections = 1;
    };
    let server = Server::with(set, |_| {}).await;
    let topic = "x".repeat(900 * 1024);
    let made = server.post("/v1/jobs", &json!({ "crew": "solo", "input": { "topic": topic } })).await;
    let ask = format!("GET {} HTTP/1.1\r\nhost: t\r\n\r\n", made.header("location").unwrap());
    let mut deaf = TcpStream::connect(server.address).await.unwrap();
    // More than all buffers on the way hold.
    deaf.write_all(ask.repeat(40).as_bytes()).await.unwrap();
    served_again(server.address).await;
}

/// Waits until the server has a place for a connection.
async fn served_again(address: SocketAddr) {
    soon("a free place", async {
        while request(address, "GET", "/health", &[], b"").await.status != 200 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Connections that have been accepted for sure, because each got an answer.
pub(super) async fn hold(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut held = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(KEEP).await.unwrap();
        let mut first = [0; 12];
        soon("an answer", stream.read_exact(&mut first)).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        held.push(stream);
    }
    held
}

#[tokio::test]
async fn connections_beyond_the_bounds_are_refused_and_probes_still_answer() {
    let total = |options: &mut crate::Options| options.max_connections = 3;
    let of_one = |options: &mut crate::Options| options.max_connections_per_address = 3;
    for set in [total as fn(&mut crate::Options), of_one] {
        let server = Server::with(set, |_| {}).await;
        let mut held = hold(server.address, 3).await;
        let refused = until_cut(server.address, &[]).await.0;
        let refused = parse(&refused);
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
        assert_eq!(refused.json()["code"], "overloaded");
        assert_eq!(request(server.admin, "GET", "/readyz", &[], b"").await.status, 200);
        held.pop();
        served_again(server.address).await;
    }
}

#[tokio::test]
async fn connections_that_come_and_go_leave_nothing_behind() {
    let server = Server::with(|options| options.max_connections = 4, |_| {}).await;
    for _ in 0..300 {
        drop(TcpStream::connect(server.address).await.unwrap());
    }
    served_again(server.address).await;
    drop(hold(server.address, 4).await);
    served_again(server.address).await;
}

#[tokio::test]
async fn http2_is_spoken_on_the_same_port() {
    let server = Server::start().await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let conversation = async move {
        for (method, path, body, status) in [
            ("GET", "/health", "", 200),
            ("POST", "/chat", r#"{"user_id":"u","message":"m"}"#, 202),
            ("POST", "/chat", r#"{"user_id":"u"}"#, 422),
            ("GET", "/nothing", "", 404),
        ] {
            let request = http::Request::builder()
                .method(method)
                .uri(format!("http://test{path}"))
                .header("content-type", "application/json")
                .body(Full::new(Bytes::from(body)))
                .unwrap();
            let response = sender.send_request(request).await.unwrap();
            assert_eq!(response.status(), status, "{method} {path}");
            let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(status >= 400, String::from_utf8_lossy(&body).contains(&id), "{method} {path}");
        }
    };
    soon("the conversation", async {
        tokio::select! {
            () = conversation => {}
            ended = connection => panic!("the connection ended: {ended:?}"),
        }
    })
    .await;
    assert_eq!(server.store.stats().await.unwrap().queued, 1);
}

/// A frame of HTTP/2 of the stream with this id.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

#[tokio::test]
async fn streams_that_are_asked_for_and_taken_back_cost_the_sender_its_connection() {
    let server = Server::start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    stream.write_all(&frame(4, 0, 0, b"")).await.unwrap();
    // GET http://t/v1/jobs: indexed fields, then two of literal values.
    let head = [&[0x82, 0x86, 0x04, 8][..], b"/v1/jobs", &[0x41, 1], b"t"].concat();
    let mut sent = 0;
    for id in (1_u32..).step_by(2).take(20_000) {
        let pair = [frame(1, 0b101, id, &head), frame(3, 0, id, &8_u32.to_be_bytes())].concat();
        if stream.write_all(&pair).await.is_err() {
            break;
        }
        sent += 1;
    }
    let mut answer = Vec::new();
    let _ = soon("the end of the connection", stream.read_to_end(&mut answer)).await;
    // GOAWAY with ENHANCE_YOUR_CALM, unless the connection broke before it could be read.
    let calm = answer.windows(4).any(|four| four == 11_u32.to_be_bytes());
    assert!(calm || sent < 20_000, "{sent} streams were taken back and nothing was said");
    served_again(server.address).await;
}

#[tokio::test]
async fn large_bodies_share_bounded_memory_and_small_ones_always_pass() {
    let set = |options: &mut crate::Options| {
        options.body_bytes_max = 64 * 1024;
        options.body_bytes_in_flight_max = 64 * 1024;
    };
    let server = Server::with(set, |_| {}).await;
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    let head =
        b"POST /tasks HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\ncontent-length: 50000\r\n\
        expect: 100-continue\r\n\r\n";
    slow.write_all(head).await.unwrap();
    let mut first = [0; 12];
    soon("leave to go on", slow.read_exact(&mut first)).await.unwrap();

    let large = json!({ "task": "x".repeat(40_000) });
    let refused = server.post("/tasks", &large).await;
    refused.problem(503, "overloaded");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(server.post("/tasks", &json!({ "task": "small" })).await.status, 202);
    // One that does not say how long it will be takes room as it comes: little passes, much does not.
    let chunked = async |task: usize| {
        let body = json!({ "task": "x".repeat(task) }).to_string();
        let head = "POST /tasks HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\
                    connection: close\r\n\r\n";
        let request = format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        soon("an answer", stream.read_exact(&mut status)).await.unwrap();
        String::from_utf8_lossy(&status[9..]).into_owned()
    };
    assert_eq!((chunked(1_000).await, chunked(40_000).await), ("202".to_owned(), "503".to_owned()));
    drop(slow);
    soon("room", async {
        while server.post("/tasks", &large).await.status != 202 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
