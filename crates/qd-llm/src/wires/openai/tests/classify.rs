//! Which failure each answer means: of OpenAI, and of those who speak its protocol.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use qd_types::{Billed, Class, Code};

use super::{OpenAi, stream};
use crate::CallError;
use crate::wires::wire::Wire;

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> CallError {
    let headers: HeaderMap = headers
        .iter()
        .map(|(n, v)| (n.parse::<HeaderName>().unwrap(), HeaderValue::from_str(v).unwrap()))
        .collect();
    OpenAi.decode(status, &headers, body.as_bytes()).unwrap_err()
}

fn check(cases: &[(u16, &str, Code, Class)]) {
    for (status, body, code, class) in cases {
        let found = answer(*status, &[], body);
        assert_eq!((found.code, found.class), (*code, *class), "{status} {body}");
        assert_eq!(found.status, Some(*status));
        assert!(found.message.starts_with(&format!("answered status {status}: ")), "{}", found.message);
    }
}

#[test]
fn openai_itself() {
    use Class::{Overloaded, Permanent, Quota, RateLimited, Transient};
    check(&[
        (
            400,
            r#"{"error":{"message":"This model's maximum context length is 128000 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
            Code::ContextLength,
            Permanent,
        ),
        (
            400,
            r#"{"error":{"message":"Invalid 'messages[0].content': string too long. maximum context length is no matter","type":"invalid_request_error","code":"string_above_max_length"}}"#,
            Code::ModelInvalidRequest,
            Permanent,
        ),
        (
            400,
            r#"{"error":{"message":"rejected by our safety system","type":"invalid_request_error","code":"content_policy_violation"}}"#,
            Code::ContentFilter,
            Permanent,
        ),
        (
            400,
            r#"{"error":{"message":"filtered","type":null,"code":"content_filter","status":400}}"#,
            Code::ContentFilter,
            Permanent,
        ),
        (
            400,
            r#"{"error":{"message":"x","type":"invalid_request_error","code":"invalid_prompt"}}"#,
            Code::ContentFilter,
            Permanent,
        ),
        (
            400,
            r#"{"error":{"message":"Unsupported parameter: 'max_tokens'","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}"#,
            Code::ModelInvalidRequest,
            Permanent,
        ),
        (
            401,
            r#"{"error":{"message":"Incorrect API key provided: sk-***","type":"invalid_request_error","code":"invalid_api_key"}}"#,
            Code::ModelAuth,
            Permanent,
        ),
        (
            403,
            r#"{"error":{"message":"Country, region, or territory not supported","type":"request_forbidden","code":"unsupported_country_region_territory"}}"#,
            Code::ModelPermission,
            Permanent,
        ),
        (
            404,
            r#"{"error":{"message":"The model `gpt-9` does not exist","type":"invalid_request_error","code":"model_not_found"}}"#,
            Code::ModelNotFound,
            Permanent,
        ),
        (
            429,
            r#"{"error":{"message":"Rate limit reached","type":"tokens","code":"rate_limit_exceeded"}}"#,
            Code::ModelRateLimited,
            RateLimited,
        ),
        (
            429,
            r#"{"error":{"message":"slow","type":"requests","code":"slow_down"}}"#,
            Code::ModelRateLimited,
            RateLimited,
        ),
        (
            429,
            r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#,
            Code::ModelQuota,
            Quota,
        ),
        (
            429,
            r#"{"error":{"message":"x","type":"insufficient_quota","code":"credit_balance_exhausted"}}"#,
            Code::ModelQuota,
            Quota,
        ),
        (
            429,
            r#"{"error":{"message":"x","type":"y","code":"project_spend_limit_exceeded"}}"#,
            Code::ModelQuota,
            Quota,
        ),
        (
            500,
            r#"{"error":{"message":"The server had an error","type":"server_error","code":null}}"#,
            Code::ModelServerError,
            Transient,
        ),
        (
            503,
            r#"{"error":{"message":"x","type":"service_unavailable_error","code":"server_is_overloaded"}}"#,
            Code::ModelOverloaded,
            Overloaded,
        ),
        (
            503,
            r#"{"error":{"message":"x","type":"y","code":"slow_down"}}"#,
            Code::ModelOverloaded,
            Overloaded,
        ),
        (408, "", Code::ModelServerError, Transient),
    ]);
}

