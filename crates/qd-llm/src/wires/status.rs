//! What an HTTP status means when its body says nothing better, and which status a word stands for.

use crate::error::Kind;

/// The kind of failure behind a status of 300 and more.
pub(crate) fn status_kind(status: u16) -> Kind {
    match status {
        // 407 is that of a proxy which wants a key of its own.
        401 | 407 => Kind::Auth,
        402 => Kind::Quota,
        403 | 451 => Kind::Permission,
        // 410: there was one once.
        404 | 410 => Kind::ModelNotFound,
        // The answer was given up on by something in between; the provider may have worked on it.
        408 | 499 | 502 | 504 | 520..=524 => Kind::GatewayError,
        // A conflict at the provider, a failed dependency or an early request pass by themselves.
        409 | 424 | 425 => Kind::ServerError,
        429 => Kind::RateLimited,
        // 498 is Groq's word for no capacity, 529 Anthropic's.
        498 | 503 | 529 => Kind::Overloaded,
        // Not implemented, and an unknown version of HTTP: the next try would find the same server.
        501 | 505 => Kind::InvalidRequest,
        500..=599 => Kind::ServerError,
        // Redirects are not followed: a prompt must not go to a place nobody configured.
        _ => Kind::InvalidRequest,
    }
}

/// The status that a type or code of an error usually comes with. An error inside an answer has no status of its own.
pub(crate) fn status_of(word: &str) -> Option<u16> {
    Some(match word {
        "invalid_request_error" | "BadRequestError" | "INVALID_ARGUMENT" | "FAILED_PRECONDITION" => 400,
        "authentication_error" | "UNAUTHENTICATED" => 401,
        "permission_error" | "PERMISSION_DENIED" => 403,
        "not_found_error" | "NotFoundError" | "NOT_FOUND" => 404,
        "rate_limit_error" | "rate_limit_exceeded" | "RESOURCE_EXHAUSTED" => 429,
        "overloaded_error" | "unavailable_error" | "UNAVAILABLE" => 503,
        "timeout_error" | "DEADLINE_EXCEEDED" => 504,
        _ => return None,
    })
}
