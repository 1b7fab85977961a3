//! Requests that are wrong before their fields are: bytes, JSON, types, sizes, framing, paths, methods, queries.

use serde_json::json;

use super::Server;
use super::client::{parse, raw};

const JSON: (&str, &str) = ("content-type", "application/json");
const ROUTES: [&str; 3] = ["/v1/jobs", "/chat", "/tasks"];

#[tokio::test]
async fn bodies_that_are_no_json() {
    let server = Server::start().await;
    let utf16: Vec<u8> = "{\"crew\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let deep = |n: usize| [b"[".repeat(n), b"]".repeat(n)].concat();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", b"".to_vec()),
        ("blank", b"  \n ".to_vec()),
        ("word", b"hello".to_vec()),
        ("cut", b"{\"crew\": \"so".to_vec()),
        ("open", b"{".to_vec()),
        ("trailing comma", b"{\"crew\":\"solo\",}".to_vec()),
        ("single quotes", b"{'crew':'solo'}".to_vec()),
        ("comment", b"{} // done".to_vec()),
        ("garbage after", b"{}x".to_vec()),
        ("two documents", b"{} {}".to_vec()),
        ("bare key", b"{crew:\"solo\"}".to_vec()),
        ("NaN", b"{\"priority\":NaN}".to_vec()),
        ("infinity", b"{\"priority\":Infinity}".to_vec()),
        ("1e400", b"{\"priority\":1e400}".to_vec()),
        ("leading zero", b"{\"priority\":01}".to_vec()),
        ("plus", b"{\"priority\":+1}".to_vec()),
        ("hex", b"{\"priority\":0x1}".to_vec()),
        ("control character", b"{\"crew\":\"a\nb\"}".to_vec()),
        ("bad escape", b"{\"crew\":\"\\x\"}".to_vec()),
        ("lone surrogate", b"{\"crew\":\"\\ud800\"}".to_vec()),
        ("NUL", b"{}\0".to_vec()),
        ("BOM", b"\xef\xbb\xbf{}".to_vec()),
        ("UTF-16", [b"\xff\xfe".to_vec(), utf16.clone()].concat()),
        ("UTF-16 without BOM", utf16),
        ("overlong", b"{\"crew\":\"\xc0\xaf\"}".to_vec()),
        ("Latin-1", b"{\"crew\":\"\xfc\"}".to_vec()),
        ("CESU surrogate", b"{\"crew\":\"\xed\xa0\x80\"}".to_vec()),
        ("cut UTF-8", b"{\"crew\":\"\xe2\x82".to_vec()),
        ("key twice", b"{\"crew\":\"solo\",\"crew\":\"solo\"}".to_vec()),
        ("key twice inside", b"{\"input\":{\"a\":{\"b\":1,\"b\":1}}}".to_vec()),
        ("escaped key twice", b"{\"crew\":\"solo\",\"cre\\u0077\":\"solo\"}".to_vec()),
        ("depth 65", deep(65)),
        ("depth 128", deep(128)),
        ("depth 100,000", deep(100_000)),
        ("depth 200,000 open", b"[".repeat(200_000)),
        ("deep objects", b"{\"a\":".repeat(100_000)),
        ("form", b"crew=solo".to_vec()),
        ("XML", b"<crew/>".to_vec()),
    ];
    for route in ROUTES {
        for (name, body) in &cases {
            let reply = server.request("POST", route, &[JSON], body).await;
            assert_eq!(reply.status, 400, "{route} {name}: {}", reply.text());
            reply.problem(400, "invalid_request");
        }
    }
    assert_eq!(server.store.stats().await.unwrap(), qd_store::Stats::default());
}

#[tokio::test]
async fn bodies_of_other_types_are_refused_before_they_are_read() {
    let server = Server::start().await;
    for content_type in [
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "json",
        "",
        "application/json; charset=utf-16",
        "application/json, application/json",
        "*/*",
        "application/octet-stream",
        "application/yaml",
    ] {
        let reply = server.request("POST", "/v1/jobs", &[("content-type", content_type)], b"{").await;
        reply.problem(415, "unsupported_media_type");
    }
    for headers in [vec![], vec![JSON, JSON], vec![JSON, ("content-encoding", "gzip")]] {
        let reply = server.request("POST", "/chat", &headers, b"{").await;
        reply.problem(415, "unsupported_media_type");
    }
    // The type is looked at before the size.
    let huge = vec![b'x'; 1024 * 1024 + 1];
    server.request("POST", "/chat", &[], &huge).await.problem(415, "unsupported_media_type");
}

