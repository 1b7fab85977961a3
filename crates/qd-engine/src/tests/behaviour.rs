//! Tries, bounds, time, stopping, revocation, conversations.

use std::time::Duration;

use qd_types::{Class, Code, ConversationId, Entry, JobStatus, LogItem, TenantId};
use serde_json::json;

use super::{Bench, accept, entries, finished, job, parking, quick};
use crate::{Limits, Options};

#[tokio::test(start_paused = true)]
async fn short_waits_for_the_next_try_are_waited_out_in_the_slot() {
    let bench = Bench::start(quick()).await;
    let id = bench.submit("hello [[sim: fault=503 times=2]]").await;
    let job = finished(&bench.store, id).await;
    assert_eq!((job.status, job.attempt, job.error), (JobStatus::Succeeded, 1, None));
    let failed =
        entries(&bench.store, id).await.into_iter().filter(|e| matches!(e, Entry::CallFailed { .. }));
    assert_eq!((failed.count(), bench.calls().calls.len()), (2, 3));
}

#[tokio::test(start_paused = true)]
async fn longer_waits_give_the_slot_back_and_the_tries_are_journaled() {
    let bench = Bench::start(parking()).await;
    let id = bench.submit("hello [[sim: fault=503 times=2]]").await;
    let job = finished(&bench.store, id).await;
    assert_eq!((job.status, job.attempt, job.error), (JobStatus::Succeeded, 3, None));
    let failed =
        entries(&bench.store, id).await.into_iter().filter(|e| matches!(e, Entry::CallFailed { .. })).count();
    assert_eq!(failed, 2);
    let calls = bench.calls().calls;
    assert_eq!(calls.len(), 3, "three tries of one step: {calls:?}");
    let log = bench.store.log(&TenantId::default(), id, 0, 100).await.unwrap().unwrap();
    let retries = log.iter().filter(|l| {
        matches!(&l.item, LogItem::Status { status: JobStatus::Retrying, at: Some(_), failure: Some(_), .. })
    });
    assert_eq!(retries.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn step_gives_up_after_its_tries() {
    let bench = Bench::start(quick()).await;
    let mut hopeless = job(&bench.env, "plain", "message", "hello [[sim: fault=503]]");
    hopeless.max_attempts = 3;
    let id = accept(&bench.store, hopeless).await;
    let error = finished(&bench.store, id).await.error.unwrap();
    assert_eq!((error.class, error.task.unwrap().as_str()), (Class::Exhausted, "answer"));
    assert!(error.message.ends_with("gave up after 3 tries"), "{}", error.message);
    assert_eq!(bench.calls().totals.started, 3);
}

#[tokio::test(start_paused = true)]
async fn permanent_failure_fails_the_job_at_once() {
    let bench = Bench::start(quick()).await;
    let id = bench.submit("hello [[sim: fault=401]]").await;
    let job = finished(&bench.store, id).await;
    let error = job.error.unwrap();
    assert_eq!((job.status, error.class, error.code), (JobStatus::Failed, Class::Permanent, Code::ModelAuth));
    assert_eq!(bench.calls().totals.started, 1);
}

#[tokio::test(start_paused = true)]
async fn wait_that_the_provider_asks_for_is_kept() {
    let bench = Bench::start(quick()).await;
    let id = bench.submit("hello [[sim: fault=429 retry_after=40s times=1]]").await;
    let job = finished(&bench.store, id).await;
    assert_eq!(job.status, JobStatus::Succeeded);
    let waited = job.finished_at.unwrap().since(job.started_at.unwrap());
    assert!(waited >= Duration::from_secs(40) && waited < Duration::from_secs(46), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn job_stops_exactly_at_its_limit_of_calls() {
    for (limits, code, calls) in [
        (Limits { model_calls: 2, ..Limits::default() }, Code::TooManyModelCalls, 2),
        (Limits { tool_calls: 1, ..Limits::default() }, Code::TooManyToolCalls, 1),
    ] {
        let bench = Bench::start(Options { limits, ..quick() }).await;
        let wish = "what is 1 + 1? [[sim: tool=calculator times=9]]";
        let id = accept(&bench.store, job(&bench.env, "sums", "question", wish)).await;
        let ended = finished(&bench.store, id).await;
        assert_eq!(ended.error.map(|e| (e.code, e.class)), Some((code, Class::Exhausted)));
        let made =
            if code == Code::TooManyModelCalls { ended.usage.model_calls } else { ended.usage.tool_calls };
        assert_eq!(made, calls);
    }
}

#[tokio::test(start_paused = true)]
async fn job_fails_when_its_running_time_is_up() {
    let bench = Bench::start(quick()).await;
    let mut slow = job(&bench.env, "plain", "message", "hello [[sim: latency=60s]]");
    slow.timeout_seconds = 2;
    let id = accept(&bench.store, slow).await;
    let ended = finished(&bench.store, id).await;
    assert_eq!(ended.error.map(|e| e.code), Some(Code::JobTimeout));
    assert_eq!(ended.finished_at.unwrap().since(ended.started_at.unwrap()).as_secs(), 2);
    assert_eq!(bench.calls().in_flight, 0, "the call in flight was dropped");
}

#[tokio::test(start_paused = true)]
async fn stopping_engine_finishes_calls_in_flight_and_releases_its_jobs() {
    let bench = Bench::start(quick()).await;
    let wish = "what is 2 + 2? [[sim: latency=5s]]";
    let id = accept(&bench.store, job(&bench.env, "sums", "question", wish)).await;
    bench.in_flight(1).await;
    bench.engine.stop().await;
    let job = bench.store.job(&TenantId::default(), id).await.unwrap().unwrap();
    assert_eq!(
        (job.status, job.usage.model_calls, job.crashes),
        (JobStatus::Queued, 1, 0),
        "journaled and handed back"
    );
}

#[tokio::test(start_paused = true)]
async fn call_that_outlasts_the_drain_is_dropped_without_burning_a_try() {
    let options = Options { drain_timeout: Duration::from_secs(3), ..quick() };
    let bench = Bench::start(options).await;
    let id = bench.submit("hello [[sim: latency=100s]]").await;
    bench.in_flight(1).await;
    bench.engine.stop().await;
    assert_eq!(bench.models.ledger("sim").unwrap().page().in_flight, 0);
    let job = bench.store.job(&TenantId::default(), id).await.unwrap().unwrap();
    assert_eq!(job.status, JobStatus::Queued);
    let log = bench.store.log(&TenantId::default(), id, 0, 100).await.unwrap().unwrap();
    let past = crate::resume::Past::read(&log, |_| {});
    assert_eq!((past.model_calls, past.tries_of(&qd_types::StepId::new("answer/turn-1/model"))), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn cancelled_job_drops_its_call_and_starts_no_other() {
    let bench = Bench::start(quick()).await;
    let id = bench.submit("hello [[sim: latency=100s]]").await;
    bench.in_flight(1).await;
    bench.store.cancel(&TenantId::default(), id).await.unwrap();
    bench.in_flight(0).await;
    assert_eq!(bench.calls().totals.started, 1);
    let job = bench.store.job(&TenantId::default(), id).await.unwrap().unwrap();
    assert_eq!(job.status, JobStatus::Cancelled);
    while bench.engine.in_flight().count() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_jobs_run_than_there_are_slots() {
    let bench = Bench::start(Options { slots: 3, ..quick() }).await;
    let mut ids = Vec::new();
    for _ in 0..12 {
        ids.push(bench.submit("hello [[sim: latency=1s]]").await);
    }
    for id in ids {
        assert_eq!(finished(&bench.store, id).await.status, JobStatus::Succeeded);
    }
    assert_eq!(bench.calls().max_in_flight, 3);
}

#[tokio::test(start_paused = true)]
async fn conversation_brings_its_history_along() {
    let bench = Bench::start(quick()).await;
    for (n, text) in ["my name is Ada [[sim: answer=Hello Ada]]", "what is my name?"].into_iter().enumerate()
    {
        let mut talk = job(&bench.env, "plain", "message", text);
        talk.conversation = Some(ConversationId::new("ada"));
        let id = accept(&bench.store, talk).await;
        finished(&bench.store, id).await;
        let all = entries(&bench.store, id).await;
        let Entry::Fact { value, .. } = &all[0] else { panic!("{all:?}") };
        let expected = match n {
            0 => json!([]),
            _ => json!([
                {"role": "user", "text": "my name is Ada [[sim: answer=Hello Ada]]"},
                {"role": "assistant", "text": "Hello Ada"}
            ]),
        };
        assert_eq!(*value, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn crew_version_that_is_not_there_fails_the_job_with_its_name() {
    let bench = Bench::start(quick()).await;
    let id = accept(&bench.store, job(&bench.env, "ghost", "message", "x")).await;
    let error = finished(&bench.store, id).await.error.unwrap();
    assert_eq!(error.code, Code::CrewUnavailable);
    assert!(error.message.contains("`ghost` version 1"), "{}", error.message);
}

#[tokio::test(start_paused = true)]
async fn job_of_another_machine_version_is_not_touched_by_this_one() {
    let bench = Bench::start(quick()).await;
    let mut newer = job(&bench.env, "plain", "message", "x");
    newer.machine_version = 99;
    let id = accept(&bench.store, newer).await;
    let ended = finished(&bench.store, id).await;
    assert_eq!((ended.error.unwrap().code, ended.usage.model_calls), (Code::CrewUnavailable, 0));
}

#[tokio::test(start_paused = true)]
async fn call_cut_by_the_end_of_time_stands_in_the_journal() {
    let bench = Bench::start(quick()).await;
    for _ in 0..20 {
        let mut slow = job(&bench.env, "plain", "message", "hello [[sim: latency=60s]]");
        slow.timeout_seconds = 1;
        let id = accept(&bench.store, slow).await;
        finished(&bench.store, id).await;
        let all = entries(&bench.store, id).await;
        assert!(
            matches!(&all[..], [Entry::CallFailed { call, .. }] if call.target == "sim/standard"),
            "{all:?}"
        );
    }
}
