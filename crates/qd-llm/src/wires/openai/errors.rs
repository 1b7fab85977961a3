//! Which failure is meant, by OpenAI and by those who speak its protocol: Groq, Gemini, OpenRouter, Ollama, llama.cpp,
//! vLLM, Mistral, DeepSeek, xAI, proxies. Words go before the status, for statuses are used loosely.

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
pub(super) fn inside(headers: &HeaderMap, body: &ErrorBody) -> CallError {
    // Without a status of its own the words decide, else it counts as the provider's failure.
    failed_inside(kind(body.status_code().unwrap_or(500), body), headers, body)
}

/// Parts of words for money or a plan's quota that is used up.
const QUOTA: &[&str] = &[
    "insufficient_quota",
    "credit_balance",
    "insufficient_balance",
    "insufficient_credit",
    "spend_limit",
    "usage_limit",
    "billing_",
    "openrouter_credits",
    "openrouter_key_limit",
    "openrouter_guardrail_budget",
    "openrouter_workspace_budget",
    "openrouter_free_tier_daily",
];
/// The same in phrases, with the statuses that it comes with.
const QUOTA_PHRASES: &[&str] = &[
    "credit balance",
    "insufficient balance",
    "used all available credits",
    "spending limit",
    "spend limit",
    "key limit exceeded",
    "free-models-per-day",
    "usage limit",
    "out of call volume quota",
];
/// OpenRouter holds back what calls under way may cost; that comes free again by itself.
const IN_FLIGHT: &[&str] = &["openrouter_in_flight_budget", "in_flight_budget_exhausted"];
const REFUSED: &[&str] =
    &["content_policy_violation", "content_filter", "invalid_prompt", "ResponsibleAIPolicyViolation"];
const AUTH: &[&str] = &["invalid_api_key", "authentication_error", "API_KEY_INVALID", "UNAUTHENTICATED"];
const AUTH_PHRASES: &[&str] = &["api key not valid", "api key expired", "api key not found"];
const NO_MODEL: &[&str] = &["model_not_found", "model_decommissioned", "model_is_deactivated"];
/// What the customer has to accept or settle with the provider first.
const NOT_ALLOWED: &[&str] = &["model_terms_required", "organization_restricted", "FAILED_PRECONDITION"];
/// The model, not the request, made something that is no use: Groq checks before it answers.
const BAD_OUTPUT: &[&str] = &["tool_use_failed", "json_validate_failed", "output_parse_failed"];
const RATE_LIMIT: &[&str] = &["rate_limit_exceeded", "rate_limit_error", "slow_down", "RESOURCE_EXHAUSTED"];

fn kind(status: u16, body: &ErrorBody) -> Kind {
    let is_refusal_of_request = (400..429).contains(&status) || status == 500;
    if is_refusal_of_request && body.says_too_long() {
        return Kind::ContextLength;
    }
    if body.is_any(REFUSED) || (status == 403 && body.is_moderated) {
        return Kind::PromptRefused;
    }
    if body.is_any(IN_FLIGHT) {
        return Kind::RateLimited;
    }
    if status == 402 || body.names(QUOTA) || (matches!(status, 400 | 403 | 429) && body.says(QUOTA_PHRASES)) {
        return Kind::Quota;
    }
    if body.is_any(AUTH) || (status == 400 && body.says(AUTH_PHRASES)) {
        return Kind::Auth;
    }
    if body.is_any(NO_MODEL) {
        return Kind::ModelNotFound;
    }
    if body.is_any(NOT_ALLOWED) {
        return Kind::Permission;
    }
    if body.is_any(BAD_OUTPUT) || (status == 422 && body.says(&["hallucination", "semantic error"])) {
        return Kind::BadOutput;
    }
    by_type(&body.error_type).or_else(|| by_load(status, body)).unwrap_or_else(|| status_kind(status))
}

/// OpenRouter's own vocabulary; the words that it leaves open are decided by the status.
fn by_type(error_type: &str) -> Option<Kind> {
    Some(match error_type {
        "context_length_exceeded" => Kind::ContextLength,
        "content_policy_violation" | "refusal" => Kind::PromptRefused,
        "payment_required" | "token_limit_exceeded" => Kind::Quota,
        "max_tokens_exceeded" => Kind::HopelessOutput,
        "authentication" => Kind::Auth,
        "permission_denied" => Kind::Permission,
        "not_found" => Kind::ModelNotFound,
        "rate_limit_exceeded" => Kind::RateLimited,
        "provider_overloaded" => Kind::Overloaded,
        "provider_unavailable" => Kind::GatewayError,
        "timeout" => Kind::Timeout,
        "invalid_request" | "invalid_prompt" | "string_oversize" | "unprocessable" => Kind::InvalidRequest,
        _ => return None,
    })
}

fn by_load(status: u16, body: &ErrorBody) -> Option<Kind> {
    let is_limit = body.is_any(RATE_LIMIT);
    Some(match status {
        // Groq and OpenAI: this request alone is larger than what a minute allows, unless the minute is only used up.
        413 | 429 if is_limit && (status == 413 || body.says(&["request too large"])) => {
            let fits = body.oversize.is_some_and(|size| size.got <= size.limit && size.got.is_some());
            if fits { Kind::RateLimited } else { Kind::ContextLength }
        }
        429 if body.is_used_up => Kind::Quota,
        503 if body.is_any(&["slow_down"]) => Kind::Overloaded,
        _ if body.names(&["overloaded", "capacity_exceeded"]) => Kind::Overloaded,
        _ if is_limit => Kind::RateLimited,
        500.. if body.is_any(&["unavailable_error", "UNAVAILABLE"]) => Kind::Overloaded,
        500.. if body.says(&["loading model", "overloaded", "over capacity"]) => Kind::Overloaded,
        _ if body.is_any(&["DEADLINE_EXCEEDED"]) => Kind::Timeout,
        _ => return None,
    })
}
