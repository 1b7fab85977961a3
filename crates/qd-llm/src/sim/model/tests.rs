//! The simulator in this process: answers, deltas, faults, bounds and the ledger.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use qd_env::{Env, ManualClock};
use qd_types::{Billed, ChatRequest, Class, Code, Message, StepId, StopReason};

use crate::sim::{
    Distribution, FaultKind, FaultRule, LatencyOptions, LoadOptions, Sim, SimOptions, WarmUpOptions,
};
use crate::{CallError, CallScope, ChatModel, DeltaSink, SimModel};

fn request(prompt: &str) -> ChatRequest {
    ChatRequest::new("sim/demo", vec![Message::user(prompt)])
}

fn scope() -> CallScope {
    CallScope::of_step(StepId::new("write/turn-1/model"))
}

fn model(options: SimOptions) -> SimModel {
    SimModel::new(Sim::new(options, Env::system()), "demo")
}

async fn fail(prompt: &str, scope: &CallScope) -> CallError {
    model(SimOptions::default()).call(&request(prompt), scope).await.unwrap_err()
}

#[derive(Default)]
struct Heard(Mutex<Vec<(u64, String)>>);

impl DeltaSink for Heard {
    fn push(&self, offset: u64, text: &str) {
        self.0.lock().unwrap().push((offset, text.to_owned()));
    }
}

#[tokio::test]
async fn an_answer_has_text_usage_and_a_price() {
    let answer = model(SimOptions::default()).call(&request("Write about tea"), &scope()).await.unwrap();
    assert!(answer.reply.text.contains("tea"), "{}", answer.reply.text);
    assert_eq!(answer.reply.stop, StopReason::End);
    assert_eq!(answer.usage.model_calls, 1);
    assert!(answer.usage.input_tokens > 0 && answer.usage.output_tokens > 10);
    assert!(answer.cost.0 > 0);
}

#[tokio::test]
async fn deltas_add_up_to_the_text() {
    let heard = Arc::new(Heard::default());
    let scope = CallScope { deltas: Some(heard.clone()), ..scope() };
    let answer = model(SimOptions::default()).call(&request("Write about tea"), &scope).await.unwrap();
    let mut text = String::new();
    for (offset, piece) in heard.0.lock().unwrap().iter() {
        assert_eq!(*offset, text.len() as u64);
        text.push_str(piece);
    }
    assert_eq!(text, answer.reply.text);
    assert!(heard.0.lock().unwrap().len() > 5);
}

#[tokio::test(start_paused = true)]
async fn latency_is_spent_before_the_first_token_and_between_tokens() {
    let latency = LatencyOptions {
        first_token: Distribution::Fixed { ms: 400.0 },
        per_token: Distribution::Fixed { ms: 10.0 },
        ..LatencyOptions::default()
    };
    let model = model(SimOptions { latency, ..SimOptions::default() });
    let start = tokio::time::Instant::now();
    let answer = model.call(&request("Say [[sim: answer=one two three]]"), &scope()).await.unwrap();
    assert_eq!(answer.reply.text, "one two three");
    assert_eq!(start.elapsed(), Duration::from_millis(420));
}

#[tokio::test(start_paused = true)]
async fn a_cold_and_a_full_house_are_slow() {
    let latency = LatencyOptions {
        first_token: Distribution::Fixed { ms: 100.0 },
        per_token: Distribution::Fixed { ms: 10.0 },
        warm_up: WarmUpOptions { seconds: 60.0, factor: 4.0 },
        ..LatencyOptions::default()
    };
    let load = LoadOptions { max_concurrency: Some(2), queue: 5, factor: 3.0 };
    let clock = Arc::new(ManualClock::at(0));
    let sim = Sim::new(SimOptions { latency, load, ..SimOptions::default() }, Env::with(clock.clone(), 0));
    let model = SimModel::new(sim, "demo");
    let request = request("Say [[sim: answer=one two three]]");
    let timed = async || {
        let start = tokio::time::Instant::now();
        model.call(&request, &scope()).await.unwrap();
        start.elapsed().as_millis()
    };
    assert_eq!(timed().await, 480, "four times as long at first");
    clock.advance(Duration::from_secs(30));
    assert_eq!(timed().await, 300, "half of the way back");
    clock.advance(Duration::from_secs(30));
    assert_eq!(timed().await, 120);
    // Two places: the second of them is three times as slow, the third call waits for the first place to be free.
    let (first, second, third) = tokio::join!(timed(), timed(), timed());
    assert_eq!((first, second, third), (120, 360, 480));
}

