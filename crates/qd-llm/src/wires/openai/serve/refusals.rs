//! How those who speak OpenAI's wire word a refusal, each in its own shape.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Dialect;
use super::headers::go_duration;
use crate::wires::refusal::{Measure, Refusal, Why};

/// The status of a refusal.
pub(super) fn status(dialect: Dialect, refusal: &Refusal) -> u16 {
    match (dialect, &refusal.why) {
        (_, Why::Overloaded) => 503,
        (Dialect::Groq, Why::TooLarge { .. }) => 413,
        (Dialect::Openrouter, Why::Spend) => 402,
        _ => refusal.status,
    }
}

/// The body of a refusal.
pub(super) fn body(dialect: Dialect, refusal: &Refusal) -> Value {
    let (message, status) = (message(dialect, refusal), status(dialect, refusal));
    let (kind, code) = kind_and_code(refusal, status);
    match dialect {
        Dialect::Openai => {
            let param = matches!(refusal.why, Why::Window { .. }).then_some("messages");
            json!({ "error": { "message": message, "type": kind, "param": param, "code": code } })
        }
        Dialect::Groq => {
            let mut error = json!({ "message": message, "type": kind });
            if let Some(code) = if status == 498 { Some("capacity_exceeded") } else { code } {
                error["code"] = json!(code);
            }
            json!({ "error": error })
        }
        Dialect::Gemini => json!([{ "error": gemini(refusal, status, &message) }]),
        Dialect::Openrouter => json!({ "error": { "message": message, "code": status } }),
        Dialect::Ollama => json!({ "error": message }),
        Dialect::LlamaCpp => json!({ "error": llama_cpp(refusal, status, &message) }),
        Dialect::Vllm => {
            json!({ "error": { "message": message, "type": vllm_type(status), "param": null, "code": status } })
        }
    }
}

/// OpenAI's two words for it.
fn kind_and_code(refusal: &Refusal, status: u16) -> (&'static str, Option<&'static str>) {
    match refusal.why {
        Why::Exceeded { measure, .. } | Why::TooLarge { measure, .. } => {
            (if measure.counts_tokens() { "tokens" } else { "requests" }, Some("rate_limit_exceeded"))
        }
        Why::Ramp => ("requests", Some("slow_down")),
        Why::Spend => ("insufficient_quota", Some("insufficient_quota")),
        Why::Window { .. } => ("invalid_request_error", Some("context_length_exceeded")),
        Why::Said(_) | Why::Overloaded => match status {
            401 => ("invalid_request_error", Some("invalid_api_key")),
            402 => ("insufficient_quota", Some("credit_balance_exhausted")),
            403 => ("request_forbidden", Some("unsupported_country_region_territory")),
            404 => ("invalid_request_error", Some("model_not_found")),
            429 => ("requests", Some("rate_limit_exceeded")),
            503 | 529 => ("server_error", Some("server_is_overloaded")),
            500.. => ("server_error", None),
            _ => ("invalid_request_error", None),
        },
    }
}

fn gemini(refusal: &Refusal, status: u16, message: &str) -> Value {
    let word = match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        500.. => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    };
    let mut details = Vec::new();
    if refusal.why == Why::Spend {
        let violation = json!({ "quotaId": "GenerateRequestsPerDayPerProjectPerModel" });
        details.push(
            json!({ "@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation] }),
        );
    }
    if let Some(wait) = refusal.retry_after {
        let delay = go_duration(wait);
        details.push(json!({ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay }));
    }
    let mut error = json!({ "code": status, "message": message, "status": word });
    if !details.is_empty() {
        error["details"] = json!(details);
    }
    error
}

fn llama_cpp(refusal: &Refusal, status: u16, message: &str) -> Value {
    if let Why::Window { limit, got } = refusal.why {
        return json!({
            "code": status, "message": message, "type": "exceed_context_size_error", "n_prompt_tokens": got, "n_ctx": limit
        });
    }
    let kind = match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        503 => "unavailable_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    };
    json!({ "code": status, "message": message, "type": kind })
}

fn vllm_type(status: u16) -> &'static str {
    match status {
        401 => "AuthenticationError",
        404 => "NotFoundError",
        429 => "RateLimitError",
        503 => "ServiceUnavailableError",
        500.. => "InternalServerError",
        _ => "BadRequestError",
    }
}

fn message(dialect: Dialect, refusal: &Refusal) -> String {
    let model = &refusal.model;
    match &refusal.why {
        Why::Said(message) => message.clone(),
        Why::Overloaded => match dialect {
            Dialect::Ollama => "server busy, please try again. maximum pending requests exceeded",
            _ => "The server is currently overloaded with other requests. Sorry about that!",
        }
        .to_owned(),
        Why::Exceeded { measure, limit, used, requested } => {
            let mut text = format!(
                "Rate limit reached for {model} in organization org-sim on {}: Limit {limit}, Used {used}, Requested {requested}.",
                counted(*measure)
            );
            if let Some(wait) = refusal.retry_after {
                let _ = write!(text, " Please try again in {}.", go_duration(wait));
            }
            text
        }
        Why::TooLarge { measure, limit, requested } => format!(
            "Request too large for {model} in organization org-sim on {}: Limit {limit}, Requested {requested}. The input \
             or output tokens must be reduced in order to run successfully.",
            counted(*measure)
        ),
        Why::Ramp => {
            "Slow down. Your requests grow faster than is allowed; keep the rate steady and try again."
                .to_owned()
        }
        Why::Spend => {
            "You exceeded your current quota, please check your plan and billing details.".to_owned()
        }
        Why::Window { limit, got } => window(dialect, *limit, *got),
    }
}

fn window(dialect: Dialect, limit: u64, got: u64) -> String {
    match dialect {
        Dialect::Gemini => {
            format!("The input token count ({got}) exceeds the maximum number of tokens allowed ({limit}).")
        }
        Dialect::LlamaCpp => {
            format!(
                "request ({got} tokens) exceeds the available context size ({limit} tokens), try increasing it"
            )
        }
        Dialect::Openai | Dialect::Groq | Dialect::Openrouter | Dialect::Ollama | Dialect::Vllm => format!(
            "This model's maximum context length is {limit} tokens. However, your messages resulted in {got} tokens. \
             Please reduce the length of the messages."
        ),
    }
}

fn counted(measure: Measure) -> &'static str {
    match measure {
        Measure::Requests => "requests per min (RPM)",
        Measure::DailyRequests => "requests per day (RPD)",
        Measure::InputTokens => "input tokens per min (ITPM)",
        Measure::OutputTokens => "output tokens per min (OTPM)",
        Measure::Tokens => "tokens per min (TPM)",
    }
}
