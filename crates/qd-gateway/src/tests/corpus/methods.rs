//! Methods that a route does not take, each with the ones that it takes; places in a stream that it never had.

use std::collections::BTreeMap;

use super::world::Things;
use super::{Case, request, try_all};

const METHODS: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"];

pub(super) fn cases(things: &Things) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut routes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let described = crate::router::routes().into_described();
    for route in &described {
        let taken = routes.entry(route.path).or_default();
        taken.push(route.method.as_str());
        if route.method == "GET" {
            taken.push("HEAD");
        }
    }
    for (path, taken) in &mut routes {
        taken.sort_unstable();
        let concrete = path.replace(['{', '}'], "");
        for method in METHODS.into_iter().filter(|method| !taken.contains(method)) {
            let case = request(method, method, concrete.clone()).fails(405, "method_not_allowed");
            cases.push(case.allows(taken.join(",")));
        }
    }
    for method in ["BREW", "get", "PROPFIND", "QUARTERDECK-AND-A-METHOD-OF-MANY-LETTERS"] {
        cases.push(request(method, method, "/v1/jobs").fails(405, "method_not_allowed"));
    }
    for id in [
        "-1",
        "+1",
        "x",
        "1.5",
        "0x1",
        "1e3",
        "99999999",
        "9223372036854775808",
        "99999999999999999999",
        "ü",
        "1, 2",
    ] {
        let stream = request(format!("event {id}"), "GET", format!("/v1/jobs/{}/events", things.done));
        cases.push(stream.header("last-event-id", id).fails(400, "invalid_request"));
    }
    cases
}

#[tokio::test]
async fn methods_that_a_route_does_not_take() {
    try_all(cases).await;
}
