//! Orders given while the simulator runs, and its limits over HTTP.

use std::time::Duration;

use qd_types::{Billed, Class, Code};
use serde_json::{Value, json};

use super::{Bench, WAYS, ask, eventually, model_of, until};
use crate::sim::{FaultKind, FaultRule, LimitOptions, SimOptions};
use crate::{ProviderKind, ProviderOptions, Secret};

async fn order(bench: &Bench, order: &Value) -> (u16, Value) {
    let request = reqwest::Client::new().post(format!("{}/control", bench.url)).body(order.to_string());
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
}

#[tokio::test]
async fn an_outage_is_switched_on_and_off() {
    let bench = Bench::start().await;
    let (status, state) =
        order(&bench, &json!({ "outage": { "kind": "529", "retry_after_seconds": 7 }, "seconds": 600 }))
            .await;
    assert_eq!((status, state["outage"]["kind"].as_str()), (200, Some("529")));
    let left = state["outage"]["seconds_left"].as_f64().unwrap();
    assert!((500.0..=600.0).contains(&left), "{left}");
    for (kind, stream) in WAYS {
        let model = bench.model(kind, |p| p.stream = stream);
        let error = ask(&model, "Go [[sim: answer=x]]", &bench.scope()).await.unwrap_err();
        assert_eq!((error.status, error.retry_after), (Some(529), Some(Duration::from_secs(7))), "{error}");
    }
    let (_, state) = order(&bench, &json!({ "outage": null, "reset": ["ledger"] })).await;
    assert_eq!(state["outage"], Value::Null);
    let model = bench.model(ProviderKind::Openai, |_| {});
    ask(&model, "Go", &bench.scope()).await.unwrap();
    until("the call is over", || bench.sim.ledger().page().in_flight == 0).await;
    let totals = bench.sim.ledger().page().totals;
    assert_eq!((totals.started, totals.faulted), (1, 0));
    bench.stop().await;
}

#[tokio::test]
async fn a_brown_out_takes_its_share_of_one_model() {
    let bench = Bench::start().await;
    order(&bench, &json!({ "outage": { "kind": "503", "rate": 0.5, "model": "demo" } })).await;
    let model = bench.model(ProviderKind::Openai, |p| p.breaker.failures = 0);
    let mut failed = 0;
    for _ in 0..60 {
        failed += usize::from(ask(&model, "Go", &bench.scope()).await.is_err_and(|e| e.status == Some(503)));
    }
    assert!((10..=50).contains(&failed), "{failed} of 60");
    order(&bench, &json!({ "outage": { "kind": "503", "model": "other" } })).await;
    ask(&model, "Go", &bench.scope()).await.unwrap();
    bench.stop().await;
}

#[tokio::test]
async fn a_refused_outage_closes_the_address_and_cuts_who_is_there() {
    let bench = Bench::start().await;
    let model = bench.model(ProviderKind::Openai, |_| {});
    let scope = bench.scope();
    let (cut, (status, _)) = tokio::join!(ask(&model, "Go [[sim: fault=hang]]", &scope), async {
        until("the call arrived", || bench.sim.ledger().page().in_flight == 1).await;
        order(&bench, &json!({ "outage": { "kind": "refused" }, "seconds": 600 })).await
    });
    assert_eq!(status, 200, "who gave the order hears of it");
    let error = cut.unwrap_err();
    assert_eq!((error.code, error.billed), (Code::ModelStreamInterrupted, Billed::Possibly), "{error}");

    let error = ask(&model, "Go", &bench.scope()).await.unwrap_err();
    assert_eq!(
        (error.code, error.class, error.billed),
        (Code::ModelUnreachable, Class::Transient, Billed::No),
        "{error}"
    );
    bench.sim.end_outage();
    eventually("the address is open", async || ask(&model, "Go", &bench.scope()).await.is_ok()).await;
    bench.stop().await;
}

#[tokio::test]
async fn a_refused_outage_ends_by_itself() {
    let bench = Bench::start().await;
    let (status, _) = order(&bench, &json!({ "outage": { "kind": "refused" }, "seconds": 0.4 })).await;
    assert_eq!(status, 200);
    let is_over = || bench.sim.faults.outage().is_none();
    let url = format!("{}/control", bench.url);
    eventually("the address is open", async || is_over() && reqwest::get(&url).await.is_ok()).await;
    bench.stop().await;
}

#[tokio::test]
async fn a_stop_during_a_refused_outage_is_heeded() {
    let bench = Bench::start().await;
    bench.sim.start_outage(FaultRule::always(FaultKind::Refused), None);
    let url = format!("{}/control", bench.url);
    eventually("the address is closed", async || reqwest::get(&url).await.is_err()).await;
    bench.stop().await;
}

