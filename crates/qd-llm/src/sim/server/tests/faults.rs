//! Calls that go wrong, each in its own way.

use std::time::Duration;

use qd_types::{Billed, Class, Code, StepId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{Bench, WAYS, ask, model_of, until};
use crate::sim::{Distribution, LatencyOptions, SimOptions};
use crate::{CallScope, ProviderKind, ProviderOptions};

#[tokio::test]
async fn each_fault_is_told_apart_on_every_way() {
    let bench = Bench::start().await;
    for (fault, code, class, billed) in [
        ("400", Code::ModelInvalidRequest, Class::Permanent, Billed::No),
        ("401", Code::ModelAuth, Class::Permanent, Billed::No),
        ("402", Code::ModelQuota, Class::Quota, Billed::No),
        ("403", Code::ModelPermission, Class::Permanent, Billed::No),
        ("404", Code::ModelNotFound, Class::Permanent, Billed::No),
        ("408", Code::ModelServerError, Class::Transient, Billed::Possibly),
        ("409", Code::ModelServerError, Class::Transient, Billed::No),
        ("413", Code::ModelInvalidRequest, Class::Permanent, Billed::No),
        ("429", Code::ModelRateLimited, Class::RateLimited, Billed::No),
        ("498", Code::ModelOverloaded, Class::Overloaded, Billed::No),
        ("504", Code::ModelServerError, Class::Transient, Billed::Possibly),
        ("500", Code::ModelServerError, Class::Transient, Billed::No),
        ("503", Code::ModelOverloaded, Class::Overloaded, Billed::No),
        ("529", Code::ModelOverloaded, Class::Overloaded, Billed::No),
        ("reset", Code::ModelStreamInterrupted, Class::Transient, Billed::Possibly),
        ("cut", Code::ModelStreamInterrupted, Class::Transient, Billed::Possibly),
        ("html", Code::ModelBadOutput, Class::Transient, Billed::Possibly),
        ("garbage", Code::ModelBadOutput, Class::Transient, Billed::Possibly),
        ("empty", Code::ModelBadOutput, Class::Transient, Billed::Yes),
    ] {
        let inside = model_of(ProviderOptions::new(ProviderKind::Sim));
        let prompt = format!("Go [[sim: fault={fault}]]");
        let error = ask(&inside, &prompt, &bench.scope()).await.unwrap_err();
        assert_eq!((error.code, error.class, error.billed), (code, class, billed), "in process: {error}");
        for (kind, stream) in WAYS {
            let model = bench.model(kind, |p| p.stream = stream);
            let error = ask(&model, &prompt, &bench.scope()).await.unwrap_err();
            let found = (error.code, error.class, error.billed);
            assert_eq!(found, (code, class, billed), "{fault} {kind:?} {stream}: {error}");
            assert_eq!(error.status, fault.parse().ok().or(error.status), "{error}");
            assert!(error.message.starts_with("provider `p`, model `demo`: "), "{error}");
        }
    }
    bench.stop().await;
}

#[tokio::test]
async fn a_stream_without_its_finish_is_interrupted_though_http_ended_well() {
    let bench = Bench::start().await;
    for kind in [ProviderKind::Anthropic, ProviderKind::Openai] {
        let model = bench.model(kind, |_| {});
        let error = ask(&model, "Go [[sim: fault=truncated]]", &bench.scope()).await.unwrap_err();
        assert_eq!((error.code, error.billed), (Code::ModelStreamInterrupted, Billed::Possibly), "{error}");
    }
    bench.stop().await;
}

#[tokio::test]
async fn a_hanging_provider_is_cut_by_the_first_bound_that_applies() {
    let bench = Bench::start().await;
    let prompt = "Go [[sim: fault=hang]]";
    let short = Duration::from_millis(60);
    for (kind, stream) in WAYS {
        let model = bench.model(kind, |p| {
            p.stream = stream;
            p.first_token_timeout = short;
            p.unary_timeout = short;
        });
        let error = ask(&model, prompt, &bench.scope()).await.unwrap_err();
        assert_eq!(
            (error.code, error.class, error.billed),
            (Code::ModelTimeout, Class::Transient, Billed::Possibly)
        );
        assert!(error.message.contains("0.06 s"), "{error}");
    }
    let scope = CallScope { timeout: Some(short), ..bench.scope() };
    let error = ask(&bench.model(ProviderKind::Openai, |_| {}), prompt, &scope).await.unwrap_err();
    assert_eq!((error.code, error.class), (Code::JobTimeout, Class::Exhausted));
    bench.stop().await;
}

#[tokio::test]
async fn cancelling_a_call_closes_its_connection() {
    let bench = Bench::start().await;
    let model = bench.model(ProviderKind::Anthropic, |_| {});
    let scope = bench.scope();
    let (error, ()) = tokio::join!(ask(&model, "Go [[sim: fault=hang]]", &scope), async {
        until("the call arrived", || bench.sim.ledger().page().in_flight == 1).await;
        scope.cancel.cancel();
    });
    assert_eq!(error.unwrap_err().class, Class::Cancelled);
    until("the server saw it leave", || bench.sim.ledger().page().in_flight == 0).await;
    assert_eq!(bench.sim.ledger().page().totals.answered, 0);
    bench.stop().await;
}

#[tokio::test]
async fn an_abandoned_answer_does_not_count_as_answered() {
    let latency = LatencyOptions {
        first_token: Distribution::None,
        per_token: Distribution::Fixed { ms: 200.0 },
        ..LatencyOptions::default()
    };
    let bench = Bench::with(SimOptions { latency, ..SimOptions::default() }).await;
    let model = bench.model(ProviderKind::Openai, |p| p.total_timeout = Duration::from_millis(300));
    let error = ask(&model, "Write about tides", &bench.scope()).await.unwrap_err();
    assert_eq!(error.code, Code::ModelTimeout);
    until("the server saw it leave", || bench.sim.ledger().page().in_flight == 0).await;
    assert_eq!(bench.sim.ledger().page().totals.answered, 0);
    bench.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_is_down_was_never_billed() {
    // Bound and dropped: nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let mut provider = ProviderOptions::new(ProviderKind::Openai);
    provider.base_url = Some(format!("http://127.0.0.1:{port}/v1"));
    let error = ask(&model_of(provider), "Go", &lone_scope()).await.unwrap_err();
    assert_eq!(
        (error.code, error.class, error.billed),
        (Code::ModelUnreachable, Class::Transient, Billed::No)
    );
    assert!(error.message.contains("cannot be reached"), "{error}");
}

fn lone_scope() -> CallScope {
    CallScope::of_step(StepId::new("a/turn-1/model"))
}

/// A server that sends these bytes to its first client and then keeps the connection open.
async fn canned(answer: &'static str) -> ProviderOptions {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut provider = ProviderOptions::new(ProviderKind::Openai);
    provider.base_url = Some(format!("http://{}/v1", listener.local_addr().unwrap()));
    qd_env::Env::system().spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await;
        stream.write_all(answer.as_bytes()).await.unwrap();
        let _ = stream.read(&mut request).await;
    });
    provider
}

