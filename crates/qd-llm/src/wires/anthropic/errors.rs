//! Which failure Anthropic's words mean.

use http::HeaderMap;

use crate::CallError;
use crate::error::Kind;
use crate::wires::answer::{failed, failed_inside};
use crate::wires::error_body::ErrorBody;
use crate::wires::status_kind;

/// An answer whose status says that it failed.
pub(super) fn of_answer(status: u16, headers: &HeaderMap, body: &[u8]) -> CallError {
    let body = ErrorBody::of(body);
    failed(kind(&body).unwrap_or_else(|| status_kind(status)), status, headers, &body)
}

/// An error inside an answer of status 200.
pub(super) fn inside(body: &ErrorBody) -> CallError {
    failed_inside(kind(body).unwrap_or(Kind::ServerError), body)
}

fn kind(body: &ErrorBody) -> Option<Kind> {
    Some(match body.kind.as_str() {
        "invalid_request_error" if body.says_too_long() => Kind::ContextLength,
        // The limit that a customer set for itself, and prepaid money that is gone, come as invalid requests.
        "invalid_request_error" if body.says(&["spend limit", "credit balance", "usage limits"]) => {
            Kind::Quota
        }
        "invalid_request_error" | "request_too_large" => Kind::InvalidRequest,
        "authentication_error" => Kind::Auth,
        "permission_error" => Kind::Permission,
        "not_found_error" => Kind::ModelNotFound,
        "billing_error" => Kind::Quota,
        "conflict_error" | "api_error" => Kind::ServerError,
        "rate_limit_error" if body.code.ends_with("spend_limit_reached") => Kind::Quota,
        "rate_limit_error" => Kind::RateLimited,
        "timeout_error" => Kind::GatewayError,
        "overloaded_error" if body.code.starts_with("cmek_") => Kind::ServerError,
        "overloaded_error" => Kind::Overloaded,
        _ => return None,
    })
}
