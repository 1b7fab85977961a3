//! Schedules: one job for each tick, however many try; what is changed is not ticked as it was before.

use std::collections::BTreeMap;
use std::time::Duration;

use qd_types::{CrewName, Input, JobId, NanoDollars, Priority, ScheduleName, TenantId, Timestamp};

use super::{Fixture, Make, reopened};
use crate::{
    Missed, NewSchedule, Schedule, SchedulePage, SchedulePut, ScheduleQuery, ScheduleSpec, ScheduleTick,
    TenantShare, TickAct, Ticked,
};

fn tenant() -> TenantId {
    TenantId::default()
}

fn name() -> ScheduleName {
    ScheduleName::new("nightly")
}

fn spec() -> ScheduleSpec {
    ScheduleSpec {
        cron: "@hourly".into(),
        zone: "Europe/Berlin".into(),
        crew: CrewName::new("research"),
        input: Input::from_iter([("topic".to_owned(), "tides".into())]),
        priority: Priority::NORMAL,
        conversation: None,
        timeout_seconds: 300,
        max_attempts: 5,
        budget: Some(NanoDollars(7)),
        metadata: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        webhook_url: Some("https://receiver.example/".into()),
        missed: Missed::RunAll,
    }
}

fn hours(f: &Fixture, hours: u64) -> Timestamp {
    f.env.now().plus(Duration::from_secs(hours * 3_600))
}

fn new(f: &Fixture, after: u64) -> NewSchedule {
    let next_at = Some(hours(f, after));
    NewSchedule { tenant: tenant(), name: name(), spec: spec(), paused: false, next_at }
}

async fn created(f: &Fixture, new: NewSchedule) -> Schedule {
    match f.store.put_schedule(new, false).await.unwrap() {
        SchedulePut::Created(schedule) => *schedule,
        other => panic!("{other:?}"),
    }
}

async fn read(f: &Fixture) -> Schedule {
    f.store.schedule(&tenant(), &name()).await.unwrap().unwrap()
}

fn run(f: &Fixture, seen: &Schedule, next_at: Option<Timestamp>) -> ScheduleTick {
    let at = seen.next_at.unwrap();
    let job = Box::new(f.job());
    tick(seen, TickAct::Run { at, job, next_at, leaves_out: false })
}

fn tick(seen: &Schedule, act: TickAct) -> ScheduleTick {
    ScheduleTick {
        tenant: seen.tenant.clone(),
        name: seen.name.clone(),
        revision: seen.revision,
        seen: seen.next_at.unwrap(),
        act,
    }
}

