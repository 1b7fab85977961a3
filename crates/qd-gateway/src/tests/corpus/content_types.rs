//! Bodies that are no JSON by their own word, which are refused before they are read.

use super::routes::json_routes;
use super::world::Things;
use super::{Case, request, try_all};

const CODE: &str = "unsupported_media_type";

pub(super) fn cases(things: &Things) -> Vec<Case> {
    let mut cases = Vec::new();
    for route in json_routes(things) {
        let good = route.good.to_string();
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/json; charset=utf-16",
            "application/json, application/json",
            "application/yaml",
        ] {
            cases.push(route.request(kind).bytes(kind, good.clone()).fails(415, CODE));
        }
        let twice = route.request("twice").header("content-type", "application/json");
        cases.push(twice.bytes("application/json", good.clone()).fails(415, CODE));
        let packed = route.request("gzip").header("content-encoding", "gzip");
        cases.push(packed.bytes("application/json", good.clone()).fails(415, CODE));
        let mut bare = route.request("none");
        bare.body = good.into_bytes();
        cases.push(bare.fails(415, CODE));
    }
    for kind in
        ["text/json", "json", "", "*/*", "application/octet-stream", "application/+json", "\u{1f980}/json"]
    {
        let body = "{\"crew\":\"fixed\"}";
        cases.push(request(kind, "POST", "/v1/jobs").bytes(kind, body).fails(415, CODE));
    }
    for encoding in ["br", "deflate", "identity, gzip", "x"] {
        let packed = request(encoding, "POST", "/v1/jobs").header("content-encoding", encoding);
        cases.push(packed.bytes("application/json", "{\"crew\":\"fixed\"}").fails(415, CODE));
    }
    // The type is looked at before the size.
    let huge = request("large as well", "POST", "/chat").bytes("text/plain", vec![b'x'; 256 * 1024 + 1]);
    cases.push(huge.fails(415, CODE));
    cases
}

#[tokio::test]
async fn bodies_of_other_types() {
    try_all(cases).await;
}
