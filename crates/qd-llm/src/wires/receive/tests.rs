//! What headers add to an error, and the bounds of streams.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use qd_types::{Class, Code};

use super::{Streamed, told_by_headers};
use crate::error::Kind;
use crate::wires::{OpenAi, Progress, Wire, seen_limits};
use crate::{CallError, Window};

fn told(kind: Kind, status: u16, headers: &[(&str, &str)]) -> CallError {
    let headers: HeaderMap = headers
        .iter()
        .map(|(n, v)| (n.parse::<HeaderName>().unwrap(), HeaderValue::from_str(v).unwrap()))
        .collect();
    let limits = seen_limits(&headers, Window::Minute);
    told_by_headers(CallError::new(kind, "no"), status, &headers, limits)
}

#[test]
fn a_provider_may_overrule_its_own_status_but_not_where_money_or_size_is_at_fault() {
    for (kind, yes, no) in [
        (Kind::InvalidRequest, Class::Transient, Class::Permanent),
        (Kind::Auth, Class::Transient, Class::Permanent),
        (Kind::Permission, Class::Transient, Class::Permanent),
        (Kind::ModelNotFound, Class::Transient, Class::Permanent),
        (Kind::ContextLength, Class::Permanent, Class::Permanent),
        (Kind::PromptRefused, Class::Permanent, Class::Permanent),
        (Kind::Quota, Class::Quota, Class::Quota),
        (Kind::RateLimited, Class::RateLimited, Class::Quota),
        (Kind::ServerError, Class::Transient, Class::Permanent),
        (Kind::GatewayError, Class::Transient, Class::Permanent),
        (Kind::Overloaded, Class::Overloaded, Class::Permanent),
    ] {
        for (word, class) in [("true", yes), ("false", no), ("maybe", CallError::new(kind, "").class)] {
            let error = told(kind, 400, &[("x-should-retry", word)]);
            assert_eq!(error.class, class, "{kind:?} {word}");
            assert_eq!(error.class == Class::Quota, error.code == Code::ModelQuota, "{kind:?} {word}");
        }
    }
    // Status 200 was no failure when its headers left.
    assert_eq!(told(Kind::StreamInterrupted, 200, &[("x-should-retry", "false")]).class, Class::Transient);
}

#[test]
fn waits_come_along_where_waiting_helps() {
    let after = [("retry-after", "9")];
    for kind in [Kind::RateLimited, Kind::Overloaded, Kind::ServerError, Kind::Quota, Kind::BadOutput] {
        assert_eq!(told(kind, 503, &after).retry_after, Some(Duration::from_secs(9)), "{kind:?}");
    }
    for kind in [Kind::Auth, Kind::InvalidRequest, Kind::ContextLength, Kind::PromptRefused] {
        assert_eq!(told(kind, 503, &after).retry_after, None, "{kind:?}");
    }
    // When a limit is full again is no matter of another failure.
    let empty = [("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "8h0m0s")];
    assert_eq!(told(Kind::RateLimited, 429, &empty).retry_after, Some(Duration::from_secs(28_800)));
    assert_eq!(told(Kind::StreamInterrupted, 200, &empty).retry_after, None);
    assert_eq!(told(Kind::ServerError, 500, &empty).retry_after, None);
    let refused = told(Kind::ServerError, 500, &[("x-should-retry", "false"), ("retry-after", "9")]);
    assert_eq!(refused.retry_after, None);
}

#[test]
fn who_has_no_allowance_has_no_rate_limit() {
    let nothing = [("x-ratelimit-limit-requests", "0"), ("x-ratelimit-remaining-requests", "0")];
    assert_eq!(told(Kind::RateLimited, 429, &nothing).class, Class::Quota);
    assert_eq!(told(Kind::ServerError, 500, &nothing).class, Class::Transient);
    let used_up = [("x-ratelimit-limit-requests", "5"), ("x-ratelimit-remaining-requests", "0")];
    let error = told(Kind::RateLimited, 429, &used_up);
    assert_eq!((error.class, error.limits.requests.unwrap().remaining), (Class::RateLimited, Some(0)));
}

#[test]
fn ids_of_requests_come_from_headers_first_and_are_no_texts() {
    let id = |headers: &[(&str, &str)], own: Option<&str>| {
        let mut error = CallError::new(Kind::ServerError, "no");
        error.request_id = own.map(str::to_owned);
        let headers: HeaderMap = headers
            .iter()
            .map(|(n, v)| (n.parse::<HeaderName>().unwrap(), HeaderValue::from_str(v).unwrap()))
            .collect();
        told_by_headers(error, 500, &headers, seen_limits(&headers, Window::Minute)).request_id
    };
    let long = "x".repeat(300);
    assert_eq!(id(&[("request-id", "a"), ("cf-ray", "b")], Some("c")).as_deref(), Some("a"));
    assert_eq!(id(&[("cf-ray", "b")], None).as_deref(), Some("b"));
    assert_eq!(id(&[], Some("c")).as_deref(), Some("c"));
    assert_eq!(id(&[("request-id", &long)], Some(&long)), None);
}

#[test]
fn a_stream_is_bounded_in_all_and_line_by_line() {
    let piece = [b'x'; 64 * 1024];
    let taken = |start: &[u8], most: usize| {
        let mut stream = Streamed::new(OpenAi.stream(), most);
        stream.take(start, &mut String::new()).unwrap();
        let mut taken = 0;
        loop {
            match stream.take(&piece, &mut String::new()) {
                Ok(_) => taken += piece.len(),
                Err(error) => return (taken, error),
            }
        }
    };
    let (bytes, error) = taken(b"data: ", 16 * 1024 * 1024);
    assert!(bytes <= 1024 * 1024, "{bytes}");
    assert!(error.message.contains("a line of more than 1 MiB"), "{error}");
    let (bytes, error) = taken(b"data: ", 300_000);
    assert!(bytes <= 300_000, "{bytes}");
    assert!(error.message.contains("larger than 300000 bytes"), "{error}");
}

#[test]
fn what_follows_a_complete_answer_takes_nothing_back() {
    let finish = b"data: {\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\n";
    for rest in [
        b"data: no json\n\n".to_vec(),
        b"data: {\"error\":\"late\"}\n\n".to_vec(),
        vec![b'x'; 2 * 1024 * 1024],
        b"{\"error\":\"late\"}".to_vec(),
    ] {
        let mut stream = Streamed::new(OpenAi.stream(), 1024 * 1024);
        let mut said = String::new();
        assert_eq!(stream.take(finish, &mut said).unwrap(), Progress::Content);
        stream.take(&rest, &mut said).unwrap();
        assert_eq!((stream.end().unwrap().reply.text.as_str(), said.as_str()), ("x", "x"));
    }
    let mut stream = Streamed::new(OpenAi.stream(), 1024);
    stream.take(finish, &mut String::new()).unwrap();
    assert!(stream.broken_off(CallError::new(Kind::Timeout, "late")).is_ok());
}
