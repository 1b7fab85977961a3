//! Reading.

use std::time::Duration;

use qd_types::{
    AgentId, ConversationId, CrewName, JobOutput, JobStatus, Priority, TaskId, TaskOutput, TenantId,
};

use super::{Fixture, Make, finish, model_entry, record};
use crate::{JobQuery, Outcome};

pub(crate) fn output() -> JobOutput {
    let task = TaskOutput {
        name: TaskId::new("draft"),
        agent: AgentId::new("writer"),
        raw: "text".into(),
        json: None,
    };
    JobOutput { raw: "text".into(), json: None, tasks: vec![task] }
}

pub(crate) async fn pages_are_newest_first_and_complete(make: Make) {
    let f = Fixture::new(make, |_| {});
    let mut ids = Vec::new();
    for _ in 0..7 {
        ids.push(f.accept_plain().await);
    }
    ids.reverse();
    for limit in [1, 3, 7, 50] {
        let mut listed = Vec::new();
        let mut cursor = None;
        loop {
            let page = f
                .store
                .jobs(&TenantId::default(), JobQuery { limit, cursor, ..JobQuery::default() })
                .await
                .unwrap();
            assert!(page.jobs.len() <= limit);
            listed.extend(page.jobs.iter().map(|job| job.id));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(listed, ids, "limit {limit}");
    }
}

pub(crate) async fn filters_select(make: Make) {
    let f = Fixture::new(make, |_| {});
    let first = f.accept_plain().await;
    f.advance(10);
    let middle = f.env.now();
    f.advance(10);
    let mut other = f.job();
    other.crew = CrewName::new("support");
    let second = f.accept(other).await;
    f.claim_one().await;
    let base = JobQuery { limit: 10, ..JobQuery::default() };
    for (query, expected) in [
        (JobQuery { status: Some(JobStatus::Running), ..base.clone() }, vec![first]),
        (JobQuery { status: Some(JobStatus::Queued), ..base.clone() }, vec![second]),
        (JobQuery { status: Some(JobStatus::Failed), ..base.clone() }, vec![]),
        (JobQuery { crew: Some(CrewName::new("support")), ..base.clone() }, vec![second]),
        (JobQuery { created_after: Some(middle), ..base.clone() }, vec![second]),
        (JobQuery { created_before: Some(middle), ..base.clone() }, vec![first]),
    ] {
        let page = f.store.jobs(&TenantId::default(), query.clone()).await.unwrap();
        assert_eq!(page.jobs.iter().map(|job| job.id).collect::<Vec<_>>(), expected, "{query:?}");
    }
}

pub(crate) async fn tenants_see_their_own_jobs_only(make: Make) {
    let f = Fixture::new(make, |_| {});
    let mine = f.accept_plain().await;
    let mut theirs = f.job();
    theirs.tenant = TenantId::new("other");
    f.accept(theirs).await;
    let page =
        f.store.jobs(&TenantId::default(), JobQuery { limit: 10, ..JobQuery::default() }).await.unwrap();
    assert_eq!(page.jobs.iter().map(|job| job.id).collect::<Vec<_>>(), [mine]);
    assert!(f.store.log(&TenantId::new("other"), mine, 0, 10).await.unwrap().is_none());
}

pub(crate) async fn log_pages_after_a_place(make: Make) {
    let f = Fixture::new(make, |_| {});
    let id = f.accept_plain().await;
    let claimed = f.claim_one().await;
    f.store.record(record(&claimed, (1..=5).map(model_entry).collect())).await.unwrap().unwrap();
    for (after, limit, expected) in
        [(0, 2, vec![1, 2]), (2, 3, vec![3, 4, 5]), (5, 9, vec![6]), (6, 9, vec![])]
    {
        let log = f.store.log(&TenantId::default(), id, after, limit).await.unwrap().unwrap();
        assert_eq!(log.iter().map(|l| l.seq).collect::<Vec<_>>(), expected);
    }
    assert!(f.store.log(&TenantId::default(), f.env.job_id(), 0, 9).await.unwrap().is_none());
}

pub(crate) async fn every_field_round_trips(make: Make) {
    let f = Fixture::new(make, |_| {});
    let mut new = f.job();
    new.input.insert("topic".into(), serde_json::json!({"deep": [1, 2.5, null, "ü\u{1f600}"]}));
    new.priority = Priority::new(4).unwrap();
    new.conversation = Some(ConversationId::new("ada"));
    new.run_at = Some(f.env.now());
    new.expires_at = Some(f.env.now().plus(Duration::from_secs(900)));
    new.metadata.insert("order".into(), "42".into());
    new.budget = Some(qd_types::NanoDollars(123_456_789));
    new.redrive_of = Some(f.env.job_id());
    let id = f.accept(new.clone()).await;
    let expected = new.accepted(f.env.now());
    assert_eq!(f.store.job(&TenantId::default(), id).await.unwrap(), Some(expected.clone()));

    let claimed = f.claim_one().await;
    let item = model_entry(1);
    f.store.record(record(&claimed, vec![item.clone()])).await.unwrap().unwrap();
    f.store.finish(finish(&claimed, Outcome::Succeeded(output()))).await.unwrap().unwrap();
    let job = f.store.job(&TenantId::default(), id).await.unwrap().unwrap();
    let now = f.env.now();
    assert_eq!(
        (job.started_at, job.finished_at, job.output, job.attempt),
        (Some(now), Some(now), Some(output()), 1)
    );
    let log = f.store.log(&TenantId::default(), id, 1, 1).await.unwrap().unwrap();
    assert_eq!((log[0].item.clone(), log[0].at, log[0].attempt), (item, now, 1));
}

pub(crate) async fn large_jobs_make_small_pages(make: Make) {
    let f = Fixture::new(make, |_| {});
    for _ in 0..7 {
        let mut large = f.job();
        large.input.insert("message".into(), "x".repeat(1 << 20).into());
        f.accept(large).await;
    }
    let all = JobQuery { limit: 500, ..JobQuery::default() };
    let first = f.store.jobs(&TenantId::default(), all.clone()).await.unwrap();
    assert!((1..=5).contains(&first.jobs.len()), "{}", first.jobs.len());
    let rest = f.store.jobs(&TenantId::default(), JobQuery { cursor: first.next, ..all }).await.unwrap();
    assert_eq!((first.jobs.len() + rest.jobs.len(), rest.next), (7, None));
}
