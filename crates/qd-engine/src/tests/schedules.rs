//! Ticks over days that pass at once: in time, missed under each policy, over clocks that change, and where nothing can be
//! run. The clock is moved by hand.

use std::sync::Arc;
use std::time::Duration;

use qd_cron::Timetable;
use qd_env::ManualClock;
use qd_store::{JobQuery, Missed, NewSchedule, Schedule, SchedulePut, ScheduleSpec};
use qd_testkit::{Crash, CrashPoint, When};
use qd_types::{CrewName, Input, Job, Priority, ScheduleName, TenantId, Timestamp};

use super::{Engine, Env, Options, PLAIN, Plans, Store, catalog, models, open, publish};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// An engine without workers, which looks after schedules.
struct Office {
    clock: Arc<ManualClock>,
    env: Env,
    store: Store,
    engine: Engine,
    is_paused: bool,
}

fn start(store: &Store, env: &Env) -> Engine {
    let plans = Plans::new(store.clone(), catalog(env));
    let options = Options { slots: 0, ..Options::default() };
    Engine::start(options, store.clone(), models(env), plans, env.clone(), &Arc::default())
}

fn at(text: &str) -> Timestamp {
    Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

impl Office {
    async fn open(now: &str) -> Self {
        Self::over(now, |store| store).await
    }

    /// The same with something around the store.
    async fn over(now: &str, wrap: impl FnOnce(Store) -> Store) -> Self {
        let clock = Arc::new(ManualClock::at(at(now).0));
        let env = Env::with(clock.clone(), 7);
        let options = qd_store::Options { max_depth: 1_000, ..qd_store::Options::default() };
        let store = wrap(qd_store::open(&options, &env).unwrap());
        publish(&store, &catalog(&env), PLAIN).await;
        let engine = start(&store, &env);
        Self { clock, env, store, engine, is_paused: true }
    }

    async fn schedule(&self, cron: &str, zone: &str, missed: Missed) {
        self.put(spec(cron, zone, missed)).await;
    }

    async fn put(&self, spec: ScheduleSpec) {
        self.put_as(name(), spec).await;
    }

    async fn put_as(&self, name: ScheduleName, spec: ScheduleSpec) {
        let next_at = Timetable::parse(&spec.cron, &spec.zone).unwrap().after(self.env.now());
        let new = NewSchedule { tenant: TenantId::default(), name, spec, paused: false, next_at };
        let put = self.store.put_schedule(new, true).await.unwrap();
        assert!(matches!(put, SchedulePut::Created(_) | SchedulePut::Replaced(_)));
    }

    async fn read(&self) -> Schedule {
        self.store.schedule(&TenantId::default(), &name()).await.unwrap().unwrap()
    }

    /// Time passes, and everything that is due then is done.
    async fn later(&self, span: Duration) {
        self.clock.advance(span);
        let mut looks = 0;
        while !self.store.due_schedules(1).await.unwrap().schedules.is_empty() {
            looks += 1;
            assert!(looks < 1_000_000, "everything is done in time");
            // Pauses between looks pass at once; where time is not the test's, they take what they take.
            if self.is_paused {
                tokio::time::advance(Duration::from_millis(20)).await;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn jobs(&self) -> Vec<Job> {
        let query = JobQuery { limit: 500, ..JobQuery::default() };
        let mut jobs = self.store.jobs(&TenantId::default(), query).await.unwrap().jobs;
        jobs.reverse();
        jobs
    }
}

fn name() -> ScheduleName {
    ScheduleName::new("nightly")
}

fn spec(cron: &str, zone: &str, missed: Missed) -> ScheduleSpec {
    ScheduleSpec {
        cron: cron.into(),
        zone: zone.into(),
        crew: CrewName::new("plain"),
        input: Input::from_iter([("message".to_owned(), "hello".into())]),
        priority: Priority::new(3).unwrap(),
        conversation: None,
        timeout_seconds: 60,
        max_attempts: 2,
        budget: None,
        metadata: [("by".to_owned(), "schedule".to_owned())].into(),
        webhook_url: None,
        missed,
    }
}

#[tokio::test(start_paused = true)]
async fn each_tick_in_time_makes_one_job() {
    let office = Office::open("2026-01-01T00:00:30Z").await;
    office.schedule("*/10 * * * *", "UTC", Missed::Skip).await;
    for _ in 0..60 {
        office.later(MINUTE).await;
    }
    let jobs = office.jobs().await;
    assert_eq!(jobs.len(), 6);
    for job in &jobs {
        assert_eq!((job.priority.get(), job.max_attempts, job.timeout_seconds), (3, 2, 60));
        assert_eq!((job.input["message"].as_str(), job.metadata["by"].as_str()), (Some("hello"), "schedule"));
    }
    let schedule = office.read().await;
    assert_eq!((schedule.last_at, schedule.last_job), (Some(at("2026-01-01T01:00:00Z")), Some(jobs[5].id)));
    assert_eq!((schedule.next_at, schedule.missed), (Some(at("2026-01-01T01:10:00Z")), 0));
    office.engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn missed_ticks_are_what_the_schedule_says_of_them() {
    // Ten hours and a half without anybody there.
    for (missed, made, left_out) in [(Missed::Skip, 0, 1), (Missed::RunOnce, 1, 1), (Missed::RunAll, 10, 0)] {
        let office = Office::open("2026-01-01T00:00:30Z").await;
        office.schedule("0 * * * *", "UTC", missed).await;
        office.later(HOUR * 10 + MINUTE * 30).await;
        let schedule = office.read().await;
        assert_eq!((office.jobs().await.len(), schedule.missed), (made, left_out), "{missed:?}");
        assert_eq!(schedule.next_at, Some(at("2026-01-01T11:00:00Z")), "{missed:?}");
        let last = (made > 0).then(|| at("2026-01-01T10:00:00Z"));
        assert_eq!(schedule.last_at, last, "{missed:?}");
        // And on with the next, in time.
        office.later(MINUTE * 30).await;
        assert_eq!(office.jobs().await.len(), made + 1, "{missed:?}");
        office.engine.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn years_of_missed_ticks_make_no_storm() {
    let office = Office::open("2026-01-01T00:00:30Z").await;
    office.schedule("* * * * *", "UTC", Missed::RunAll).await;
    office.later(HOUR * 24 * 700).await;
    assert_eq!(office.jobs().await.len(), 100);
    let schedule = office.read().await;
    assert_eq!((schedule.missed, schedule.next_at.unwrap() > office.env.now()), (1, true));
    // A clock that goes back runs nothing again.
    office.clock.jump(-365 * 24 * 3_600_000);
    office.later(MINUTE * 5).await;
    assert_eq!(office.jobs().await.len(), 100);
    office.engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn days_on_which_clocks_change_have_their_tick() {
    // An hour is left out on the 29th of March, and one comes twice on the 25th of October.
    for (from, ticks) in [
        ("2026-03-28T00:00:00Z", ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]),
        ("2026-10-24T00:00:00Z", ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]),
    ] {
        let office = Office::open(from).await;
        office.schedule("30 2 * * *", "Europe/Berlin", Missed::Skip).await;
        let mut seen = Vec::new();
        for _ in 0..72 * 2 {
            office.later(MINUTE * 30).await;
            let last = office.read().await.last_at;
            if last.is_some() && seen.last() != last.as_ref() {
                seen.extend(last);
            }
        }
        assert_eq!(seen, ticks.map(at));
        assert_eq!(office.jobs().await.len(), 3);
        office.engine.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_tick_that_cannot_be_run_is_tried_again_and_then_given_up_and_says_why() {
    let office = Office::open("2026-01-01T00:00:30Z").await;
    let gone = ScheduleSpec { crew: CrewName::new("later"), ..spec("0 * * * *", "UTC", Missed::Skip) };
    office.put(gone).await;
    office.later(HOUR).await;
    let failing = office.read().await;
    assert_eq!(failing.error.as_deref(), Some("there is no crew `later`"));
    assert_eq!((failing.tries, failing.next_at), (1, Some(at("2026-01-01T01:00:00Z"))));
    // It is published some minutes later.
    office.later(MINUTE * 2).await;
    assert_eq!(office.read().await.tries, 2);
    publish(&office.store, &catalog(&office.env), &PLAIN.replace("plain", "later")).await;
    office.later(MINUTE * 10).await;
    let well = office.read().await;
    assert_eq!((well.error, well.tries, well.last_at), (None, 0, Some(at("2026-01-01T01:00:00Z"))));
    // An input that does not fit is given up in the end, and the next tick has its own tries.
    let wrong = ScheduleSpec { input: Input::new(), ..spec("0 0 * * *", "UTC", Missed::RunOnce) };
    office.put(wrong).await;
    office.later(HOUR * 24).await;
    for _ in 0..19 {
        assert!(office.read().await.error.unwrap().contains("`message`"));
        office.later(MINUTE * 5).await;
    }
    let given_up = office.read().await;
    assert!(given_up.error.unwrap().starts_with("given up after 20 tries: its input does not fit"));
    assert_eq!((given_up.missed, given_up.tries), (1, 0));
    assert_eq!(given_up.next_at, Some(at("2026-01-03T00:00:00Z")));
    assert_eq!(office.jobs().await.len(), 1);
    office.engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_puts_a_tick_off_and_a_pause_or_an_edit_ends_it() {
    let office = Office::open("2026-01-01T00:00:30Z").await;
    let full = qd_store::Options { max_depth: 1, ..qd_store::Options::default() };
    let store = qd_store::open(&full, &office.env).unwrap();
    publish(&store, &catalog(&office.env), PLAIN).await;
    let small = Office {
        engine: start(&store, &office.env),
        store,
        clock: Arc::clone(&office.clock),
        env: office.env.clone(),
        is_paused: true,
    };
    small.schedule("0 * * * *", "UTC", Missed::RunAll).await;
    small.later(HOUR).await;
    small.later(HOUR).await;
    assert_eq!(
        (small.read().await.error.as_deref(), small.jobs().await.len()),
        (Some("the queue is full"), 1)
    );
    let tenant = TenantId::default();
    let paused = small.store.pause_schedule(&tenant, &name(), None).await.unwrap().unwrap();
    assert_eq!((paused.error, paused.due_at), (None, None));
    small.later(HOUR * 5).await;
    assert_eq!(small.jobs().await.len(), 1);
    small.schedule("30 * * * *", "UTC", Missed::RunAll).await;
    let edited = small.read().await;
    assert_eq!((edited.paused, edited.next_at), (false, Some(at("2026-01-01T07:30:00Z"))));
    small.engine.stop().await;
    office.engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_cannot_be_looked_after_holds_no_other_up() {
    // The first tick, after three schedules were made.
    let refuse_first = CrashPoint { write: 3, when: When::Refused };
    let office = Office::over("2026-01-01T00:00:30Z", |store| {
        store.wrapped(|inner| Crash::new(inner, Some(refuse_first)))
    })
    .await;
    for (name, minute) in [("first", 1), ("second", 2), ("third", 3)] {
        let of_name = ScheduleSpec {
            metadata: [("by".to_owned(), name.to_owned())].into(),
            ..spec(&format!("{minute} * * * *"), "UTC", Missed::RunOnce)
        };
        office.put_as(ScheduleName::new(name), of_name).await;
    }
    office.later(MINUTE * 5).await;
    let jobs = office.jobs().await;
    let by: Vec<_> = jobs.iter().map(|job| job.metadata["by"].as_str()).collect();
    assert_eq!(by, ["second", "third", "first"], "the others in the same round, it itself in the next");
    office.engine.stop().await;
}

#[test]
fn two_processes_and_one_that_comes_back_make_one_job_of_each_tick() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(at("2026-01-01T00:00:30Z").0));
    let env = Env::with(clock.clone(), 7);
    for hours in 1..=3_usize {
        super::live(async {
            let store = open(folder.path(), &env);
            publish(&store, &catalog(&env), PLAIN).await;
            // Two that look after the same schedules.
            let engines = [start(&store, &env), start(&store, &env)];
            let [one, two] = engines;
            let office =
                Office { clock: Arc::clone(&clock), env: env.clone(), store, engine: one, is_paused: false };
            if hours == 1 {
                office.schedule("*/20 * * * *", "UTC", Missed::RunAll).await;
            }
            office.later(HOUR).await;
            assert_eq!(office.jobs().await.len(), 3 * hours);
            // The process ends without a word.
            drop(two);
        });
    }
}
