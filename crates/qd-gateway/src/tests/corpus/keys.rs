//! Idempotency keys that are none, on every route that takes them.

use super::routes::json_routes;
use super::world::Things;
use super::{Answer, Case, Request, request, try_all};

const HEADER: &str = "idempotency-key";

/// A good request of each of those routes.
fn good(things: &Things) -> Vec<Request> {
    let routes = json_routes(things).into_iter().filter(|route| route.is_keyed);
    let mut good: Vec<Request> = routes.map(|route| route.request("").json(&route.good)).collect();
    good.push(request("", "POST", "/v1/schedules/nightly/run"));
    good.push(request("", "POST", "/v1/batches?crew=fixed").bytes("application/x-ndjson", "{}\n"));
    good
}

pub(super) fn cases(things: &Things) -> Vec<Case> {
    let long = "k".repeat(256);
    let mut cases = Vec::new();
    for good in good(things) {
        let of = |name: &str| Request { name: name.to_owned(), ..good.clone() };
        for (name, key) in [
            ("empty", ""),
            ("256 characters", long.as_str()),
            ("a space", "a b"),
            ("a tab", "a\tb"),
            ("not ASCII", "schlüssel"),
            ("a soft hyphen", "a\u{ad}b"),
        ] {
            cases.push(of(name).header(HEADER, key).fails(400, "invalid_request").says("Idempotency-Key"));
        }
        cases.push(
            of("twice")
                .header(HEADER, "a")
                .header(HEADER, "a")
                .fails(400, "invalid_request")
                .says("more than once"),
        );
        // These may not stand in a header at all.
        for (name, key) in [
            ("a line feed alone", "a\nb"),
            ("a carriage return alone", "a\rb"),
            ("DEL", "\u{7f}"),
            ("NUL", "a\0b"),
        ] {
            cases.push(of(name).header(HEADER, key).answered(Answer::Bare(400)));
        }
    }
    cases
}

#[tokio::test]
async fn idempotency_keys_that_are_none() {
    try_all(cases).await;
}
