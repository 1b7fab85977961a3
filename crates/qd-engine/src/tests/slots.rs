//! Who is given a slot while a tenant keeps all of them busy.

use qd_store::NewJob;
use qd_types::{JobId, JobStatus, TenantId};

use super::metrics::value;
use super::{Bench, PLAIN, accept, catalog, job, quick};
use crate::Options;

const SLOW: &str = "hello [[sim: latency=20s]]";

/// Two slots for anybody, both taken by a tenant that has more, and this many spare ones.
async fn full(spare_slots: usize) -> Bench {
    let bench = Bench::start(Options { slots: 2, spare_slots, ..quick() }).await;
    for tenant in ["quiet", "other"] {
        publish_for(&bench, tenant).await;
    }
    for _ in 0..4 {
        bench.submit(SLOW).await;
    }
    bench.in_flight(2).await;
    bench
}

async fn publish_for(bench: &Bench, tenant: &str) {
    let source = qd_crew::CrewSource::Single(qd_crew::SourceFile::new("test.yaml", PLAIN));
    let (spec, _, _) = qd_crew::check(&source, &catalog(&bench.env)).unwrap();
    let json = serde_json::to_string(&spec).unwrap();
    let crew = qd_store::NewCrew::new(TenantId::new(tenant), spec.name.clone(), spec.hash(), json);
    bench.store.publish(crew).await.unwrap();
}

async fn submit_of(bench: &Bench, tenant: &str, text: &str) -> JobId {
    let job = job(&bench.env, "plain", "message", text);
    accept(&bench.store, NewJob { tenant: TenantId::new(tenant), ..job }).await
}

/// How long a job waited until a worker took it up, once it is over.
async fn waited(bench: &Bench, tenant: &str, id: JobId) -> std::time::Duration {
    let (tenant, mut watch) = (TenantId::new(tenant), bench.store.watch(id));
    loop {
        let job = bench.store.job(&tenant, id).await.unwrap().unwrap();
        if job.status.is_terminal() {
            assert_eq!(job.status, JobStatus::Succeeded);
            return job.started_at.unwrap().since(job.created_at);
        }
        watch.next().await;
    }
}

#[tokio::test(start_paused = true)]
async fn quiet_tenant_does_not_wait_until_a_call_of_a_busy_one_ends() {
    let bench = full(1).await;
    let quiet = submit_of(&bench, "quiet", "hello").await;
    assert!(waited(&bench, "quiet", quiet).await.as_millis() < 100);
    // The slot came back: the next one is as fast, also of somebody else.
    for tenant in ["other", "quiet"] {
        let next = submit_of(&bench, tenant, "hello").await;
        assert!(waited(&bench, tenant, next).await.as_millis() < 100);
    }
    assert_eq!(bench.calls().in_flight, 2, "the busy one's third job waits");
    bench.engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn without_spare_slots_a_quiet_tenant_is_next_when_a_slot_is_free() {
    let bench = full(0).await;
    let quiet = submit_of(&bench, "quiet", "hello").await;
    let waited = waited(&bench, "quiet", quiet).await.as_secs();
    assert!((10..=21).contains(&waited), "{waited}");
    bench.engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn spare_slot_that_is_given_back_goes_to_the_next_who_waits_for_one() {
    let bench = full(1).await;
    let first = submit_of(&bench, "quiet", "hello [[sim: latency=5s]]").await;
    bench.in_flight(3).await;
    let second = submit_of(&bench, "other", "hello").await;
    let waited_second = waited(&bench, "other", second).await.as_millis();
    assert!((4_000..=5_100).contains(&waited_second), "{waited_second}");
    assert!(waited(&bench, "quiet", first).await.as_millis() < 100);
    bench.engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn full_worker_asks_for_nothing_when_the_busy_tenant_sends_more() {
    let bench = full(1).await;
    let claims = || value(&bench, r#"quarterdeck_store_op_duration_seconds_count{op="claim"}"#).unwrap();
    // What filled it is looked at once more.
    let mut before = claims();
    loop {
        tokio::task::yield_now().await;
        if claims() == before {
            break;
        }
        before = claims();
    }
    for _ in 0..50 {
        bench.submit("hello").await;
    }
    assert_eq!(claims(), before);
    let expected = [("busy", 2.0), ("idle", 0.0)];
    for (state, slots) in expected {
        let series = format!("quarterdeck_worker_slots{{state=\"{state}\"}}");
        assert_eq!(value(&bench, &series), Some(slots), "{state}");
    }
    submit_of(&bench, "quiet", SLOW).await;
    bench.in_flight(3).await;
    assert_eq!(value(&bench, r#"quarterdeck_worker_slots{state="busy"}"#), Some(3.0));
    assert_eq!(
        value(&bench, r#"quarterdeck_worker_slots{state="idle"}"#),
        Some(0.0),
        "spare ones are not idle"
    );
    bench.engine.stop().await;
}
