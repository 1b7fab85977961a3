//! The API about itself: the OpenAPI document, and a page that shows it and tries it out.
//!
//! The page holds everything that it needs: it works without a network, and its policy lets it load nothing else.

use std::sync::LazyLock;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, header};
use sha2::{Digest, Sha256};

use crate::openapi::{Answer, Operation, Schema, openapi};

const STYLE: &str = include_str!("docs/page.css");
const SCRIPT: &str = include_str!("docs/page.js");
const FRAME: &str = include_str!("docs/page.html");

/// `GET /openapi.json`.
pub(crate) async fn document() -> Response {
    static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| openapi().to_string().into());
    answer(DOCUMENT.clone(), HeaderValue::from_static("application/json"))
}

/// `GET /docs`.
pub(crate) async fn page() -> Response {
    static PAGE: LazyLock<Bytes> =
        LazyLock::new(|| FRAME.replace("/*STYLE*/", STYLE).replace("/*SCRIPT*/", SCRIPT).into());
    static POLICY: LazyLock<HeaderValue> = LazyLock::new(policy);
    let mut response = answer(PAGE.clone(), HeaderValue::from_static("text/html; charset=utf-8"));
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// Only the page's own style and script, and only this server to talk to.
fn policy() -> HeaderValue {
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        digest(STYLE),
        digest(SCRIPT)
    );
    // Without a policy that can be written there is one that lets nothing run.
    HeaderValue::try_from(policy).unwrap_or(const { HeaderValue::from_static("default-src 'none'") })
}

/// SHA-256 in base64, as policies name sources.
fn digest(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digest = Sha256::digest(text.as_bytes());
    let mut encoded = String::with_capacity(44);
    for three in digest.chunks(3) {
        let bits =
            three.iter().enumerate().fold(0_u32, |bits, (i, byte)| bits | u32::from(*byte) << (16 - 8 * i));
        for place in 0..4 {
            let digit = usize::try_from(bits >> (18 - 6 * place) & 63).unwrap_or_default();
            encoded.push(if place <= three.len() { char::from(DIGITS[digit]) } else { '=' });
        }
    }
    encoded
}

fn answer(body: Bytes, kind: HeaderValue) -> Response {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

pub(crate) fn about_page() -> Operation {
    let page = Answer::media("The page.", "text/html; charset=utf-8", Schema::text());
    Operation::new("server", "readDocs", "a page about this API, to read and to try out").answers(200, page)
}

pub(crate) fn about_document() -> Operation {
    let document = Answer::media("The document.", "application/json", Schema::object());
    Operation::new("server", "readOpenapi", "this document: the API in OpenAPI 3.1").answers(200, document)
}

#[cfg(test)]
mod tests {
    use super::digest;

    #[test]
    fn digests_are_written_as_browsers_compute_them() {
        assert_eq!(digest(""), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        assert_eq!(digest("abc"), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
    }
}
