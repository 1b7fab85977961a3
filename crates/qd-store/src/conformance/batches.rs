//! Batches: taken in whole or not at all, fed as there is room, each input one job, one end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use qd_types::{
    BatchId, Class, Code, CrewName, CrewVersion, Failure, Input, Job, JobId, JobStatus, NanoDollars,
    Priority, TenantId,
};
use serde_json::json;

use super::{Fixture, Make, finish, model_entry, output, record, reopened};
use crate::{
    Batch, BatchAccepted, BatchCancelled, BatchCounts, BatchOpened, BatchQuery, BatchStatus, Cancelled,
    Claimed, Delivery, DeliveryOutcome, DeliveryQuery, Event, Idempotency, ItemInput, ItemQuery, ItemResult,
    ItemStatus, JobQuery, NewBatch, NewItem, Options, OtherBody, Outcome, Refused, Settlement, Subject,
    Subscription, TakeDeliveries, TenantShare,
};

const URL: &str = "https://receiver.example/batches";

fn tenant() -> TenantId {
    TenantId::default()
}

fn new_batch(f: &Fixture, concurrency: u32) -> NewBatch {
    NewBatch {
        id: f.env.batch_id(),
        tenant: tenant(),
        crew: CrewName::new("research"),
        crew_version: CrewVersion(3),
        machine_version: 1,
        total_tasks: 2,
        priority: Priority::NORMAL,
        concurrency,
        timeout_seconds: 120,
        max_attempts: 4,
        budget: Some(NanoDollars(5)),
        metadata: BTreeMap::from([("run".to_owned(), "7".to_owned())]),
        webhook_url: None,
    }
}

fn input(n: u32) -> Input {
    Input::from_iter([("n".to_owned(), json!(n))])
}

fn items(count: u32) -> Vec<NewItem> {
    (0..count).map(|n| NewItem::Valid(ItemInput { input: input(n), ..ItemInput::default() })).collect()
}

async fn take_in(f: &Fixture, batch: NewBatch, items: Vec<NewItem>) -> BatchId {
    let id = batch.id;
    assert_eq!(f.store.open_batch(batch).await.unwrap(), BatchOpened::Opened);
    assert!(f.store.add_items(id, items).await.unwrap());
    id
}

async fn accept(f: &Fixture, batch: NewBatch, items: Vec<NewItem>) -> BatchId {
    let id = take_in(f, batch, items).await;
    match f.store.accept_batch(id, None).await.unwrap() {
        BatchAccepted::Created(batch) => batch.id,
        other => panic!("{other:?}"),
    }
}

async fn feed(f: &Fixture) -> usize {
    f.store.feed_batches(1_000).await.unwrap().started.len()
}

async fn read(f: &Fixture, id: BatchId) -> Batch {
    f.store.batch(&tenant(), id).await.unwrap().expect("the batch is there")
}

async fn counts(f: &Fixture, id: BatchId) -> BatchCounts {
    read(f, id).await.counts
}

async fn results(f: &Fixture, id: BatchId, status: Option<ItemStatus>) -> Vec<ItemResult> {
    let query = ItemQuery { status, limit: 1_000, ..ItemQuery::default() };
    f.store.batch_items(&tenant(), id, query).await.unwrap().unwrap().items
}

async fn jobs(f: &Fixture) -> Vec<Job> {
    let query = JobQuery { limit: 1_000, ..JobQuery::default() };
    let mut jobs = f.store.jobs(&tenant(), query).await.unwrap().jobs;
    jobs.reverse();
    jobs
}

async fn succeed(f: &Fixture, claimed: &Claimed) {
    f.store.finish(finish(claimed, Outcome::Succeeded(output()))).await.unwrap().unwrap();
}

fn failure() -> Failure {
    Failure::new(Code::ModelServerError, Class::Transient, "the provider failed")
}

async fn deliveries(f: &Fixture) -> Vec<Delivery> {
    let query = DeliveryQuery { limit: 100, event: Some(Event::BatchFinished), ..DeliveryQuery::default() };
    f.store.deliveries(&tenant(), query).await.unwrap().deliveries
}

