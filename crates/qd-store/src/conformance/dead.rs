//! Dead letters.

use qd_types::{Class, Code, CrewName, Failure, JobId, TaskId, TenantId};

use super::{Fixture, Make, finish};
use crate::{Actor, DeadQuery, Discard, Enqueued, NewJob, Options, Outcome, TenantShare};

/// Accepts a job and lets it fail.
async fn fail(f: &Fixture, crew: &str, code: Code, task: Option<&str>) -> JobId {
    let mut job = f.job();
    job.crew = CrewName::new(crew);
    let id = f.accept(job).await;
    let claimed = f.claim_one().await;
    let mut failure = Failure::new(code, Class::Permanent, format!("{crew} failed"));
    failure.task = task.map(TaskId::new);
    f.store.finish(finish(&claimed, Outcome::Failed(failure))).await.unwrap().unwrap();
    f.advance(1_000);
    id
}

/// What runs a job again.
fn again(f: &Fixture, failed: JobId) -> NewJob {
    NewJob { redrive_of: Some(failed), ..f.job() }
}

fn discard(tenant: &str, jobs: Vec<JobId>) -> Discard {
    Discard { tenant: TenantId::new(tenant), jobs, reason: "a test".into(), by: Actor::Console }
}

async fn dead(f: &Fixture, query: DeadQuery) -> Vec<JobId> {
    let jobs = f.store.dead_jobs(&TenantId::default(), query, 100).await.unwrap();
    jobs.iter().map(|job| job.id).collect()
}

pub(crate) async fn failed_jobs_are_grouped_by_their_cause(make: Make) {
    let f = Fixture::new(make, |_| {});
    let begin = f.env.now();
    let first = fail(&f, "news", Code::ModelAuth, Some("draft")).await;
    let other = fail(&f, "news", Code::ModelAuth, Some("polish")).await;
    let middle = f.env.now();
    let last = fail(&f, "news", Code::ModelAuth, Some("draft")).await;
    let plain = fail(&f, "mail", Code::JobTimeout, None).await;
    // Neither of these has failed.
    f.accept_plain().await;
    let cancelled = f.accept_plain().await;
    f.store.cancel(&TenantId::default(), cancelled).await.unwrap();

    let groups = f.store.dead_groups(&TenantId::default(), DeadQuery::default()).await.unwrap();
    let told: Vec<_> = groups
        .iter()
        .map(|g| (g.crew.as_str(), g.code, g.task.as_ref().map(TaskId::as_str), g.count, g.newest))
        .collect();
    assert_eq!(
        told,
        [
            ("news", Code::ModelAuth, Some("draft"), 2, last),
            ("mail", Code::JobTimeout, None, 1, plain),
            ("news", Code::ModelAuth, Some("polish"), 1, other),
        ]
    );
    assert_eq!((groups[0].first_at, groups[0].last_at), (begin, middle));
    assert_eq!(groups[0].message, "news failed");
    let of = |crew: &str| DeadQuery { crew: Some(CrewName::new(crew)), ..DeadQuery::default() };
    for (query, expected) in [
        (DeadQuery::default(), vec![first, other, last, plain]),
        (of("news"), vec![first, other, last]),
        (DeadQuery { code: Some(Code::JobTimeout), ..DeadQuery::default() }, vec![plain]),
        (DeadQuery { task: Some(TaskId::new("draft")), ..DeadQuery::default() }, vec![first, last]),
        (DeadQuery { failed_before: Some(middle), ..of("news") }, vec![first, other]),
        (DeadQuery { failed_after: Some(begin), ..of("news") }, vec![other, last]),
        (DeadQuery { after: Some(first), ..DeadQuery::default() }, vec![other, last, plain]),
        (DeadQuery { after: Some(last), ..of("news") }, vec![]),
        (DeadQuery { after: Some(f.env.job_id()), ..DeadQuery::default() }, vec![]),
    ] {
        assert_eq!(dead(&f, query.clone()).await, expected, "{query:?}");
        let count = f.store.dead_count(&TenantId::default(), query.clone()).await.unwrap();
        assert_eq!(count, expected.len() as u64, "{query:?}");
    }
    assert!(f.store.dead_groups(&TenantId::new("other"), DeadQuery::default()).await.unwrap().is_empty());
    assert_eq!(f.store.dead_jobs(&TenantId::default(), DeadQuery::default(), 2).await.unwrap().len(), 2);
}

