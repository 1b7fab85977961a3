//! Spare slots: for tenants of which few jobs run, while all others are taken.

use futures::FutureExt as _;
use qd_types::{ConversationId, JobId, JobStatus, Priority, TenantId};

use super::{Fixture, Make, finish, lapsing, reopened};
use crate::{NewJob, Outcome, Room, TenantShare, TenantShares};

/// No slot for whatever is next.
const fn spare(spare: usize) -> Room {
    Room { any: 0, spare }
}

fn of(f: &Fixture, tenant: &str) -> NewJob {
    NewJob { tenant: TenantId::new(tenant), ..f.job() }
}

/// A tenant with five jobs, of which three run.
async fn busy(f: &Fixture) {
    for _ in 0..5 {
        f.accept(of(f, "noisy")).await;
    }
    assert_eq!(f.claim(3).await.len(), 3);
}

async fn ids(f: &Fixture, room: Room) -> Vec<JobId> {
    f.claim(room).await.iter().map(|claimed| claimed.job.id).collect()
}

pub(crate) async fn spare_slots_are_for_tenants_of_which_fewer_run_than_are_left(make: Make) {
    let f = Fixture::new(make, |_| {});
    busy(&f).await;
    assert_eq!(ids(&f, spare(3)).await, [], "three of it run");
    let (low, other) = (f.accept(of(&f, "quiet")).await, f.accept(of(&f, "other")).await);
    let urgent = f.accept(NewJob { priority: Priority::new(5).unwrap(), ..of(&f, "quiet") }).await;
    // The last one is for whoever has nothing, so the quiet one's second job is not handed out with them.
    assert_eq!(ids(&f, spare(2)).await, [urgent, other]);
    assert_eq!(ids(&f, spare(1)).await, []);
    assert_eq!(ids(&f, spare(2)).await, [low]);
    // While there are many, even the busy one may have some: the fourth of it with four free, and then there are three.
    assert_eq!(f.claim(spare(4)).await.iter().map(|c| c.job.tenant.as_str()).collect::<Vec<_>>(), ["noisy"]);
    assert_eq!(f.store.stats().await.unwrap().queued, 1);
}

pub(crate) async fn slots_for_any_job_are_filled_first_and_by_turns(make: Make) {
    let f = Fixture::new(make, |_| {});
    busy(&f).await;
    let quiet = f.accept(of(&f, "quiet")).await;
    let claimed = f.claim(Room { any: 1, spare: 1 }).await;
    assert_eq!(claimed.iter().map(|claimed| claimed.job.id).collect::<Vec<_>>(), [quiet], "its turn");
    f.store.finish(finish(&claimed[0], Outcome::Succeeded(super::output()))).await.unwrap().unwrap();
    // Now it is the busy one's turn, and the spare one is for whoever has nothing.
    let quiet = f.accept(of(&f, "quiet")).await;
    let claimed = f.claim(Room { any: 1, spare: 1 }).await;
    assert_eq!((claimed[0].job.tenant.as_str(), claimed[1].job.id), ("noisy", quiet));
    assert_eq!(ids(&f, Room { any: 9, spare: 9 }).await.len(), 1);
}

