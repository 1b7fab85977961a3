//! Refusals of those who speak OpenAI's wire, word for word, and what the client's side makes of them.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use qd_types::{Class, Code};
use serde_json::{Value, json};

use crate::wires::refusal::{Measure, Refusal, Why};
use crate::wires::serve::ServeWire;
use crate::wires::{Dialect, OpenAi, OpenAiServer, Wire, simulated};

const ALL: [Dialect; 7] = [
    Dialect::Openai,
    Dialect::Groq,
    Dialect::Gemini,
    Dialect::Openrouter,
    Dialect::Ollama,
    Dialect::LlamaCpp,
    Dialect::Vllm,
];

fn body(dialect: Dialect, refusal: &Refusal) -> Value {
    serde_json::from_str(&OpenAiServer { dialect }.error(refusal)).unwrap()
}

#[test]
fn each_status_has_its_type_and_code() {
    for (status, kind, code) in [
        (400, "invalid_request_error", Value::Null),
        (401, "invalid_request_error", json!("invalid_api_key")),
        (402, "insufficient_quota", json!("credit_balance_exhausted")),
        (403, "request_forbidden", json!("unsupported_country_region_territory")),
        (404, "invalid_request_error", json!("model_not_found")),
        (408, "invalid_request_error", Value::Null),
        (409, "invalid_request_error", Value::Null),
        (413, "invalid_request_error", Value::Null),
        (429, "requests", json!("rate_limit_exceeded")),
        (500, "server_error", Value::Null),
        (503, "server_error", json!("server_is_overloaded")),
    ] {
        let message = format!("simulated error of status {status}");
        let error = json!({ "message": message, "type": kind, "param": null, "code": code });
        assert_eq!(
            body(Dialect::Openai, &Refusal::said(status, simulated(status))),
            json!({ "error": error })
        );
    }
}

#[test]
fn each_dialect_has_its_shape() {
    let refusal = Refusal {
        retry_after: Some(Duration::from_millis(13_250)),
        ..Refusal::of(429, Why::Said("slow".to_owned()), "demo")
    };
    for (dialect, shape) in [
        (
            Dialect::Groq,
            json!({ "error": { "message": "slow", "type": "requests", "code": "rate_limit_exceeded" } }),
        ),
        (
            Dialect::Gemini,
            json!([{ "error": {
                "code": 429, "message": "slow", "status": "RESOURCE_EXHAUSTED",
                "details": [{ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "13.25s" }]
            } }]),
        ),
        (Dialect::Openrouter, json!({ "error": { "message": "slow", "code": 429 } })),
        (Dialect::Ollama, json!({ "error": "slow" })),
        (
            Dialect::LlamaCpp,
            json!({ "error": { "code": 429, "message": "slow", "type": "invalid_request_error" } }),
        ),
        (
            Dialect::Vllm,
            json!({ "error": { "message": "slow", "type": "RateLimitError", "param": null, "code": 429 } }),
        ),
    ] {
        assert_eq!(body(dialect, &refusal), shape, "{dialect:?}");
    }
}

#[test]
fn the_client_understands_every_dialect() {
    let wait = Some(Duration::from_secs(13));
    let exceeded = Why::Exceeded { measure: Measure::Tokens, limit: 100, used: 90, requested: 20 };
    for dialect in ALL {
        for (status, why, code, class) in [
            (429, exceeded.clone(), Code::ModelRateLimited, Class::RateLimited),
            (400, Why::Window { limit: 50, got: 60 }, Code::ContextLength, Class::Permanent),
            (529, Why::Overloaded, Code::ModelOverloaded, Class::Overloaded),
            (401, Why::Said("who".to_owned()), Code::ModelAuth, Class::Permanent),
            (404, Why::Said("what".to_owned()), Code::ModelNotFound, Class::Permanent),
            (500, Why::Said("oh".to_owned()), Code::ModelServerError, Class::Transient),
        ] {
            let retry_after = wait.filter(|_| matches!(why, Why::Exceeded { .. }));
            let refusal = Refusal { retry_after, ..Refusal::of(status, why, "demo") };
            let server = OpenAiServer { dialect };
            let headers: HeaderMap = server
                .headers(Some(&refusal), None)
                .into_iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(&value).unwrap()))
                .collect();
            let body = server.error(&refusal);
            let error = OpenAi.decode(server.status(&refusal), &headers, body.as_bytes()).unwrap_err();
            assert_eq!(error.code, code, "{dialect:?} {refusal:?}: {error}");
            assert_eq!(error.class, class, "{dialect:?} {refusal:?}: {error}");
            // By header, in the body, or in words: whoever limits says for how long.
            assert_eq!(error.retry_after, retry_after, "{dialect:?} {refusal:?}: {error}");
        }
    }
}

#[test]
fn spent_money_is_no_passing_limit_where_a_provider_tells_it_apart() {
    for (dialect, status) in [(Dialect::Openai, 429), (Dialect::Gemini, 429), (Dialect::Openrouter, 402)] {
        let (server, refusal) = (OpenAiServer { dialect }, Refusal::of(429, Why::Spend, "demo"));
        assert_eq!(server.status(&refusal), status);
        let error = OpenAi.decode(status, &HeaderMap::new(), server.error(&refusal).as_bytes()).unwrap_err();
        assert_eq!((error.code, error.retry_after), (Code::ModelQuota, None), "{dialect:?}: {error}");
    }
}
