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
pub(super) fn inside(headers: &HeaderMap, body: &ErrorBody) -> CallError {
    let kind = kind(body).or_else(|| body.status_code().map(status_kind));
    failed_inside(kind.unwrap_or(Kind::ServerError), headers, body)
}

/// The limit that a customer set for itself, prepaid money that is gone, and what a plan does not include.
const QUOTA_PHRASES: &[&str] = &["spend limit", "credit balance", "usage limits", "extra usage is required"];

fn kind(body: &ErrorBody) -> Option<Kind> {
    Some(match body.kind.as_str() {
        "invalid_request_error" | "request_too_large" if body.says_too_long() => Kind::ContextLength,
        "invalid_request_error" | "api_error" if body.says(&["blocked by content filtering"]) => {
            Kind::AnswerRefused
        }
        "invalid_request_error" | "rate_limit_error" if body.says(QUOTA_PHRASES) => Kind::Quota,
        "invalid_request_error" if body.says(&["organization has been disabled"]) => Kind::Permission,
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
