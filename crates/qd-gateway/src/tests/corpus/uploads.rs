//! Uploads of JSON lines, of which nothing is kept: wrong parameters, no good line, too many, too long, broken off.

use super::fields::long;
use super::world::Things;
use super::{Answer, Case, FAILED, request, try_all};

const LINES: &str = "application/x-ndjson";
const LINE: &str = "{\"topic\":\"t\"}\n";

pub(super) fn cases(_: &Things) -> Vec<Case> {
    let mut cases = wrong_queries();
    cases.extend(wrong_lines());
    cases.extend(broken());
    for kind in ["application/jsonl", "application/x-jsonlines", "Application/X-NDJSON; charset=utf-8"] {
        cases
            .push(request(kind, "POST", "/v1/batches?crew=solo").bytes(kind, "no json\n").fails(422, FAILED));
    }
    for kind in ["application/ndjson", "text/plain", "application/x-ndjsonx"] {
        let request = request(kind, "POST", "/v1/batches?crew=solo").bytes(kind, LINE);
        cases.push(request.fails(415, "unsupported_media_type"));
    }
    for encoding in ["gzip", "br", "zstd"] {
        let packed = request(encoding, "POST", "/v1/batches?crew=solo").header("content-encoding", encoding);
        cases.push(packed.bytes(LINES, LINE).fails(415, "unsupported_media_type"));
    }
    cases
}

fn wrong_queries() -> Vec<Case> {
    let mut cases = Vec::new();
    for (query, code, at) in [
        ("", FAILED, "/crew"),
        ("crew=", FAILED, "/crew"),
        ("crew=%20", FAILED, "/crew"),
        ("crew=nobody", "unknown_crew", "/crew"),
        ("crew=%00", "unknown_crew", "/crew"),
        ("crew=broken", "invalid_crew", "/crew"),
        ("crew=solo&crew=pair", FAILED, "/crew"),
        ("crew=solo&concurrency=many", FAILED, "/concurrency"),
        ("crew=solo&concurrency=0", FAILED, "/concurrency"),
        ("crew=solo&concurrency=1001", FAILED, "/concurrency"),
        ("crew=solo&concurrency=", FAILED, "/concurrency"),
        ("crew=solo&priority=6", FAILED, "/priority"),
        ("crew=solo&priority=1.0", FAILED, "/priority"),
        ("crew=solo&priority=99999999999999999999", FAILED, "/priority"),
        ("crew=solo&timeout_seconds=0", FAILED, "/timeout_seconds"),
        ("crew=solo&timeout_seconds=86401", FAILED, "/timeout_seconds"),
        ("crew=solo&max_attempts=21", FAILED, "/max_attempts"),
        ("crew=solo&budget_usd=-1", FAILED, "/budget_usd"),
        ("crew=solo&budget_usd=1e3", FAILED, "/budget_usd"),
        ("crew=solo&webhook_url=http://127.0.0.1/", FAILED, "/webhook_url"),
        ("crew=solo&webhook_url=hooks", FAILED, "/webhook_url"),
        ("crew=solo&metadata=x", FAILED, "/metadata"),
        ("crew=solo&metadata.a=1&metadata.a=2", FAILED, "/metadata.a"),
        ("crew=solo&metadata.=1", FAILED, "/metadata/"),
        ("crew=solo&inputs=x", FAILED, "/inputs"),
        ("crew=solo&surprise=1", FAILED, "/surprise"),
        ("crew=solo&CREW=pair", FAILED, "/CREW"),
        ("crew=solo&conversation_id=c", FAILED, "/conversation_id"),
    ] {
        cases.push(
            request(query, "POST", format!("/v1/batches?{query}")).bytes(LINES, LINE).fails(422, code).at(at),
        );
    }
    let labels: String = (0..17).map(|n| format!("&metadata.k{n}=v")).collect();
    let many = request("17 labels", "POST", format!("/v1/batches?crew=solo{labels}")).bytes(LINES, LINE);
    cases.push(many.fails(422, FAILED).at("/metadata"));
    let long = format!("/v1/batches?crew=solo&metadata.a={}", long(513));
    cases.push(request("a long label", "POST", long).bytes(LINES, LINE).fails(422, FAILED).at("/metadata/a"));
    cases
}

