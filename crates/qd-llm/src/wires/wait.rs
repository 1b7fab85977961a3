//! How long a provider asks us to wait: one function over all the places where providers say it.
//!
//! The first place that says something sensible wins. Moments are compared with the answer's own `Date`, so that
//! neither side's clock matters. What comes after these (our own backoff) is not decided here.

use std::time::Duration;

use http::HeaderMap;

use super::error_body::ErrorBody;
use super::moment::http_date;
use super::reset::{go_duration, resets_in, span};

/// The wait that a failed answer asks for.
pub(crate) fn wait(headers: &HeaderMap, body: &ErrorBody) -> Option<Duration> {
    let get = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let millis = |name: &str| sensible(get(name)?.parse::<f64>().ok()? / 1000.0);
    millis("retry-after-ms")
        .or_else(|| millis("x-ms-retry-after-ms"))
        .or_else(|| retry_after(get("retry-after")?, get("date")))
        .or_else(|| sensible(body.retry_delay.as_deref().and_then(go_duration)?))
        .or_else(|| in_message(&body.message))
        .or_else(|| exhausted_buckets(headers, get("date")))
}

/// A wait that is one; at most a day.
fn sensible(seconds: f64) -> Option<Duration> {
    span(seconds).filter(|wait| !wait.is_zero())
}

fn retry_after(value: &str, date: Option<&str>) -> Option<Duration> {
    match value.parse::<f64>() {
        Ok(seconds) => sensible(seconds),
        Err(_) => sensible(http_date(value)? - http_date(date?)?),
    }
}

/// `Please try again in 6m0s.` or `Please retry in 38.4s.`
fn in_message(message: &str) -> Option<Duration> {
    let lower = message.to_ascii_lowercase();
    let rest =
        ["try again in ", "retry in ", "retry after "].iter().find_map(|lead| lower.split_once(lead))?.1;
    let word = rest.split_whitespace().next()?.trim_end_matches(['.', ',', ')']);
    let in_seconds = rest[word.len()..].trim_start().starts_with("second");
    match word.parse::<f64>() {
        Ok(number) if in_seconds => sensible(number),
        Ok(_) => None,
        Err(_) => sensible(go_duration(word)?),
    }
}

/// The latest reset of all buckets that have nothing left.
fn exhausted_buckets(headers: &HeaderMap, date: Option<&str>) -> Option<Duration> {
    let empty = headers.iter().filter(|(_, value)| value.to_str().is_ok_and(|v| v.trim() == "0"));
    let resets = empty.filter_map(|(name, _)| {
        let name = name.as_str();
        // `anthropic-ratelimit-tokens-remaining`, `x-ratelimit-remaining-tokens`
        let reset = if name.starts_with("anthropic-ratelimit-") {
            name.strip_suffix("-remaining").map(|bucket| format!("{bucket}-reset"))
        } else {
            name.strip_prefix("x-ratelimit-remaining").map(|bucket| format!("x-ratelimit-reset{bucket}"))
        }?;
        resets_in(headers.get(reset)?.to_str().ok()?, date)
    });
    resets.filter(|wait| !wait.is_zero()).max()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::{ErrorBody, wait};

    const NOW: (&str, &str) = ("date", "Thu, 21 Aug 2025 12:40:30 GMT");

    fn check(headers: &[(&str, &str)], body: &str, expected_ms: Option<u64>) {
        let map: HeaderMap = headers
            .iter()
            .map(|(n, v)| (n.parse::<HeaderName>().unwrap(), HeaderValue::from_str(v).unwrap()))
            .collect();
        let found = wait(&map, &ErrorBody::of(body.as_bytes()));
        assert_eq!(found, expected_ms.map(Duration::from_millis), "{headers:?} {body}");
    }

    #[test]
    fn waits_are_found_in_this_order() {
        let body = r#"[{"error":{"message":"try again in 5s","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"13s"}]}}]"#;
        let all = [
            ("retry-after-ms", "1500"),
            ("x-ms-retry-after-ms", "2500"),
            ("retry-after", "3.5"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ];
        for (skipped, expected) in [(0, 1500), (1, 2500), (2, 3500), (3, 13_000)] {
            check(&all[skipped..], body, Some(expected));
        }
        check(&all[3..], r#"{"error":{"message":"Please try again in 5.289s. Visit"}}"#, Some(5_289));
        check(&all[3..], "{}", Some(360_000));
    }

    #[test]
    fn each_way_of_writing_is_read() {
        check(&[NOW, ("retry-after", "Thu, 21 Aug 2025 12:41:00 GMT")], "", Some(30_000));
        check(&[("retry-after", "Thu, 21 Aug 2025 12:41:00 GMT")], "", None);
        check(&[], r#"{"error":{"message":"Please retry in 38.4s."}}"#, Some(38_400));
        check(&[], r#"{"error":{"message":"Rate limited, try again in 20 seconds"}}"#, Some(20_000));
        check(&[], r#"{"error":{"message":"try again in 2m59.56s"}}"#, Some(179_560));
        check(&[], r#"{"error":{"message":"try again in a moment"}}"#, None);
        check(
            &[
                NOW,
                ("anthropic-ratelimit-requests-remaining", "0"),
                ("anthropic-ratelimit-requests-reset", "2025-08-21T12:41:00Z"),
                ("anthropic-ratelimit-tokens-remaining", "0"),
                ("anthropic-ratelimit-tokens-reset", "2025-08-21T12:40:31Z"),
                ("anthropic-ratelimit-output-tokens-remaining", "12"),
                ("anthropic-ratelimit-output-tokens-reset", "2025-08-21T13:00:00Z"),
            ],
            "",
            Some(30_000),
        );
        check(
            &[("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "12ms")],
            "",
            Some(12),
        );
    }

    #[test]
    fn senseless_waits_are_passed_over_and_long_ones_capped() {
        for value in ["0", "-5", "NaN", "later", ""] {
            check(&[("retry-after", value)], "", None);
        }
        check(&[("retry-after", "inf")], "", Some(86_400_000));
        check(&[("retry-after", "9999999")], "", Some(86_400_000));
        check(&[NOW, ("retry-after", "Thu, 21 Aug 2025 12:00:00 GMT")], "", None);
    }
}
