//! Counts that nobody has to read rows for.

use std::time::Duration;

use qd_types::{Class, Code, CrewName, Failure, NanoDollars, Priority, TenantId};

use super::{Fixture, Make, finish, model_entry, record, reopened};
use crate::{CrewRecent, LevelStats, Outcome, Recent};

pub(crate) async fn queue_is_counted_by_priority_with_its_oldest(make: Make) {
    let f = Fixture::new(make, |_| {});
    let mut accepted = Vec::new();
    for level in [1, 3, 3, 1, 5] {
        let mut job = f.job();
        job.priority = Priority::new(level).unwrap();
        accepted.push(f.env.now());
        f.accept(job).await;
        f.advance(10);
    }
    let mut later = f.job();
    later.run_at = Some(f.env.now().plus(Duration::from_secs(60)));
    f.accept(later).await;
    let stats = f.store.stats().await.unwrap();
    let level = |queued, oldest: Option<usize>| LevelStats { queued, oldest: oldest.map(|n| accepted[n]) };
    assert_eq!(
        stats.levels,
        [level(2, Some(0)), level(0, None), level(2, Some(1)), level(0, None), level(1, Some(4))]
    );
    assert_eq!((stats.queued, stats.delayed, stats.scheduled, stats.retrying()), (5, 1, 1, 0));
    assert_eq!(stats.oldest(), Some(accepted[0]));

    // A job that comes back is queued since then, and one that waits for its next try is not scheduled any more.
    let claimed = f.claim(5).await;
    let failure = Failure::new(Code::ModelTimeout, Class::Transient, "slow");
    f.advance(5);
    let retry = Outcome::Retry { after: Duration::from_secs(1), failure };
    f.store.finish(finish(&claimed[0], retry)).await.unwrap().unwrap();
    f.store.finish(finish(&claimed[1], Outcome::Release)).await.unwrap().unwrap();
    let released = claimed[1].job.priority.index();
    let stats = f.store.stats().await.unwrap();
    assert_eq!((stats.queued, stats.running, stats.scheduled, stats.retrying()), (1, 3, 1, 1));
    assert_eq!(stats.levels[released], LevelStats { queued: 1, oldest: Some(f.env.now()) });
    f.advance(100);
    f.store.tick(10).await.unwrap();
    let stats = f.store.stats().await.unwrap();
    assert_eq!((stats.queued, stats.delayed, stats.scheduled), (3, 0, 0));
}

pub(crate) async fn last_hour_is_summed_up(make: Make) {
    let f = Fixture::new(make, |_| {});
    assert_eq!(f.store.recent().await.unwrap(), Recent::default());
    for _ in 0..4 {
        f.accept_plain().await;
    }
    f.advance(2);
    let claimed = f.claim(3).await;
    f.store.record(record(&claimed[0], vec![model_entry(1), model_entry(2)])).await.unwrap().unwrap();
    f.advance(3);
    let failed = Outcome::Failed(Failure::new(Code::ModelAuth, Class::Permanent, "no"));
    let succeeded = Outcome::Succeeded(super::output());
    for (claimed, outcome) in claimed.iter().zip([succeeded, failed, Outcome::Release]) {
        f.store.finish(finish(claimed, outcome)).await.unwrap().unwrap();
    }
    f.store.cancel(&TenantId::default(), claimed[2].job.id).await.unwrap();
    let mut brief = f.job();
    brief.expires_at = Some(f.env.now().plus(Duration::from_secs(1)));
    f.accept(brief).await;
    f.advance(2);
    let tick = f.store.tick(10).await.unwrap();
    assert_eq!(tick.failed, [(claimed[0].job.crew.clone(), Code::JobExpired)]);

    let recent = f.store.recent().await.unwrap();
    assert_eq!(recent.window, Duration::from_secs(7));
    assert_eq!((recent.succeeded, recent.failed, recent.cancelled), (1, 2, 1));
    assert_eq!((recent.model_calls, recent.tokens, recent.cost), (2, 30, NanoDollars(2_000)));
    assert_eq!((recent.durations.count, recent.durations.average), (2, Duration::from_secs(5)));
    assert_eq!((recent.waits.count, recent.waits.average), (3, Duration::from_secs(2)));
    for (span, least) in
        [(recent.durations.p50, 5_000), (recent.durations.p99, 5_000), (recent.waits.p95, 2_000)]
    {
        assert!((least..=least + least / 8).contains(&span.as_millis()), "{span:?}");
    }
    f.advance(4_000);
    assert_eq!(f.store.recent().await.unwrap().failed, 0, "an hour later it is forgotten");
}

pub(crate) async fn last_hour_of_each_crew_is_summed_up(make: Make) {
    let f = Fixture::new(make, |_| {});
    let other = TenantId::new("other");
    let (crew, rare) = (CrewName::new("research"), CrewName::new("rare"));
    let asked = vec![crew.clone(), CrewName::new("nobody"), rare.clone(), crew.clone()];
    let nothing = CrewRecent::default();
    assert_eq!(f.store.recent_of(&other, asked.clone()).await.unwrap(), [nothing; 4]);
    for _ in 0..5 {
        f.accept_plain().await;
    }
    let mut foreign = f.job();
    foreign.tenant = other.clone();
    f.accept(foreign).await;
    let mut later = f.job();
    (later.crew, later.run_at) = (rare.clone(), Some(f.env.now().plus(Duration::from_secs(9_000))));
    f.accept(later).await;
    let opened = f.store.recent_of(&TenantId::default(), asked.clone()).await.unwrap();
    assert_eq!(opened.iter().map(|crew| crew.open).collect::<Vec<_>>(), [5, 0, 1, 5]);

    f.advance(4);
    let mut claimed = f.claim(6).await;
    claimed.sort_by_key(|claimed| claimed.job.tenant.as_str() == "other");
    let failed = || Outcome::Failed(Failure::new(Code::ModelAuth, Class::Permanent, "no"));
    let succeeded = Outcome::Succeeded(super::output());
    f.store.finish(finish(&claimed[0], succeeded)).await.unwrap().unwrap();
    f.advance(4);
    f.store.finish(finish(&claimed[1], failed())).await.unwrap().unwrap();
    f.store.finish(finish(&claimed[2], Outcome::Release)).await.unwrap().unwrap();
    f.store.cancel(&TenantId::default(), claimed[3].job.id).await.unwrap();
    f.store.finish(finish(&claimed[5], failed())).await.unwrap().unwrap();

    let ended =
        CrewRecent { open: 2, succeeded: 1, failed: 1, cancelled: 1, average: Some(Duration::from_secs(6)) };
    let waits = CrewRecent { open: 1, ..nothing };
    let ours = f.store.recent_of(&TenantId::default(), asked.clone()).await.unwrap();
    assert_eq!(ours, [ended, nothing, waits, ended]);
    let theirs = f.store.recent_of(&other, asked.clone()).await.unwrap();
    let failed = CrewRecent { failed: 1, average: Some(Duration::from_secs(8)), ..nothing };
    assert_eq!(theirs, [failed, nothing, nothing, failed]);

    // What is open is known after a restart; what ended is not.
    f.advance(4_000);
    let f = if f.options.url == "memory:" { f } else { reopened(f).await };
    let open = CrewRecent { open: 2, ..nothing };
    let ours = f.store.recent_of(&TenantId::default(), asked).await.unwrap();
    assert_eq!(ours, [open, nothing, waits, open], "an hour later it is forgotten");
}