#[test]
fn groq_and_openrouter() {
    use Class::{Overloaded, Permanent, Quota, RateLimited, Transient};
    check(&[
        (
            413,
            r#"{"error":{"message":"Request too large for model on tokens per minute (TPM): Limit 6000, Requested 9000","type":"tokens","code":"rate_limit_exceeded"}}"#,
            Code::ContextLength,
            Permanent,
        ),
        (413, r#"{"error":{"message":"Request Entity Too Large"}}"#, Code::ModelInvalidRequest, Permanent),
        (
            400,
            r#"{"error":{"message":"Failed to call a function.","type":"invalid_request_error","code":"tool_use_failed","failed_generation":"<f>"}}"#,
            Code::ModelBadOutput,
            Transient,
        ),
        (
            422,
            r#"{"error":{"message":"semantic error: model hallucination","type":"x"}}"#,
            Code::ModelBadOutput,
            Transient,
        ),
        (424, r#"{"error":{"message":"failed dependency"}}"#, Code::ModelServerError, Transient),
        (
            498,
            r#"{"error":{"message":"no capacity","type":"x","code":"capacity_exceeded"}}"#,
            Code::ModelOverloaded,
            Overloaded,
        ),
        (402, r#"{"error":{"code":402,"message":"Insufficient credits"}}"#, Code::ModelQuota, Quota),
        (
            403,
            r#"{"error":{"code":403,"message":"flagged","metadata":{"reasons":["violence"],"flagged_input":"x"}}}"#,
            Code::ContentFilter,
            Permanent,
        ),
        (408, r#"{"error":{"code":408,"message":"timed out"}}"#, Code::ModelServerError, Transient),
        (
            429,
            r#"{"error":{"code":429,"message":"Provider returned error","metadata":{"raw":"x"}}}"#,
            Code::ModelRateLimited,
            RateLimited,
        ),
        (502, r#"{"error":{"code":502,"message":"upstream"}}"#, Code::ModelServerError, Transient),
        (503, r#"{"error":{"code":503,"message":"no provider"}}"#, Code::ModelOverloaded, Overloaded),
    ]);
}

#[test]
fn gemini_and_its_arrays() {
    use Class::{Overloaded, Permanent, Quota, RateLimited, Transient};
    check(&[
        (
            429,
            r#"[{"error":{"code":429,"message":"You exceeded your current quota","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerMinutePerProjectPerModel-FreeTier"}]}]}}]"#,
            Code::ModelRateLimited,
            RateLimited,
        ),
        (
            429,
            r#"[{"error":{"code":429,"message":"You exceeded your current quota","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}]}}]"#,
            Code::ModelQuota,
            Quota,
        ),
        (
            400,
            r#"[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}]"#,
            Code::ModelAuth,
            Permanent,
        ),
        (
            400,
            r#"[{"error":{"code":400,"message":"The input token count (9) exceeds the maximum number of tokens allowed (8).","status":"INVALID_ARGUMENT"}}]"#,
            Code::ContextLength,
            Permanent,
        ),
        (
            400,
            r#"[{"error":{"code":400,"message":"User location is not supported","status":"FAILED_PRECONDITION"}}]"#,
            Code::ModelPermission,
            Permanent,
        ),
        (
            400,
            r#"[{"error":{"code":400,"message":"bad schema","status":"INVALID_ARGUMENT"}}]"#,
            Code::ModelInvalidRequest,
            Permanent,
        ),
        (
            503,
            r#"[{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}]"#,
            Code::ModelOverloaded,
            Overloaded,
        ),
        (
            504,
            r#"[{"error":{"code":504,"message":"Deadline expired","status":"DEADLINE_EXCEEDED"}}]"#,
            Code::ModelServerError,
            Transient,
        ),
        (
            500,
            r#"[{"error":{"code":500,"message":"Internal","status":"INTERNAL"}}]"#,
            Code::ModelServerError,
            Transient,
        ),
    ]);
}

#[test]
fn local_servers_and_what_stands_before_them() {
    use Class::{Overloaded, Permanent, Transient};
    check(&[
        (404, r#"{"error":"model 'llama9' not found"}"#, Code::ModelNotFound, Permanent),
        (404, "404 page not found", Code::ModelNotFound, Permanent),
        (
            503,
            r#"{"error":"server busy, please try again.  maximum pending requests exceeded"}"#,
            Code::ModelOverloaded,
            Overloaded,
        ),
        (
            503,
            r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#,
            Code::ModelOverloaded,
            Overloaded,
        ),
        (
            400,
            r#"{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error","n_prompt_tokens":9,"n_ctx":8}}"#,
            Code::ContextLength,
            Permanent,
        ),
        (
            400,
            r#"{"error":{"message":"This model's maximum context length is 4096 tokens.","type":"BadRequestError","param":null,"code":400}}"#,
            Code::ContextLength,
            Permanent,
        ),
        (
            400,
            r#"{"object":"error","message":"This model's maximum context length is 4096 tokens.","type":"BadRequestError","code":400}"#,
            Code::ContextLength,
            Permanent,
        ),
        (
            404,
            r#"{"object":"error","message":"The model `x` does not exist.","type":"NotFoundError","code":404}"#,
            Code::ModelNotFound,
            Permanent,
        ),
        (
            422,
            r#"{"detail":[{"loc":["body","messages"],"msg":"field required"}]}"#,
            Code::ModelInvalidRequest,
            Permanent,
        ),
        (401, r#"{"message":"Unauthorized","request_id":"x"}"#, Code::ModelAuth, Permanent),
        (502, "<html><head><title>502 Bad Gateway</title></head></html>", Code::ModelServerError, Transient),
        (500, "", Code::ModelServerError, Transient),
    ]);
}

#[test]
fn waits_come_along_where_another_try_may_help() {
    let groq = r#"{"error":{"message":"Rate limit reached. Please try again in 7.66s.","type":"tokens","code":"rate_limit_exceeded"}}"#;
    assert_eq!(answer(429, &[], groq).retry_after, Some(Duration::from_millis(7_660)));
    assert_eq!(answer(429, &[("retry-after", "2")], groq).retry_after, Some(Duration::from_secs(2)));
    assert_eq!(answer(503, &[("retry-after", "9")], "").retry_after, Some(Duration::from_secs(9)));
    assert_eq!(answer(401, &[("retry-after", "9")], "").retry_after, None);
    let delay = r#"[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"x","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"13s"}]}}]"#;
    assert_eq!(answer(429, &[], delay).retry_after, Some(Duration::from_secs(13)));
    assert_eq!(answer(500, &[("x-request-id", "req_7")], "").request_id.as_deref(), Some("req_7"));
}

#[test]
fn status_200_is_no_promise() {
    use Class::{Overloaded, Permanent, Quota, RateLimited, Transient};
    let choice = |message: &str, reason: &str| {
        format!(
            r#"{{"id":"c","choices":[{{"index":0,"message":{message},"finish_reason":"{reason}"}}],"usage":{{"prompt_tokens":1,"completion_tokens":1}}}}"#
        )
    };
    for (body, code, class, billed) in [
        (
            r#"{"error":{"code":502,"message":"upstream"}}"#.to_owned(),
            Code::ModelServerError,
            Transient,
            Billed::Possibly,
        ),
        (
            r#"{"error":{"code":429,"message":"slow"},"user_id":"x"}"#.to_owned(),
            Code::ModelRateLimited,
            RateLimited,
            Billed::Possibly,
        ),
        (
            r#"{"error":{"code":402,"message":"credits"}}"#.to_owned(),
            Code::ModelQuota,
            Quota,
            Billed::Possibly,
        ),
        (
            r#"{"error":{"message":"x","code":"server_is_overloaded"}}"#.to_owned(),
            Code::ModelOverloaded,
            Overloaded,
            Billed::Possibly,
        ),
        (r#"{"error":"something broke"}"#.to_owned(), Code::ModelServerError, Transient, Billed::Possibly),
        (choice(r#"{"content":""}"#, "stop"), Code::ModelBadOutput, Transient, Billed::Yes),
        (choice(r#"{"content":null}"#, "tool_calls"), Code::ModelBadOutput, Transient, Billed::Yes),
        (
            choice(r#"{"content":"","reasoning_content":"long"}"#, "length"),
            Code::ModelBadOutput,
            Permanent,
            Billed::Yes,
        ),
        (
            choice(r#"{"content":"half a sen"}"#, "content_filter"),
            Code::ContentFilter,
            Permanent,
            Billed::Yes,
        ),
        (choice(r#"{"content":"x"}"#, "SAFETY"), Code::ContentFilter, Permanent, Billed::Yes),
        (
            choice(r#"{"content":null,"refusal":"I cannot"}"#, "stop"),
            Code::ContentFilter,
            Permanent,
            Billed::Yes,
        ),
        (choice(r#"{"content":"x"}"#, "error"), Code::ModelStreamInterrupted, Transient, Billed::Possibly),
        (r#"{"id":"c","choices":[]}"#.to_owned(), Code::ModelBadOutput, Transient, Billed::Possibly),
        ("<html>log in</html>".to_owned(), Code::ModelBadOutput, Transient, Billed::Possibly),
        (r#"{"id":"c","choi"#.to_owned(), Code::ModelBadOutput, Transient, Billed::Possibly),
    ] {
        let found = answer(200, &[], &body);
        assert_eq!((found.code, found.class, found.billed), (code, class, billed), "{body}");
    }
}

#[test]
fn streams_fail_as_their_events_say() {
    let start = "data: {\"id\":\"c\",\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\n";
    for (text, code, class) in [
        (format!("{start}data: {{\"error\":{{\"message\":\"x\",\"code\":\"rate_limit_exceeded\"}}}}\n\n"), Code::ModelRateLimited, Class::RateLimited),
        (format!("{start}data: {{\"error\":{{\"message\":\"x\",\"code\":503}}}}\n\n"), Code::ModelOverloaded, Class::Overloaded),
        (format!("{start}data: {{\"error\":{{\"message\":\"x\",\"type\":\"server_error\"}}}}\n\n"), Code::ModelServerError, Class::Transient),
        (format!("{start}data: {{\"object\":\"error\",\"message\":\"maximum context length is 9\",\"code\":400}}\n\n"), Code::ContextLength, Class::Permanent),
        (format!("{start}data: {{\"half\": \n\n"), Code::ModelBadOutput, Class::Transient),
        (start.to_owned(), Code::ModelStreamInterrupted, Class::Transient),
        (String::new(), Code::ModelStreamInterrupted, Class::Transient),
        ("data: [DONE]\n\n".to_owned(), Code::ModelBadOutput, Class::Transient),
        ("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n".to_owned(), Code::ModelBadOutput, Class::Transient),
        ("data: {\"choices\":[{\"delta\":{\"refusal\":\"no\"}}]}\n\ndata: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n".to_owned(), Code::ContentFilter, Class::Permanent),
    ] {
        let found = stream(text.as_bytes()).unwrap_err();
        assert_eq!((found.code, found.class), (code, class), "{text}");
        assert_ne!(found.billed, Billed::No, "{text}");
    }
}