pub(crate) async fn what_is_run_again_or_discarded_is_no_dead_letter_any_more(make: Make) {
    let f = Fixture::new(make, |_| {});
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(fail(&f, "news", Code::NoOutput, None).await);
    }
    let again = f.accept(again(&f, ids[0])).await;
    assert_eq!(dead(&f, DeadQuery::default()).await, ids[1..]);

    let theirs = f.store.discard(discard("other", ids.clone())).await.unwrap();
    assert!(theirs.is_empty(), "of another tenant");
    let done =
        f.store.discard(discard("default", vec![ids[0], ids[1], again, f.env.job_id()])).await.unwrap();
    assert_eq!(done, [ids[1]], "what is dealt with, queued or unknown is passed over");
    assert_eq!(f.store.discard(discard("default", vec![ids[1]])).await.unwrap(), []);
    assert_eq!(dead(&f, DeadQuery::default()).await, ids[2..]);
    // It stands in the audit log, once.
    let acts = f.store.audited(0, 10).await.unwrap();
    let acts: Vec<_> = acts.iter().map(|row| (row.act.deed.as_str(), row.act.subject.clone())).collect();
    assert_eq!(acts, [("jobs.discarded", ids[1].to_string())]);
    // A job that is run again and fails again is a dead letter of its own.
    let claimed = f.claim_one().await;
    let failure = Failure::new(Code::NoOutput, Class::Permanent, "again");
    f.store.finish(finish(&claimed, Outcome::Failed(failure))).await.unwrap().unwrap();
    assert_eq!(dead(&f, DeadQuery::default()).await, [ids[2], again]);
}

pub(crate) async fn only_what_is_owed_passes_the_bounds_of_the_queue(make: Make) {
    let full = |options: &mut Options| options.max_depth = 1;
    let over_quota = |options: &mut Options| {
        let share = TenantShare { max_queued: Some(1), max_running: None };
        options.tenants.named.insert(TenantId::default(), share);
    };
    for adjust in [full as fn(&mut Options), over_quota] {
        let f = Fixture::new(make, adjust);
        let mut ids = Vec::new();
        for _ in 0..2 {
            ids.push(fail(&f, "news", Code::NoOutput, None).await);
        }
        f.accept_plain().await;
        let refused = async |new: NewJob, why: &str| {
            let answer = f.store.enqueue(new).await.unwrap();
            assert!(
                matches!(answer, Enqueued::Full { .. } | Enqueued::OverQuota { .. }),
                "{why}: {answer:?}"
            );
        };
        let mut edited = again(&f, ids[0]);
        edited.input.insert("topic".into(), "another".into());
        refused(edited, "with another input it is another job").await;
        refused(again(&f, f.env.job_id()), "nobody knows what it runs again").await;
        assert_eq!(dead(&f, DeadQuery::default()).await, ids, "a refusal deals with nothing");
        let made = f.accept(again(&f, ids[0])).await;
        refused(again(&f, ids[0]), "it was run again already").await;
        f.store.discard(discard("default", vec![ids[1]])).await.unwrap();
        refused(again(&f, ids[1]), "it was discarded").await;
        assert_eq!(f.store.stats().await.unwrap().queued, 2);
        // Where there is room, it may be run again as often as anybody likes.
        assert_eq!(f.claim(2).await.iter().filter(|claimed| claimed.job.id == made).count(), 1);
        f.accept(again(&f, ids[0])).await;
    }
}

pub(crate) async fn large_dead_letters_come_in_pieces(make: Make) {
    let f = Fixture::new(make, |_| {});
    let mut ids = Vec::new();
    for _ in 0..7 {
        let mut large = f.job();
        large.input.insert("message".into(), "x".repeat(1 << 20).into());
        ids.push(f.accept(large).await);
        let failure = Failure::new(Code::NoOutput, Class::Permanent, "nothing");
        f.store.finish(finish(&f.claim_one().await, Outcome::Failed(failure))).await.unwrap().unwrap();
    }
    let mut pieces = Vec::new();
    loop {
        let piece = dead(&f, DeadQuery::default()).await;
        if piece.is_empty() {
            break;
        }
        assert!(piece.len() <= 5, "{}", piece.len());
        assert_eq!(f.store.discard(discard("default", piece.clone())).await.unwrap(), piece);
        pieces.extend(piece);
    }
    assert_eq!(pieces, ids, "the oldest first, and all of them in the end");
}