#[tokio::test]
async fn bodies_are_taken_up_to_the_limit_exactly() {
    let server = Server::with(|options| options.body_bytes_max = 4096, |_| {}).await;
    let body = |size: usize| {
        let empty = json!({ "task": "" }).to_string().len();
        json!({ "task": "x".repeat(size - empty) }).to_string().into_bytes()
    };
    for (size, status) in [(4095, 202), (4096, 202), (4097, 413), (100_000, 413)] {
        let body = body(size);
        let reply = server.request("POST", "/tasks", &[JSON], &body).await;
        assert_eq!(reply.status, status, "{size}: {}", reply.text());
        // Without a length the size shows only while reading.
        let mut chunked =
            b"POST /tasks HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-type: application/json\r\n\
              transfer-encoding: chunked\r\n\r\n"
                .to_vec();
        for piece in body.chunks(1000) {
            chunked.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            chunked.extend_from_slice(piece);
            chunked.extend_from_slice(b"\r\n");
        }
        chunked.extend_from_slice(b"0\r\n\r\n");
        let reply = parse(&raw(server.address, &chunked).await);
        assert_eq!(reply.status, status, "{size} in chunks: {}", reply.text());
        if status == 413 {
            reply.problem(413, "payload_too_large");
        }
    }
}

#[tokio::test]
async fn keys_that_are_no_keys() {
    let server = Server::start().await;
    let long = "k".repeat(256);
    for key in ["", long.as_str(), "a b", "schlüssel", "tab\tbed", "\u{7f}"] {
        for (route, body) in [
            ("/v1/jobs", json!({ "crew": "fixed" })),
            ("/chat", json!({ "user_id": "u", "message": "m" })),
            ("/tasks", json!({ "task": "t" })),
        ] {
            let reply = server.post_with(route, &[("idempotency-key", key)], &body).await;
            // Some of these bytes may not stand in a header at all: then it is the server below us that refuses.
            assert_eq!(reply.status, 400, "{route} {key:?}: {}", reply.text());
        }
    }
    let twice = [("idempotency-key", "a"), ("idempotency-key", "a")];
    server.post_with("/v1/jobs", &twice, &json!({ "crew": "fixed" })).await.problem(400, "invalid_request");
    assert_eq!(server.store.stats().await.unwrap(), qd_store::Stats::default());
}

#[tokio::test]
async fn paths_that_name_nothing() {
    let server = Server::start().await;
    let other_case = "018F0000-0000-7000-8000-00000000000A";
    let ids = [
        "x",
        "1",
        "%00",
        "%2e%2e",
        "..",
        "%2e%2e%2fetc",
        "%ff",
        "%",
        "%zz",
        other_case,
        "018f00000000700080000000000000aa",
        "%7B018f0000-0000-7000-8000-0000000000aa%7D",
        "urn:uuid:018f0000-0000-7000-8000-0000000000aa",
        "018f0000-0000-7000-8000-0000000000aa",
        "00000000-0000-0000-0000-000000000000",
        "'%20OR%201=1--",
    ];
    for id in ids {
        for route in ["/v1/jobs/", "/chat/", "/tasks/"] {
            server.get(&format!("{route}{id}")).await.problem(404, "not_found");
        }
        for end in ["events", "steps"] {
            server.get(&format!("/v1/jobs/{id}/{end}")).await.problem(404, "not_found");
        }
        let cancel = server.request("POST", &format!("/v1/jobs/{id}/cancel"), &[], b"").await;
        cancel.problem(404, "not_found");
    }
    let made = server.post("/v1/jobs", &json!({ "crew": "fixed" })).await;
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(server.get(&format!("/v1/jobs/{id}")).await.status, 200);
    for other in [id.replace('-', ""), format!("%7B{id}%7D"), format!("urn:uuid:{id}")] {
        server.get(&format!("/v1/jobs/{other}")).await.problem(404, "not_found");
    }
    for path in [
        "/v1",
        "/v1/",
        "/v1/jobs/",
        "//v1/jobs",
        "/v1//jobs",
        "/V1/jobs",
        "/v1/jobs/x/y",
        "/chat/",
        "/nothing",
        "/%00",
        "/v1/jobs%2f",
        "/.git/config",
        "/favicon.ico",
        "/v1/crews/%ff",
        "/v1/crews/%00",
        "/v1/crews/..%2f",
    ] {
        let reply = server.get(path).await;
        reply.problem(404, "not_found");
        assert!(!reply.text().contains('\0'));
    }
    let long = format!("/v1/jobs/{}", "x".repeat(9000));
    server.get(&long).await.problem(400, "invalid_request");
}