fn key(body: u8) -> Idempotency {
    Idempotency {
        scope: "batches".into(),
        key: "k".into(),
        body_hash: [body; 32],
        on_other_body: OtherBody::Refuse,
    }
}

pub(crate) async fn batch_is_nobodys_business_until_it_is_accepted(make: Make) {
    let f = Fixture::new(make, |_| {});
    let id = take_in(&f, new_batch(&f, 4), items(2)).await;
    assert_eq!(feed(&f).await, 0);
    assert_eq!(f.store.batch(&tenant(), id).await.unwrap(), None);
    assert!(f.store.batch_items(&tenant(), id, ItemQuery::default()).await.unwrap().is_none());
    let list = f.store.batches(&tenant(), BatchQuery { limit: 9, ..BatchQuery::default() }).await.unwrap();
    assert_eq!(list.batches, []);
    assert!(matches!(f.store.cancel_batch(&tenant(), id).await.unwrap(), BatchCancelled::Unknown));
    assert!(f.store.add_items(id, items(1)).await.unwrap());
    f.advance(5);
    let BatchAccepted::Created(made) = f.store.accept_batch(id, None).await.unwrap() else { panic!() };
    assert_eq!((made.created_at, made.status), (f.env.now(), BatchStatus::Running));
    assert_eq!(made.counts, BatchCounts { total: 3, pending: 3, ..BatchCounts::default() });
    assert_eq!(read(&f, id).await, *made);
    assert!(matches!(f.store.accept_batch(id, None).await.unwrap(), BatchAccepted::Unknown));
    assert!(!f.store.add_items(id, items(1)).await.unwrap(), "it is whole");
    assert_eq!(feed(&f).await, 3);
}

pub(crate) async fn batch_that_was_given_up_leaves_nothing(make: Make) {
    let f = Fixture::new(make, |options| options.open_batches = 1);
    let given_up = take_in(&f, new_batch(&f, 4), items(20)).await;
    assert_eq!(f.store.open_batch(new_batch(&f, 1)).await.unwrap(), BatchOpened::Full { open: 1 });
    f.store.discard_batch(given_up).await.unwrap();
    assert!(!f.store.add_items(given_up, items(1)).await.unwrap());
    assert!(matches!(f.store.accept_batch(given_up, None).await.unwrap(), BatchAccepted::Unknown));
    assert_eq!(f.store.tick(15).await.unwrap().pruned, 15, "in bounded rounds");
    assert_eq!(f.store.tick(15).await.unwrap().pruned, 5);
    // One whose taker died without a word makes room in the end.
    take_in(&f, new_batch(&f, 4), items(1)).await;
    f.advance(3_601);
    f.store.tick(10).await.unwrap();
    take_in(&f, new_batch(&f, 4), items(1)).await;
    if f.options.url.starts_with("sqlite:") {
        let f = reopened(f).await;
        // Its process is gone, and it with it.
        assert_eq!(f.store.open_batch(new_batch(&f, 1)).await.unwrap(), BatchOpened::Opened);
    }
}

pub(crate) async fn inputs_become_jobs_in_order_and_no_more_at_once_than_asked(make: Make) {
    let f = Fixture::new(make, |_| {});
    let mut list = items(5);
    let own = ItemInput {
        input: input(1),
        priority: Some(Priority::new(5).unwrap()),
        metadata: BTreeMap::from([("row".to_owned(), "b".to_owned())]),
    };
    list[1] = NewItem::Valid(own.clone());
    let id = accept(&f, new_batch(&f, 2), list).await;
    assert_eq!((feed(&f).await, feed(&f).await), (2, 0));
    let made = jobs(&f).await;
    assert_eq!(made.len(), 2);
    for (n, job) in (0..).zip(&made) {
        let place = job.batch.unwrap();
        assert_eq!((place.batch, place.index, &job.input), (id, n, &input(n)));
        assert_eq!((job.crew_version, job.timeout_seconds, job.max_attempts), (CrewVersion(3), 120, 4));
        assert_eq!((job.budget, job.status), (Some(NanoDollars(5)), JobStatus::Queued));
    }
    assert_eq!((made[1].priority, &made[1].metadata), (own.priority.unwrap(), &own.metadata));
    assert_eq!((made[0].priority, made[0].metadata.len()), (Priority::NORMAL, 0));
    let claimed = f.claim(2).await;
    let now = read(&f, id).await;
    assert_eq!(now.open, [(JobStatus::Running, 2)]);
    assert_eq!(now.counts, BatchCounts { total: 5, pending: 3, open: 2, ..BatchCounts::default() });
    succeed(&f, &claimed[0]).await;
    assert_eq!((feed(&f).await, feed(&f).await), (1, 0));
    assert_eq!(jobs(&f).await[2].batch.unwrap().index, 2);
}

