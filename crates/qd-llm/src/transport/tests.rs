//! Servers that send what no server should: every answer ends in a typed error within bounds, and no key comes out.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use qd_env::Env;
use qd_types::{Billed, ChatRequest, Class, Code, Message, StepId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::{
    Answer, CallError, CallScope, ChatModel, Models, Options, ProviderKind, ProviderOptions, Secret, Window,
};

/// More than any of these tests may read.
const MUCH: usize = 64 * 1024 * 1024;

/// A server that answers its first client with `head`, then with `piece` again and again until the client has left or
/// `MUCH` was sent.
async fn serve(head: String, piece: Vec<u8>) -> ProviderOptions {
    serve_counted(head, piece).await.0
}

/// The same, with the number of bytes that the client took.
async fn serve_counted(head: String, piece: Vec<u8>) -> (ProviderOptions, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut provider = ProviderOptions::new(ProviderKind::Openai);
    provider.base_url = Some(format!("http://{}/v1", listener.local_addr().unwrap()));
    Env::system().spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 8192];
        let _ = stream.read(&mut request).await;
        if stream.write_all(head.as_bytes()).await.is_err() || piece.is_empty() {
            return;
        }
        while counter.load(Relaxed) < MUCH && stream.write_all(&piece).await.is_ok() {
            counter.fetch_add(piece.len(), Relaxed);
        }
    });
    (provider, sent)
}

/// A whole answer; the connection ends with it.
async fn answering(status: u16, headers: &str, body: &str) -> ProviderOptions {
    serve(format!("HTTP/1.1 {status} Any\r\nconnection: close\r\n{headers}\r\n{body}"), Vec::new()).await
}

const EVENTS: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";

async fn ask(provider: ProviderOptions) -> Result<Answer, CallError> {
    let options = Options { providers: [("p".to_owned(), provider)].into(), ..Options::default() };
    let model: Arc<dyn ChatModel> = Models::build(options, Env::system()).unwrap().get("p/demo").unwrap();
    let request = ChatRequest::new("p/demo", vec![Message::user("Go")]);
    let scope = CallScope::of_step(StepId::new("a/turn-1/model"));
    // A test that waits for ever says less than one that fails.
    tokio::time::timeout(Duration::from_secs(30), model.call(&request, &scope)).await.unwrap()
}

async fn fail(provider: ProviderOptions) -> CallError {
    let error = ask(provider).await.unwrap_err();
    assert!(error.message.starts_with("provider `p`, model `demo`: "), "{error}");
    error
}

#[tokio::test]
async fn streams_without_end_and_lines_without_end_are_given_up() {
    let chunk = b"data: {\"choices\":[{\"delta\":{\"content\":\"and so on \"}}]}\n\n".repeat(400);
    for (piece, most, said) in [
        (chunk, 256 * 1024, "larger than 262144 bytes (max_body_bytes)"),
        (b": still here\n\n".repeat(1000), 256 * 1024, "larger than 262144 bytes (max_body_bytes)"),
        (vec![b'a'; 10 * 1024 * 1024], 16 * 1024 * 1024, "a line of more than 1 MiB"),
        (
            [b"data: ".as_slice(), &[b'{'; 2 * 1024 * 1024]].concat(),
            16 * 1024 * 1024,
            "a line of more than 1 MiB",
        ),
    ] {
        let (mut provider, sent) = serve_counted(EVENTS.to_owned(), piece).await;
        provider.max_body_bytes = most;
        let error = fail(provider).await;
        assert!(sent.load(Relaxed) < MUCH / 2, "{error}");
        assert_eq!((error.code, error.class), (Code::ModelBadOutput, Class::Permanent), "{error}");
        assert!(error.message.contains(said), "{error}");
    }
}

#[tokio::test]
async fn the_body_of_a_failure_is_read_as_far_as_it_can_tell_something() {
    let page = "HTTP/1.1 500 Any\r\ncontent-type: text/html\r\n\r\n<html><head><title>Oh no</title></head>";
    let (provider, sent) = serve_counted(page.to_owned(), vec![b'x'; 1024 * 1024]).await;
    let error = fail(provider).await;
    assert!(sent.load(Relaxed) < MUCH / 2, "{}", sent.load(Relaxed));
    assert_eq!((error.code, error.status), (Code::ModelServerError, Some(500)), "{error}");
    assert!(error.message.contains("a web page titled \"Oh no\""), "{error}");
    // A body that breaks off takes nothing of its status back.
    let cut = "HTTP/1.1 429 Any\r\ncontent-length: 900\r\nretry-after: 7\r\n\r\n{\"error\":{\"mess";
    let error = fail(serve(cut.to_owned(), Vec::new()).await).await;
    assert_eq!(
        (error.code, error.retry_after),
        (Code::ModelRateLimited, Some(Duration::from_secs(7))),
        "{error}"
    );
}

