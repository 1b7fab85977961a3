//! The real binary under requests that mean it harm: every answer is a refusal that says why, memory does not grow, and
//! the next honest request is served.

use serde_json::{Value, json};

use crate::process::{Process, Project, get, http, post, with_inner_sim};

/// Growth that counts as a leak or a missing bound: larger than every buffer that may be kept for reuse.
const GROWTH_MAX_KIB: u64 = 64 * 1024;
const ROUNDS: usize = 12;

fn rss_kib(server: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id().unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Bodies of `POST /v1/jobs`, each with the statuses it may get.
fn bodies() -> Vec<(&'static str, Vec<u8>, &'static [u16])> {
    let nested = |depth: usize, open: &str, close: &str| [open.repeat(depth), close.repeat(depth)].concat();
    let job = |input: &str| format!("{{\"crew\":\"assistant\",\"input\":{input}}}").into_bytes();
    let many_keys = (0..50_000).map(|n| format!("\"k{n}\":1")).collect::<Vec<_>>().join(",");
    let twins = "\"a\":1,".repeat(50_000) + "\"a\":1";
    vec![
        ("nothing", Vec::new(), &[400]),
        ("an array", b"[]".to_vec(), &[400, 422]),
        ("deep arrays", job(&nested(100_000, "[", "]")), &[400]),
        ("deep objects", job(&nested(20_000, "{\"a\":", "}").replace("::", ":")), &[400]),
        ("never closed", job(&"[".repeat(200_000)), &[400]),
        ("many keys", job(&format!("{{{many_keys}}}")), &[422]),
        ("the same key again and again", job(&format!("{{{twins}}}")), &[400, 422]),
        ("a number without end", job(&format!("{{\"message\":{}}}", "9".repeat(500_000))), &[400, 422]),
        ("an exponent without end", job("{\"message\":1e999999999}"), &[400, 422]),
        ("half a megabyte of escapes", job(&format!("{{\"message\":\"{}", "\\u0000".repeat(90_000))), &[400]),
        ("lone surrogates", job("{\"message\":\"\\ud800\"}"), &[400]),
        (
            "no UTF-8",
            job("{\"message\":\"\u{0}\"}").iter().map(|b| if *b == 0 { 0xff } else { *b }).collect(),
            &[400],
        ),
        ("two documents", [job("{}"), job("{}")].concat(), &[400]),
        ("more than the bound", vec![b' '; 1_048_577], &[413]),
        ("a crew of a megabyte", format!("{{\"crew\":\"{}\"}}", "x".repeat(1_000_000)).into_bytes(), &[422]),
        (
            "a megabyte of metadata",
            format!("{{\"crew\":\"assistant\",\"metadata\":{{\"k\":\"{}\"}}}}", "x".repeat(1_000_000))
                .into_bytes(),
            &[422],
        ),
        (
            "times beyond time",
            b"{\"crew\":\"assistant\",\"run_at\":\"999999-01-01T00:00:00Z\"}".to_vec(),
            &[422],
        ),
        ("priorities beyond numbers", b"{\"crew\":\"assistant\",\"priority\":1e400}".to_vec(), &[400, 422]),
    ]
}

/// Heads that are requests in form only.
fn requests(server: &Process) -> Vec<(&'static str, reqwest::RequestBuilder, &'static [u16])> {
    let url = |path: &str| server.url(path);
    let job = json!({"crew": "assistant", "input": {"message": "hi"}});
    vec![
        ("an id of a megabyte", http().get(url(&format!("/v1/jobs/{}", "a".repeat(12_000)))), &[400]),
        ("a path of dots", http().get(url("/v1/jobs/%2e%2e%2f%2e%2e%2fetc%2fpasswd")), &[404]),
        ("a cursor of nonsense", http().get(url("/v1/jobs?cursor=%00%ff&limit=9")), &[400, 422]),
        ("a limit beyond numbers", http().get(url("/v1/jobs?limit=99999999999999999999")), &[400, 422]),
        (
            "an event id beyond numbers",
            http().get(url("/v1/jobs/x/events")).header("last-event-id", "9".repeat(4_000)),
            &[404],
        ),
        (
            "a key with blanks",
            http().post(url("/v1/jobs")).header("idempotency-key", "a b").json(&job),
            &[400],
        ),
        (
            "a key of a kilobyte",
            http().post(url("/v1/jobs")).header("idempotency-key", "k".repeat(1_024)).json(&job),
            &[400],
        ),
        ("XML", http().post(url("/v1/jobs")).header("content-type", "text/xml").body("<a/>"), &[415]),
        (
            "a compressed body",
            http()
                .post(url("/v1/jobs"))
                .header("content-type", "application/json")
                .header("content-encoding", "gzip")
                .body(vec![0x1f, 0x8b, 8]),
            &[415],
        ),
        ("another method", http().patch(url("/v1/jobs")), &[405]),
        ("a route that is none", http().get(url(&format!("/{}", "x/".repeat(4_000)))), &[404]),
        ("a conversation that is none", http().delete(url("/v1/conversations/%00")), &[404]),
        ("a header too large", http().get(url("/health")).header("x-large", "x".repeat(40_000)), &[431]),
    ]
}

#[tokio::test]
async fn hostile_requests_are_refused_without_growth_and_honest_ones_served() {
    let project = Project::new(&with_inner_sim("[log]\nlevel = \"error\"\n"), &[]);
    let server = project.serve("127.0.0.1:0").await;
    let bodies = bodies();
    let mut before = 0;
    for round in 0..ROUNDS {
        for (what, body, allowed) in &bodies {
            let request = http().post(server.url("/v1/jobs")).header("content-type", "application/json");
            refused(what, request.body(body.clone()), allowed).await;
        }
        for (what, request, allowed) in requests(&server) {
            refused(what, request, allowed).await;
        }
        if round == 2 {
            // Buffers that are kept for reuse have their size by now.
            before = rss_kib(&server);
        }
    }
    let after = rss_kib(&server);
    assert!(after < before + GROWTH_MAX_KIB, "memory grew from {before} KiB to {after} KiB");
    let none = get(&server.url("/v1/jobs")).await;
    assert_eq!(none["jobs"], json!([]), "nothing of it was stored");
    let (status, job) =
        post(&server.url("/v1/jobs"), &json!({"crew": "assistant", "input": {"message": "hi"}})).await;
    assert_eq!(status, 202, "{job}");
}

async fn refused(what: &str, request: reqwest::RequestBuilder, allowed: &[u16]) {
    let answer = request.send().await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let status = answer.status().as_u16();
    assert!(allowed.contains(&status), "{what}: {status}");
    if status == 431 || status == 414 {
        // Heads that are too large are refused before there is a request to answer in our words.
        return;
    }
    let problem: Value = answer.json().await.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(problem["code"].is_string() && problem["detail"].is_string(), "{what}: {problem}");
}
