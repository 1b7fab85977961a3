//! How Anthropic words a refusal, and its headers of limits.

use serde_json::json;

use crate::wires::moment::to_rfc3339;
use crate::wires::refusal::{Measure, Refusal, Standing, Why};

pub(super) fn body(refusal: &Refusal) -> String {
    let kind = match refusal.status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        409 => "conflict_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        // The first is no status of Anthropic's own.
        498 | 503 | 529 => "overloaded_error",
        408 | 504 => "timeout_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    };
    let mut error = json!({ "type": kind, "message": message(&refusal.why) });
    let code = match refusal.why {
        Why::Ramp => Some("ramp_limit_exceeded"),
        Why::Spend => Some("enforced_spend_limit_reached"),
        Why::Said(_) | Why::Overloaded | Why::Exceeded { .. } | Why::TooLarge { .. } | Why::Window { .. } => {
            None
        }
    };
    if let Some(code) = code {
        error["details"] = json!({ "error_code": code });
    }
    json!({ "type": "error", "error": error, "request_id": "req_sim" }).to_string()
}

fn message(why: &Why) -> String {
    match why {
        Why::Said(message) => message.clone(),
        Why::Exceeded { measure, limit, .. } | Why::TooLarge { measure, limit, .. } => format!(
            "This request would exceed the rate limit for your organization of {limit} {}. Please reduce the prompt \
             length or the maximum tokens requested, or try again later.",
            counted(*measure)
        ),
        Why::Overloaded => "Overloaded".to_owned(),
        Why::Ramp => {
            "Your usage grows faster than the acceleration limit of your organization allows. Please \
                      increase it gradually and keep it steady."
                .to_owned()
        }
        Why::Spend => "Your organization has reached its spend limit.".to_owned(),
        Why::Window { limit, got } => format!("prompt is too long: {got} tokens > {limit} maximum"),
    }
}

fn counted(measure: Measure) -> &'static str {
    match measure {
        Measure::Requests => "requests per minute",
        Measure::DailyRequests => "requests per day",
        Measure::InputTokens => "input tokens per minute",
        Measure::OutputTokens => "output tokens per minute",
        Measure::Tokens => "tokens per minute",
    }
}

pub(super) fn headers(refusal: Option<&Refusal>, standing: Option<&Standing>) -> Vec<(&'static str, String)> {
    let mut headers = vec![("request-id", "req_sim".to_owned())];
    if let Some(refusal) = refusal
        && let Some(wait) = refusal.retry_after
    {
        let seconds = match refusal.why {
            // A script means what it says.
            Why::Said(_) => wait.as_secs_f64(),
            _ => wait.as_secs_f64().ceil(),
        };
        headers.push(("retry-after", seconds.to_string()));
    }
    match standing {
        Some(standing) => limits(standing, &mut headers),
        None => match refusal.map(|refusal| refusal.status) {
            Some(429) => unlimited("0", &mut headers),
            None => unlimited("3999", &mut headers),
            Some(_) => {}
        },
    }
    headers
}

/// Without limits there is always the same to tell.
fn unlimited(remaining: &str, headers: &mut Vec<(&'static str, String)>) {
    headers.push(("anthropic-ratelimit-requests-limit", "4000".to_owned()));
    headers.push(("anthropic-ratelimit-requests-remaining", remaining.to_owned()));
}

fn limits(standing: &Standing, headers: &mut Vec<(&'static str, String)>) {
    // `tokens` tells of whichever limit of tokens is closest.
    let all = [
        (
            standing.tightest(|measure| !measure.counts_tokens()),
            [
                "anthropic-ratelimit-requests-limit",
                "anthropic-ratelimit-requests-remaining",
                "anthropic-ratelimit-requests-reset",
            ],
        ),
        (
            standing.tightest(Measure::counts_tokens),
            [
                "anthropic-ratelimit-tokens-limit",
                "anthropic-ratelimit-tokens-remaining",
                "anthropic-ratelimit-tokens-reset",
            ],
        ),
        (
            standing.of(Measure::InputTokens),
            [
                "anthropic-ratelimit-input-tokens-limit",
                "anthropic-ratelimit-input-tokens-remaining",
                "anthropic-ratelimit-input-tokens-reset",
            ],
        ),
        (
            standing.of(Measure::OutputTokens),
            [
                "anthropic-ratelimit-output-tokens-limit",
                "anthropic-ratelimit-output-tokens-remaining",
                "anthropic-ratelimit-output-tokens-reset",
            ],
        ),
    ];
    for (gauge, [limit, remaining, reset]) in all {
        let Some(gauge) = gauge else { continue };
        headers.push((limit, gauge.limit.to_string()));
        headers.push((remaining, gauge.remaining.to_string()));
        headers.push((reset, to_rfc3339(standing.now, gauge.reset)));
    }
}
