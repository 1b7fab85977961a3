//! What an HTTP status means when its body says nothing better.

use crate::error::Kind;

/// The kind of failure behind a status of 300 and more.
pub(crate) fn status_kind(status: u16) -> Kind {
    match status {
        401 => Kind::Auth,
        402 => Kind::Quota,
        403 => Kind::Permission,
        404 => Kind::ModelNotFound,
        // The answer was given up on by something in between; the provider may have worked on it.
        408 | 499 | 502 | 504 | 520..=524 => Kind::GatewayError,
        // A conflict at the provider, a failed dependency or an early request pass by themselves.
        409 | 424 | 425 => Kind::ServerError,
        429 => Kind::RateLimited,
        // 498 is Groq's word for no capacity, 529 Anthropic's.
        498 | 503 | 529 => Kind::Overloaded,
        500..=599 => Kind::ServerError,
        // Redirects are not followed: a prompt must not go to a place nobody configured.
        _ => Kind::InvalidRequest,
    }
}
