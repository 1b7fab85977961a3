//! Answers that are late, broken or odd: each is told apart the same on every way, and what can be lived with is.

use std::time::Duration;

use qd_types::{Billed, Class, Code, StepId};
use serde_json::{Value, json};

use super::{Bench, WAYS, ask, model_of, until};
use crate::sim::{Distribution, LatencyOptions, LoadOptions, Outcome, SimOptions};
use crate::{CallScope, ProviderKind, ProviderOptions};

/// Bounds short enough to wait for.
fn hurried(provider: &mut ProviderOptions) {
    provider.first_token_timeout = Duration::from_millis(120);
    provider.idle_timeout = Duration::from_millis(80);
    provider.unary_timeout = Duration::from_millis(300);
    provider.total_timeout = Duration::from_millis(300);
    provider.breaker.failures = 0;
}

#[tokio::test]
async fn each_broken_answer_is_told_apart_on_every_way() {
    let bench = Bench::start().await;
    let interrupted = (Code::ModelStreamInterrupted, Class::Transient, Billed::Possibly);
    let timeout = (Code::ModelTimeout, Class::Transient, Billed::Possibly);
    let bad = (Code::ModelBadOutput, Class::Transient, Billed::Possibly);
    for (fault, streamed, whole) in [
        ("silent", timeout, timeout),
        ("stall", timeout, timeout),
        ("drip silence=60ms", timeout, timeout),
        ("cut_character", interrupted, interrupted),
        ("cut_tool_call", interrupted, interrupted),
        (
            "error_event",
            (Code::ModelOverloaded, Class::Overloaded, Billed::Possibly),
            (Code::ModelOverloaded, Class::Overloaded, Billed::Possibly),
        ),
        ("empty_stream", interrupted, bad),
        (
            "refusal",
            (Code::ContentFilter, Class::Permanent, Billed::Yes),
            (Code::ContentFilter, Class::Permanent, Billed::Yes),
        ),
        (
            "context_length",
            (Code::ContextLength, Class::Permanent, Billed::No),
            (Code::ContextLength, Class::Permanent, Billed::No),
        ),
        (
            "spend_limit",
            (Code::ModelQuota, Class::Quota, Billed::No),
            (Code::ModelQuota, Class::Quota, Billed::No),
        ),
        (
            "ramp_limit",
            (Code::ModelRateLimited, Class::RateLimited, Billed::No),
            (Code::ModelRateLimited, Class::RateLimited, Billed::No),
        ),
    ] {
        let prompt = format!("Write about the long history of the tides [[sim: fault={fault}]]");
        for (kind, stream) in WAYS {
            let expected = if stream { streamed } else { whole };
            // Only who waits in vain is in a hurry: a slow machine must not be taken for a silent provider.
            let bound = |provider: &mut ProviderOptions| {
                if expected == timeout { hurried(provider) } else { provider.breaker.failures = 0 }
            };
            let over_http = bench.model(kind, |p| {
                p.stream = stream;
                bound(p);
            });
            let mut inside = ProviderOptions { stream, ..ProviderOptions::new(ProviderKind::Sim) };
            bound(&mut inside);
            for (way, model) in [("over http", over_http), ("in process", model_of(inside))] {
                let error = ask(&model, &prompt, &bench.scope()).await.unwrap_err();
                let found = (error.code, error.class, error.billed);
                assert_eq!(found, expected, "{fault} {kind:?} {stream} {way}: {error}");
            }
        }
    }
    bench.stop().await;
}

#[tokio::test]
async fn what_can_be_lived_with_gives_the_same_answer_on_every_way() {
    let prompt = "Write about the tides";
    let untroubled = model_of(ProviderOptions::new(ProviderKind::Sim));
    let expected = untroubled.call(&super::request(prompt), &scope()).await.unwrap();
    for (fault, silence) in [
        ("duplicate_events", None),
        ("unknown_events", None),
        ("no_usage", None),
        ("wrong_usage", None),
        ("hang", Some(0.02)),
        ("silent", Some(0.02)),
        ("stall", Some(0.02)),
        ("drip", Some(0.001)),
    ] {
        let rule = json!({ "faults": [{ "kind": fault, "silence_seconds": silence }] });
        let options: SimOptions = serde_json::from_value(rule).unwrap();
        let bench = Bench::with(options.clone()).await;
        for (kind, stream) in WAYS {
            let over_http = bench.model(kind, |p| p.stream = stream);
            let sim = options.clone();
            let inside = model_of(ProviderOptions { stream, sim, ..ProviderOptions::new(ProviderKind::Sim) });
            for model in [over_http, inside] {
                let answer = ask(&model, prompt, &scope()).await;
                let answer = answer.unwrap_or_else(|error| panic!("{fault} {kind:?} {stream}: {error}"));
                assert_eq!(answer.reply.text, expected.reply.text, "{fault} {kind:?} {stream}");
                let factor = if fault == "wrong_usage" { 10 } else { 1 };
                let tokens = expected.usage.output_tokens * factor;
                assert_eq!(answer.usage.output_tokens, tokens, "{fault} {kind:?} {stream}");
                assert!(answer.usage.unpriced_calls == 1 || fault != "no_usage", "{kind:?} {stream}");
            }
        }
        let summary = bench.sim.ledger().summary();
        assert_eq!((summary.billed.calls, summary.needs), (4, 1), "{fault}");
        bench.stop().await;
    }
}

