//! Who is next.

use std::collections::HashSet;

use qd_types::{JobStatus, Priority, TenantId};

use super::{Fixture, Make, finish, keyed, reopened};
use crate::{Cancelled, Enqueued, NewJob, OtherBody, Outcome, TenantShare, TenantShares};

pub(crate) async fn jobs_of_one_tenant_and_level_come_in_order_of_acceptance(make: Make) {
    let f = Fixture::new(make, |_| {});
    let mut accepted = Vec::new();
    for _ in 0..20 {
        accepted.push(f.accept_plain().await);
    }
    let mut claimed = Vec::new();
    for max in [1, 3, 16] {
        claimed.extend(f.claim(max).await.into_iter().map(|c| c.job.id));
    }
    assert_eq!(claimed, accepted);
}

pub(crate) async fn levels_share_the_claims(make: Make) {
    let f = Fixture::new(make, |_| {});
    for level in 1..=5 {
        for _ in 0..40 {
            let mut job = f.job();
            job.priority = Priority::new(level).unwrap();
            f.accept(job).await;
        }
    }
    let mut counts = [0; 5];
    for claimed in f.claim(62).await {
        counts[claimed.job.priority.index()] += 1;
    }
    assert_eq!(counts, [2, 4, 8, 16, 32]);
}

pub(crate) async fn tenants_take_turns(make: Make) {
    let f = Fixture::new(make, |_| {});
    for tenant in ["noisy", "noisy", "noisy", "noisy", "quiet"] {
        let mut job = f.job();
        job.tenant = TenantId::new(tenant);
        f.accept(job).await;
    }
    let order: Vec<_> = f.claim(5).await.into_iter().map(|c| c.job.tenant.to_string()).collect();
    assert_eq!(order.iter().position(|t| t == "quiet"), Some(1), "{order:?}");
}

fn of(f: &Fixture, tenant: &str) -> NewJob {
    NewJob { tenant: TenantId::new(tenant), ..f.job() }
}

/// Tenants of one bound each.
fn bounded(named: &[(&str, TenantShare)]) -> TenantShares {
    let named = named.iter().map(|(name, share)| (TenantId::new(name), *share)).collect();
    TenantShares { named, ..TenantShares::default() }
}

pub(crate) async fn noisy_neighbour_delays_a_quiet_tenant_by_one_claim_at_most(make: Make) {
    let f = Fixture::new(make, |_| {});
    let mut claims = 0;
    for round in 0..50 {
        // The noisy one sends forty for each one of the other, at any priority that both use.
        let level = Priority::new(1 + round % 5).unwrap();
        let noise = (0..40).map(|_| NewJob { priority: level, ..of(&f, "noisy") }).collect();
        f.store.enqueue_all(noise).await.unwrap();
        let quiet = f.accept(NewJob { priority: level, ..of(&f, "quiet") }).await;
        let mut ahead = 0;
        loop {
            let claimed = f.claim_one().await;
            claims += 1;
            if claimed.job.id == quiet {
                break;
            }
            // Other levels have their shares; at its own, nobody but the one whose turn it was goes before.
            ahead += usize::from(claimed.job.priority == level);
        }
        assert!(ahead <= 1, "round {round}: {ahead} jobs of the noisy tenant went before");
    }
    assert!(claims < 50 * 32, "{claims}");
}

pub(crate) async fn tenant_over_its_quota_is_refused_and_others_are_not(make: Make) {
    let share = TenantShare { max_queued: Some(2), max_running: None };
    let f = Fixture::new(make, |options| {
        options.tenants = TenantShares { each: share, ..bounded(&[]) };
        let more = TenantShare { max_queued: Some(3), max_running: None };
        options.tenants.named.insert(TenantId::new("large"), more);
    });
    f.accept(of(&f, "small")).await;
    let second = f.accept(of(&f, "small")).await;
    match f.store.enqueue(keyed(of(&f, "small"), "k", 1, OtherBody::Refuse)).await.unwrap() {
        Enqueued::OverQuota { depth, retry_after } => assert!(depth == 2 && !retry_after.is_zero()),
        other => panic!("not refused: {other:?}"),
    }
    for _ in 0..3 {
        f.accept(of(&f, "large")).await;
    }
    let fourth = f.store.enqueue(of(&f, "large")).await.unwrap();
    assert!(matches!(fourth, Enqueued::OverQuota { depth: 3, .. }), "{fourth:?}");
    // What was accepted once is never refused: a redrive, a retry.
    f.accept(NewJob { redrive_of: Some(second), ..of(&f, "small") }).await;
    f.store.cancel(&TenantId::new("small"), second).await.unwrap();
    let claimed = loop {
        let claimed = f.claim_one().await;
        if claimed.job.tenant.as_str() == "small" {
            break claimed;
        }
    };
    f.accept(keyed(of(&f, "small"), "k", 2, OtherBody::Refuse)).await;
    assert_eq!(f.store.finish(finish(&claimed, Outcome::Release)).await.unwrap(), Ok(JobStatus::Queued));
    let full = f.store.enqueue(of(&f, "small")).await.unwrap();
    assert!(matches!(full, Enqueued::OverQuota { depth: 3, .. }), "{full:?}");
}

