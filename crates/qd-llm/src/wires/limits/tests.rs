//! Limits as each provider writes them.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{requests_window, seen_limits};
use crate::limits::{Seen, SeenLimits, Window};

const DATE: (&str, &str) = ("date", "Thu, 21 Aug 2025 12:40:30 GMT");
const OPENAI: &str = "https://api.openai.com/v1";
const GROQ: &str = "https://api.groq.com/openai/v1";

fn read(base_url: &str, headers: &[(&str, &str)]) -> SeenLimits {
    let map: HeaderMap = headers
        .iter()
        .map(|(n, v)| (n.parse::<HeaderName>().unwrap(), HeaderValue::from_str(v).unwrap()))
        .collect();
    seen_limits(&map, requests_window(base_url))
}

fn seen(limit: u64, remaining: u64, resets_in_ms: u64, per: Window) -> Option<Seen> {
    let resets_in = Some(Duration::from_millis(resets_in_ms));
    Some(Seen { limit: Some(limit), remaining: Some(remaining), resets_in, per })
}

/// Limit, remaining and reset of the requests at an address.
fn requests(base_url: &str, limit: &str, remaining: &str, reset: &str) -> Option<Seen> {
    let headers = [
        DATE,
        ("x-ratelimit-limit-requests", limit),
        ("x-ratelimit-remaining-requests", remaining),
        ("x-ratelimit-reset-requests", reset),
    ];
    read(base_url, &headers).requests
}

#[test]
fn anthropic_tells_four_limits_with_moments() {
    let found = read(
        "https://api.anthropic.com",
        &[
            DATE,
            ("anthropic-ratelimit-requests-limit", "1000"),
            ("anthropic-ratelimit-requests-remaining", "999"),
            ("anthropic-ratelimit-requests-reset", "2025-08-21T12:40:30Z"),
            ("anthropic-ratelimit-tokens-limit", "96000"),
            ("anthropic-ratelimit-tokens-remaining", "95000"),
            ("anthropic-ratelimit-tokens-reset", "2025-08-21T12:40:31Z"),
            ("anthropic-ratelimit-input-tokens-limit", "80000"),
            ("anthropic-ratelimit-input-tokens-remaining", "0"),
            ("anthropic-ratelimit-input-tokens-reset", "2025-08-21T12:41:00Z"),
            ("anthropic-ratelimit-output-tokens-limit", "16000"),
            ("anthropic-ratelimit-output-tokens-remaining", "16000"),
            ("anthropic-ratelimit-output-tokens-reset", "2025-08-21T12:40:30Z"),
            ("anthropic-ratelimit-unified-reset", "1755780060"),
            ("anthropic-ratelimit-unified-5h-status", "allowed"),
            ("retry-after", "30"),
        ],
    );
    let expected = SeenLimits {
        requests: seen(1000, 999, 0, Window::Minute),
        tokens: seen(96_000, 95_000, 1_000, Window::Minute),
        input_tokens: seen(80_000, 0, 30_000, Window::Minute),
        output_tokens: seen(16_000, 16_000, 0, Window::Minute),
    };
    assert_eq!(found, expected);
}