/// Words depend on the step as well: the same one for all.
fn scope() -> CallScope {
    CallScope::of_step(StepId::new("a/turn-1/model"))
}

/// The bytes of an answer, up to its end or its break.
async fn bytes(bench: &Bench, path: &str, body: Value) -> (Vec<u8>, bool) {
    let request = reqwest::Client::new().post(format!("{}{path}", bench.url)).body(body.to_string());
    let mut response = request.send().await.unwrap();
    let mut all = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => all.extend_from_slice(&chunk),
            Ok(None) => return (all, true),
            Err(_) => return (all, false),
        }
    }
}

fn chat(prompt: &str, stream: bool) -> Value {
    let function = json!({ "name": "calculator", "parameters": { "type": "object", "properties": { "expression": { "type": "string" } }, "required": ["expression"] } });
    json!({
        "model": "demo", "max_tokens": 500, "stream": stream,
        "messages": [{ "role": "user", "content": prompt }],
        "tools": [{ "type": "function", "function": function, "name": "calculator", "input_schema": function["parameters"] }],
    })
}

#[tokio::test]
async fn a_cut_character_is_half_a_character() {
    let bench = Bench::start().await;
    for path in ["/v1/messages", "/v1/chat/completions"] {
        for stream in [true, false] {
            let prompt = "Go [[sim: answer=tea]][[sim: fault=cut_character]]";
            let mut body = chat(prompt, stream);
            body["tools"] = json!([]);
            let (bytes, is_whole) = bytes(&bench, path, body).await;
            assert!(!is_whole, "{path} {stream}");
            let error = std::str::from_utf8(&bytes).unwrap_err();
            assert_eq!((error.valid_up_to(), error.error_len()), (bytes.len() - 1, None), "{path} {stream}");
        }
    }
    bench.stop().await;
}

#[tokio::test]
async fn a_cut_tool_call_ends_inside_its_arguments() {
    let bench = Bench::start().await;
    for (path, key) in [("/v1/messages", "partial_json"), ("/v1/chat/completions", "arguments")] {
        let (bytes, is_whole) =
            bytes(&bench, path, chat("Use the calculator: 6 * 7 [[sim: fault=cut_tool_call]]", true)).await;
        assert!(!is_whole, "{path}");
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.ends_with("\n\n"), "{path}: in the middle of an event");
        let events = text.split("\n\n").filter_map(|event| event.split_once("data: "));
        let parts: String = events
            .filter_map(|(_, data)| serde_json::from_str::<Value>(data).ok())
            .filter_map(|data| {
                let delta =
                    data.get("delta").or_else(|| data.pointer("/choices/0/delta/tool_calls/0/function"))?;
                Some(delta.get(key)?.as_str()?.to_owned())
            })
            .collect();
        assert!(parts.starts_with("{\"exp"), "{path}: {parts}");
        assert!(serde_json::from_str::<Value>(&parts).is_err(), "{path}: {parts}");
    }
    bench.stop().await;
}

#[tokio::test]
async fn duplicate_events_come_twice_and_unknown_ones_come() {
    let bench = Bench::start().await;
    for (path, opening) in [("/v1/messages", "message_start\""), ("/v1/chat/completions", "\"role\":")] {
        let (twice, _) = bytes(&bench, path, chat("Go [[sim: fault=duplicate_events]]", true)).await;
        let twice = String::from_utf8(twice).unwrap();
        assert_eq!(twice.matches(opening).count(), 2, "{path}: {twice}");
        let (unknown, _) = bytes(&bench, path, chat("Go [[sim: fault=unknown_events]]", true)).await;
        assert_eq!(String::from_utf8(unknown).unwrap().matches("\"fine\"").count(), 2, "{path}");
    }
    bench.stop().await;
}