#[tokio::test]
async fn answers_and_failures_carry_the_limits_that_they_tell() {
    let headers = "content-type: application/json\r\nx-ratelimit-limit-requests: 10000\r\nx-ratelimit-remaining-requests: 9999\r\n\
                   x-ratelimit-reset-requests: 8.64s\r\n";
    let good = r#"{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}]}"#;
    for (status, body) in [(200, good), (200, "{}"), (500, ""), (429, "{}")] {
        let limits = match ask(answering(status, headers, body).await).await {
            Ok(answer) => answer.limits,
            Err(error) => *error.limits,
        };
        let requests = limits.requests.unwrap();
        assert_eq!((requests.remaining, requests.per), (Some(9_999), Window::Day), "{status} {body}");
    }
}

#[tokio::test]
async fn a_key_that_a_provider_repeats_never_comes_out() {
    for (key, in_url) in [
        ("sk-live-9f8e7d6c5b4a39281706", "sk-live-9f8e7d6c5b4a39281706"),
        ("Zm9v+YmFy/opaque=key", "Zm9v%2BYmFy%2Fopaque%3Dkey"),
    ] {
        let long = "x".repeat(490);
        for (status, headers, body) in [
            (
                401,
                String::new(),
                format!(r#"{{"error":{{"message":"Incorrect API key provided: {key}."}}}}"#),
            ),
            (401, String::new(), format!(r#"{{"error":{{"message":"{long} {key} and more"}}}}"#)),
            (502, String::new(), format!("<html><head><title>GET /?key={key}</title></head>")),
            (404, String::new(), format!("no route for /v1/chat/completions?key={in_url}&alt=sse {key}")),
            (500, format!("x-request-id: {key}\r\n"), String::new()),
            (200, String::new(), format!(r#"{{"error":"key {key} is blocked"}}"#)),
            (
                200,
                String::new(),
                format!(r#"{{"id":"{key}","choices":[{{"message":{{"refusal":"not with {key}"}}}}]}}"#),
            ),
            (
                200,
                "content-type: text/event-stream\r\n".to_owned(),
                format!("data: {{\"error\":{{\"message\":\"{key}\",\"code\":\"{key}\"}}}}\n\n"),
            ),
        ] {
            let mut provider = answering(status, &headers, &body).await;
            provider.api_key = Some(Secret::new(key));
            let error = fail(provider).await;
            let texts = format!("{error} {error:?} {:?}", error.clone().into_failure());
            for secret in [&key[..8], &in_url[..8]] {
                assert!(!texts.contains(secret), "{status} {body}: {texts}");
            }
        }
    }
}

#[tokio::test]
async fn text_that_is_no_utf8_is_read_as_far_as_it_is() {
    let events = b"data: {\"choices\":[{\"delta\":{\"content\":\"a\xff\xfe b\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let answer = ask(serve(EVENTS.to_owned(), events.to_vec()).await).await.unwrap();
    assert_eq!(answer.reply.text, "a\u{fffd}\u{fffd} b");

    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 58\r\n\r\n";
    let body = b"{\"choices\":[{\"message\":{\"content\":\"a\xff\xfe\"},\"finish_reason\":1}]}";
    let error = fail(serve(head.to_owned(), body.to_vec()).await).await;
    assert_eq!((error.code, error.billed), (Code::ModelBadOutput, Billed::Possibly), "{error}");

    let head = "HTTP/1.1 503 Any\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\n";
    let error = fail(serve(head.to_owned(), b"\xff\xfebad".to_vec()).await).await;
    assert!(error.message.ends_with("\u{fffd}\u{fffd}bad"), "{error}");
}

#[tokio::test]
async fn usage_that_is_missing_or_cannot_be_is_estimated_and_has_no_price() {
    let answer = |usage: &str| {
        format!(
            r#"{{"choices":[{{"message":{{"content":"eleven bytes or so"}},"finish_reason":"stop"}}]{usage}}}"#
        )
    };
    let event = "content-type: text/event-stream\r\n";
    let streamed = "data: {\"choices\":[{\"delta\":{\"content\":\"eleven bytes or so\"},\"finish_reason\":\"stop\"}]}\n\n";
    for (headers, body) in [
        ("", answer("")),
        ("", answer(r#","usage":null"#)),
        ("", answer(r#","usage":{"prompt_tokens":-1,"completion_tokens":5}"#)),
        ("", answer(r#","usage":{"prompt_tokens":1e18,"completion_tokens":5}"#)),
        (event, format!("{streamed}data: [DONE]\n\n")),
        (event, streamed.to_owned()),
    ] {
        let answer = ask(answering(200, headers, &body).await).await.unwrap();
        let usage = answer.usage;
        assert_eq!((usage.output_tokens, usage.unpriced_calls, answer.cost.0), (6, 1, 0), "{body}");
        assert!((10..500).contains(&usage.input_tokens), "{body} {usage:?}");
    }
}