#[tokio::test]
async fn orders_that_make_no_sense_say_why() {
    let bench = Bench::start().await;
    for (text, message) in [
        (json!("down"), "invalid type: string \"down\", expected struct Order"),
        (json!({ "outtage": null }), "unknown field `outtage`"),
        (json!({ "outage": { "kind": "lightning" } }), "`lightning` is no fault"),
        (json!({ "outage": { "kind": "503", "rate": 2 } }), "outage.rate: is a probability, from 0 to 1"),
        (json!({ "outage": { "kind": "503" }, "seconds": 0 }), "seconds: must be above 0"),
        (json!({ "outage": null, "seconds": 5 }), "seconds: say with them which outage is meant"),
        (json!({ "outage": { "kind": "refused" } }), "takes no order to end it either"),
        (json!({ "reset": ["everything"] }), "unknown variant `everything`"),
    ] {
        let (status, answer) = order(&bench, &text).await;
        let said = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(status == 400 && said.contains(message), "{text}: {status} {said}");
    }
    let (status, _) =
        order(&bench, &json!({ "outage": { "kind": "503", "prompt": "x".repeat(70_000) } })).await;
    assert_eq!(status, 400);
    assert!(bench.sim.faults.outage().is_none(), "nothing was switched on");
    bench.stop().await;
}

fn two_a_minute() -> SimOptions {
    let limits = LimitOptions { requests_per_minute: Some(2), ..LimitOptions::default() };
    SimOptions { limits: vec![limits], ..SimOptions::default() }
}

#[tokio::test]
async fn limits_count_down_on_every_answer_and_then_refuse_with_a_wait() {
    for (kind, stream) in WAYS {
        let bench = Bench::with(two_a_minute()).await;
        let model = bench.model(kind, |p| p.stream = stream);
        for left in [1, 0] {
            let answer = ask(&model, "Go", &bench.scope()).await.unwrap();
            let seen = answer.limits.requests.unwrap();
            assert_eq!((seen.limit, seen.remaining), (Some(2), Some(left)), "{kind:?} {stream}");
        }
        let error = ask(&model, "Go", &bench.scope()).await.unwrap_err();
        let found = (error.code, error.class, error.billed);
        assert_eq!(found, (Code::ModelRateLimited, Class::RateLimited, Billed::No), "{error}");
        let wait = error.retry_after.unwrap();
        assert!(wait > Duration::from_secs(5) && wait <= Duration::from_secs(30), "{wait:?}");
        // Another key has room of its own, and an order makes everything whole.
        let other = bench.model(kind, |p| p.api_key = Some(Secret::new("another")));
        ask(&other, "Go", &bench.scope()).await.unwrap();
        order(&bench, &json!({ "reset": ["limits"] })).await;
        ask(&model, "Go", &bench.scope()).await.unwrap();
        bench.stop().await;
    }
}

#[tokio::test]
async fn limits_hold_in_the_process_as_over_http() {
    let bench = Bench::with(two_a_minute()).await;
    let over_http = bench.model(ProviderKind::Sim, |_| {});
    let inside = model_of(ProviderOptions { sim: two_a_minute(), ..ProviderOptions::new(ProviderKind::Sim) });
    for left in [1, 0] {
        for model in [&over_http, &inside] {
            let seen = ask(model, "Go", &bench.scope()).await.unwrap().limits.requests.unwrap();
            assert_eq!((seen.limit, seen.remaining), (Some(2), Some(left)));
        }
    }
    for model in [&over_http, &inside] {
        let error = ask(model, "Go", &bench.scope()).await.unwrap_err();
        assert_eq!((error.code, error.status), (Code::ModelRateLimited, Some(429)), "{error}");
        assert!(error.message.contains("Rate limit reached for demo in organization org-sim on requests per min (RPM): Limit 2, Used 2, Requested 1."), "{error}");
        assert!(error.retry_after.unwrap() > Duration::from_secs(5));
    }
    bench.stop().await;
}

#[tokio::test]
async fn each_limit_is_told_apart_on_every_way() {
    let none = LimitOptions::default();
    for (limits, code, class) in [
        (LimitOptions { context_tokens: Some(1), ..none.clone() }, Code::ContextLength, Class::Permanent),
        (LimitOptions { spend_usd: Some(0.0), ..none }, Code::ModelQuota, Class::Quota),
    ] {
        let options = SimOptions { limits: vec![limits], ..SimOptions::default() };
        let bench = Bench::with(options.clone()).await;
        let inside = model_of(ProviderOptions { sim: options, ..ProviderOptions::new(ProviderKind::Sim) });
        let error = ask(&inside, "Go", &bench.scope()).await.unwrap_err();
        assert_eq!((error.code, error.class, error.retry_after), (code, class, None), "in process: {error}");
        for (kind, stream) in WAYS {
            let model = bench.model(kind, |p| p.stream = stream);
            let error = ask(&model, "Go", &bench.scope()).await.unwrap_err();
            assert_eq!(
                (error.code, error.class, error.retry_after),
                (code, class, None),
                "{kind:?}: {error}"
            );
        }
        bench.stop().await;
    }
}
