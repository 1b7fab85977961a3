//! Bodies that are no JSON, on every route that takes JSON.

use super::routes::json_routes;
use super::world::Things;
use super::{Case, try_all};

/// What is no JSON on its own, whatever a route wants.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let utf16: Vec<u8> = "{\"crew\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big_endian: Vec<u8> = "{\"crew\":1}".encode_utf16().flat_map(u16::to_be_bytes).collect();
    vec![
        ("empty", b"".to_vec()),
        ("blank", b"  \n ".to_vec()),
        ("word", b"hello".to_vec()),
        ("cut", b"{\"crew\": \"so".to_vec()),
        ("open", b"{".to_vec()),
        ("trailing comma", b"{\"crew\":\"solo\",}".to_vec()),
        ("single quotes", b"{'crew':'solo'}".to_vec()),
        ("comment", b"{} // done".to_vec()),
        ("garbage after", b"{}x".to_vec()),
        ("two documents", b"{} {}".to_vec()),
        ("bare key", b"{crew:\"solo\"}".to_vec()),
        ("control character", b"{\"crew\":\"a\nb\"}".to_vec()),
        ("bad escape", b"{\"crew\":\"\\x\"}".to_vec()),
        ("lone surrogate", b"{\"crew\":\"\\ud800\"}".to_vec()),
        ("surrogates in the wrong order", b"{\"crew\":\"\\udc00\\ud800\"}".to_vec()),
        ("NUL", b"{}\0".to_vec()),
        ("BOM", b"\xef\xbb\xbf{}".to_vec()),
        ("UTF-16", [b"\xff\xfe".to_vec(), utf16.clone()].concat()),
        ("UTF-16, big end first", [b"\xfe\xff".to_vec(), big_endian].concat()),
        ("UTF-16 without BOM", utf16),
        ("overlong", b"{\"crew\":\"\xc0\xaf\"}".to_vec()),
        ("beyond Unicode", b"{\"crew\":\"\xf4\x90\x80\x80\"}".to_vec()),
        ("Latin-1", b"{\"crew\":\"\xfc\"}".to_vec()),
        ("CESU surrogate", b"{\"crew\":\"\xed\xa0\x80\"}".to_vec()),
        ("cut UTF-8", b"{\"crew\":\"\xe2\x82".to_vec()),
        ("form", b"crew=solo".to_vec()),
        ("XML", b"<crew/>".to_vec()),
    ]
}

pub(super) fn cases(things: &Things) -> Vec<Case> {
    let mut cases = Vec::new();
    for route in json_routes(things) {
        for (name, body) in bodies() {
            if !(body.is_empty() && route.is_optional) {
                let request = route.request(name).bytes("application/json", body);
                cases.push(request.fails(400, "invalid_request"));
            }
        }
    }
    cases
}

#[tokio::test]
async fn bodies_that_are_no_json() {
    try_all(cases).await;
}
