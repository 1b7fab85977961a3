//! Which failure is meant, by OpenAI and by those who speak its protocol: Groq, Gemini, OpenRouter, Ollama, llama.cpp,
//! vLLM, Mistral, DeepSeek. Words go before the status, for statuses are used loosely.

use http::HeaderMap;

use crate::CallError;
use crate::error::Kind;
use crate::wires::answer::{failed, failed_inside};
use crate::wires::error_body::ErrorBody;
use crate::wires::status_kind;

/// An answer whose status says that it failed.
pub(super) fn of_answer(status: u16, headers: &HeaderMap, body: &[u8]) -> CallError {
    let body = ErrorBody::of(body);
    failed(kind(status, &body), status, headers, &body)
}

/// An error inside an answer of status 200, in one piece or as an event.
pub(super) fn inside(body: &ErrorBody) -> CallError {
    // Without a status of its own the words decide, else it counts as the provider's failure.
    failed_inside(kind(body.status_code().unwrap_or(500), body), body)
}

const QUOTA: &[&str] = &[
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
    "billing_not_active",
];
const REFUSED: &[&str] =
    &["content_policy_violation", "content_filter", "invalid_prompt", "ResponsibleAIPolicyViolation"];
const OVERLOADED: &[&str] = &[
    "server_is_overloaded",
    "overloaded_error",
    "engine_overloaded",
    "unavailable_error",
    "UNAVAILABLE",
    "capacity_exceeded",
];

fn kind(status: u16, body: &ErrorBody) -> Kind {
    let is_refusal_of_request = (400..429).contains(&status) || status == 500;
    if is_refusal_of_request && body.says_too_long() {
        return Kind::ContextLength;
    }
    if body.is_any(REFUSED) || (status == 403 && body.is_moderated) {
        return Kind::PromptRefused;
    }
    if body.is_any(QUOTA) {
        return Kind::Quota;
    }
    if body.is_any(&["invalid_api_key", "authentication_error"]) || body.says(&["api key not valid"]) {
        return Kind::Auth;
    }
    if body.is_any(&["model_not_found"]) {
        return Kind::ModelNotFound;
    }
    by_behaviour(status, body).unwrap_or_else(|| status_kind(status))
}

fn by_behaviour(status: u16, body: &ErrorBody) -> Option<Kind> {
    Some(match status {
        // Groq: the request alone is larger than what a minute allows.
        413 if body.is_any(&["rate_limit_exceeded"]) => Kind::ContextLength,
        400 if body.is_any(&["tool_use_failed"]) => Kind::BadOutput,
        422 if body.says(&["hallucination", "semantic error"]) => Kind::BadOutput,
        400 if body.is_any(&["FAILED_PRECONDITION"]) => Kind::Permission,
        429 if body.is_daily => Kind::Quota,
        503 if body.is_any(&["slow_down"]) => Kind::Overloaded,
        _ if body.is_any(&["rate_limit_exceeded", "rate_limit_error", "slow_down", "RESOURCE_EXHAUSTED"]) => {
            Kind::RateLimited
        }
        _ if status >= 500 && body.is_any(OVERLOADED) => Kind::Overloaded,
        _ if body.is_any(&["DEADLINE_EXCEEDED"]) => Kind::GatewayError,
        _ => return None,
    })
}
