//! Headers of those who speak OpenAI's wire: ids, waits, and what limits leave.

use std::fmt::Write as _;
use std::time::Duration;

use super::Dialect;
use crate::wires::refusal::{Measure, Refusal, Standing};

pub(super) fn headers(
    dialect: Dialect,
    refusal: Option<&Refusal>,
    standing: Option<&Standing>,
) -> Vec<(&'static str, String)> {
    let mut headers = vec![("x-request-id", "req_sim".to_owned())];
    if let Some(wait) = refusal.and_then(|refusal| refusal.retry_after) {
        let seconds = wait.as_secs_f64().ceil().to_string();
        match dialect {
            Dialect::Openai => {
                headers.push(("retry-after-ms", millis(wait).to_string()));
                headers.push(("retry-after", seconds));
            }
            Dialect::Groq | Dialect::Openrouter | Dialect::Vllm => headers.push(("retry-after", seconds)),
            // The first says it in the body, the others not at all.
            Dialect::Gemini | Dialect::Ollama | Dialect::LlamaCpp => {}
        }
    }
    match dialect {
        Dialect::Openai | Dialect::Groq => {}
        Dialect::Gemini | Dialect::Openrouter | Dialect::Ollama | Dialect::LlamaCpp | Dialect::Vllm => {
            return headers;
        }
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
pub(super) fn millis(span: Duration) -> u128 {
    span.as_nanos().div_ceil(1_000_000)
}

/// As Go prints a duration: `12ms`, `1s`, `6m0s`, `2m59.56s`, `1h0m3s`.
pub(super) fn go_duration(span: Duration) -> String {
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
