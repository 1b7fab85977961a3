//! Leases, fences, journal.

use qd_types::{JobStatus, LogItem, NanoDollars, TenantId};

use super::{Fixture, Make, finish, finish_under, lapsing, model_entry, record, record_under, worker};
use crate::{Fence, Incarnation, Outcome, Refused, Revoked};

pub(crate) async fn record_and_finish_need_the_current_fence(make: Make) {
    let f = Fixture::new(make, |_| {});
    f.accept_plain().await;
    let claimed = f.claim_one().await;
    let good = claimed.lease.fence;
    for bad in [
        Fence { epoch: good.epoch + 1, ..good },
        Fence { epoch: 0, ..good },
        Fence { incarnation: Incarnation(good.incarnation.0 ^ 1), ..good },
    ] {
        let recorded = f.store.record(record_under(claimed.job.id, bad, vec![model_entry(1)])).await.unwrap();
        assert_eq!(recorded, Err(Refused::Stale));
        let finished = f.store.finish(finish_under(claimed.job.id, bad, Outcome::Release)).await.unwrap();
        assert_eq!(finished, Err(Refused::Stale));
    }
    assert_eq!(f.store.record(record(&claimed, vec![model_entry(1)])).await.unwrap(), Ok(2));
    let done = Outcome::Succeeded(super::queries::output());
    assert_eq!(f.store.finish(finish(&claimed, done.clone())).await.unwrap(), Ok(JobStatus::Succeeded));
    assert_eq!(f.store.finish(finish(&claimed, done)).await.unwrap(), Err(Refused::Terminal));
    assert_eq!(f.store.record(record(&claimed, vec![model_entry(2)])).await.unwrap(), Err(Refused::Terminal));
    let unknown = record_under(f.env.job_id(), good, vec![model_entry(1)]);
    assert_eq!(f.store.record(unknown).await.unwrap(), Err(Refused::Stale));
}

pub(crate) async fn lapsed_lease_is_rescued_and_the_old_worker_refused(make: Make) {
    let f = Fixture::new(make, lapsing);
    f.accept_plain().await;
    let frozen = f.claim_one().await;
    f.store.record(record(&frozen, vec![model_entry(1)])).await.unwrap().unwrap();
    f.advance(31);
    assert_eq!(f.store.tick(10).await.unwrap().rescued, 1);
    let successor = f.claim_one().await;
    assert_eq!(successor.job.id, frozen.job.id);
    assert!(successor.in_doubt);
    assert_eq!((successor.job.attempt, successor.job.crashes), (2, 1));
    assert!(
        successor.log.iter().any(|logged| matches!(logged.item, LogItem::Entry { .. })),
        "the journal is kept"
    );

    let late = finish(&frozen, Outcome::Succeeded(super::queries::output()));
    assert_eq!(f.store.finish(late).await.unwrap(), Err(Refused::Stale));
    assert_eq!(f.store.record(record(&frozen, vec![model_entry(2)])).await.unwrap(), Err(Refused::Stale));
    let revoked = f.store.renew(&worker(), vec![(frozen.job.id, frozen.lease.fence)]).await.unwrap();
    assert_eq!(revoked[0].why, Revoked::Lost);
    assert_eq!(f.store.finish(finish(&successor, Outcome::Release)).await.unwrap(), Ok(JobStatus::Queued));
}

pub(crate) async fn renewed_lease_does_not_lapse(make: Make) {
    let f = Fixture::new(make, lapsing);
    f.accept_plain().await;
    let claimed = f.claim_one().await;
    for _ in 0..5 {
        f.advance(20);
        let revoked = f.store.renew(&worker(), vec![(claimed.job.id, claimed.lease.fence)]).await.unwrap();
        assert!(revoked.is_empty());
        assert_eq!(f.store.tick(10).await.unwrap().rescued, 0);
    }
    assert_eq!(f.store.record(record(&claimed, vec![model_entry(1)])).await.unwrap(), Ok(2));
}

pub(crate) async fn cancel_revokes_the_lease(make: Make) {
    let f = Fixture::new(make, |_| {});
    let id = f.accept_plain().await;
    let claimed = f.claim_one().await;
    f.store.cancel(&TenantId::default(), id).await.unwrap();
    f.store.revocation().await;
    let revoked = f.store.renew(&worker(), vec![(id, claimed.lease.fence)]).await.unwrap();
    assert_eq!((revoked[0].job, revoked[0].why), (id, Revoked::Cancelled));
    assert_eq!(f.store.stats().await.unwrap().running, 0);
}

