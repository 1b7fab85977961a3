//! Who is next.

use std::collections::HashSet;

use qd_types::{Priority, TenantId};

use super::{Fixture, Make};

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
