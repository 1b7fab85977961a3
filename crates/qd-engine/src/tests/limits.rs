//! What a crew file bounds: time of a task, calls a minute, tokens; and cancels at any moment.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use qd_testkit::{Crash, CrashPoint, When};
use qd_types::{Code, Entry, JobStatus, LogItem, TenantId};

use super::{Bench, PLAIN, accept, finished, job, quick};
use crate::{Limits, Options};

fn crew(agent: &str) -> String {
    PLAIN.replace("backstory: You are exact.", &format!("backstory: You are exact., {agent}"))
}

#[tokio::test(start_paused = true)]
async fn task_fails_when_the_time_of_its_agent_is_up() {
    let bench = Bench::start(quick()).await;
    bench.publish(&crew("max_execution_time: 7")).await;
    let mut slow = job(&bench.env, "plain", "message", "hello [[sim: latency=60s]]");
    slow.crew_version = qd_types::CrewVersion(2);
    let ended = finished(&bench.store, accept(&bench.store, slow).await).await;
    let error = ended.error.unwrap();
    assert_eq!((error.code, error.task.unwrap().as_str()), (Code::TaskTimeout, "answer"));
    assert_eq!(ended.finished_at.unwrap().since(ended.started_at.unwrap()).as_secs(), 7);
    assert_eq!(bench.calls().in_flight, 0, "the call in flight was dropped");
}

#[tokio::test(start_paused = true)]
async fn time_of_a_task_counts_running_time_over_all_attempts() {
    let bench = Bench::start(quick()).await;
    bench.publish(&crew("max_execution_time: 30")).await;
    // Twice 20 s of running with a long wait in between: the second try has 10 s left.
    let wish = "hello [[sim: latency=20s fault=429 retry_after=300s times=1]]";
    let mut slow = job(&bench.env, "plain", "message", wish);
    slow.crew_version = qd_types::CrewVersion(2);
    let ended = finished(&bench.store, accept(&bench.store, slow).await).await;
    let took = ended.finished_at.unwrap().since(ended.started_at.unwrap()).as_secs();
    match ended.error {
        // The simulator fails before or after its latency; both are fine, the sum is what counts.
        Some(error) => {
            assert_eq!(error.code, Code::TaskTimeout);
            assert!((330..=370).contains(&took), "{took}");
        }
        None => assert!((320..=355).contains(&took), "{took}"),
    }
}

#[tokio::test(start_paused = true)]
async fn agents_keep_to_their_calls_a_minute_without_burning_tries() {
    for bound in ["max_rpm: 4", "max_iter: 25"] {
        let bench = Bench::start(quick()).await;
        let shared = bound.starts_with("max_iter");
        let text = if shared { format!("{}\nmax_rpm: 4\n", PLAIN.trim_end()) } else { crew(bound) };
        bench.publish(&text).await;
        let mut ids = Vec::new();
        for _ in 0..10 {
            let mut new = job(&bench.env, "plain", "message", "hello");
            new.crew_version = qd_types::CrewVersion(2);
            new.max_attempts = 1;
            ids.push(accept(&bench.store, new).await);
        }
        let (mut parked, mut starts) = (0, Vec::new());
        for id in ids {
            assert_eq!(finished(&bench.store, id).await.status, JobStatus::Succeeded);
            let log = bench.store.log(&TenantId::default(), id, 0, 1_000).await.unwrap().unwrap();
            for logged in log {
                match logged.item {
                    LogItem::Status { failure: Some(f), .. } if f.code == Code::MaxRpmReached => parked += 1,
                    LogItem::Entry { entry } => {
                        if let Entry::Model { call, .. } = *entry {
                            starts.push(logged.at.0 - i64::try_from(call.duration_ms).unwrap());
                        }
                    }
                    _ => {}
                }
            }
        }
        assert!(parked >= 6, "six of ten must have waited: {parked}");
        assert_eq!(starts.len(), 10);
        starts.sort_unstable();
        assert!(starts.windows(5).all(|five| five[4] - five[0] >= 60_000), "{starts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_call_is_made_once_the_tokens_are_used_up() {
    let limits = Limits { tokens: 1, ..Limits::default() };
    let bench = Bench::start(Options { limits, ..quick() }).await;
    let id = accept(&bench.store, job(&bench.env, "sums", "question", "what is 1 + 1?")).await;
    let ended = finished(&bench.store, id).await;
    assert_eq!(ended.error.map(|e| e.code), Some(Code::TooManyTokens));
    assert_eq!(bench.calls().totals.started, 1, "the call that passed the bound is the last");
}

#[tokio::test(start_paused = true)]
async fn no_call_starts_after_a_cancel_is_acknowledged() {
    // Between the durable write and the worker's hearing of it: at the claim and at the records that calls wait for
    // (write 1 is the news of the task's start, for which nothing waits).
    for write in [0, 2, 3, 4] {
        let gate = Arc::new(OnceLock::new());
        let bench = Bench::over(quick(), |store| {
            store.wrapped(|inner| {
                let point = CrashPoint { write, when: When::Held };
                Arc::clone(gate.get_or_init(|| Crash::new(inner, Some(point)))) as Arc<dyn qd_store::Backend>
            })
        })
        .await;
        let gate = gate.get().unwrap();
        let wish = "what is 2 + 2?";
        let id = accept(&bench.store, job(&bench.env, "sums", "question", wish)).await;
        gate.holds().await;
        // Whatever was started before has come back by now; only the held write stands between the job and its next call.
        bench.in_flight(0).await;
        let answer = bench.store.cancel(&TenantId::default(), id).await.unwrap();
        assert!(matches!(answer, qd_store::Cancelled::Now(_)), "write {write}: {answer:?}");
        let at_ack = bench.calls().totals.started;
        gate.release();
        bench.engine.stop().await;
        let calls = bench.models.ledger("sim").unwrap().page();
        assert_eq!((calls.totals.started, calls.in_flight), (at_ack, 0), "write {write}");
    }
}

#[tokio::test(start_paused = true)]
async fn cancel_drops_the_call_in_flight() {
    let bench = Bench::start(quick()).await;
    let id = bench.submit("hello [[sim: latency=100s]]").await;
    bench.in_flight(1).await;
    bench.store.cancel(&TenantId::default(), id).await.unwrap();
    let asked = bench.env.monotonic();
    bench.in_flight(0).await;
    assert!(bench.env.monotonic() - asked < Duration::from_secs(1));
    assert_eq!(finished(&bench.store, id).await.status, JobStatus::Cancelled);
}