pub(crate) async fn running_jobs_of_a_tenant_are_bounded_and_others_pass(make: Make) {
    let share = TenantShare { max_queued: None, max_running: Some(2) };
    let f = Fixture::new(make, |options| options.tenants = bounded(&[("small", share)]));
    let mut small = Vec::new();
    for level in [1, 5, 3, 1] {
        let priority = Priority::new(level).unwrap();
        small.push(f.accept(NewJob { priority, ..of(&f, "small") }).await);
    }
    for _ in 0..3 {
        f.accept(of(&f, "other")).await;
    }
    let claimed = f.claim(10).await;
    let running: Vec<_> = claimed.iter().filter(|c| c.job.tenant.as_str() == "small").collect();
    assert_eq!((claimed.len(), running.len()), (5, 2));
    assert!(f.claim(10).await.is_empty());
    // Whatever ends a job makes room: an outcome, a cancel; and the most urgent one is next.
    assert_eq!(f.store.finish(finish(running[0], Outcome::Release)).await.unwrap(), Ok(JobStatus::Queued));
    let next = f.claim(10).await;
    assert_eq!(next.len(), 1);
    f.store.cancel(&TenantId::new("small"), running[1].job.id).await.unwrap();
    assert_eq!(f.claim(10).await.len(), 1);
    assert!(f.claim(10).await.is_empty());
    assert_eq!(f.store.stats().await.unwrap().queued, 1);
}

pub(crate) async fn jobs_that_stand_aside_are_counted_cancelled_and_outlive_a_restart(make: Make) {
    let share = TenantShare { max_queued: Some(4), max_running: Some(1) };
    let mut f = Fixture::new(make, |options| options.tenants = bounded(&[("small", share)]));
    let small = TenantId::new("small");
    f.accept(of(&f, "small")).await;
    f.claim_one().await;
    let aside = [f.accept(of(&f, "small")).await, f.accept(of(&f, "small")).await];
    assert!(f.claim(5).await.is_empty());
    let stats = f.store.stats().await.unwrap();
    assert_eq!((stats.queued, stats.levels[0].queued), (2, 2));
    assert_eq!(stats.levels[0].oldest, Some(f.env.now()), "they wait as much as others");
    assert!(matches!(f.store.cancel(&small, aside[0]).await.unwrap(), Cancelled::Now(_)));
    if f.options.url == "memory:" {
        return;
    }
    f = reopened(f).await;
    // The one that ran is queued again with the other: one at a time.
    assert_eq!(f.store.stats().await.unwrap().queued, 2);
    let first = f.claim(5).await;
    assert_eq!(first.len(), 1);
    f.store.finish(finish(&first[0], Outcome::Succeeded(super::output()))).await.unwrap().unwrap();
    let second = f.claim(5).await;
    assert_eq!((second.len(), second[0].job.id), (1, aside[1]));
}

pub(crate) async fn claim_takes_no_more_than_asked_and_no_job_twice(make: Make) {
    let f = Fixture::new(make, |_| {});
    for _ in 0..10 {
        f.accept_plain().await;
    }
    let mut seen = HashSet::new();
    for expected in [0, 4, 4, 2, 0] {
        let claimed = f.claim(if expected == 0 && seen.is_empty() { 0 } else { 4 }).await;
        assert_eq!(claimed.len(), expected);
        assert!(claimed.iter().all(|c| seen.insert(c.job.id)));
    }
    assert_eq!(f.store.stats().await.unwrap().running, 10);
}