pub(crate) async fn inputs_leave_room_in_the_queue_for_others(make: Make) {
    let f = Fixture::new(make, |options: &mut Options| {
        options.max_depth = 8;
        let share = TenantShare { max_queued: Some(4), max_running: None };
        options.tenants.named.insert(TenantId::new("small"), share);
    });
    accept(&f, new_batch(&f, 100), items(50)).await;
    let small = NewBatch { tenant: TenantId::new("small"), ..new_batch(&f, 100) };
    accept_of(&f, small, items(50)).await;
    let fed = f.store.feed_batches(1_000).await.unwrap();
    assert_eq!((fed.started.len(), fed.is_held_back), (6, true), "a quarter of the queue is left to others");
    f.accept_plain().await;
    f.accept_plain().await;
    assert_eq!(feed(&f).await, 0);
    assert_eq!(f.claim(8).await.len(), 8);
    assert_eq!(feed(&f).await, 6, "there is room again");
    let query = JobQuery { status: Some(JobStatus::Queued), limit: 100, ..JobQuery::default() };
    let theirs = f.store.jobs(&TenantId::new("small"), query).await.unwrap().jobs.len();
    assert!(theirs <= 3, "a quarter of what a tenant may have queued is left, too: {theirs}");
}

async fn accept_of(f: &Fixture, batch: NewBatch, items: Vec<NewItem>) {
    let id = take_in(f, batch, items).await;
    assert!(matches!(f.store.accept_batch(id, None).await.unwrap(), BatchAccepted::Created(_)));
}

pub(crate) async fn batches_take_turns(make: Make) {
    let f = Fixture::new(make, |_| {});
    let first = accept(&f, new_batch(&f, 1_000), items(500)).await;
    let second = accept(&f, new_batch(&f, 1_000), items(500)).await;
    for _ in 0..4 {
        let fed = f.store.feed_batches(10).await.unwrap();
        assert_eq!((fed.started.len(), fed.more), (10, true));
    }
    let (one, two) = (counts(&f, first).await.open, counts(&f, second).await.open);
    assert_eq!(one + two, 40);
    assert!(one.abs_diff(two) <= 8, "{one} and {two}");
}

pub(crate) async fn batches_without_room_hide_none_behind_them(make: Make) {
    const MANY: usize = 600;
    let f = Fixture::new(make, |options: &mut Options| {
        options.open_batches = MANY;
        let share = TenantShare { max_queued: Some(1), max_running: None };
        options.tenants.named.insert(TenantId::new("small"), share);
    });
    let small = || NewBatch { tenant: TenantId::new("small"), ..new_batch(&f, 1) };
    futures::future::join_all((0..MANY).map(|_| accept_of(&f, small(), items(2)))).await;
    let hidden = accept(&f, new_batch(&f, 1), items(1)).await;
    // All that this tenant may have queued, so that none of its batches has room.
    assert_eq!(f.store.feed_batches(1).await.unwrap().started.len(), 1);
    let mut rounds = 0;
    while counts(&f, hidden).await.pending > 0 {
        let fed = f.store.feed_batches(1_000).await.unwrap();
        assert!(fed.is_held_back && rounds < 4, "round {rounds}: {fed:?}");
        rounds += 1;
    }
    assert!(rounds > 1, "more batches than one round looks at");
    // And those before it have their turn once there is room.
    f.claim(2).await;
    rounds = 0;
    while feed(&f).await == 0 {
        assert!(rounds < 4, "round {rounds}");
        rounds += 1;
    }
}

