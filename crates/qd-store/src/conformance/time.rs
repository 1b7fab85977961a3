//! What happens as time passes.

use std::time::Duration;

use qd_types::{Class, Code, Failure, JobStatus, TenantId};

use super::{Fixture, Make, finish, model_entry, record};
use crate::{Outcome, Refused};

pub(crate) async fn scheduled_job_waits_for_its_time(make: Make) {
    let f = Fixture::new(make, |_| {});
    let mut job = f.job();
    job.run_at = Some(f.env.now().plus(Duration::from_secs(60)));
    let id = f.accept(job).await;
    assert_eq!(f.status(id).await, JobStatus::Scheduled);
    let tick = f.store.tick(10).await.unwrap();
    assert_eq!((tick.promoted, tick.next_due), (0, Some(f.env.now().plus(Duration::from_secs(60)))));
    assert!(f.claim(1).await.is_empty());
    f.advance(60);
    assert_eq!(f.store.tick(10).await.unwrap().promoted, 1);
    assert_eq!(f.claim_one().await.job.id, id);

    let mut past = f.job();
    past.run_at = Some(f.env.now());
    assert_eq!(f.accept(past).await, f.claim_one().await.job.id);
}

pub(crate) async fn retrying_job_comes_back_when_due(make: Make) {
    let f = Fixture::new(make, |_| {});
    let id = f.accept_plain().await;
    let claimed = f.claim_one().await;
    f.store.record(record(&claimed, vec![model_entry(1)])).await.unwrap().unwrap();
    let failure = Failure::new(Code::ModelOverloaded, Class::Overloaded, "provider busy");
    let retry = Outcome::Retry { after: Duration::from_secs(10), failure: failure.clone() };
    assert_eq!(f.store.finish(finish(&claimed, retry)).await.unwrap(), Ok(JobStatus::Retrying));
    let job = f.store.job(&TenantId::default(), id).await.unwrap().unwrap();
    assert_eq!((job.retry_at, job.error), (Some(f.env.now().plus(Duration::from_secs(10))), Some(failure)));
    f.advance(9);
    assert_eq!(f.store.tick(10).await.unwrap().promoted, 0);
    f.advance(1);
    assert_eq!(f.store.tick(10).await.unwrap().promoted, 1);
    let again = f.claim_one().await;
    assert_eq!((again.job.id, again.job.error.clone(), again.in_doubt), (id, None, false));
}

pub(crate) async fn expired_job_fails_in_any_state(make: Make) {
    let f = Fixture::new(make, |_| {});
    let soon = || {
        let mut job = f.job();
        job.expires_at = Some(f.env.now().plus(Duration::from_secs(5)));
        job
    };
    let running = f.accept(soon()).await;
    let claimed = f.claim_one().await;
    let queued = f.accept(soon()).await;
    let mut later = soon();
    later.run_at = Some(f.env.now().plus(Duration::from_secs(50)));
    let scheduled = f.accept(later).await;
    f.advance(5);
    assert_eq!(f.store.tick(10).await.unwrap().expired, 3);
    for id in [running, queued, scheduled] {
        let job = f.store.job(&TenantId::default(), id).await.unwrap().unwrap();
        assert_eq!((job.status, job.error.map(|e| e.code)), (JobStatus::Failed, Some(Code::JobExpired)));
    }
    assert_eq!(f.store.finish(finish(&claimed, Outcome::Release)).await.unwrap(), Err(Refused::Terminal));
    assert!(f.claim(5).await.is_empty());
}

pub(crate) async fn old_jobs_are_pruned_in_bounded_rounds(make: Make) {
    let f = Fixture::new(make, |options| options.retention = Duration::from_secs(100));
    let mut old = Vec::new();
    for _ in 0..5 {
        old.push(f.accept_plain().await);
    }
    for claimed in f.claim(5).await {
        f.store
            .finish(finish(&claimed, Outcome::Succeeded(super::queries::output())))
            .await
            .unwrap()
            .unwrap();
    }
    let open = f.accept_plain().await;
    f.advance(101);
    let rounds: Vec<_> =
        [f.store.tick(2).await.unwrap(), f.store.tick(2).await.unwrap(), f.store.tick(2).await.unwrap()]
            .into();
    assert_eq!(
        rounds.iter().map(|t| (t.pruned, t.more)).collect::<Vec<_>>(),
        [(2, true), (2, true), (1, false)]
    );
    for id in old {
        assert!(f.store.job(&TenantId::default(), id).await.unwrap().is_none());
        assert!(f.store.log(&TenantId::default(), id, 0, 10).await.unwrap().is_none());
    }
    assert_eq!(f.status(open).await, JobStatus::Queued);
}
