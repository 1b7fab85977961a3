//! Addresses that name nothing: no route, no id, an id in another spelling, an id of nothing.

use serde_json::{Value, json};

use super::fields::long;
use super::jobs::NOBODY;
use super::world::Things;
use super::{Case, request, try_all};

/// What is no id of anything, and no name that can be read.
const IDS: [&str; 19] = [
    "x",
    "1",
    "-1",
    "0",
    "%00",
    "%2e%2e",
    "..",
    "%2e%2e%2fetc",
    "%ff",
    "%",
    "%zz",
    "null",
    "*",
    "018F0000-0000-7000-8000-00000000000A",
    "018f00000000700080000000000000aa",
    "%7B018f0000-0000-7000-8000-0000000000aa%7D",
    "urn:uuid:018f0000-0000-7000-8000-0000000000aa",
    "00000000-0000-0000-0000-000000000000",
    "'%20OR%201=1--",
];

/// Every address with one of those in it, and a body where it needs one.
fn named() -> Vec<(&'static str, &'static str, Value)> {
    let approve = json!({ "approve": true });
    vec![
        ("GET", "/v1/jobs/{}", Value::Null),
        ("GET", "/v1/jobs/{}/events", Value::Null),
        ("GET", "/v1/jobs/{}/steps", Value::Null),
        ("GET", "/v1/jobs/{}/deliveries", Value::Null),
        ("POST", "/v1/jobs/{}/cancel", Value::Null),
        ("POST", "/v1/jobs/{}/redrive", Value::Null),
        ("POST", "/v1/jobs/{}/resume", approve),
        ("GET", "/v1/batches/{}", Value::Null),
        ("GET", "/v1/batches/{}/results", Value::Null),
        ("POST", "/v1/batches/{}/cancel", Value::Null),
        ("GET", "/v1/schedules/{}", Value::Null),
        ("DELETE", "/v1/schedules/{}", Value::Null),
        ("POST", "/v1/schedules/{}/pause", Value::Null),
        ("POST", "/v1/schedules/{}/resume", Value::Null),
        ("POST", "/v1/schedules/{}/run", Value::Null),
        ("GET", "/v1/conversations/{}", Value::Null),
        ("DELETE", "/v1/conversations/{}", Value::Null),
        ("GET", "/v1/crews/{}", Value::Null),
        ("GET", "/v1/deliveries/{}", Value::Null),
        ("POST", "/v1/deliveries/{}/resend", Value::Null),
        ("POST", "/v1/webhooks/{}/test", Value::Null),
        ("GET", "/v1/keys/{}", Value::Null),
        ("DELETE", "/v1/keys/{}", Value::Null),
        ("POST", "/v1/keys/{}/rotate", json!({})),
        ("GET", "/v1/crews/{}/inputs", Value::Null),
        ("POST", "/v1/crews/{}/kickoff", json!({})),
        ("GET", "/v1/crews/solo/status/{}", Value::Null),
        ("GET", "/v1/crews/solo/{}/status", Value::Null),
        ("POST", "/v1/crews/solo/stop/{}", Value::Null),
        ("GET", "/chat/{}", Value::Null),
        ("GET", "/tasks/{}", Value::Null),
        ("GET", "/crews/{}/metrics", Value::Null),
        ("GET", "/v1/models/{}", Value::Null),
    ]
}

pub(super) fn cases(things: &Things) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name: &str, method: &str, path: String, body: &Value| {
        let request = request(name, method, path);
        let request = if body.is_null() { request } else { request.json(body) };
        cases.push(request.fails(404, "not_found"));
    };
    for (method, template, body) in named() {
        for id in IDS {
            add(id, method, template.replace("{}", id), &body);
        }
        add("nobody's", method, template.replace("{}", NOBODY), &body);
        add("long", method, template.replace("{}", &long(1_000)), &body);
    }
    // What there is, spelt otherwise or of another kind.
    let Things { done, batch, key, delivery, .. } = things;
    for id in [
        done.replace('-', ""),
        format!("%7B{done}%7D"),
        format!("urn:uuid:{done}"),
        format!("{done}%00"),
        batch.clone(),
        key.clone(),
    ] {
        for path in
            ["/v1/jobs/{}", "/v1/jobs/{}/events", "/chat/{}", "/tasks/{}", "/v1/crews/assistant/status/{}"]
        {
            add("another spelling", "GET", path.replace("{}", &id), &Value::Null);
        }
    }
    for id in [batch.replace('-', ""), done.clone(), format!("%7B{batch}%7D")] {
        add("another spelling", "GET", format!("/v1/batches/{id}"), &Value::Null);
    }
    for id in [delivery.replace('-', ""), format!("%7B{delivery}%7D"), batch.clone()] {
        add("another spelling", "GET", format!("/v1/deliveries/{id}"), &Value::Null);
    }
    for id in [format!("{key}%20"), format!("{key}0"), key.chars().rev().collect()] {
        add("another spelling", "GET", format!("/v1/keys/{id}"), &Value::Null);
    }
    add("of another crew", "GET", format!("/v1/crews/fixed/status/{done}"), &Value::Null);
    add("of another crew", "POST", format!("/v1/crews/fixed/stop/{}", things.waiting), &Value::Null);
    cases.extend(no_routes());
    let long = request("an address of 9,000 bytes", "GET", format!("/v1/jobs/{}", long(9_000)));
    cases.push(long.fails(400, "invalid_request").says("at most"));
    let query = request("a query of 9,000 bytes", "GET", format!("/v1/jobs?crew={}", "x".repeat(9_000)));
    cases.push(query.fails(400, "invalid_request").says("at most"));
    cases
}

fn no_routes() -> Vec<Case> {
    let mut cases = Vec::new();
    for path in [
        "/v1",
        "/v1/",
        "/v1/jobs/",
        "//v1/jobs",
        "/v1//jobs",
        "/V1/jobs",
        "/v1/Jobs",
        "/v1/jobs/x/y",
        "/v2/jobs",
        "/chat/",
        "/nothing",
        "/%00",
        "/v1/jobs%2f",
        "/v1%2fjobs",
        "/v1/jobs;a=b",
        "/v1/./jobs",
        "/v1/x/../jobs",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/../../etc/passwd",
        "/.git/config",
        "/.env",
        "/favicon.ico",
        "/wp-login.php",
        "/metrics",
        "/livez",
        "/scale",
        "/v1/dead-letters/",
        "/v1/crews/..%2f",
        "/\\etc",
    ] {
        cases.push(request("no route", "GET", path).fails(404, "not_found"));
    }
    for path in [
        "/v1/jobs/",
        "/v1/dead-letters/discards",
        "/v1/keys/",
        "/crews/shop/tasks/",
        "/v1/chat",
        "/v1/completions",
    ] {
        cases.push(request("no route", "POST", path).json(&json!({})).fails(404, "not_found"));
    }
    cases
}

#[tokio::test]
async fn addresses_that_name_nothing() {
    try_all(cases).await;
}