pub(crate) async fn last_job_ends_the_batch_once_and_with_one_delivery_for_each_receiver(make: Make) {
    let shop = Subscription { endpoint: "shop".into(), events: vec![Event::BatchFinished], crews: None };
    let f = Fixture::new(make, |options: &mut Options| options.subscriptions = vec![shop].into());
    let new = NewBatch { webhook_url: Some(URL.to_owned()), ..new_batch(&f, 10) };
    let mut list = items(4);
    list.push(NewItem::Invalid("`n` is missing".to_owned()));
    let id = accept(&f, new, list).await;
    assert_eq!(feed(&f).await, 4);
    let claimed = f.claim(3).await;
    f.store.record(record(&claimed[0], vec![model_entry(1)])).await.unwrap().unwrap();
    succeed(&f, &claimed[0]).await;
    f.store.finish(finish(&claimed[1], Outcome::Failed(failure()))).await.unwrap().unwrap();
    f.store.finish(finish(&claimed[2], Outcome::Release)).await.unwrap().unwrap();
    let last = jobs(&f).await[3].id;
    assert!(matches!(f.store.cancel(&tenant(), last).await.unwrap(), Cancelled::Now(_)));
    assert_eq!((read(&f, id).await.finished_at, deliveries(&f).await.len()), (None, 0));
    f.advance(3);
    let again = f.claim_one().await;
    f.store.record(record(&again, vec![model_entry(1)])).await.unwrap().unwrap();
    succeed(&f, &again).await;
    assert_eq!(
        f.store.finish(finish(&again, Outcome::Failed(failure()))).await.unwrap(),
        Err(Refused::Terminal)
    );
    let over = read(&f, id).await;
    let wanted =
        BatchCounts { total: 5, succeeded: 2, failed: 1, cancelled: 1, invalid: 1, ..BatchCounts::default() };
    assert_eq!(
        (over.status, over.counts, over.finished_at),
        (BatchStatus::Finished, wanted, Some(f.env.now()))
    );
    assert_eq!((over.usage.model_calls, over.cost, over.open.len()), (2, NanoDollars(2_000), 0));
    let told = deliveries(&f).await;
    let to: BTreeSet<_> = told.iter().map(|one| one.destination.lane()).collect();
    assert_eq!((told.len(), to), (2, ["@shop".to_owned(), "https://receiver.example".to_owned()].into()));
    let ask = TakeDeliveries { max: 9, per_lane: 9, ..TakeDeliveries::default() };
    for (one, subject) in f.store.take_deliveries(ask).await.unwrap().deliveries {
        assert_eq!((one.job, one.batch), (None, Some(id)));
        assert_eq!(subject, Some(Subject::Batch(Box::new(over.clone()))));
    }
}

pub(crate) async fn every_way_in_which_a_job_ends_counts_in_its_batch(make: Make) {
    let f = Fixture::new(make, super::lapsing);
    let id = accept(&f, new_batch(&f, 10), items(1)).await;
    feed(&f).await;
    // Its worker crashes again and again.
    for _ in 0..3 {
        f.claim_one().await;
        f.advance(31);
        f.store.tick(10).await.unwrap();
    }
    let over = read(&f, id).await;
    assert_eq!((over.counts.failed, over.status), (1, BatchStatus::Finished));
    let result = results(&f, id, None).await.remove(0);
    assert_eq!(result.error.unwrap().code, Code::WorkerCrashed);
}