#[tokio::test]
async fn a_stream_that_stands_still_is_cut_and_one_that_has_finished_is_not() {
    let mut provider = canned(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n\
         data: {\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\n",
    )
    .await;
    provider.idle_timeout = Duration::from_millis(60);
    let error = ask(&model_of(provider), "Go", &lone_scope()).await.unwrap_err();
    assert_eq!(error.code, Code::ModelTimeout);
    assert!(error.message.contains("stood still for 0.06 s"), "{error}");

    let mut provider = canned(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n\
         data: {\"choices\":[{\"delta\":{\"content\":\"whole\"},\"finish_reason\":\"stop\"}]}\n\n",
    )
    .await;
    provider.idle_timeout = Duration::from_millis(60);
    let answer = ask(&model_of(provider), "Go", &lone_scope()).await.unwrap();
    assert_eq!(answer.reply.text, "whole");
    assert!(answer.usage.output_tokens > 0 && answer.usage.unpriced_calls == 1, "{:?}", answer.usage);
}

#[tokio::test]
async fn pings_do_not_pass_for_a_first_token() {
    let mut provider =
        canned("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: OPENROUTER PROCESSING\n\n").await;
    provider.first_token_timeout = Duration::from_millis(60);
    let error = ask(&model_of(provider), "Go", &lone_scope()).await.unwrap_err();
    assert!(error.message.contains("sent nothing of an answer within 0.06 s"), "{error}");
}

#[tokio::test]
async fn answers_beyond_the_byte_bound_are_not_read() {
    let bench = Bench::start().await;
    for (kind, stream) in WAYS {
        let model = bench.model(kind, |p| {
            p.stream = stream;
            p.max_body_bytes = 1024;
        });
        // Without `max_tokens` Anthropic answers at most 1024 tokens, which is still beyond the bound.
        let prompt = format!("Go [[sim: answer={}]]", "many words ".repeat(500));
        let error = ask(&model, &prompt, &bench.scope()).await.unwrap_err();
        assert_eq!((error.code, error.class), (Code::ModelBadOutput, Class::Permanent), "{error}");
    }
    bench.stop().await;
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let provider = canned(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
    )
    .await;
    let error = ask(&model_of(provider), "Go", &lone_scope()).await.unwrap_err();
    assert_eq!((error.status, error.class), (Some(307), Class::Permanent));
}
