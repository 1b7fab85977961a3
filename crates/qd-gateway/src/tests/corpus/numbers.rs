//! Numbers that JSON does not have, and numbers that a field does not take.

use serde_json::json;

use super::routes::{Route, json_routes};
use super::world::Things;
use super::{Case, FAILED, Request, try_all};

/// What JSON does not have.
const NONE: [&str; 12] =
    ["NaN", "Infinity", "-Infinity", "1e400", "01", "+1", "0x1", "1.", ".5", "1e", "--1", "1_0"];

/// Whole for people, perhaps, and for no field; 2^63 - 1, 2^63, 2^64 and what is below -2^63.
const BEYOND: [&str; 8] = [
    "-0",
    "1.0",
    "1e2",
    "1e300",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "-9223372036854775809",
];

/// A good request but for the number, which is written as it stands here.
fn with(route: &Route, field: &str, number: &str) -> Request {
    let mut body = route.good.clone();
    body[field] = json!("NUMBER");
    let text = body.to_string().replace("\"NUMBER\"", number);
    route.request(format!("{field} {number}")).bytes("application/json", text)
}

pub(super) fn cases(things: &Things) -> Vec<Case> {
    let mut cases = Vec::new();
    for route in json_routes(things) {
        for (field, least, most) in route.numbers.clone() {
            let (below, above) = ((least - 1).to_string(), (most + 1).to_string());
            for number in [below.as_str(), &above].into_iter().chain(BEYOND) {
                cases.push(with(&route, field, number).fails(422, FAILED).at(format!("/{field}")));
            }
        }
        for number in NONE.iter().filter(|_| !route.numbers.is_empty()) {
            cases.push(with(&route, route.numbers[0].0, number).fails(400, "invalid_request"));
        }
    }
    cases
}

#[tokio::test]
async fn numbers_that_are_none_or_do_not_fit() {
    try_all(cases).await;
}
