//! Calls that wait for their turn, under paused time, before a simulated provider.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use qd_env::{Env, ManualClock};
use qd_types::{ChatRequest, Code, Message, StepId};
use serde_json::json;

use crate::{CallScope, Models, Options};

fn models(options: serde_json::Value) -> (Models, Arc<ManualClock>) {
    let mut all = Options::default();
    all.providers.insert("p".to_owned(), serde_json::from_value(options).unwrap());
    let clock = Arc::new(ManualClock::at(0));
    (Models::build(all, Env::with(clock.clone(), 7)).unwrap(), clock)
}

fn request(max_tokens: Option<u32>) -> ChatRequest {
    ChatRequest { max_tokens, ..ChatRequest::new("p/m", vec![Message::user("Say something.")]) }
}

fn scope(patience: u64) -> CallScope {
    let step = StepId::new("t/turn-1/model");
    CallScope { patience: Duration::from_secs(patience), ..CallScope::of_step(step) }
}

#[tokio::test(start_paused = true)]
async fn a_short_wait_is_waited_out_and_a_long_one_refused_without_a_call() {
    let (models, _) = models(json!({ "kind": "sim", "rpm": 6 }));
    let model = models.get("p/m").unwrap();
    for _ in 0..6 {
        model.call(&request(None), &scope(0)).await.unwrap();
    }
    let began = tokio::time::Instant::now();
    model.call(&request(None), &scope(15)).await.unwrap();
    assert_eq!(began.elapsed(), Duration::from_secs(10));
    let refused = model.call(&request(None), &scope(15)).await.unwrap_err();
    assert_eq!((refused.code, refused.was_made()), (Code::ModelBusy, false));
    assert_eq!(refused.retry_after, Some(Duration::from_secs(20)));
    assert_eq!(models.ledger("p").unwrap().page().totals.started, 7);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_while_it_waits_leaves_its_turn_to_the_next() {
    let (models, _) = models(json!({ "kind": "sim", "rpm": 60 }));
    let model = models.get("p/m").unwrap();
    for _ in 0..60 {
        model.call(&request(None), &scope(0)).await.unwrap();
    }
    let (request, patient) = (request(None), scope(15));
    let mut waiting: Vec<_> = (0..10).map(|_| model.call(&request, &patient)).collect();
    assert!(waiting.iter_mut().all(|call| call.now_or_never().is_none()));
    drop(waiting);
    let began = tokio::time::Instant::now();
    model.call(&request, &patient).await.unwrap();
    assert_eq!(began.elapsed(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn tokens_that_an_answer_did_not_use_are_there_for_the_next() {
    let (models, _) = models(json!({ "kind": "sim", "tpm": 2_000 }));
    let model = models.get("p/m").unwrap();
    // Each may use 1,500, and none does.
    for _ in 0..5 {
        model.call(&request(Some(1_500)), &scope(0)).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_closes_the_deployment_for_as_long_as_it_says() {
    let faults = json!([{ "kind": "429", "retry_after_seconds": 30, "first_tries": 1 }]);
    let (models, clock) = models(json!({ "kind": "sim", "sim": { "faults": faults } }));
    let model = models.get("p/m").unwrap();
    assert_eq!(model.call(&request(None), &scope(15)).await.unwrap_err().code, Code::ModelRateLimited);
    let refused = model.call(&request(None), &scope(15)).await.unwrap_err();
    assert_eq!((refused.code, refused.retry_after), (Code::ModelBusy, Some(Duration::from_secs(30))));
    clock.advance(Duration::from_secs(30));
    let again = CallScope { number: 2, ..scope(0) };
    model.call(&request(None), &again).await.unwrap();
}
