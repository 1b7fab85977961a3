//! Breakers and fallbacks as jobs meet them.

use std::sync::Arc;
use std::time::Duration;

use qd_llm::sim::FaultRule;
use qd_llm::{ModelOptions, ProviderKind, ProviderOptions, Standing};
use qd_types::{Code, Entry, JobStatus, LogItem, TenantId, WorkerId};

use super::{Bench, PLAIN, accept, catalog, entries, finished, job, publish, quick};
use crate::{Engine, Plans};

/// A provider that always fails, and `main`, which is a model there.
fn sick(fault: &'static str, fallback: &'static [&'static str]) -> impl FnOnce(&mut qd_llm::Options) {
    move |options| {
        let mut provider = ProviderOptions::new(ProviderKind::Sim);
        provider.sim.faults = vec![FaultRule::always(fault.parse().unwrap())];
        options.providers.insert("sick".into(), provider);
        let main = ModelOptions {
            provider: "sick".into(),
            model: "standard".into(),
            fallback: fallback.iter().map(|name| (*name).to_owned()).collect(),
            ..ModelOptions::default()
        };
        options.models.insert("main".into(), main);
    }
}

const MAIN: &str = r#"
name: chained
agents:
  clerk: {role: Clerk, goal: Answer, backstory: You are exact., llm: main}
tasks:
  - {name: answer, description: "{message}", expected_output: An answer, agent: clerk}
"#;

async fn started(bench: &Bench, provider: &str) -> u64 {
    bench.models.ledger(provider).unwrap().page().totals.started
}

fn targets(entries: &[Entry]) -> Vec<(String, bool)> {
    entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Model { call, .. } => Some((call.target.clone(), true)),
            Entry::CallFailed { call, .. } => Some((call.target.clone(), false)),
            _ => None,
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn jobs_of_a_model_that_is_left_alone_wait_without_spending_tries() {
    let bench = Bench::start(quick()).await;
    // Five jobs that fail for good open the breaker.
    for _ in 0..5 {
        let mut failing = job(&bench.env, "plain", "message", "hello [[sim: fault=503]]");
        failing.max_attempts = 1;
        let ended = finished(&bench.store, accept(&bench.store, failing).await).await;
        assert_eq!(ended.error.map(|e| e.code), Some(Code::ModelOverloaded));
    }
    assert_eq!(bench.models.deployments()[0].breaker, Standing::Open);
    let mut patient = job(&bench.env, "plain", "message", "hello");
    patient.max_attempts = 1;
    let id = accept(&bench.store, patient).await;
    let ended = finished(&bench.store, id).await;
    assert_eq!(ended.status, JobStatus::Succeeded);
    let waited = ended.finished_at.unwrap().since(ended.started_at.unwrap());
    assert!(waited >= Duration::from_secs(29) && waited < Duration::from_secs(36), "{waited:?}");
    assert_eq!(started(&bench, "sim").await, 6, "no call was made in between");
    let log = bench.store.log(&TenantId::default(), id, 0, 100).await.unwrap().unwrap();
    let parked = log.iter().any(|logged| {
        matches!(&logged.item, LogItem::Status { failure: Some(f), .. } if f.code == Code::ModelCircuitOpen)
    });
    assert!(parked, "the job says why it waits");
    assert_eq!(bench.models.deployments()[0].breaker, Standing::Closed);
}

#[tokio::test(start_paused = true)]
async fn doubt_outlives_a_call_that_a_guard_refused() {
    let bench = Bench::start(quick()).await;
    // A worker that is not this engine takes the job up, sends a call perhaps, and dies.
    let options = qd_store::Options {
        leases: qd_store::Leases::For(Duration::from_secs(30)),
        ..qd_store::Options::default()
    };
    let store = qd_store::open(&options, &bench.env).unwrap();
    publish(&store, &catalog(&bench.env), PLAIN).await;
    let id = accept(&store, job(&bench.env, "plain", "message", "hello")).await;
    assert_eq!(store.claim(&WorkerId::new("dead"), 1).await.unwrap().len(), 1);
    tokio::time::advance(Duration::from_secs(31)).await;
    assert_eq!(store.tick(10).await.unwrap().rescued, 1);
    // The breaker is open when the next worker wants to repeat that call.
    for _ in 0..5 {
        let mut failing = job(&bench.env, "plain", "message", "hello [[sim: fault=503]]");
        failing.max_attempts = 1;
        finished(&bench.store, accept(&bench.store, failing).await).await;
    }
    assert_eq!(bench.models.deployments()[0].breaker, Standing::Open);
    let plans = Plans::new(store.clone(), catalog(&bench.env));
    let (models, metrics) = (Arc::clone(&bench.models), Arc::default());
    let _engine = Engine::start(quick(), store.clone(), models, plans, bench.env.clone(), &metrics);
    let ended = finished(&store, id).await;
    assert_eq!(ended.status, JobStatus::Succeeded);
    assert!(ended.attempt >= 3, "it waited for the model in between: {}", ended.attempt);
    let marks: Vec<u32> = entries(&store, id)
        .await
        .iter()
        .filter_map(|entry| match entry {
            Entry::Model { call, .. } => Some(call.possibly_billed),
            _ => None,
        })
        .collect();
    assert_eq!(marks, [1], "the dead worker's call is accounted for once it is really repeated");
}

#[tokio::test(start_paused = true)]
async fn one_probe_at_a_time_finds_out_whether_the_provider_is_back() {
    let bench = Bench::with_models(quick(), sick("503", &[])).await;
    bench.publish(MAIN).await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        let mut new = job(&bench.env, "chained", "message", "hello");
        new.expires_at = Some(bench.env.now().plus(Duration::from_secs(3_600)));
        ids.push(accept(&bench.store, new).await);
    }
    for id in ids {
        finished(&bench.store, id).await;
    }
    // 16 slots see the outage at once; then 30, 60, 120, 240 s and every 300 s one call looks.
    let calls = started(&bench, "sick").await;
    assert!((16..=16 + 5 + 12).contains(&calls), "{calls} calls in an hour of outage");
}

#[tokio::test(start_paused = true)]
async fn the_next_model_of_the_chain_answers_at_once() {
    for (fault, code) in
        [("503", Code::ModelOverloaded), ("401", Code::ModelAuth), ("429", Code::ModelRateLimited)]
    {
        let bench = Bench::with_models(quick(), sick(fault, &["sim/standard"])).await;
        let id = submit_to_main(&bench).await;
        let ended = finished(&bench.store, id).await;
        assert_eq!(ended.status, JobStatus::Succeeded, "{fault}: {:?}", ended.error);
        assert_eq!(ended.attempt, 1, "{fault}: in the same slot");
        let entries = entries(&bench.store, id).await;
        assert_eq!(targets(&entries), [("main".to_owned(), false), ("sim/standard".to_owned(), true)]);
        let failed = entries.iter().find_map(|entry| match entry {
            Entry::CallFailed { failure, .. } => Some(failure.code),
            _ => None,
        });
        assert_eq!(failed, Some(code));
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_left_alone_is_passed_over() {
    let bench = Bench::with_models(quick(), sick("503", &["sim/standard"])).await;
    for n in 0..12 {
        let id = submit_to_main(&bench).await;
        assert_eq!(finished(&bench.store, id).await.status, JobStatus::Succeeded);
        let targets = targets(&entries(&bench.store, id).await);
        let asked_main = targets.iter().any(|(target, _)| target == "main");
        assert_eq!(asked_main, n < 5, "job {n}: {targets:?}");
    }
    assert_eq!(started(&bench, "sick").await, 5);
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_fails_as_a_whole_fails_the_job_with_its_last_reason() {
    let bench = Bench::with_models(quick(), sick("401", &["sick/other"])).await;
    let ended = finished(&bench.store, submit_to_main(&bench).await).await;
    assert_eq!(ended.error.map(|e| e.code), Some(Code::ModelAuth));
    assert_eq!(started(&bench, "sick").await, 2, "each model of the chain was asked once");
}

/// A job of a crew whose agent uses `main`.
async fn submit_to_main(bench: &Bench) -> qd_types::JobId {
    bench.publish(MAIN).await;
    accept(&bench.store, job(&bench.env, "chained", "message", "hello")).await
}