#[tokio::test]
async fn a_silence_is_cut_short_when_the_server_stops() {
    let bench = Bench::start().await;
    let model = bench.model(ProviderKind::Openai, |_| {});
    let scope = bench.scope();
    let call = ask(&model, "Go [[sim: fault=stall]]", &scope);
    let (result, ()) = tokio::join!(call, async {
        until("the call is under way", || bench.sim.ledger().summary().billed.calls == 1).await;
        bench.shutdown.cancel();
    });
    assert_eq!(result.unwrap_err().code, Code::ModelStreamInterrupted);
    bench.stop().await;
}

#[tokio::test]
async fn statuses_come_with_the_body_that_was_asked_for() {
    let faults = |status: u16, body: &str| -> SimOptions {
        serde_json::from_value(json!({ "faults": [{ "kind": status, "body": body }] })).unwrap()
    };
    for (status, code, body, content_type, text) in [
        (413, Code::ModelInvalidRequest, "html", "text/html", "<!DOCTYPE html>"),
        (413, Code::ModelInvalidRequest, "empty", "text/plain", ""),
        (502, Code::ModelServerError, "html", "text/html", "<!DOCTYPE html>"),
    ] {
        let bench = Bench::with(faults(status, body)).await;
        for path in ["/v1/messages", "/v1/chat/completions"] {
            let request = reqwest::Client::new().post(format!("{}{path}", bench.url));
            let answer = request.body(chat("Go", false).to_string()).send().await.unwrap();
            assert_eq!(answer.status().as_u16(), status);
            assert_eq!(answer.headers()["content-type"], content_type);
            assert!(answer.headers().keys().all(|name| !name.as_str().contains("request-id")), "{path}");
            assert!(answer.text().await.unwrap().starts_with(text));
        }
        let inside = model_of(ProviderOptions {
            sim: faults(status, body),
            ..ProviderOptions::new(ProviderKind::Sim)
        });
        let inside = ask(&inside, "Go", &bench.scope()).await.unwrap_err();
        for (kind, stream) in WAYS {
            let model = bench.model(kind, |p| p.stream = stream);
            let error = ask(&model, "Go", &bench.scope()).await.unwrap_err();
            assert_eq!((error.code, error.status), (code, Some(status)), "{body}: {error}");
            assert_eq!((error.class, error.billed), (inside.class, inside.billed), "in process: {inside}");
        }
        bench.stop().await;
    }
}

#[tokio::test]
async fn a_full_house_turns_further_calls_away_as_overloaded() {
    let load = LoadOptions { max_concurrency: Some(1), queue: 1, ..LoadOptions::default() };
    let bench = Bench::with(SimOptions { load, ..SimOptions::default() }).await;
    let hanging = bench.model(ProviderKind::Openai, |_| {});
    let scopes: Vec<CallScope> = (0..2).map(|_| bench.scope()).collect();
    let (first, second, ()) = tokio::join!(
        ask(&hanging, "Go [[sim: fault=hang]]", &scopes[0]),
        async {
            until("the first is in", || bench.sim.ledger().page().in_flight == 1).await;
            ask(&hanging, "Go on", &scopes[1]).await
        },
        async {
            until("the second waits", || bench.sim.ledger().page().in_flight == 2).await;
            for (kind, status) in [(ProviderKind::Openai, 503), (ProviderKind::Anthropic, 529)] {
                let error = ask(&bench.model(kind, |_| {}), "Go", &bench.scope()).await.unwrap_err();
                assert_eq!((error.code, error.status), (Code::ModelOverloaded, Some(status)), "{error}");
            }
            scopes[0].cancel.cancel();
        }
    );
    assert_eq!(first.unwrap_err().class, Class::Cancelled);
    second.unwrap();
    until("all are gone", || bench.sim.ledger().page().in_flight == 0).await;
    let page = bench.sim.ledger().page();
    assert_eq!((page.summary.statuses[&503], page.summary.statuses[&529]), (1, 1));
    let outcomes: Vec<Outcome> = page.calls.values().map(|call| call.outcome).collect();
    assert!(
        outcomes.contains(&Outcome::Refused(529)) && outcomes.contains(&Outcome::Answered),
        "{outcomes:?}"
    );
    bench.stop().await;
}

#[tokio::test]
async fn prompts_take_time_by_their_length() {
    let latency = LatencyOptions {
        first_token: Distribution::None,
        per_input_token_ms: 1.0,
        ..LatencyOptions::default()
    };
    let bench = Bench::with(SimOptions { latency, ..SimOptions::default() }).await;
    let model = bench.model(ProviderKind::Anthropic, |_| {});
    let began = tokio::time::Instant::now();
    ask(&model, &"many words ".repeat(64), &bench.scope()).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(200), "{:?}", began.elapsed());
    bench.stop().await;
}