#[tokio::test]
async fn methods_that_a_route_does_not_take() {
    let server = Server::start().await;
    let id = "018f0000-0000-7000-8000-000000000000";
    for (method, path, allowed) in [
        ("PUT", "/v1/jobs".to_owned(), "GET,HEAD,POST"),
        ("DELETE", "/v1/jobs".to_owned(), "GET,HEAD,POST"),
        ("PATCH", format!("/v1/jobs/{id}"), "GET,HEAD"),
        ("DELETE", format!("/v1/jobs/{id}"), "GET,HEAD"),
        ("POST", format!("/v1/jobs/{id}"), "GET,HEAD"),
        ("POST", format!("/v1/jobs/{id}/events"), "GET,HEAD"),
        ("GET", format!("/v1/jobs/{id}/cancel"), "POST"),
        ("GET", "/chat".to_owned(), "POST"),
        ("OPTIONS", "/chat".to_owned(), "POST"),
        ("TRACE", "/chat".to_owned(), "POST"),
        ("OPTIONS", "/v1/jobs".to_owned(), "GET,HEAD,POST"),
        ("GET", "/tasks".to_owned(), "POST"),
        ("BREW", "/tasks".to_owned(), "POST"),
        ("POST", "/health".to_owned(), "GET,HEAD"),
        ("POST", "/".to_owned(), "GET,HEAD"),
        ("DELETE", "/v1/crews/solo".to_owned(), "GET,HEAD,PUT"),
    ] {
        let reply = server.request(method, &path, &[], b"").await;
        reply.problem(405, "method_not_allowed");
        assert_eq!(reply.header("allow"), Some(allowed), "{method} {path}");
    }
    let head = server.request("HEAD", "/health", &[], b"").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[tokio::test]
async fn queries_that_a_list_does_not_take() {
    let server = Server::start().await;
    for (query, path) in [
        ("limit=0", "/limit"),
        ("limit=501", "/limit"),
        ("limit=-1", "/limit"),
        ("limit=x", "/limit"),
        ("limit=", "/limit"),
        ("limit=1.5", "/limit"),
        ("limit=99999999999999999999", "/limit"),
        ("status=done", "/status"),
        ("status=QUEUED", "/status"),
        ("status=", "/status"),
        ("crew=", "/crew"),
        ("crew=%00", "/crew"),
        ("cursor=", "/cursor"),
        ("cursor=1", "/cursor"),
        ("cursor=cxyz", "/cursor"),
        ("cursor=c-1", "/cursor"),
        ("cursor=cffffffffffffffffffff", "/cursor"),
        ("created_after=yesterday", "/created_after"),
        ("created_after=2026-01-01", "/created_after"),
        ("created_before=2026-13-01T00:00:00Z", "/created_before"),
        // A plus sign is a space in a query.
        ("created_before=2026-01-01T00:00:00+02:00", "/created_before"),
        ("offset=5", "/offset"),
        ("limit=5&limit=5", "/limit"),
        ("limit%00=5", "/limit\\0"),
        ("%ff=1", "/\u{fffd}"),
    ] {
        let reply = server.get(&format!("/v1/jobs?{query}")).await;
        reply.problem(422, "validation_failed");
        assert_eq!(reply.paths(), [path], "{query}");
    }
    let many = format!("/v1/jobs?{}", "x=1&".repeat(1500));
    server.get(&many).await.problem(422, "validation_failed");
}

#[tokio::test]
async fn framing_tricks_are_refused_and_nothing_is_stored() {
    let server = Server::start().await;
    let body = json!({ "task": "t" }).to_string();
    let post = |headers: &str, body: &str| {
        format!(
            "POST /tasks HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\nconnection: close\r\n{headers}\r\n{body}"
        )
    };
    let n = body.len();
    let cases = [
        ("two lengths", post(&format!("content-length: {n}\r\ncontent-length: 5\r\n"), &body)),
        ("length list", post(&format!("content-length: {n}, 5\r\n"), &body)),
        ("negative length", post("content-length: -1\r\n", &body)),
        ("plus length", post(&format!("content-length: +{n}\r\n"), &body)),
        ("huge length", post("content-length: 99999999999999999999999\r\n", &body)),
        ("unknown coding", post("transfer-encoding: zip\r\n", &body)),
        ("chunked not last", post("transfer-encoding: chunked, identity\r\n", &body)),
        ("bad chunk size", post("transfer-encoding: chunked\r\n", "zz\r\n{}\r\n0\r\n\r\n")),
        ("chunk size lies", post("transfer-encoding: chunked\r\n", "2\r\n{\"task\":\"t\"}\r\n0\r\n\r\n")),
        ("chunk size overflows", post("transfer-encoding: chunked\r\n", "fffffffffffffffff\r\n{}")),
        ("folded header", post(&format!("x-a: b\r\n c\r\ncontent-length: {n}\r\n"), &body)),
        ("space before colon", post(&format!("x-a : b\r\ncontent-length: {n}\r\n"), &body)),
        ("NUL in a header", post(&format!("x-a: b\0c\r\ncontent-length: {n}\r\n"), &body)),
        ("no version", "POST /tasks\r\n\r\n".to_owned()),
        ("odd version", "POST /tasks HTTP/3.7\r\n\r\n".to_owned()),
        ("space in path", "GET /v1/jobs x HTTP/1.1\r\n\r\n".to_owned()),
        ("binary", "\u{1}\u{2}\u{3}\r\n\r\n".to_owned()),
        ("TLS", "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\r\n\r\n".to_owned()),
        ("101 headers", post(&(0..101).map(|i| format!("x-{i}: 1\r\n")).collect::<String>(), "")),
        ("large head", post(&format!("x-a: {}\r\n", "a".repeat(17 * 1024)), "")),
    ];
    for (name, request) in cases {
        let answer = raw(server.address, request.as_bytes()).await;
        // What cannot be read as a request may be cut off without an answer.
        if !answer.is_empty() {
            let reply = parse(&answer);
            assert!((400..500).contains(&reply.status), "{name}: {}", String::from_utf8_lossy(&answer));
        }
    }
    assert_eq!(server.store.stats().await.unwrap(), qd_store::Stats::default());
}

#[tokio::test]
async fn a_length_besides_chunks_does_not_smuggle_a_second_request() {
    let server = Server::start().await;
    let inner = "POST /tasks HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\ncontent-length: 12\r\n\r\n{\"task\":\"s\"}";
    let request = format!(
        "POST /chat HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         transfer-encoding: chunked\r\nconnection: close\r\n\r\n0\r\n\r\n{inner}",
        inner.len() + 5
    );
    let answer = raw(server.address, request.as_bytes()).await;
    let answers = String::from_utf8_lossy(&answer).matches("HTTP/1.1 ").count();
    assert!(answers <= 1, "{}", String::from_utf8_lossy(&answer));
    assert_eq!(server.store.stats().await.unwrap(), qd_store::Stats::default());
}

#[tokio::test]
async fn errors_say_nothing_of_the_inside() {
    let server = Server::start().await;
    let replies = [
        server.request("POST", "/v1/jobs", &[JSON], b"{\"crew\":").await,
        server.post("/v1/jobs", &json!({ "crew": "nobody" })).await,
        server.get("/v1/jobs/x").await,
        server.get("/v1/jobs?cursor=1").await,
    ];
    for reply in replies {
        let text = reply.text();
        for word in ["panicked", "src/", ".rs", "SELECT", "sqlite", "tokio", "axum", "serde"] {
            assert!(!text.contains(word), "{word} in {text}");
        }
    }
}
