//! How OpenAI words a refusal, and its headers of limits.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::json;

use crate::wires::refusal::{Measure, Refusal, Standing, Why};

pub(super) fn body(refusal: &Refusal) -> String {
    let (kind, code) = kind_and_code(refusal);
    let param = matches!(refusal.why, Why::Window { .. }).then_some("messages");
    json!({ "error": { "message": message(refusal), "type": kind, "param": param, "code": code } })
        .to_string()
}

fn kind_and_code(refusal: &Refusal) -> (&'static str, Option<&'static str>) {
    match refusal.why {
        Why::Exceeded { measure, .. } | Why::TooLarge { measure, .. } => {
            (if measure.counts_tokens() { "tokens" } else { "requests" }, Some("rate_limit_exceeded"))
        }
        Why::Ramp => ("requests", Some("slow_down")),
        Why::Spend => ("insufficient_quota", Some("insufficient_quota")),
        Why::Window { .. } => ("invalid_request_error", Some("context_length_exceeded")),
        Why::Said(_) => match refusal.status {
            401 => ("invalid_request_error", Some("invalid_api_key")),
            402 => ("insufficient_quota", Some("credit_balance_exhausted")),
            404 => ("invalid_request_error", Some("model_not_found")),
            429 => ("requests", Some("rate_limit_exceeded")),
            503 | 529 => ("server_error", Some("server_is_overloaded")),
            500.. => ("server_error", None),
            _ => ("invalid_request_error", None),
        },
    }
}

fn message(refusal: &Refusal) -> String {
    let model = &refusal.model;
    match &refusal.why {
        Why::Said(message) => message.clone(),
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
        Why::Window { limit, got } => format!(
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

pub(super) fn headers(refusal: Option<&Refusal>, standing: Option<&Standing>) -> Vec<(&'static str, String)> {
    let mut headers = vec![("x-request-id", "req_sim".to_owned())];
    if let Some(wait) = refusal.and_then(|refusal| refusal.retry_after) {
        headers.push(("retry-after-ms", millis(wait).to_string()));
        headers.push(("retry-after", wait.as_secs_f64().ceil().to_string()));
    }
    match standing {
        Some(standing) => limits(standing, &mut headers),
        None => match refusal.map(|refusal| refusal.status) {
            Some(429) => unlimited("0", &mut headers),
            None => unlimited("9999", &mut headers),
            Some(_) => {}
        },
    }
    headers
}

/// Without limits there is always the same to tell.
fn unlimited(remaining: &str, headers: &mut Vec<(&'static str, String)>) {
    headers.push(("x-ratelimit-limit-requests", "10000".to_owned()));
    headers.push(("x-ratelimit-remaining-requests", remaining.to_owned()));
}

fn limits(standing: &Standing, headers: &mut Vec<(&'static str, String)>) {
    // One header for each of them, whatever is limited: it tells of the limit that is closest.
    let all = [
        (
            standing.tightest(|measure| !measure.counts_tokens()),
            ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"],
        ),
        (
            standing.tightest(Measure::counts_tokens),
            ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"],
        ),
    ];
    for (gauge, [limit, remaining, reset]) in all {
        let Some(gauge) = gauge else { continue };
        headers.push((limit, gauge.limit.to_string()));
        headers.push((remaining, gauge.remaining.to_string()));
        headers.push((reset, go_duration(gauge.reset)));
    }
}

/// Rounded up: whoever comes back after so long is not early.
fn millis(span: Duration) -> u128 {
    span.as_nanos().div_ceil(1_000_000)
}

/// As Go prints a duration: `12ms`, `1s`, `6m0s`, `2m59.56s`, `1h0m3s`.
fn go_duration(span: Duration) -> String {
    let millis = millis(span);
    if 0 < millis && millis < 1000 {
        return format!("{millis}ms");
    }
    let (seconds, fraction) = (millis / 1000, millis % 1000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = String::new();
    if hours > 0 {
        let _ = write!(text, "{hours}h");
    }
    if hours > 0 || minutes > 0 {
        let _ = write!(text, "{minutes}m");
    }
    let _ = write!(text, "{seconds}");
    if fraction > 0 {
        let _ = write!(text, ".{}", format!("{fraction:03}").trim_end_matches('0'));
    }
    text + "s"
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::go_duration;

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for (micros, text) in [
            (0, "0s"),
            (1, "1ms"),
            (12_000, "12ms"),
            (1_000_000, "1s"),
            (1_500_000, "1.5s"),
            (179_560_000, "2m59.56s"),
            (360_000_000, "6m0s"),
            (3_603_000_000, "1h0m3s"),
        ] {
            assert_eq!(go_duration(Duration::from_micros(micros)), text);
        }
    }
}
