//! Errors in every shape.

use super::ErrorBody;

#[test]
fn every_shape_of_an_error_is_read() {
    for (body, kind, code, message) in [
        (
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow","details":{"error_code":"ramp"}}}"#,
            "rate_limit_error",
            "ramp",
            "slow",
        ),
        (
            r#"{"error":{"message":"no","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#,
            "invalid_request_error",
            "model_not_found",
            "no",
        ),
        (r#"[{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED"}}]"#, "", "429", "quota"),
        (r#"{"error":"model 'x' not found"}"#, "", "", "model 'x' not found"),
        (
            r#"{"object":"error","message":"too long","type":"BadRequestError","code":400}"#,
            "BadRequestError",
            "400",
            "too long",
        ),
        (r#"{"detail":"Not Found"}"#, "", "", "Not Found"),
        (r#"{"detail":[{"msg":"field required"}]}"#, "", "", "field required"),
        (
            r#"{"detail":[{"loc":["body","messages",0],"msg":"Field required","input":"my credit balance"},{"msg":"and more"}]}"#,
            "",
            "",
            "body.messages.0: Field required; and more",
        ),
        (r#"{"detail":{"a":1}}"#, "", "", r#"{"detail":{"a":1}}"#),
        (
            "<!DOCTYPE html><html><head><TITLE> 502 Bad Gateway </TITLE></head>",
            "",
            "",
            "a web page titled \"502 Bad Gateway\"",
        ),
        ("<html></html>", "", "", "a web page"),
        ("upstream connect error", "", "", "upstream connect error"),
        ("", "", "", ""),
    ] {
        let read = ErrorBody::of(body.as_bytes());
        assert_eq!(
            (read.kind.as_str(), read.code.as_str(), read.message.as_str()),
            (kind, code, message),
            "{body}"
        );
    }
}

#[test]
fn long_messages_are_cut() {
    let body = ErrorBody::of(format!(r#"{{"error":"{}"}}"#, "ü".repeat(3000)).as_bytes());
    assert_eq!(body.message.chars().count(), 501);
}

#[test]
fn null_is_no_error() {
    assert_eq!(ErrorBody::in_value(&serde_json::json!({ "id": "x", "error": null })), None);
}