pub(crate) async fn tenants_without_anything_take_turns_at_spare_slots(make: Make) {
    let f = Fixture::new(make, |_| {});
    let mut seen = std::collections::BTreeSet::new();
    for tenant in ["a", "b", "c"] {
        f.accept(of(&f, tenant)).await;
        f.accept(of(&f, tenant)).await;
    }
    for _ in 0..3 {
        let claimed = f.claim(spare(1)).await.remove(0);
        seen.insert(claimed.job.tenant.to_string());
        f.store.finish(finish(&claimed, Outcome::Succeeded(super::output()))).await.unwrap().unwrap();
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
}

pub(crate) async fn spare_slots_pass_over_tenants_that_stand_aside_and_see_them_again(make: Make) {
    let share = TenantShare { max_queued: None, max_running: Some(1) };
    let mut f = Fixture::new(make, |options| {
        options.tenants = TenantShares { each: share, ..TenantShares::default() };
    });
    let first = f.accept(of(&f, "small")).await;
    let second = f.accept(of(&f, "small")).await;
    let claimed = f.claim(spare(5)).await;
    assert_eq!(claimed.iter().map(|claimed| claimed.job.id).collect::<Vec<_>>(), [first]);
    f.store.finish(finish(&claimed[0], Outcome::Succeeded(super::output()))).await.unwrap().unwrap();
    assert_eq!(ids(&f, spare(5)).await, [second]);
    if f.options.url != "memory:" {
        f = reopened(f).await;
        assert_eq!(ids(&f, spare(1)).await, [second], "what it ran is not counted twice after a restart");
    }
}

pub(crate) async fn spare_slots_keep_the_order_of_conversations_and_leave_suspects_alone(make: Make) {
    let f = Fixture::new(make, lapsing);
    let said = |f: &Fixture| NewJob { conversation: Some(ConversationId::new("c")), ..of(f, "quiet") };
    let (first, _second) = (f.accept(said(&f)).await, f.accept(said(&f)).await);
    assert_eq!(ids(&f, spare(5)).await, [first]);
    assert_eq!(ids(&f, spare(5)).await, [], "the other is behind it");

    let f = Fixture::new(make, lapsing);
    let suspect = f.accept(of(&f, "suspect")).await;
    for _ in 0..2 {
        assert_eq!(ids(&f, spare(1)).await, [suspect]);
        f.advance(31);
        f.store.tick(10).await.unwrap();
    }
    f.accept(of(&f, "quiet")).await;
    assert_eq!(ids(&f, spare(5)).await, [], "a suspect is next, and needs a slot of its own");
    assert_eq!(ids(&f, 5.into()).await, [suspect]);
    assert_eq!(ids(&f, spare(5)).await, [], "nobody beside it");
}

pub(crate) async fn hint_comes_for_jobs_that_a_spare_slot_was_left_for_only(make: Make) {
    let f = Fixture::new(make, |_| {});
    let hinted = || f.store.spare_work().now_or_never().is_some();
    busy(&f).await;
    assert_eq!(ids(&f, spare(2)).await, []);
    f.accept(of(&f, "noisy")).await;
    assert!(!hinted(), "none is left for a tenant of which three run");
    let quiet = f.accept(of(&f, "quiet")).await;
    assert!(hinted());
    assert!(!hinted(), "it is news once");
    assert_eq!(ids(&f, spare(2)).await, [quiet]);
    f.accept(of(&f, "quiet")).await;
    assert!(!hinted(), "one slot is left, and one of its jobs runs");
    // A job that is taken up again counts like a new one.
    f.accept(of(&f, "other")).await;
    assert!(hinted());
    let claimed = f.claim(spare(1)).await.remove(0);
    assert_eq!(f.store.finish(finish(&claimed, Outcome::Release)).await.unwrap(), Ok(JobStatus::Queued));
    assert!(!hinted(), "none was left");
}

pub(crate) async fn no_hint_for_jobs_that_nobody_may_take_and_one_once_they_may(make: Make) {
    let share = TenantShare { max_queued: None, max_running: Some(1) };
    let f = Fixture::new(make, |options| {
        options.tenants.named.insert(TenantId::new("small"), share);
    });
    let hinted = || f.store.spare_work().now_or_never().is_some();
    f.accept(of(&f, "small")).await;
    assert_eq!(f.claim(Room { any: 1, spare: 3 }).await.len(), 1);
    f.accept(of(&f, "small")).await;
    assert!(!hinted(), "it has all that it may have");

    let f = Fixture::new(make, lapsing);
    let hinted = || f.store.spare_work().now_or_never().is_some();
    let suspect = f.accept(f.job()).await;
    for _ in 0..2 {
        assert_eq!(ids(&f, spare(1)).await, [suspect]);
        f.advance(31);
        f.store.tick(10).await.unwrap();
    }
    assert_eq!(ids(&f, spare(2)).await, []);
    let quiet = f.accept(of(&f, "quiet")).await;
    assert!(!hinted(), "the suspect is before it");
    f.store.cancel(&TenantId::default(), suspect).await.unwrap();
    assert!(hinted());
    assert_eq!(ids(&f, spare(2)).await, [quiet]);
}
