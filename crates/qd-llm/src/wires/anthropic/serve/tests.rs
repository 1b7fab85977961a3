//! Anthropic's refusals, word for word.

use std::time::Duration;

use serde_json::{Value, json};

use crate::wires::refusal::{Measure, Refusal, Why};
use crate::wires::serve::ServeWire;
use crate::wires::{Anthropic, simulated};

fn body(refusal: &Refusal) -> Value {
    serde_json::from_str(&Anthropic.error(refusal)).unwrap()
}

#[test]
fn each_status_has_its_type() {
    for (status, kind) in [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (409, "conflict_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (502, "api_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ] {
        let refusal = Refusal::said(status, simulated(status));
        let error = json!({ "type": kind, "message": format!("simulated error of status {status}") });
        assert_eq!(body(&refusal), json!({ "type": "error", "error": error, "request_id": "req_sim" }));
        assert_eq!(Anthropic.status(&refusal), status);
    }
}

#[test]
fn each_limit_has_its_words_and_code() {
    let exceeded =
        Why::Exceeded { measure: Measure::InputTokens, limit: 40_000, used: 39_000, requested: 2_000 };
    for (status, why, code, words) in [
        (429, exceeded, None, "rate limit for your organization of 40000 input tokens per minute"),
        (429, Why::Ramp, Some("ramp_limit_exceeded"), "acceleration limit"),
        (429, Why::Spend, Some("enforced_spend_limit_reached"), "spend limit"),
        (
            400,
            Why::Window { limit: 200_000, got: 201_234 },
            None,
            "prompt is too long: 201234 tokens > 200000 maximum",
        ),
        (529, Why::Overloaded, None, "Overloaded"),
    ] {
        let error = body(&Refusal::of(status, why, "demo"))["error"].take();
        assert_eq!(error.pointer("/details/error_code").and_then(Value::as_str), code);
        assert!(error["message"].as_str().unwrap().contains(words), "{error}");
    }
}

#[test]
fn a_wait_is_told_in_whole_seconds_unless_a_script_says_otherwise() {
    let wait = Some(Duration::from_millis(2_500));
    let retry_after = |refusal: Refusal| {
        let headers = Anthropic.headers(Some(&Refusal { retry_after: wait, ..refusal }), None);
        headers.into_iter().find(|(name, _)| *name == "retry-after").unwrap().1
    };
    assert_eq!(retry_after(Refusal::of(429, Why::Ramp, "demo")), "3");
    assert_eq!(retry_after(Refusal::said(429, "slow")), "2.5");
}