pub(crate) async fn cancelled_batch_starts_nothing_and_its_jobs_are_cancelled(make: Make) {
    let f = Fixture::new(make, |_| {});
    let new = NewBatch { webhook_url: Some(URL.to_owned()), ..new_batch(&f, 3) };
    let id = accept(&f, new, items(6)).await;
    feed(&f).await;
    let claimed = f.claim(2).await;
    succeed(&f, &claimed[0]).await;
    let BatchCancelled::Now { batch, jobs } = f.store.cancel_batch(&tenant(), id).await.unwrap() else {
        panic!()
    };
    assert_eq!((batch.status, batch.finished_at, jobs), (BatchStatus::Cancelled, Some(f.env.now()), 2));
    assert_eq!(batch.counts, BatchCounts { total: 6, succeeded: 1, cancelled: 5, ..BatchCounts::default() });
    assert_eq!(read(&f, id).await, *batch);
    let refused = f.store.finish(finish(&claimed[1], Outcome::Succeeded(output()))).await.unwrap();
    assert_eq!(refused, Err(Refused::Terminal));
    assert_eq!((feed(&f).await, f.claim(9).await.len(), deliveries(&f).await.len()), (0, 0, 1));
    let stand: Vec<_> =
        results(&f, id, None).await.iter().map(|one| (one.status, one.job.is_some())).collect();
    let cancelled = ItemStatus::Of(JobStatus::Cancelled);
    let wanted = [(ItemStatus::Of(JobStatus::Succeeded), true), (cancelled, true), (cancelled, true)];
    assert_eq!(stand[..3], wanted);
    assert_eq!(stand[3..], [(cancelled, false); 3]);
    assert_eq!(results(&f, id, Some(cancelled)).await.len(), 5);
    assert_eq!(results(&f, id, Some(ItemStatus::Pending)).await.len(), 0);
    assert!(matches!(f.store.cancel_batch(&tenant(), id).await.unwrap(), BatchCancelled::Already(_)));
    // One of which nothing was started yet.
    let second = accept(&f, new_batch(&f, 3), items(2)).await;
    let answer = f.store.cancel_batch(&tenant(), second).await.unwrap();
    assert!(matches!(answer, BatchCancelled::Now { jobs: 0, .. }), "{answer:?}");
    assert_eq!(counts(&f, second).await, BatchCounts { total: 2, cancelled: 2, ..BatchCounts::default() });
}

pub(crate) async fn same_key_gives_the_same_batch(make: Make) {
    let f = Fixture::new(make, |options| options.open_batches = 2);
    let made = take_in(&f, new_batch(&f, 3), items(2)).await;
    assert!(f.store.replay_batch(&tenant(), key(1)).await.unwrap().is_none());
    assert!(matches!(f.store.accept_batch(made, Some(key(1))).await.unwrap(), BatchAccepted::Created(_)));
    let again = take_in(&f, new_batch(&f, 3), items(2)).await;
    let BatchAccepted::Replayed(known) = f.store.accept_batch(again, Some(key(1))).await.unwrap() else {
        panic!()
    };
    assert_eq!(known.id, made);
    let other = take_in(&f, new_batch(&f, 3), items(3)).await;
    let answer = f.store.accept_batch(other, Some(key(2))).await.unwrap();
    assert!(matches!(answer, BatchAccepted::Conflict { batch } if batch == made), "{answer:?}");
    assert_eq!(feed(&f).await, 2, "the others are gone");
    let answer = f.store.replay_batch(&tenant(), key(1)).await.unwrap();
    assert!(matches!(answer, Some(BatchAccepted::Replayed(known)) if known.id == made));
    assert!(f.store.replay_batch(&TenantId::new("other"), key(1)).await.unwrap().is_none());
}

pub(crate) async fn batch_without_anything_to_execute_is_not_accepted(make: Make) {
    let f = Fixture::new(make, |_| {});
    let id = take_in(&f, new_batch(&f, 3), vec![NewItem::Invalid("it is no object".into())]).await;
    assert!(matches!(f.store.accept_batch(id, Some(key(1))).await.unwrap(), BatchAccepted::Empty));
    assert_eq!(f.store.batch(&tenant(), id).await.unwrap(), None);
    assert!(f.store.replay_batch(&tenant(), key(1)).await.unwrap().is_none(), "the key is not burnt");
}