async fn made(f: &Fixture, tick: ScheduleTick) -> JobId {
    match f.store.tick_schedule(tick).await.unwrap() {
        Ticked::Made(job) => job.id,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn kept_schedule_is_read_and_listed_as_it_was_made(make: Make) {
    let f = Fixture::new(make, |options| options.schedules = 2);
    let schedule = created(&f, new(&f, 1)).await;
    assert_eq!((schedule.revision, &schedule.spec, schedule.created_at), (1, &spec(), f.env.now()));
    assert_eq!((schedule.next_at, schedule.due_at), (Some(hours(&f, 1)), Some(hours(&f, 1))));
    assert_eq!(read(&f).await, schedule);
    assert_eq!(f.store.put_schedule(new(&f, 2), false).await.unwrap(), SchedulePut::Taken);
    let early = ScheduleName::new("early");
    created(&f, NewSchedule { name: early.clone(), ..new(&f, 1) }).await;
    let third = NewSchedule { name: ScheduleName::new("third"), ..new(&f, 1) };
    assert_eq!(f.store.put_schedule(third.clone(), true).await.unwrap(), SchedulePut::Full { kept: 2 });
    let other = TenantId::new("other");
    created(&f, NewSchedule { tenant: other.clone(), ..third }).await;
    let names = |page: SchedulePage| page.schedules.into_iter().map(|one| one.name).collect::<Vec<_>>();
    let page = async |after: Option<&ScheduleName>, limit| {
        let query = ScheduleQuery { after: after.cloned(), limit };
        f.store.schedules(&tenant(), query).await.unwrap()
    };
    assert_eq!(names(page(None, 2).await), [early.clone(), name()]);
    let first = page(None, 1).await;
    assert_eq!((&first.next, names(first.clone())), (&Some(early.clone()), vec![early.clone()]));
    let last = page(first.next.as_ref(), 1).await;
    assert_eq!((&last.next, names(last.clone())), (&None, vec![name()]));
    assert_eq!(names(page(Some(&name()), 9).await), []);
    assert_eq!(f.store.schedule(&other, &name()).await.unwrap(), None);
    assert!(f.store.pause_schedule(&other, &name(), None).await.unwrap().is_none());
    assert!(!f.store.delete_schedule(&other, &name()).await.unwrap());
    assert!(f.store.delete_schedule(&tenant(), &early).await.unwrap());
    assert!(!f.store.delete_schedule(&tenant(), &early).await.unwrap());
    assert_eq!(names(page(None, 9).await), [name()]);
}

pub(crate) async fn tick_makes_one_job_however_many_try(make: Make) {
    let mut f = Fixture::new(make, |_| {});
    let schedule = created(&f, new(&f, 1)).await;
    assert_eq!(f.store.due_schedules(9).await.unwrap().schedules, []);
    f.advance(3_600);
    let due = f.store.due_schedules(9).await.unwrap();
    assert_eq!((due.schedules, due.next_due), (vec![schedule.clone()], None));
    let next_at = Some(hours(&f, 1));
    let job = made(&f, run(&f, &schedule, next_at)).await;
    let after = read(&f).await;
    assert_eq!((after.last_at, after.last_job, after.next_at), (schedule.next_at, Some(job), next_at));
    assert_eq!((after.revision, after.missed, &after.error), (1, 0, &None));
    for _ in 0..2 {
        let again = f.store.tick_schedule(run(&f, &schedule, next_at)).await.unwrap();
        assert!(matches!(again, Ticked::Stale), "{again:?}");
        if f.options.url.starts_with("sqlite:") {
            f = reopened(f).await;
        }
    }
    assert_eq!(f.store.stats().await.unwrap().queued, 1);
    assert_eq!(f.store.due_schedules(9).await.unwrap().next_due, next_at);
    // Made anew under its name, it still has had that tick.
    f.store.delete_schedule(&tenant(), &name()).await.unwrap();
    let anew = created(&f, NewSchedule { next_at: schedule.next_at, ..new(&f, 1) }).await;
    assert_eq!(made(&f, run(&f, &anew, next_at)).await, job);
    assert_eq!(f.store.stats().await.unwrap().queued, 1);
}

pub(crate) async fn changed_or_paused_schedule_is_not_ticked_as_it_was(make: Make) {
    let f = Fixture::new(make, |_| {});
    let before = created(&f, new(&f, 0)).await;
    f.advance(60);
    let SchedulePut::Replaced(after) = f.store.put_schedule(new(&f, 0), true).await.unwrap() else {
        panic!()
    };
    assert_eq!((after.revision, after.created_at, after.updated_at), (2, before.created_at, f.env.now()));
    let stale = f.store.tick_schedule(run(&f, &before, None)).await.unwrap();
    assert!(matches!(stale, Ticked::Stale));
    let paused = f.store.pause_schedule(&tenant(), &name(), None).await.unwrap().unwrap();
    assert_eq!((paused.paused, paused.next_at, paused.due_at, paused.revision), (true, None, None, 3));
    assert_eq!(f.store.pause_schedule(&tenant(), &name(), None).await.unwrap().unwrap(), paused);
    assert!(matches!(f.store.tick_schedule(run(&f, &after, None)).await.unwrap(), Ticked::Stale));
    assert_eq!(f.store.due_schedules(9).await.unwrap().schedules, []);
    let resumed = f.store.pause_schedule(&tenant(), &name(), Some(hours(&f, 1))).await.unwrap().unwrap();
    assert_eq!((resumed.paused, resumed.next_at), (false, Some(hours(&f, 1))));
    let again = f.store.pause_schedule(&tenant(), &name(), Some(hours(&f, 9))).await.unwrap().unwrap();
    assert_eq!(again, resumed, "a tick is not put off by whoever asks again");
    f.store.delete_schedule(&tenant(), &name()).await.unwrap();
    assert!(matches!(f.store.tick_schedule(run(&f, &resumed, None)).await.unwrap(), Ticked::Stale));
    assert_eq!(f.store.stats().await.unwrap().queued, 0);
}

pub(crate) async fn tick_without_room_changes_nothing_and_is_tried_again(make: Make) {
    let f = Fixture::new(make, |options| {
        options.max_depth = 1;
        let share = TenantShare { max_queued: Some(0), max_running: None };
        options.tenants.named.insert(TenantId::new("small"), share);
    });
    let schedule = created(&f, new(&f, 0)).await;
    f.accept_plain().await;
    let full = f.store.tick_schedule(run(&f, &schedule, None)).await.unwrap();
    assert!(matches!(full, Ticked::NoRoom { is_quota: false }), "{full:?}");
    assert_eq!(read(&f).await, schedule);
    let again = TickAct::TryAgain { after: Duration::from_secs(10), error: "the queue is full".into() };
    assert!(matches!(f.store.tick_schedule(tick(&schedule, again)).await.unwrap(), Ticked::Noted));
    let waiting = read(&f).await;
    assert_eq!((waiting.next_at, waiting.tries), (schedule.next_at, 1));
    assert_eq!(waiting.due_at, Some(f.env.now().plus(Duration::from_secs(10))));
    assert_eq!(waiting.error.as_deref(), Some("the queue is full"));
    assert_eq!(f.store.due_schedules(9).await.unwrap().schedules, []);
    f.advance(10);
    f.claim_one().await;
    let due = f.store.due_schedules(9).await.unwrap().schedules.remove(0);
    made(&f, run(&f, &due, Some(hours(&f, 1)))).await;
    let after = read(&f).await;
    assert_eq!((after.tries, after.error), (0, None));
    let small = NewSchedule { tenant: TenantId::new("small"), ..new(&f, 0) };
    let theirs = created(&f, small).await;
    let mut asked = run(&f, &theirs, None);
    if let TickAct::Run { job, .. } = &mut asked.act {
        job.tenant = TenantId::new("small");
    }
    let full = f.store.tick_schedule(asked).await.unwrap();
    // Its quota is only known once it has had a job; the queue has no room either way.
    assert!(matches!(full, Ticked::NoRoom { .. }), "{full:?}");
}

pub(crate) async fn ticks_that_are_left_out_are_counted_and_say_why(make: Make) {
    let f = Fixture::new(make, |_| {});
    let first = created(&f, new(&f, 0)).await;
    let next_at = Some(hours(&f, 1));
    f.store.tick_schedule(tick(&first, TickAct::LeaveOut { next_at, error: None })).await.unwrap();
    let after = read(&f).await;
    assert_eq!((after.missed, after.next_at, after.last_at, &after.error), (1, next_at, None, &None));
    let error = Some("the crew is gone".to_owned());
    f.store.tick_schedule(tick(&after, TickAct::LeaveOut { next_at: None, error })).await.unwrap();
    let after = read(&f).await;
    assert_eq!((after.missed, after.next_at, after.due_at), (2, None, None));
    assert_eq!(after.error.as_deref(), Some("the crew is gone"));
    assert_eq!(f.store.stats().await.unwrap().queued, 0);
}
