//! Deliveries: that they are there when something happened, and who is given them when.

use std::time::Duration;

use qd_types::{
    AgentId, Class, Code, CrewName, DeliveryId, Failure, Hooks, JobId, LogItem, TaskId, TenantId,
};

use super::{Fixture, Make, finish, human, output, record};
use crate::{
    Answer, Delivery, DeliveryOutcome, DeliveryQuery, DeliveryStatus, Destination, EndpointState, Event,
    Options, Outcome, Settlement, Subject, Subscription, TakeDeliveries, TakenDeliveries,
};

const MINUTE: Duration = Duration::from_secs(60);
const URL: &str = "https://receiver.example/hooks/1";

fn told_of(endpoint: &str, events: &[Event], crews: Option<&[&str]>) -> Subscription {
    let crews = crews.map(|crews| crews.iter().map(CrewName::new).collect());
    Subscription { endpoint: endpoint.to_owned(), events: events.to_vec(), crews }
}

fn subscribed(make: Make, subscriptions: Vec<Subscription>) -> Fixture {
    Fixture::new(make, |options: &mut Options| options.subscriptions = subscriptions.into())
}

async fn with_url(f: &Fixture) -> JobId {
    let mut job = f.job();
    job.webhook_url = Some(URL.to_owned());
    f.accept(job).await
}

async fn all(f: &Fixture) -> Vec<Delivery> {
    let query = DeliveryQuery { limit: 100, ..DeliveryQuery::default() };
    let mut found = f.store.deliveries(&TenantId::default(), query).await.unwrap().deliveries;
    found.reverse();
    found
}

async fn events(f: &Fixture) -> Vec<&'static str> {
    all(f).await.iter().map(|delivery| delivery.event.as_str()).collect()
}

async fn take(f: &Fixture, ask: TakeDeliveries) -> TakenDeliveries {
    f.store.take_deliveries(ask).await.unwrap()
}

fn ask(max: usize, per_lane: usize) -> TakeDeliveries {
    TakeDeliveries { max, per_lane, ..TakeDeliveries::default() }
}

async fn settle(f: &Fixture, delivery: DeliveryId, outcome: DeliveryOutcome) {
    let (tenant, error) = (TenantId::default(), Some("the receiver answered 500".to_owned()));
    let settlement = Settlement { delivery, tenant, http_status: Some(500), error, outcome };
    f.store.settle_deliveries(vec![settlement]).await.unwrap();
}

async fn succeed(f: &Fixture) {
    let claimed = f.claim_one().await;
    f.store.finish(finish(&claimed, Outcome::Succeeded(output()))).await.unwrap().unwrap();
}

fn failure() -> Failure {
    Failure::new(Code::ModelServerError, Class::Transient, "the provider failed")
}

pub(crate) async fn no_job_ends_without_its_delivery(make: Make) {
    let f = Fixture::new(make, |_| {});
    let succeeded = with_url(&f).await;
    succeed(&f).await;
    let failed = with_url(&f).await;
    let claimed = f.claim_one().await;
    f.store.finish(finish(&claimed, Outcome::Failed(failure()))).await.unwrap().unwrap();
    let cancelled = with_url(&f).await;
    f.store.cancel(&TenantId::default(), cancelled).await.unwrap();
    let mut job = f.job();
    (job.webhook_url, job.expires_at) = (Some(URL.to_owned()), Some(f.env.now().plus(MINUTE)));
    let expired = f.accept(job).await;
    f.advance(61);
    f.store.tick(10).await.unwrap();
    let found = all(&f).await;
    let told: Vec<_> = found.iter().map(|one| (one.job.unwrap(), one.event)).collect();
    let last = [Event::Succeeded, Event::Failed, Event::Cancelled, Event::Failed];
    assert_eq!(told, [succeeded, failed, cancelled, expired].into_iter().zip(last).collect::<Vec<_>>());
    for one in &found {
        assert_eq!(
            (&one.destination, one.status),
            (&Destination::Url(URL.to_owned()), DeliveryStatus::Pending)
        );
        assert_eq!((one.tries, one.next_at), (0, Some(one.at)));
    }
}

pub(crate) async fn a_refused_finish_makes_no_delivery(make: Make) {
    let f = Fixture::new(make, |_| {});
    with_url(&f).await;
    let claimed = f.claim_one().await;
    let ended = || finish(&claimed, Outcome::Succeeded(output()));
    f.store.finish(ended()).await.unwrap().unwrap();
    f.store.finish(ended()).await.unwrap().unwrap_err();
    assert_eq!(events(&f).await, ["job.succeeded"]);
}

