//! Which failure each answer of Anthropic means.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use qd_types::{Billed, Class, Code};

use super::{Anthropic, stream};
use crate::CallError;
use crate::wires::wire::Wire;

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> CallError {
    let headers: HeaderMap = headers
        .iter()
        .map(|(n, v)| (n.parse::<HeaderName>().unwrap(), HeaderValue::from_str(v).unwrap()))
        .collect();
    Anthropic.decode(status, &headers, body.as_bytes()).unwrap_err()
}

fn error(kind: &str, message: &str) -> String {
    format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}},"request_id":"req_011"}}"#)
}

#[test]
fn statuses_and_words_give_code_and_class() {
    use Class::{Overloaded, Permanent, Quota, RateLimited, Transient};
    for (status, body, code, class) in [
        (
            400,
            error("invalid_request_error", "messages: roles must alternate"),
            Code::ModelInvalidRequest,
            Permanent,
        ),
        (
            400,
            error("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
            Code::ContextLength,
            Permanent,
        ),
        (
            400,
            error("invalid_request_error", "input length and `max_tokens` exceed context limit: 9 + 9 > 10"),
            Code::ContextLength,
            Permanent,
        ),
        (
            400,
            error("invalid_request_error", "Your credit balance is too low to access the API"),
            Code::ModelQuota,
            Quota,
        ),
        (
            400,
            error("invalid_request_error", "You have reached your specified API usage limits"),
            Code::ModelQuota,
            Quota,
        ),
        (401, error("authentication_error", "invalid x-api-key"), Code::ModelAuth, Permanent),
        (402, error("billing_error", "payment required"), Code::ModelQuota, Quota),
        (403, error("permission_error", "not allowed"), Code::ModelPermission, Permanent),
        (404, error("not_found_error", "model: claude-9"), Code::ModelNotFound, Permanent),
        (409, error("conflict_error", "again"), Code::ModelServerError, Transient),
        (413, error("request_too_large", "over 32 MB"), Code::ModelInvalidRequest, Permanent),
        (413, "<html><title>413</title></html>".to_owned(), Code::ModelInvalidRequest, Permanent),
        (429, error("rate_limit_error", "slow down"), Code::ModelRateLimited, RateLimited),
        (500, error("api_error", "oops"), Code::ModelServerError, Transient),
        (503, error("overloaded_error", "busy"), Code::ModelOverloaded, Overloaded),
        (504, error("timeout_error", "long"), Code::ModelServerError, Transient),
        (529, error("overloaded_error", "Overloaded"), Code::ModelOverloaded, Overloaded),
        (
            502,
            "<html><head><title>502 Bad Gateway</title></head></html>".to_owned(),
            Code::ModelServerError,
            Transient,
        ),
        (520, String::new(), Code::ModelServerError, Transient),
        (307, String::new(), Code::ModelInvalidRequest, Permanent),
    ] {
        let found = answer(status, &[], &body);
        assert_eq!((found.code, found.class, found.status), (code, class, Some(status)), "{status} {body}");
        let by_gateway = matches!(status, 502 | 504 | 520);
        assert_eq!(found.billed, if by_gateway { Billed::Possibly } else { Billed::No }, "{status} {body}");
    }
}

#[test]
fn a_spend_limit_is_no_rate_limit() {
    for code in ["enforced_spend_limit_reached", "contract_spend_limit_reached"] {
        let body = format!(
            r#"{{"type":"error","error":{{"type":"rate_limit_error","message":"x","details":{{"error_code":"{code}"}}}}}}"#
        );
        let found = answer(429, &[], &body);
        assert_eq!((found.code, found.class, found.retry_after), (Code::ModelQuota, Class::Quota, None));
    }
    let ramp = r#"{"type":"error","error":{"type":"rate_limit_error","message":"x","details":{"error_code":"ramp_limit_exceeded"}}}"#;
    assert_eq!(answer(429, &[("retry-after", "17")], ramp).retry_after, Some(Duration::from_secs(17)));
    let cmek = r#"{"type":"error","error":{"type":"overloaded_error","message":"x","details":{"error_code":"cmek_unavailable"}}}"#;
    assert_eq!(answer(503, &[], cmek).code, Code::ModelServerError);
}

#[test]
fn request_ids_and_the_providers_own_verdict_are_kept() {
    let found =
        answer(429, &[("request-id", "req_9"), ("x-should-retry", "false")], &error("rate_limit_error", "x"));
    assert_eq!((found.request_id.as_deref(), found.class), (Some("req_9"), Class::Quota));
    let found = answer(400, &[("x-should-retry", "true")], &error("invalid_request_error", "x"));
    assert_eq!((found.request_id.as_deref(), found.class), (Some("req_011"), Class::Transient));
}

#[test]
fn status_200_is_no_promise() {
    let message = |content: &str, reason: &str| {
        format!(
            r#"{{"id":"msg_1","type":"message","model":"c","content":{content},"stop_reason":"{reason}","usage":{{"input_tokens":1,"output_tokens":1}}}}"#
        )
    };
    for (body, code, class, billed) in [
        (message("[]", "end_turn"), Code::ModelBadOutput, Class::Transient, Billed::Yes),
        (
            message(r#"[{"type":"text","text":" \n"}]"#, "end_turn"),
            Code::ModelBadOutput,
            Class::Transient,
            Billed::Yes,
        ),
        (
            message(r#"[{"type":"thinking","thinking":"x"}]"#, "max_tokens"),
            Code::ModelBadOutput,
            Class::Permanent,
            Billed::Yes,
        ),
        (message("[]", "refusal"), Code::ContentFilter, Class::Permanent, Billed::Yes),
        (error("overloaded_error", "busy"), Code::ModelOverloaded, Class::Overloaded, Billed::Possibly),
        ("<html>sign in</html>".to_owned(), Code::ModelBadOutput, Class::Transient, Billed::Possibly),
        (
            r#"{"id":"msg_1","content":[{"ty"#.to_owned(),
            Code::ModelBadOutput,
            Class::Transient,
            Billed::Possibly,
        ),
        (String::new(), Code::ModelBadOutput, Class::Transient, Billed::Possibly),
        ("{}".to_owned(), Code::ModelBadOutput, Class::Transient, Billed::Possibly),
    ] {
        let found = answer(200, &[], &body);
        assert_eq!((found.code, found.class, found.billed), (code, class, billed), "{body}");
    }
}

#[test]
fn streams_fail_as_their_events_say() {
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"c\"}}\n\n";
    for (rest, code, class) in [
        (
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n",
            Code::ModelOverloaded,
            Class::Overloaded,
        ),
        (
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"x\"}}\n\n",
            Code::ModelServerError,
            Class::Transient,
        ),
        (
            "data: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"x\"}}\n\n",
            Code::ModelRateLimited,
            Class::RateLimited,
        ),
        ("data: not json\n\n", Code::ModelBadOutput, Class::Transient),
        (
            "data: {\"type\":\"content_block_start\",\"index\":7,\"content_block\":{}}\n\n",
            Code::ModelBadOutput,
            Class::Transient,
        ),
        (
            "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n",
            Code::ModelBadOutput,
            Class::Transient,
        ),
        (
            "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"refusal\",\"stop_details\":{\"category\":\"bio\"}}}\n\n",
            Code::ContentFilter,
            Class::Permanent,
        ),
        ("", Code::ModelStreamInterrupted, Class::Transient),
    ] {
        let found = stream(format!("{start}{rest}").as_bytes()).unwrap_err();
        assert_eq!((found.code, found.class), (code, class), "{rest}");
        assert_ne!(found.billed, Billed::No, "{rest}");
    }
}
