//! JSON of a shape that no route takes: too deep, too large, keys that stand twice, no object, fields that nobody knows.

use serde_json::json;

use super::routes::{Route, json_routes};
use super::world::Things;
use super::{Case, FAILED, try_all};

const KIND: &str = "application/json";

fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

fn nested_objects(depth: usize) -> String {
    format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth))
}

pub(super) fn cases(things: &Things) -> Vec<Case> {
    let mut cases: Vec<Case> = json_routes(things).iter().flat_map(of_route).collect();
    // In the place of a value that may be anything.
    let job = &json_routes(things)[0];
    let deep = format!("{{\"crew\":\"solo\",\"input\":{{\"topic\":{}}}}}", nested(63));
    cases.push(
        job.request("a value of depth 65")
            .bytes(KIND, deep)
            .fails(400, "invalid_request")
            .says("deeper than 64"),
    );
    let twice = r#"{"crew":"solo","input":{"topic":[0,{"b":1,"b":1}]}}"#;
    let twice = job.request("a key twice in a value").bytes(KIND, twice).fails(400, "invalid_request");
    cases.push(twice.at("/input/topic/1/b"));
    let many: String = (0..20_000).map(|n| format!(",\"{n}\":0")).collect();
    let many = job.request("20,000 keys").bytes(KIND, format!("{{\"crew\":\"fixed\"{many}}}"));
    cases.push(many.fails(422, FAILED));
    // Of the same hash in tables whose hash is that of Java or of older languages.
    let same = |n: u32| (0..12).map(|bit| if n >> bit & 1 == 1 { "Aa" } else { "BB" }).collect::<String>();
    let flood: String = (0..4_096).map(|n| format!(",\"{}\":0", same(n))).collect();
    let flood = job.request("keys of the same hash").bytes(KIND, format!("{{\"crew\":\"fixed\"{flood}}}"));
    cases.push(flood.fails(422, FAILED));
    cases
}

fn of_route(route: &Route) -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, body) in [
        ("depth 65", nested(65)),
        ("depth 65 of objects", nested_objects(65)),
        ("depth 100,000", nested(100_000)),
        ("depth 200,000, open", "[".repeat(200_000)),
        ("objects of depth 40,000", nested_objects(40_000)),
        ("objects of depth 40,000, open", "{\"a\":".repeat(40_000)),
        ("key twice", r#"{"crew":"solo","crew":"solo"}"#.to_owned()),
        ("key twice inside", r#"{"input":{"a":{"b":1,"b":1}}}"#.to_owned()),
        ("key twice, once escaped", r#"{"crew":"solo","cre\u0077":"solo"}"#.to_owned()),
    ] {
        cases.push(route.request(name).bytes(KIND, body).fails(400, "invalid_request"));
    }
    for wrong in [json!(null), json!([]), json!([{}]), json!("x"), json!(1), json!(true)] {
        cases.push(route.request(format!("{wrong} for an object")).json(&wrong).fails(422, FAILED).at(""));
    }
    // Documents of batches may be larger; here they may be as large as all bodies together, which is the same.
    let large = route.good.to_string() + &" ".repeat(256 * 1024 + 1 - route.good.to_string().len());
    cases.push(route.request("one byte too much").bytes(KIND, large).fails(413, "payload_too_large"));
    // A client of OpenAI's may say what it wants.
    if route.path != "/v1/chat/completions" {
        for field in ["surprise", "id", "tenant", "__proto__", "a/b~c", ""] {
            let mut body = route.good.clone();
            body[field] = json!({});
            let path = format!("/{}", field.replace('~', "~0").replace('/', "~1"));
            // One of them is a field there.
            if (route.path.as_str(), field) != ("/v1/keys", "tenant") {
                let case = route.request(format!("unknown `{field}`")).json(&body).fails(422, FAILED);
                cases.push(case.at(path).says("is no field of this request"));
            }
        }
    }
    cases
}

#[tokio::test]
async fn json_of_a_shape_that_no_route_takes() {
    try_all(cases).await;
}