fn wrong_lines() -> Vec<Case> {
    let mut cases = Vec::new();
    let deep = format!("{}{}\n", "[".repeat(100_000), "]".repeat(100_000));
    let lines: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("blank lines", b"\n \n\r\n\n".to_vec()),
        ("no JSON", b"not json\n".to_vec()),
        ("a number", b"1\n".to_vec()),
        ("a list", b"[{\"topic\":\"t\"}]\n".to_vec()),
        ("null", b"null\n".to_vec()),
        ("no variable", b"{}\n".to_vec()),
        ("another variable", b"{\"wrong\":1}\n".to_vec()),
        ("two in one line", b"{\"topic\":\"t\"}{\"topic\":\"t\"}\n".to_vec()),
        ("one over two lines", b"{\"topic\":\n\"t\"}\n".to_vec()),
        ("a comma after it", b"{\"topic\":\"t\"},\n".to_vec()),
        ("only carriage returns", b"{\"topic\":\"t\"}\r{\"topic\":\"t\"}\r".to_vec()),
        ("a BOM", b"\xef\xbb\xbf{\"topic\":\"t\"}\n".to_vec()),
        ("Latin-1", b"{\"topic\":\"\xfc\"}\n".to_vec()),
        ("UTF-16", "{\"topic\":\"t\"}\n".encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("a lone surrogate", b"{\"topic\":\"\\ud800\"}\n".to_vec()),
        ("a key twice", b"{\"topic\":\"t\",\"topic\":\"u\"}\n".to_vec()),
        ("NaN", b"{\"topic\":NaN}\n".to_vec()),
        ("1e400", b"{\"topic\":1e400}\n".to_vec()),
        ("deep", deep.into_bytes()),
        ("a wrong priority", b"{\"input\":{\"topic\":\"t\"},\"priority\":9}\n".to_vec()),
        ("a wrong label", b"{\"input\":{\"topic\":\"t\"},\"metadata\":{\"a\":1}}\n".to_vec()),
        ("twenty bad ones", b"x\n".repeat(20)),
    ];
    for (name, body) in lines {
        cases.push(request(name, "POST", "/v1/batches?crew=solo").bytes(LINES, body).fails(422, FAILED));
    }
    // One good line is in all of these.
    let row = |size: usize| format!("{{\"topic\":\"{}\"}}\n", long(size));
    for (name, body) in [
        ("21 lines", LINE.repeat(21)),
        ("a line longer than a body", format!("{LINE}{}", row(256 * 1024))),
        ("a line without an end", format!("{LINE}{{\"topic\":\"{}", long(256 * 1024))),
        ("512 KiB", format!("{LINE}{}", row(100_000).repeat(6))),
    ] {
        cases.push(
            request(name, "POST", "/v1/batches?crew=solo").bytes(LINES, body).fails(413, "payload_too_large"),
        );
    }
    cases
}

/// Uploads whose framing breaks.
fn broken() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, body) in [
        ("bad chunk size", format!("d\r\n{LINE}\r\nzz\r\n")),
        ("chunk size lies", format!("5\r\n{LINE}\r\n0\r\n\r\n")),
        ("chunk size overflows", format!("d\r\n{LINE}\r\nfffffffffffffffff\r\n")),
    ] {
        let head = "POST /v1/batches?crew=solo HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\
                    content-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n";
        let case = request(name, "POST", "/v1/batches?crew=solo").fails(400, "invalid_request");
        cases.push(Case { sent: format!("{head}{body}").into_bytes(), ..case });
    }
    let lies = request("a negative length", "POST", "/v1/batches?crew=solo");
    cases.push(lies.header("content-length", "-1").bytes(LINES, "").answered(Answer::Bare(400)));
    cases
}

#[tokio::test]
async fn uploads_of_which_nothing_is_kept() {
    try_all(cases).await;
}