pub(crate) async fn released_job_is_not_in_doubt(make: Make) {
    let f = Fixture::new(make, |_| {});
    f.accept_plain().await;
    let claimed = f.claim_one().await;
    assert_eq!(f.store.finish(finish(&claimed, Outcome::Release)).await.unwrap(), Ok(JobStatus::Queued));
    let again = f.claim_one().await;
    assert!(!again.in_doubt);
    assert_eq!((again.job.attempt, again.job.crashes), (2, 0));
    assert!(again.lease.fence.epoch > claimed.lease.fence.epoch);
}

pub(crate) async fn log_is_gapless_and_complete(make: Make) {
    let f = Fixture::new(make, |_| {});
    let id = f.accept_plain().await;
    let claimed = f.claim_one().await;
    f.store.record(record(&claimed, vec![model_entry(1), model_entry(2)])).await.unwrap().unwrap();
    f.store.finish(finish(&claimed, Outcome::Release)).await.unwrap().unwrap();
    let again = f.claim_one().await;
    f.store.record(record(&again, vec![model_entry(3)])).await.unwrap().unwrap();
    f.store.finish(finish(&again, Outcome::Succeeded(super::queries::output()))).await.unwrap().unwrap();
    let log = f.store.log(&TenantId::default(), id, 0, 100).await.unwrap().unwrap();
    let seqs: Vec<_> = log.iter().map(|logged| logged.seq).collect();
    assert_eq!(seqs, (1..=7).collect::<Vec<_>>());
    let statuses: Vec<_> = log
        .iter()
        .filter_map(|l| if let LogItem::Status { status, .. } = l.item { Some(status) } else { None })
        .collect();
    assert_eq!(statuses, [JobStatus::Running, JobStatus::Queued, JobStatus::Running, JobStatus::Succeeded]);
    assert_eq!(again.log.len(), 5, "a claim hands over everything so far, itself included");
}

pub(crate) async fn spend_adds_up(make: Make) {
    let f = Fixture::new(make, |_| {});
    let id = f.accept_plain().await;
    let claimed = f.claim_one().await;
    f.store.record(record(&claimed, vec![model_entry(1)])).await.unwrap().unwrap();
    f.store.finish(finish(&claimed, Outcome::Release)).await.unwrap().unwrap();
    let again = f.claim_one().await;
    f.store.record(record(&again, vec![model_entry(2), model_entry(3)])).await.unwrap().unwrap();
    let job = f.store.job(&TenantId::default(), id).await.unwrap().unwrap();
    assert_eq!((job.usage.model_calls, job.usage.input_tokens, job.cost), (3, 30, NanoDollars(3_000)));
    assert_eq!(job.progress.completed_tasks, 1);
}

pub(crate) async fn finish_carries_the_last_entries(make: Make) {
    let f = Fixture::new(make, |_| {});
    let id = f.accept_plain().await;
    let claimed = f.claim_one().await;
    let mut last = finish(&claimed, Outcome::Succeeded(super::queries::output()));
    last.items = vec![model_entry(1)];
    f.store.finish(last).await.unwrap().unwrap();
    let job = f.store.job(&TenantId::default(), id).await.unwrap().unwrap();
    assert_eq!((job.usage.model_calls, job.progress.completed_tasks), (1, 2));
    assert_eq!(job.output, Some(super::queries::output()));
    assert_eq!(f.store.log(&TenantId::default(), id, 0, 10).await.unwrap().unwrap().len(), 3);
}

pub(crate) async fn doubt_outlives_a_release_that_did_not_settle_it(make: Make) {
    let f = Fixture::new(make, lapsing);
    f.accept_plain().await;
    f.claim_one().await;
    f.advance(31);
    f.store.tick(10).await.unwrap();
    for (doubt_settled, in_doubt_after) in [(false, true), (true, false)] {
        let claimed = f.claim_one().await;
        assert_eq!((claimed.in_doubt, claimed.job.crashes), (true, 1));
        let mut release = finish(&claimed, Outcome::Release);
        release.doubt_settled = doubt_settled;
        f.store.finish(release).await.unwrap().unwrap();
        if in_doubt_after {
            continue;
        }
        let after = f.claim_one().await;
        assert_eq!((after.in_doubt, after.job.crashes), (false, 0));
    }
}