pub(crate) async fn endpoints_hear_of_the_events_and_crews_that_they_ask_for(make: Make) {
    let f = subscribed(
        make,
        vec![
            told_of("all", &Event::OF_JOBS, None),
            told_of("last", &Event::LAST, Some(&["research", "other"])),
            told_of("elsewhere", &Event::OF_JOBS, Some(&["other"])),
        ],
    );
    f.accept_plain().await;
    let claimed = f.claim_one().await;
    f.store.record(record(&claimed, vec![super::model_entry(1)])).await.unwrap().unwrap();
    let later = Outcome::Retry { after: MINUTE, failure: failure() };
    f.store.finish(finish(&claimed, later)).await.unwrap().unwrap();
    f.advance(61);
    f.store.tick(10).await.unwrap();
    succeed(&f).await;
    let told: Vec<_> =
        all(&f).await.into_iter().map(|one| (one.destination.lane(), one.event.as_str())).collect();
    let told: Vec<_> = told.iter().map(|(lane, event)| (lane.as_str(), *event)).collect();
    let wanted = [
        ("@all", "job.started"),
        ("@all", "job.retrying"),
        ("@all", "job.started"),
        ("@all", "job.succeeded"),
        ("@last", "job.succeeded"),
    ];
    assert_eq!(told, wanted);
}

pub(crate) async fn taken_deliveries_are_nobody_elses_until_they_are_settled(make: Make) {
    let f = Fixture::new(make, |_| {});
    let job = with_url(&f).await;
    succeed(&f).await;
    let taken = take(&f, ask(10, 10)).await;
    let (delivery, with) = &taken.deliveries[0];
    assert_eq!(taken.deliveries.len(), 1);
    let Some(Subject::Job(with)) = with else { panic!("it tells of {with:?}") };
    assert_eq!((with.id, with.status), (job, qd_types::JobStatus::Succeeded));
    assert_eq!(take(&f, ask(10, 10)).await.deliveries.len(), 0);
    settle(&f, delivery.id, DeliveryOutcome::Again(MINUTE)).await;
    let later = take(&f, ask(10, 10)).await;
    assert_eq!((later.deliveries.len(), later.next_due), (0, Some(f.env.now().plus(MINUTE))));
    f.advance(60);
    let again = take(&f, ask(10, 10)).await.deliveries.remove(0).0;
    assert_eq!((again.id, again.tries), (delivery.id, 1), "the same id at every try");
    let last = again.last.unwrap();
    assert_eq!((last.http_status, last.error.as_deref()), (Some(500), Some("the receiver answered 500")));
    settle(&f, delivery.id, DeliveryOutcome::Delivered).await;
    f.advance(100_000);
    let nothing = take(&f, ask(10, 10)).await;
    assert_eq!((nothing.deliveries.len(), nothing.next_due), (0, None));
    let found = f.store.delivery(&TenantId::default(), delivery.id).await.unwrap().unwrap();
    assert_eq!((found.status, found.tries, found.next_at), (DeliveryStatus::Delivered, 2, None));
}

pub(crate) async fn lanes_do_not_wait_for_each_other(make: Make) {
    let f = subscribed(make, vec![told_of("dead", &Event::LAST, None), told_of("well", &Event::LAST, None)]);
    for _ in 0..5 {
        with_url(&f).await;
        succeed(&f).await;
    }
    let lanes = |taken: &TakenDeliveries| {
        let mut lanes: Vec<_> = taken.deliveries.iter().map(|(one, _)| one.destination.lane()).collect();
        lanes.sort();
        lanes
    };
    let mut bounded = ask(100, 2);
    bounded.rooms.insert("@dead".to_owned(), 1);
    let first = take(&f, bounded.clone()).await;
    let url = "https://receiver.example";
    assert_eq!(lanes(&first), ["@dead", "@well", "@well", url, url]);
    let second = take(&f, bounded.clone()).await;
    assert_eq!(lanes(&second), ["@dead", "@well", "@well", url, url], "others than those under way");
    assert!(
        second.deliveries.iter().all(|(one, _)| first.deliveries.iter().all(|(two, _)| one.id != two.id))
    );
    bounded.rooms.insert("@dead".to_owned(), 0);
    bounded.per_lane = 100;
    // One at a time: the lanes take turns.
    let mut turns = Vec::new();
    for _ in 0..3 {
        turns.extend(lanes(&take(&f, TakeDeliveries { max: 1, ..bounded.clone() }).await));
    }
    turns.sort();
    assert_eq!(turns, ["@well", url]);
}