#[tokio::test(start_paused = true)]
async fn each_fault_is_the_failure_that_a_provider_would_cause() {
    for (fault, code, class, billed) in [
        ("400", Code::ModelInvalidRequest, Class::Permanent, Billed::No),
        ("401", Code::ModelAuth, Class::Permanent, Billed::No),
        ("404", Code::ModelNotFound, Class::Permanent, Billed::No),
        ("429", Code::ModelRateLimited, Class::RateLimited, Billed::No),
        ("500", Code::ModelServerError, Class::Transient, Billed::No),
        ("503", Code::ModelOverloaded, Class::Overloaded, Billed::No),
        ("529", Code::ModelOverloaded, Class::Overloaded, Billed::No),
        ("hang", Code::ModelTimeout, Class::Transient, Billed::Possibly),
        ("reset", Code::ModelStreamInterrupted, Class::Transient, Billed::Possibly),
        ("cut", Code::ModelStreamInterrupted, Class::Transient, Billed::Possibly),
        ("truncated", Code::ModelStreamInterrupted, Class::Transient, Billed::Possibly),
        ("html", Code::ModelBadOutput, Class::Transient, Billed::Possibly),
        ("garbage", Code::ModelBadOutput, Class::Transient, Billed::Possibly),
        ("empty", Code::ModelBadOutput, Class::Transient, Billed::Yes),
    ] {
        let error = fail(&format!("Go [[sim: fault={fault}]]"), &scope()).await;
        assert_eq!((error.code, error.class, error.billed), (code, class, billed), "{fault}: {error}");
    }
}

#[tokio::test]
async fn a_scripted_fault_hits_the_first_tries_of_each_step() {
    let rule =
        FaultRule { retry_after_seconds: Some(2.5), ..FaultRule::first_tries(FaultKind::Status(429), 2) };
    let model = model(SimOptions { faults: vec![rule], ..SimOptions::default() });
    for number in 1..=3 {
        let result = model.call(&request("Go"), &CallScope { number, ..scope() }).await;
        match result {
            Err(error) => {
                assert!(number <= 2);
                assert_eq!(error.retry_after, Some(Duration::from_millis(2500)));
            }
            Ok(_) => assert_eq!(number, 3),
        }
    }
    let page = model.sim.ledger().page();
    assert_eq!((page.totals.started, page.totals.answered, page.totals.faulted), (3, 1, 2));
    assert!(page.calls.contains_key("-/write/turn-1/model/3"), "{page:?}");
}

#[tokio::test]
async fn faults_by_rate_hit_about_their_share_and_the_same_ones_again() {
    let rule = FaultRule::at_rate(FaultKind::Status(500), 0.2);
    let model = model(SimOptions { faults: vec![rule], seed: 42, ..SimOptions::default() });
    let mut hits = [Vec::new(), Vec::new()];
    for round in &mut hits {
        for n in 0..500 {
            let scope = CallScope::of_step(StepId::new(format!("task-{n}/turn-1/model")));
            round.push(model.call(&request("Go"), &scope).await.is_err());
        }
    }
    assert_eq!(hits[0], hits[1]);
    let count = hits[0].iter().filter(|hit| **hit).count();
    assert!((70..=130).contains(&count), "{count} of 500");
}

#[tokio::test]
async fn faults_match_models_and_prompts() {
    let faults = vec![
        FaultRule { model: Some("big".to_owned()), ..FaultRule::always(FaultKind::Status(500)) },
        FaultRule { prompt: Some("poison".to_owned()), ..FaultRule::always(FaultKind::Status(400)) },
    ];
    let sim = Sim::new(SimOptions { faults, ..SimOptions::default() }, Env::system());
    let ask = async |name: &str, prompt: &str| {
        SimModel::new(sim.clone(), name).call(&request(prompt), &scope()).await.err().and_then(|e| e.status)
    };
    assert_eq!(ask("small", "tea").await, None);
    assert_eq!(ask("big-2", "tea").await, Some(500));
    assert_eq!(ask("small", "a poison").await, Some(400));
}

#[tokio::test(start_paused = true)]
async fn cancellation_and_the_outer_deadline_end_a_call() {
    let cancelled = scope();
    cancelled.cancel.cancel();
    let error = fail("Go", &cancelled).await;
    assert_eq!((error.code, error.class, error.billed), (Code::JobCancelled, Class::Cancelled, Billed::No));

    let later = scope();
    let (_, error) = tokio::join!(
        async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            later.cancel.cancel();
        },
        fail("Go [[sim: fault=hang]]", &later)
    );
    assert_eq!((error.class, error.billed), (Class::Cancelled, Billed::Possibly));

    let short = CallScope { timeout: Some(Duration::from_secs(2)), ..scope() };
    let error = fail("Go [[sim: latency=5s]]", &short).await;
    assert_eq!((error.code, error.class), (Code::JobTimeout, Class::Exhausted));

    let error = fail("Go [[sim: latency=40s]]", &scope()).await;
    assert_eq!(error.message, "provider `sim`, model `demo`: sent nothing of an answer within 30 s");
}