#[test]
fn openai_tells_two_with_spans() {
    let found = read(
        OPENAI,
        &[
            ("x-ratelimit-limit-requests", "5000"),
            ("x-ratelimit-remaining-requests", "4999"),
            ("x-ratelimit-reset-requests", "12ms"),
            ("x-ratelimit-limit-tokens", "150000"),
            ("x-ratelimit-remaining-tokens", "149984"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ],
    );
    assert_eq!(found.requests, seen(5000, 4999, 12, Window::Minute));
    assert_eq!(found.tokens, seen(150_000, 149_984, 360_000, Window::Minute));
    assert_eq!((found.input_tokens, found.output_tokens), (None, None));
}

#[test]
fn the_window_of_requests_is_known_by_reset_and_address() {
    use Window::{Day, Minute};
    for (base_url, limit, remaining, reset, per) in [
        // A minute's limit that refills evenly, and a customer of OpenAI with a limit by day.
        (OPENAI, "3", "2", "20s", Minute),
        (OPENAI, "10000", "9999", "8.64s", Day),
        (OPENAI, "200", "199", "7m12s", Day),
        (OPENAI, "200", "0", "24h0m0s", Day),
        // Nothing is used, or the refill has just begun.
        (OPENAI, "500", "500", "0s", Minute),
        (OPENAI, "500", "499", "3ms", Minute),
        (GROQ, "14400", "14400", "0s", Day),
        (GROQ, "14400", "14399", "2.4s", Day),
        (GROQ, "14400", "14370", "2m59.56s", Day),
        (GROQ, "30", "0", "1m0s", Minute),
        // Groq behind a gateway of one's own.
        ("http://gateway:4000/v1", "14400", "14370", "2m59.56s", Day),
        ("http://gateway:4000/v1", "14400", "14399", "6s", Day),
        // Fixed windows that end all at once.
        ("http://gateway:4000/v1", "1000", "999", "59", Minute),
        ("http://gateway:4000/v1", "1000", "999", "40000", Day),
        ("https://notgroq.com/v1", "1000", "1000", "0s", Minute),
    ] {
        let found = requests(base_url, limit, remaining, reset).unwrap();
        assert_eq!(found.per, per, "{base_url} {limit} {remaining} {reset}");
    }
}

#[test]
fn groq_counts_requests_by_day_and_tokens_by_minute() {
    let found = read(
        GROQ,
        &[
            ("retry-after", "2"),
            ("x-ratelimit-limit-requests", "14400"),
            ("x-ratelimit-limit-tokens", "18000"),
            ("x-ratelimit-remaining-requests", "14370"),
            ("x-ratelimit-remaining-tokens", "17997"),
            ("x-ratelimit-reset-requests", "2m59.56s"),
            ("x-ratelimit-reset-tokens", "7.66s"),
        ],
    );
    assert_eq!(found.requests, seen(14_400, 14_370, 179_560, Window::Day));
    assert_eq!(found.tokens, seen(18_000, 17_997, 7_660, Window::Minute));
}

#[test]
fn openrouter_tells_milliseconds_since_1970() {
    let with = |reset| {
        read(
            "https://openrouter.ai/api/v1",
            &[
                DATE,
                ("x-ratelimit-limit", "20"),
                ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-reset", reset),
            ],
        )
        .requests
    };
    assert_eq!(with("1755780060000"), seen(20, 0, 30_000, Window::Minute));
    assert_eq!(with("1755820800000"), seen(20, 0, 40_770_000, Window::Day));
}

#[test]
fn names_may_tell_the_window_and_the_limit_that_ends_first_is_told() {
    let cerebras = read(
        "https://api.cerebras.ai/v1",
        &[
            ("x-ratelimit-limit-requests-day", "14400"),
            ("x-ratelimit-remaining-requests-day", "14399"),
            ("x-ratelimit-reset-requests-day", "33011.382867"),
            ("x-ratelimit-limit-tokens-minute", "60000"),
            ("x-ratelimit-remaining-tokens-minute", "59200"),
            ("x-ratelimit-reset-tokens-minute", "11.382867"),
        ],
    );
    assert_eq!(cerebras.requests.map(|seen| (seen.limit, seen.per)), Some((Some(14_400), Window::Day)));
    assert_eq!(cerebras.tokens.map(|seen| (seen.remaining, seen.per)), Some((Some(59_200), Window::Minute)));

    let both = [
        ("x-ratelimit-limit-tokens", "1000"),
        ("x-ratelimit-remaining-tokens", "900"),
        ("x-ratelimit-limit-tokens_usage_based", "5000"),
        ("x-ratelimit-remaining-tokens_usage_based", "7"),
    ];
    assert_eq!(read(OPENAI, &both).tokens.and_then(|seen| seen.remaining), Some(7));
    let mistral = [("x-ratelimit-remaining-req-minute", "5"), ("x-ratelimit-limit-tokens-minute", "50000")];
    let found = read("https://api.mistral.ai/v1", &mistral);
    assert_eq!((found.requests.unwrap().remaining, found.tokens.unwrap().limit), (Some(5), Some(50_000)));
    let draft =
        [("ratelimit-limit", "100, 100;w=60"), ("ratelimit-remaining", "40"), ("ratelimit-reset", "30")];
    assert_eq!(read("http://gateway/v1", &draft).requests, seen(100, 40, 30_000, Window::Minute));
}

#[test]
fn bad_numbers_are_nothing_and_contradictions_are_clamped() {
    assert_eq!(requests(OPENAI, "100", "-1", "1s"), seen(100, 0, 1_000, Window::Minute));
    assert_eq!(requests(OPENAI, "100", "250", "0"), seen(100, 100, 0, Window::Minute));
    let found = requests(OPENAI, "-1", "12.0", "later").unwrap();
    assert_eq!((found.limit, found.remaining, found.resets_in), (None, Some(12), None));
    assert_eq!(requests(OPENAI, "unlimited", "NaN", ""), None);
    assert_eq!(requests(OPENAI, "1e300", "inf", "-3s"), None);
    let day = requests(OPENAI, "5", "0", "9999h").unwrap();
    assert_eq!(day.resets_in, Some(Duration::from_secs(86_400)));
    assert!(read(OPENAI, &[]).is_empty());
    assert!(read(OPENAI, &[("x-ratelimit-limit-parsecs", "5"), ("x-ratelimit-teapot", "7")]).is_empty());
}
