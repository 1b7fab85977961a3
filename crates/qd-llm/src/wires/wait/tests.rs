//! Waits in the documented order, and in every way of writing.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use qd_types::Class;

use super::{ErrorBody, in_body, wait};

const NOW: (&str, &str) = ("date", "Thu, 21 Aug 2025 12:40:30 GMT");

fn check(headers: &[(&str, &str)], body: &str, expected_ms: Option<u64>) {
    let map: HeaderMap = headers
        .iter()
        .map(|(n, v)| (n.parse::<HeaderName>().unwrap(), HeaderValue::from_str(v).unwrap()))
        .collect();
    let found = wait(&map, in_body(&ErrorBody::of(body.as_bytes())), Class::RateLimited);
    assert_eq!(found, expected_ms.map(Duration::from_millis), "{headers:?} {body}");
}

fn says(message: &str) -> String {
    serde_json::json!({ "error": { "message": message } }).to_string()
}

/// Gemini's body with a delay.
fn retry_info(delay: &str) -> String {
    format!(
        r#"[{{"error":{{"message":"try again in 5s","details":[{{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"{delay}"}}]}}}}]"#
    )
}

const ALL: [(&str, &str); 5] = [
    ("retry-after-ms", "1500"),
    ("x-ms-retry-after-ms", "2500"),
    ("retry-after", "3.5"),
    ("x-ratelimit-remaining-tokens", "0"),
    ("x-ratelimit-reset-tokens", "6m0s"),
];

#[test]
fn waits_are_found_in_this_order() {
    for (skipped, expected) in [(0, 1_500), (1, 2_500), (2, 3_500), (3, 13_000)] {
        check(&ALL[skipped..], &retry_info("13s"), Some(expected));
    }
    check(&ALL[3..], &says("Please try again in 5.289s. Visit"), Some(5_289));
    check(&ALL[3..], "{}", Some(360_000));
    check(&[], "{}", None);
}

#[test]
fn a_place_that_makes_no_sense_leaves_the_word_to_the_next() {
    for nonsense in ["0", "-5", "NaN", "later", "", "0.0", "-inf"] {
        for place in 0..3 {
            let mut headers = ALL[place..].to_vec();
            headers[0].1 = nonsense;
            let next = [2_500, 3_500, 13_000][place];
            check(&headers, &retry_info("13s"), Some(next));
        }
        if !nonsense.is_empty() {
            check(&ALL[3..], &retry_info(nonsense), Some(5_000));
        }
    }
    check(&ALL[3..], &says("try again in 0s"), Some(360_000));
    check(&ALL[3..], &says("try again in a moment"), Some(360_000));
    for value in ["0", "-5", "NaN", "later"] {
        check(&[("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", value)], "", None);
    }
}

#[test]
fn dates_are_compared_with_the_answers_own() {
    check(&[NOW, ("retry-after", "Thu, 21 Aug 2025 12:41:00 GMT")], "", Some(30_000));
    check(&[("retry-after", "Thu, 21 Aug 2025 12:41:00 GMT")], "", None);
    check(&[NOW, ("retry-after", "Thu, 21 Aug 2025 12:00:00 GMT")], "", None);
    check(&[NOW, ("retry-after", "Thu, 21 Aug 2035 12:00:00 GMT")], "", Some(86_400_000));
}

#[test]
fn no_wait_is_longer_than_a_day() {
    for (name, value) in [
        ("retry-after", "inf"),
        ("retry-after", "9999999"),
        ("retry-after-ms", "1e300"),
        ("x-ms-retry-after-ms", "1e12"),
    ] {
        check(&[(name, value)], "", Some(86_400_000));
    }
    check(&[], &retry_info("999999s"), Some(86_400_000));
    check(&[], &says("Please try again in 3 days"), Some(86_400_000));
}

#[test]
fn messages_name_waits_in_many_words() {
    for (message, expected_ms) in [
        ("Please retry in 38.4s.", 38_400),
        ("Please retry in 45.578569677s.", 45_578),
        ("Rate limited, try again in 20 seconds", 20_000),
        ("try again in 2m59.56s", 179_560),
        ("Please try again in 6m0s.", 360_000),
        ("Please try again in 8h12m4.5s)", 29_524_500),
        ("Please try again in 120ms, or", 120),
        ("Please retry after 26 seconds. To increase", 26_000),
        ("try again after 1 minute.", 60_000),
        ("Please wait 2 hours and", 7_200_000),
        ("We will try again in vain; please try again in 7s", 7_000),
    ] {
        let found = in_body(&ErrorBody::of(says(message).as_bytes())).unwrap();
        assert_eq!(found.as_millis(), expected_ms, "{message}");
    }
    for silent in
        ["try again in 5", "try again in five seconds", "retry in", "try again in 5 parsecs", "wait 5 s"]
    {
        check(&[], &says(silent), None);
    }
}

#[test]
fn of_exhausted_buckets_the_last_one_to_be_reset_counts() {
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
    let openai = |left| [("x-ratelimit-remaining-requests", left), ("x-ratelimit-reset-requests", "12ms")];
    check(&openai("0"), "", Some(12));
    check(&openai("-3"), "", Some(12));
    check(&openai("1"), "", None);
    // OpenRouter: milliseconds since 1970, and no name of a bucket.
    check(&[NOW, ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1755780060000")], "", Some(30_000));
    check(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1755780060000")], "", None);
}

#[test]
fn a_wait_that_does_not_help_is_none() {
    let daily = r#"[{"error":{"code":429,"message":"Please retry in 38.4s.","status":"RESOURCE_EXHAUSTED","details":[
        {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]},
        {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"38s"}]}}]"#;
    check(&[], daily, None);
}