pub(crate) async fn deliveries_come_in_order_of_their_time(make: Make) {
    let f = subscribed(make, vec![told_of("one", &Event::LAST, None)]);
    let mut jobs = Vec::new();
    for _ in 0..4 {
        jobs.push(f.accept_plain().await);
        succeed(&f).await;
        f.advance(1);
    }
    let first = take(&f, ask(1, 10)).await.deliveries.remove(0).0;
    assert_eq!(first.job, Some(jobs[0]));
    settle(&f, first.id, DeliveryOutcome::Again(Duration::ZERO)).await;
    let order: Vec<_> =
        take(&f, ask(10, 10)).await.deliveries.iter().map(|(one, _)| one.job.unwrap()).collect();
    assert_eq!(order, [jobs[1], jobs[2], jobs[3], jobs[0]], "one that failed stands behind");
}

pub(crate) async fn resent_delivery_is_due_at_once_with_all_its_tries(make: Make) {
    let f = subscribed(make, vec![told_of("one", &Event::LAST, None)]);
    f.accept_plain().await;
    succeed(&f).await;
    let taken = take(&f, ask(10, 10)).await.deliveries.remove(0).0;
    settle(&f, taken.id, DeliveryOutcome::Failed).await;
    let failed = f.store.delivery(&TenantId::default(), taken.id).await.unwrap().unwrap();
    assert_eq!((failed.status, failed.ended_at), (DeliveryStatus::Failed, Some(f.env.now())));
    assert_eq!(take(&f, ask(10, 10)).await.deliveries.len(), 0);
    let resent = f.store.resend(&TenantId::default(), taken.id).await.unwrap().unwrap();
    assert_eq!((resent.status, resent.tries, resent.ended_at), (DeliveryStatus::Pending, 0, None));
    assert_eq!(take(&f, ask(10, 10)).await.deliveries[0].0.id, taken.id);
    assert!(f.store.resend(&TenantId::default(), f.env.delivery_id()).await.unwrap().is_none());
    assert!(f.store.resend(&TenantId::new("other"), taken.id).await.unwrap().is_none());
}

pub(crate) async fn deliveries_are_listed_newest_first_and_by_what_they_are(make: Make) {
    let f = subscribed(make, vec![told_of("one", &Event::OF_JOBS, None)]);
    let (first, second) = (with_url(&f).await, f.accept_plain().await);
    succeed(&f).await;
    succeed(&f).await;
    let tenant = TenantId::default();
    let list = async |query: DeliveryQuery| f.store.deliveries(&tenant, query).await.unwrap();
    let query = || DeliveryQuery { limit: 2, ..DeliveryQuery::default() };
    let page = list(query()).await;
    let rest = list(DeliveryQuery { cursor: page.next, limit: 10, ..query() }).await;
    assert_eq!((page.deliveries.len(), rest.deliveries.len(), rest.next), (2, 3, None));
    assert!(page.deliveries[0].at >= rest.deliveries[0].at);
    for (query, count) in [
        (DeliveryQuery { job: Some(first), ..query() }, 2),
        (DeliveryQuery { job: Some(second), ..query() }, 2),
        (DeliveryQuery { endpoint: Some("one".into()), limit: 10, ..query() }, 4),
        (DeliveryQuery { endpoint: Some("two".into()), ..query() }, 0),
        (DeliveryQuery { event: Some(Event::Started), ..query() }, 2),
        (DeliveryQuery { status: Some(DeliveryStatus::Delivered), ..query() }, 0),
    ] {
        assert_eq!(list(query.clone()).await.deliveries.len(), count, "{query:?}");
    }
    let theirs = f.store.deliveries(&TenantId::new("other"), query()).await.unwrap();
    assert_eq!(theirs.deliveries.len(), 0);
    let id = page.deliveries[0].id;
    assert!(f.store.delivery(&TenantId::new("other"), id).await.unwrap().is_none());
}

pub(crate) async fn endpoints_keep_what_is_known_of_them(make: Make) {
    let f = Fixture::new(make, |_| {});
    let tenant = TenantId::default();
    let mut state =
        EndpointState { name: "one".to_owned(), failing_since: Some(f.env.now()), ..Default::default() };
    f.store.set_endpoint(&tenant, state.clone()).await.unwrap();
    (state.disabled_at, state.reason) = (Some(f.env.now()), Some("it answered 410".to_owned()));
    f.store.set_endpoint(&tenant, state.clone()).await.unwrap();
    assert_eq!(f.store.endpoints(&tenant).await.unwrap(), [state]);
    assert_eq!(f.store.endpoints(&TenantId::new("other")).await.unwrap(), []);
}

