//! Bytes that are no request, or would be read as another one by whoever stands before the server.

use super::world::Things;
use super::{Answer, Case, request, try_all};

const BODY: &str = r#"{"task":"t"}"#;

fn post(headers: &str, body: &str) -> String {
    format!(
        "POST /tasks HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\nconnection: close\r\n{headers}\r\n{body}"
    )
}

pub(super) fn cases(_: &Things) -> Vec<Case> {
    let n = BODY.len();
    let length = format!("content-length: {n}\r\n");
    let headers = |count: usize| (0..count).map(|i| format!("x-{i}: 1\r\n")).collect::<String>();
    let chunked = |body: &str| post("transfer-encoding: chunked\r\n", body);
    let bare: Vec<(&str, String, u16)> = vec![
        ("two lengths", post(&format!("{length}content-length: 5\r\n"), BODY), 400),
        ("length list", post(&format!("content-length: {n}, 5\r\n"), BODY), 400),
        ("negative length", post("content-length: -1\r\n", BODY), 400),
        ("plus length", post(&format!("content-length: +{n}\r\n"), BODY), 400),
        ("length of hex digits", post("content-length: 0xc\r\n", BODY), 400),
        ("empty length", post("content-length: \r\n", BODY), 400),
        ("huge length", post("content-length: 99999999999999999999999\r\n", BODY), 400),
        ("unknown coding", post("transfer-encoding: zip\r\n", BODY), 400),
        ("chunked not last", post("transfer-encoding: chunked, identity\r\n", BODY), 400),
        ("folded header", post(&format!("x-a: b\r\n c\r\n{length}"), BODY), 400),
        ("space before colon", post(&format!("x-a : b\r\n{length}"), BODY), 400),
        ("no colon", post(&format!("x-a\r\n{length}"), BODY), 400),
        ("no name", post(&format!(": b\r\n{length}"), BODY), 400),
        ("NUL in a header", post(&format!("x-a: b\0c\r\n{length}"), BODY), 400),
        ("CR in a header", post(&format!("x-a: b\rc\r\n{length}"), BODY), 400),
        ("NUL in a name", post(&format!("x\0a: b\r\n{length}"), BODY), 400),
        ("101 headers", post(&headers(101), ""), 431),
        ("head of 17 KiB", post(&format!("x-a: {}\r\n", "a".repeat(17 * 1024)), ""), 431),
        ("address of 17 KiB", format!("GET /{} HTTP/1.1\r\nhost: t\r\n\r\n", "a".repeat(17 * 1024)), 431),
        ("no version", "POST /tasks\r\n\r\n".to_owned(), 400),
        ("odd version", "POST /tasks HTTP/3.7\r\n\r\n".to_owned(), 400),
        ("space in the path", "GET /v1/jobs x HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("NUL in the path", "GET /v1/\0jobs HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("no path", "GET  HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("no slash", "GET v1/jobs HTTP/1.1\r\nhost: t\r\n\r\n".to_owned(), 400),
        ("no method", " /v1/jobs HTTP/1.1\r\nhost: t\r\n\r\n".to_owned(), 400),
        ("a method with parentheses", "G(ET /v1/jobs HTTP/1.1\r\nhost: t\r\n\r\n".to_owned(), 400),
        ("binary", "\u{1}\u{2}\u{3}\r\n\r\n".to_owned(), 400),
        ("TLS", "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\r\n\r\n".to_owned(), 400),
        ("SSH", "SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned(), 400),
    ];
    let broken: Vec<(&str, String)> = vec![
        ("bad chunk size", chunked("zz\r\n{}\r\n0\r\n\r\n")),
        ("negative chunk size", chunked("-2\r\n{}\r\n0\r\n\r\n")),
        ("chunk size lies", chunked("2\r\n{\"task\":\"t\"}\r\n0\r\n\r\n")),
        ("chunk size overflows", chunked("fffffffffffffffff\r\n{}")),
        ("a chunk without its end", chunked("c\r\n{\"task\":\"t\"}0\r\n\r\n")),
        (
            "a chunk with much to say of itself",
            chunked(&format!("c;{}\r\n{BODY}\r\n0\r\n\r\n", "a".repeat(20_000))),
        ),
        ("trailers of 40 KiB", chunked(&format!("c\r\n{BODY}\r\n0\r\nx-a: {}\r\n\r\n", "a".repeat(40_000)))),
    ];
    let bytes =
        |name: &str, sent: String, answer| Case { name: name.to_owned(), sent: sent.into_bytes(), answer };
    let mut cases: Vec<Case> =
        bare.into_iter().map(|(name, sent, status)| bytes(name, sent, Answer::Bare(status))).collect();
    for (name, sent) in broken {
        // Only the body is broken, so that it is a request all the same.
        cases.push(Case {
            sent: sent.into_bytes(),
            ..request(name, "POST", "/tasks").fails(400, "invalid_request")
        });
    }
    cases.push(bytes(
        "the preface of HTTP/2 and other bytes",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET / HTTP/1.1\r\n\r\n".to_owned(),
        Answer::Cut,
    ));
    let authority =
        "CONNECT shop.example:443 HTTP/1.1\r\nhost: shop.example:443\r\nconnection: close\r\n\r\n";
    cases.push(Case { sent: authority.into(), ..request("CONNECT", "CONNECT", "").fails(404, "not_found") });
    cases
}

#[tokio::test]
async fn bytes_that_are_no_request() {
    try_all(cases).await;
}
