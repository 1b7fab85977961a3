//! Jobs that crash their workers: contained, and nobody is failed with them.

use qd_types::{AgentId, Code, JobId, JobStatus, LogItem, TaskId, TenantId};

use super::{Fixture, Make, finish, lapsing, model_entry, record};
use crate::Outcome;

/// The lease of everything held runs out.
async fn crash(f: &Fixture) {
    f.advance(31);
    f.store.tick(10).await.unwrap();
}

async fn claimed_ids(f: &Fixture) -> Vec<JobId> {
    f.claim(10).await.iter().map(|claimed| claimed.job.id).collect()
}

pub(crate) async fn job_that_crashes_its_worker_three_times_fails_alone(make: Make) {
    let f = Fixture::new(make, lapsing);
    let poison = f.accept_plain().await;
    let neighbour = f.accept_plain().await;
    assert_eq!(claimed_ids(&f).await, [poison, neighbour]);
    crash(&f).await;
    assert_eq!(claimed_ids(&f).await, [poison, neighbour], "one crash makes no suspect");
    crash(&f).await;

    let late = f.accept_plain().await;
    assert_eq!(claimed_ids(&f).await, [poison], "a suspect runs alone");
    crash(&f).await;
    assert_eq!(f.status(poison).await, JobStatus::Failed);
    let job = f.store.job(&TenantId::default(), poison).await.unwrap().unwrap();
    assert_eq!((job.error.unwrap().code, job.crashes), (Code::WorkerCrashed, 3));

    let proven = f.claim(10).await;
    assert_eq!(proven.iter().map(|claimed| claimed.job.id).collect::<Vec<_>>(), [neighbour]);
    f.store.record(record(&proven[0], vec![model_entry(1)])).await.unwrap().unwrap();
    assert_eq!(claimed_ids(&f).await, [late], "progress lifts the suspicion");
    assert_eq!(f.status(neighbour).await, JobStatus::Running);
}

pub(crate) async fn suspect_waits_until_nothing_else_runs_and_is_next(make: Make) {
    let f = Fixture::new(make, lapsing);
    let suspect = f.accept_plain().await;
    for _ in 0..2 {
        assert_eq!(claimed_ids(&f).await, [suspect]);
        f.accept_plain().await;
        let beside = f.claim(1).await.remove(0);
        f.advance(20);
        f.store.renew(&super::worker(), vec![(beside.job.id, beside.lease.fence)]).await.unwrap();
        f.advance(11);
        f.store.tick(10).await.unwrap();
        if f.store.job(&TenantId::default(), suspect).await.unwrap().unwrap().crashes == 2 {
            f.accept_plain().await;
            assert_eq!(claimed_ids(&f).await, [], "neither the suspect nor anybody who came later");
        }
        f.store.finish(finish(&beside, Outcome::Succeeded(super::queries::output()))).await.unwrap().unwrap();
    }
    assert_eq!(claimed_ids(&f).await, [suspect]);
}

pub(crate) async fn progress_and_a_release_clear_a_suspicion(make: Make) {
    for progress in [true, false] {
        let f = Fixture::new(make, lapsing);
        let id = f.accept_plain().await;
        for turn in 1..6 {
            for _ in 0..2 {
                f.claim_one().await;
                crash(&f).await;
            }
            let claimed = f.claim_one().await;
            if progress {
                f.store.record(record(&claimed, vec![model_entry(turn)])).await.unwrap().unwrap();
            }
            f.store.finish(finish(&claimed, Outcome::Release)).await.unwrap().unwrap();
            assert_eq!(f.store.job(&TenantId::default(), id).await.unwrap().unwrap().crashes, 0);
        }
        assert_eq!(f.status(id).await, JobStatus::Queued);
    }
}

pub(crate) async fn news_is_no_progress(make: Make) {
    let f = Fixture::new(make, lapsing);
    let id = f.accept_plain().await;
    for _ in 0..3 {
        let claimed = f.claim_one().await;
        let news = LogItem::TaskStarted { task: TaskId::new("draft"), agent: AgentId::new("writer") };
        f.store.record(record(&claimed, vec![news])).await.unwrap().unwrap();
        crash(&f).await;
    }
    assert_eq!(f.status(id).await, JobStatus::Failed);
}