pub(crate) async fn results_come_in_order_page_by_page_and_by_status(make: Make) {
    let f = Fixture::new(make, |_| {});
    let mut list = items(7);
    list[3] = NewItem::Invalid("`n` must be a number".to_owned());
    let id = accept(&f, new_batch(&f, 4), list).await;
    feed(&f).await;
    let claimed = f.claim(3).await;
    succeed(&f, &claimed[1]).await;
    f.store.finish(finish(&claimed[0], Outcome::Failed(failure()))).await.unwrap().unwrap();
    let all = results(&f, id, None).await;
    let of = ItemStatus::Of;
    let wanted = [
        of(JobStatus::Failed),
        of(JobStatus::Succeeded),
        of(JobStatus::Running),
        ItemStatus::Invalid,
        of(JobStatus::Queued),
        ItemStatus::Pending,
        ItemStatus::Pending,
    ];
    assert_eq!(all.iter().map(|one| one.status).collect::<Vec<_>>(), wanted);
    assert_eq!(all.iter().map(|one| one.index).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!((all[1].output.as_ref(), all[1].job), (Some(&output()), Some(claimed[1].job.id)));
    assert_eq!(all[0].error.as_ref(), Some(&failure()));
    let invalid = all[3].error.as_ref().unwrap();
    assert_eq!((invalid.code, invalid.message.as_str()), (Code::ValidationFailed, "`n` must be a number"));
    let (mut paged, mut from) = (Vec::new(), Some(0));
    while let Some(next) = from {
        let query = ItemQuery { from: next, limit: 2, status: None };
        let page = f.store.batch_items(&tenant(), id, query).await.unwrap().unwrap();
        assert!(page.items.len() <= 2);
        paged.extend(page.items);
        from = page.next;
    }
    assert_eq!(paged, all);
    for status in ItemStatus::all() {
        let wanted: Vec<_> = all.iter().filter(|one| one.status == status).cloned().collect();
        assert_eq!(results(&f, id, Some(status)).await, wanted, "{status:?}");
    }
}

pub(crate) async fn batches_of_tenants_are_apart_and_listed_newest_first(make: Make) {
    let f = Fixture::new(make, |_| {});
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(accept(&f, new_batch(&f, 1), items(1)).await);
    }
    f.store.cancel_batch(&tenant(), made[1]).await.unwrap();
    let other = TenantId::new("other");
    for id in &made {
        assert_eq!(f.store.batch(&other, *id).await.unwrap(), None);
        assert!(f.store.batch_items(&other, *id, ItemQuery::default()).await.unwrap().is_none());
        assert!(matches!(f.store.cancel_batch(&other, *id).await.unwrap(), BatchCancelled::Unknown));
    }
    let list = async |of: &TenantId, query: BatchQuery| f.store.batches(of, query).await.unwrap();
    let query = || BatchQuery { limit: 2, ..BatchQuery::default() };
    assert_eq!(list(&other, query()).await.batches, []);
    let page = list(&tenant(), query()).await;
    let rest = list(&tenant(), BatchQuery { cursor: page.next, ..query() }).await;
    let ids: Vec<_> = page.batches.iter().chain(&rest.batches).map(|batch| batch.id).collect();
    assert_eq!((ids, rest.next), (made.iter().rev().copied().collect(), None));
    for (query, count) in [
        (BatchQuery { status: Some(BatchStatus::Cancelled), ..query() }, 1),
        (BatchQuery { status: Some(BatchStatus::Running), ..query() }, 2),
        (BatchQuery { crew: Some(CrewName::new("research")), limit: 9, ..query() }, 3),
        (BatchQuery { crew: Some(CrewName::new("other")), ..query() }, 0),
    ] {
        assert_eq!(list(&tenant(), query.clone()).await.batches.len(), count, "{query:?}");
    }
}

pub(crate) async fn batch_goes_with_its_jobs_once_it_is_old(make: Make) {
    let f = Fixture::new(make, |options| options.retention = Duration::from_secs(60));
    let new = NewBatch { webhook_url: Some(URL.to_owned()), ..new_batch(&f, 1) };
    let id = accept(&f, new, items(2)).await;
    feed(&f).await;
    let first = f.claim_one().await;
    succeed(&f, &first).await;
    f.advance(120);
    f.store.tick(10).await.unwrap();
    assert_eq!(results(&f, id, None).await[0].job, Some(first.job.id), "kept as long as its batch");
    feed(&f).await;
    succeed(&f, &f.claim_one().await).await;
    f.advance(120);
    f.store.tick(10).await.unwrap();
    assert_eq!(read(&f, id).await.counts.succeeded, 2, "its delivery needs it");
    let ask = TakeDeliveries { max: 9, per_lane: 9, ..TakeDeliveries::default() };
    let delivery = f.store.take_deliveries(ask).await.unwrap().deliveries.remove(0).0.id;
    let outcome = DeliveryOutcome::Delivered;
    let settled = Settlement { delivery, tenant: tenant(), http_status: Some(200), error: None, outcome };
    f.store.settle_deliveries(vec![settled]).await.unwrap();
    for _ in 0..3 {
        f.store.tick(10).await.unwrap();
    }
    assert_eq!(f.store.batch(&tenant(), id).await.unwrap(), None);
    assert_eq!(jobs(&f).await, []);
}