pub(crate) async fn posted_delivery_needs_no_job(make: Make) {
    let f = Fixture::new(make, |_| {});
    let to = Destination::Endpoint("one".to_owned());
    let test = Delivery::new(f.env.delivery_id(), TenantId::default(), None, Event::Test, to, f.env.now());
    f.store.post_delivery(test.clone()).await.unwrap();
    let (taken, subject) = take(&f, ask(1, 1)).await.deliveries.remove(0);
    assert_eq!((taken, subject), (test, None));
}

pub(crate) async fn jobs_stay_as_long_as_a_delivery_needs_them(make: Make) {
    let f = Fixture::new(make, |options| options.retention = MINUTE);
    let job = with_url(&f).await;
    succeed(&f).await;
    f.advance(120);
    assert_eq!(f.store.tick(10).await.unwrap().pruned, 0);
    let taken = take(&f, ask(1, 1)).await.deliveries.remove(0);
    assert!(matches!(taken.1, Some(Subject::Job(told)) if told.id == job));
    settle(&f, taken.0.id, DeliveryOutcome::Delivered).await;
    f.store.tick(10).await.unwrap();
    assert!(f.store.job(&TenantId::default(), job).await.unwrap().is_none());
    f.advance(61);
    f.store.tick(10).await.unwrap();
    assert!(all(&f).await.is_empty());
}

fn hooks() -> Hooks {
    let url = |path: &str| Some(format!("https://receiver.example/{path}"));
    Hooks { step: url("step"), task: url("task"), crew: url("crew"), human: url("human"), ..Hooks::default() }
}

/// A job with hooks that waits after a step.
async fn hooked(f: &Fixture) -> JobId {
    let mut job = f.job();
    job.hooks = Some(hooks().into());
    let id = f.accept(job).await;
    let claimed = f.claim_one().await;
    f.store.record(record(&claimed, vec![super::model_entry(1)])).await.unwrap().unwrap();
    f.store.finish(finish(&claimed, human::ask(1, human::PATIENT))).await.unwrap().unwrap();
    id
}

/// Where deliveries go, what they tell of, and of which place.
async fn told(f: &Fixture) -> Vec<(String, &'static str, Option<u64>)> {
    let one = |one: Delivery| match one.destination {
        Destination::Url(url) => (url.rsplit('/').next().unwrap().to_owned(), one.event.as_str(), one.about),
        Destination::Endpoint(name) => (name, one.event.as_str(), one.about),
    };
    all(f).await.into_iter().map(one).collect()
}

pub(crate) async fn urls_of_a_job_hear_of_its_steps_with_the_place_in_its_log(make: Make) {
    let f = Fixture::new(make, |_| {});
    f.accept_plain().await;
    succeed(&f).await;
    assert!(told(&f).await.is_empty(), "a job without such URLs tells nobody");
    let id = hooked(&f).await;
    let job = f.store.job(&TenantId::default(), id).await.unwrap().unwrap();
    assert_eq!(job.hooks.as_deref(), Some(&hooks()));
    f.store.answer(&TenantId::default(), human::said(id, None, human::approve())).await.unwrap();
    let claimed = f.claim_one().await;
    let (task, agent) = (TaskId::new("draft"), AgentId::new("writer"));
    let mut last = finish(&claimed, Outcome::Succeeded(output()));
    last.items = vec![LogItem::TaskFinished { task, agent, raw: "the draft".to_owned() }];
    f.store.finish(last).await.unwrap().unwrap();
    let expected = [
        ("step", "amp.step", Some(2)),
        ("human", "amp.human_input", Some(3)),
        ("task", "amp.task", Some(7)),
        ("crew", "amp.crew", Some(8)),
    ];
    let told = told(&f).await;
    assert_eq!(told, expected.map(|(url, event, about)| (url.to_owned(), event, about)));
}

pub(crate) async fn an_answer_may_name_other_urls(make: Make) {
    let f = Fixture::new(make, |_| {});
    let id = hooked(&f).await;
    let newer = Hooks { crew: Some("https://other.example/new".to_owned()), ..Hooks::default() };
    let answer = Answer { hooks: Some(newer.clone()), ..human::said(id, None, human::approve()) };
    f.store.answer(&TenantId::default(), answer).await.unwrap();
    let job = f.store.job(&TenantId::default(), id).await.unwrap().unwrap();
    assert_eq!(job.hooks.as_deref(), Some(&hooks().replaced_by(&newer)));
    let refused = Answer { hooks: Some(hooks()), ..human::said(id, None, human::approve()) };
    f.store.answer(&TenantId::default(), refused).await.unwrap();
    f.store.cancel(&TenantId::default(), id).await.unwrap();
    let told = told(&f).await;
    assert_eq!(told.last().map(|(url, event, _)| (url.as_str(), *event)), Some(("new", "amp.crew")));
}
