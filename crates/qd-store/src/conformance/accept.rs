//! Accepting, idempotency, backpressure, cancelling.

use qd_types::{JobStatus, TenantId};

use super::{Fixture, Make, finish, keyed};
use crate::{Cancelled, Enqueued, OtherBody, Outcome, Refused};

pub(crate) async fn accepted_job_is_queued_and_readable(make: Make) {
    let f = Fixture::new(make, |_| {});
    let mut new = f.job();
    new.input.insert("topic".into(), "tides".into());
    let id = f.accept(new.clone()).await;
    let job = f.store.job(&TenantId::default(), id).await.unwrap().unwrap();
    assert_eq!((job.status, job.input, job.attempt), (JobStatus::Queued, new.input, 0));
    assert_eq!(f.store.stats().await.unwrap().queued, 1);
    assert!(f.store.job(&TenantId::new("other"), id).await.unwrap().is_none());
}

pub(crate) async fn same_key_and_body_give_the_same_job(make: Make) {
    let f = Fixture::new(make, |_| {});
    let first = f.accept(keyed(f.job(), "k", 1, OtherBody::Refuse)).await;
    for _ in 0..2 {
        match f.store.enqueue(keyed(f.job(), "k", 1, OtherBody::Refuse)).await.unwrap() {
            Enqueued::Replayed(job) => assert_eq!(job.id, first),
            other => panic!("not replayed: {other:?}"),
        }
    }
    let both =
        vec![keyed(f.job(), "pair", 1, OtherBody::Refuse), keyed(f.job(), "pair", 1, OtherBody::Refuse)];
    let answers = f.store.enqueue_all(both).await.unwrap();
    assert!(matches!(answers[..], [Enqueued::Created(_), Enqueued::Replayed(_)]), "{answers:?}");
    assert_eq!(f.store.stats().await.unwrap().queued, 2);
}

pub(crate) async fn same_key_and_other_body_is_refused_or_replayed_as_asked(make: Make) {
    let f = Fixture::new(make, |_| {});
    let first = f.accept(keyed(f.job(), "k", 1, OtherBody::Refuse)).await;
    match f.store.enqueue(keyed(f.job(), "k", 2, OtherBody::Refuse)).await.unwrap() {
        Enqueued::Conflict { job } => assert_eq!(job, first),
        other => panic!("no conflict: {other:?}"),
    }
    match f.store.enqueue(keyed(f.job(), "k", 2, OtherBody::Replay)).await.unwrap() {
        Enqueued::Replayed(job) => assert_eq!(job.id, first),
        other => panic!("not replayed: {other:?}"),
    }
}

pub(crate) async fn keys_of_other_scopes_and_tenants_are_apart(make: Make) {
    let f = Fixture::new(make, |_| {});
    f.accept(keyed(f.job(), "k", 1, OtherBody::Refuse)).await;
    let mut other_scope = keyed(f.job(), "k", 1, OtherBody::Refuse);
    other_scope.idempotency.as_mut().unwrap().scope = "tasks".into();
    f.accept(other_scope).await;
    let mut other_tenant = keyed(f.job(), "k", 1, OtherBody::Refuse);
    other_tenant.tenant = TenantId::new("other");
    f.accept(other_tenant).await;
}

pub(crate) async fn full_queue_refuses_and_does_not_burn_the_key(make: Make) {
    let f = Fixture::new(make, |options| options.max_depth = 1);
    f.accept_plain().await;
    match f.store.enqueue(keyed(f.job(), "k", 1, OtherBody::Refuse)).await.unwrap() {
        Enqueued::Full { depth, retry_after } => {
            assert_eq!(depth, 1);
            assert!(!retry_after.is_zero());
        }
        other => panic!("not refused: {other:?}"),
    }
    f.claim_one().await;
    f.accept(keyed(f.job(), "k", 2, OtherBody::Refuse)).await;
}

pub(crate) async fn retries_are_never_refused_by_a_full_queue(make: Make) {
    let f = Fixture::new(make, |options| options.max_depth = 1);
    f.accept_plain().await;
    let claimed = f.claim_one().await;
    f.accept_plain().await;
    let status = f.store.finish(finish(&claimed, Outcome::Release)).await.unwrap();
    assert_eq!(status, Ok(JobStatus::Queued));
    assert_eq!(f.store.stats().await.unwrap().queued, 2);
}

pub(crate) async fn key_outlives_its_window_while_the_job_is_not_over(make: Make) {
    let f = Fixture::new(make, |_| {});
    let first = f.accept(keyed(f.job(), "k", 1, OtherBody::Refuse)).await;
    f.advance(3 * 24 * 3600);
    f.store.tick(100).await.unwrap();
    match f.store.enqueue(keyed(f.job(), "k", 1, OtherBody::Refuse)).await.unwrap() {
        Enqueued::Replayed(job) => assert_eq!(job.id, first),
        other => panic!("not replayed: {other:?}"),
    }
    let claimed = f.claim_one().await;
    f.store.finish(finish(&claimed, Outcome::Succeeded(super::queries::output()))).await.unwrap().unwrap();
    let second = f.accept(keyed(f.job(), "k", 2, OtherBody::Refuse)).await;
    assert_ne!(second, first);
}

pub(crate) async fn cancelled_job_is_over_and_never_claimed(make: Make) {
    let f = Fixture::new(make, |_| {});
    let tenant = TenantId::default();
    let queued = f.accept_plain().await;
    assert!(
        matches!(f.store.cancel(&tenant, queued).await.unwrap(), Cancelled::Now(job) if job.status == JobStatus::Cancelled)
    );
    assert!(matches!(f.store.cancel(&tenant, queued).await.unwrap(), Cancelled::Already(_)));
    assert!(matches!(f.store.cancel(&TenantId::new("other"), queued).await.unwrap(), Cancelled::Unknown));
    assert!(f.claim(5).await.is_empty());

    let running = f.accept_plain().await;
    let claimed = f.claim_one().await;
    assert!(matches!(f.store.cancel(&tenant, running).await.unwrap(), Cancelled::Now(_)));
    let answer = f.store.finish(finish(&claimed, Outcome::Release)).await.unwrap();
    assert_eq!(answer, Err(Refused::Terminal));
    assert_eq!(f.status(running).await, JobStatus::Cancelled);
}

pub(crate) async fn known_key_can_be_asked_for(make: Make) {
    let f = Fixture::new(make, |_| {});
    let job = keyed(f.job(), "k", 1, OtherBody::Refuse);
    let (tenant, key) = (TenantId::default(), job.idempotency.clone().unwrap());
    assert!(f.store.replay(&tenant, &key).await.unwrap().is_none());
    let id = f.accept(job).await;
    assert!(
        matches!(f.store.replay(&tenant, &key).await.unwrap(), Some(Enqueued::Replayed(job)) if job.id == id)
    );
    let other = crate::Idempotency { body_hash: [2; 32], ..key };
    assert!(
        matches!(f.store.replay(&tenant, &other).await.unwrap(), Some(Enqueued::Conflict { job }) if job == id)
    );
}

pub(crate) async fn full_queue_takes_a_job_that_is_run_again(make: Make) {
    let f = Fixture::new(make, |options| options.max_depth = 1);
    let first = f.accept_plain().await;
    assert!(matches!(f.store.enqueue(f.job()).await.unwrap(), Enqueued::Full { .. }));
    let mut again = f.job();
    again.redrive_of = Some(first);
    let id = f.accept(again).await;
    let stored = f.store.job(&qd_types::TenantId::default(), id).await.unwrap().unwrap();
    assert_eq!(stored.redrive_of, Some(first));
}
