//! Fields of what operators do: keys, breakers, webhooks.

use serde_json::{Value, json};

use super::fields::{Kind, long};
use super::jobs::{bodies, spoilt, with};
use super::world::Things;
use super::{Case, FAILED, request, try_all};

pub(super) fn cases(things: &Things) -> Vec<Case> {
    let mut cases = of_keys(things);
    cases.extend(of_breakers());
    cases
}

fn of_keys(things: &Things) -> Vec<Case> {
    let good = json!({ "name": "n", "scopes": ["stats"] });
    let fields = [("name", Kind::Text), ("tenant", Kind::Name), ("expires_in_days", Kind::Whole)];
    let mut cases = spoilt("POST", "/v1/keys", &good, &fields);
    let scopes = |scopes: Value| with(&good, "scopes", scopes);
    cases.extend(bodies(
        "POST",
        "/v1/keys",
        vec![
            (json!({}), FAILED, "/name /scopes"),
            (json!({ "name": "n" }), FAILED, "/scopes"),
            (json!({ "scopes": ["stats"] }), FAILED, "/name"),
            (scopes(json!([])), FAILED, "/scopes"),
            (scopes(json!("admin")), FAILED, "/scopes"),
            (scopes(json!({ "admin": true })), FAILED, "/scopes"),
            (scopes(json!(["jobs:all"])), FAILED, "/scopes/0"),
            (scopes(json!(["ADMIN"])), FAILED, "/scopes/0"),
            (scopes(json!(["stats", ""])), FAILED, "/scopes/1"),
            (scopes(json!([7, null, "*"])), FAILED, "/scopes/0 /scopes/1 /scopes/2"),
            (with(&good, "name", json!("a\nb")), FAILED, "/name"),
            (with(&good, "name", json!(long(129))), FAILED, "/name"),
            (with(&good, "key", json!("mine")), FAILED, "/key"),
            (with(&good, "expires_at", json!("2099-01-01T00:00:00Z")), FAILED, "/expires_at"),
        ],
    ));
    let rotate = format!("/v1/keys/{}/rotate", things.key);
    cases.extend(spoilt("POST", &rotate, &json!({}), &[("overlap_seconds", Kind::Whole)]));
    cases.extend(bodies(
        "POST",
        &rotate,
        vec![(json!({ "scopes": ["admin"] }), FAILED, "/scopes"), (json!({ "key": "mine" }), FAILED, "/key")],
    ));
    cases
}

fn of_breakers() -> Vec<Case> {
    let (path, good) = ("/v1/breakers", json!({ "deployment": "sim/a", "state": "open" }));
    let mut cases = spoilt("POST", path, &good, &[("deployment", Kind::Text), ("state", Kind::Word)]);
    cases.extend(bodies(
        "POST",
        path,
        vec![
            (json!({}), FAILED, "/deployment /state"),
            (json!({ "deployment": "sim/a" }), FAILED, "/state"),
            (json!({ "state": "open" }), FAILED, "/deployment"),
            (with(&good, "state", json!("ajar")), FAILED, "/state"),
            (with(&good, "state", json!("OPEN")), FAILED, "/state"),
            (with(&good, "state", json!("half_open")), FAILED, "/state"),
            (with(&good, "deployment", json!(long(513))), FAILED, "/deployment"),
            (with(&good, "for", json!(3)), FAILED, "/for"),
        ],
    ));
    for deployment in ["nobody/model", "sim", "../sim/a", "\u{0}"] {
        let body = with(&good, "deployment", json!(deployment));
        cases.push(
            request(format!("deployment {deployment}"), "POST", path).json(&body).fails(404, "not_found"),
        );
    }
    cases
}

#[tokio::test]
async fn fields_of_what_operators_do() {
    try_all(cases).await;
}