/// Random acts and restarts: no input is lost or made a job of twice, and what batches count is what their jobs are.
pub(crate) async fn no_history_loses_or_doubles_an_input(make: Make) {
    for seed in 0..8 {
        let mut f = Fixture::new(make, |options| options.max_depth = 12);
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut batches = Vec::new();
        let mut held: Vec<Claimed> = Vec::new();
        for _ in 0..120 {
            match rng.u8(..12) {
                0 if batches.len() < 6 => {
                    let new = new_batch(&f, rng.u32(1..6));
                    batches.push(accept(&f, new, items(rng.u32(1..20))).await);
                }
                0..3 => drop(feed(&f).await),
                3..6 => held.extend(f.claim(rng.usize(1..4)).await),
                6..9 if !held.is_empty() => {
                    let claimed = held.swap_remove(rng.usize(..held.len()));
                    let outcome = match rng.u8(..3) {
                        0 => Outcome::Failed(failure()),
                        1 => Outcome::Release,
                        _ => Outcome::Succeeded(output()),
                    };
                    // Refused where the batch was cancelled meanwhile.
                    let _ = f.store.finish(finish(&claimed, outcome)).await.unwrap();
                }
                9 => {
                    if let Some(id) = rng.choice(&batches).filter(|_| rng.u8(..4) == 0) {
                        f.store.cancel_batch(&tenant(), *id).await.unwrap();
                    }
                }
                10 if f.options.url.starts_with("sqlite:") => {
                    f = reopened(f).await;
                    held.clear();
                }
                _ => f.advance(1),
            }
            agree(&f, &batches).await;
        }
        for claimed in held.drain(..) {
            let _ = f.store.finish(finish(&claimed, Outcome::Succeeded(output()))).await.unwrap();
        }
        while feed(&f).await > 0 || f.store.stats().await.unwrap().queued > 0 {
            for claimed in f.claim(100).await {
                succeed(&f, &claimed).await;
            }
        }
        agree(&f, &batches).await;
        for id in &batches {
            let over = read(&f, *id).await;
            assert!(over.finished_at.is_some() && over.status != BatchStatus::Running, "{over:?}");
        }
    }
}

async fn agree(f: &Fixture, batches: &[BatchId]) {
    let jobs = jobs(f).await;
    let mut places = BTreeSet::new();
    for job in &jobs {
        let place = job.batch.unwrap();
        assert!(places.insert((place.batch, place.index)), "input {} has two jobs", place.index);
    }
    for id in batches {
        let batch = read(f, *id).await;
        let results = results(f, *id, None).await;
        let count = |wanted: &dyn Fn(ItemStatus) -> bool| {
            u32::try_from(results.iter().filter(|one| wanted(one.status)).count()).unwrap()
        };
        let of = |status: JobStatus| count(&|found| found == ItemStatus::Of(status));
        let open = count(&|found| matches!(found, ItemStatus::Of(status) if !status.is_terminal()));
        let counted = BatchCounts {
            total: u32::try_from(results.len()).unwrap(),
            pending: count(&|found| found == ItemStatus::Pending),
            open,
            succeeded: of(JobStatus::Succeeded),
            failed: of(JobStatus::Failed),
            cancelled: of(JobStatus::Cancelled),
            invalid: 0,
        };
        assert_eq!(batch.counts, counted);
        assert_eq!(batch.open.iter().map(|(_, n)| n).sum::<u32>(), open);
        assert!(open <= batch.concurrency);
        assert_eq!(batch.finished_at.is_some(), counted.pending == 0 && open == 0);
        let made: Vec<JobId> = results.iter().filter_map(|one| one.job).collect();
        assert_eq!(made.len(), jobs.iter().filter(|job| job.batch.unwrap().batch == *id).count());
    }
}
