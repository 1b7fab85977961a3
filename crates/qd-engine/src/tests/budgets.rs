//! Budgets as jobs meet them: the ceiling holds (G6), and what happens at it.

use std::sync::Arc;
use std::time::Duration;

use qd_env::{Env, ManualClock};
use qd_llm::{Models, PriceOptions, ProviderKind, ProviderOptions};
use qd_store::{ScopeSpend, SpendScope, Store, UsageQuery};
use qd_telemetry::Exposition;
use qd_types::{
    Billed, Class, Code, CrewName, Day, Entry, Job, JobId, JobStatus, LogItem, NanoDollars, TenantId, Usage,
};

use super::{Bench, PLAIN, accept, catalog, entries, finished, job, live, models, open, publish, quick};
use crate::{Budgets, CrewBudget, Engine, OnExceeded, Options, Plans, UnknownPrice};

fn usd(text: &str) -> NanoDollars {
    text.parse().unwrap()
}

fn with(budgets: Budgets) -> Options {
    Options { budgets, ..quick() }
}

fn a_day(budget: &str, on_exceeded: OnExceeded) -> Budgets {
    Budgets { tenant_day: Some(usd(budget)), on_exceeded, ..Budgets::default() }
}

fn today(env: &Env) -> SpendScope {
    SpendScope { tenant: TenantId::default(), crew: None, day: env.now().day() }
}

async fn spend(bench: &Bench) -> ScopeSpend {
    bench.store.scope_spend(today(&bench.env)).await.unwrap()
}

/// Looks at a scope whenever anything happens to one of the jobs, until they are over: spent and reserved never exceed the
/// budget. Answers the jobs.
async fn watched(store: &Store, scope: &SpendScope, budget: NanoDollars, ids: &[JobId]) -> Vec<Job> {
    let look = async |id: &JobId| {
        let mut watch = store.watch(*id);
        let mut most = NanoDollars::default();
        loop {
            let now = store.scope_spend(scope.clone()).await.unwrap();
            assert!(now.spent + now.reserved <= budget, "{now:?} of {budget}");
            most = most.max(now.reserved);
            let job = store.job(&TenantId::default(), *id).await.unwrap().unwrap();
            if job.status.is_terminal() {
                return (job, most);
            }
            watch.next().await;
        }
    };
    let (jobs, reserved): (Vec<_>, Vec<_>) =
        futures::future::join_all(ids.iter().map(look)).await.into_iter().unzip();
    assert!(
        reserved.into_iter().max() > Some(NanoDollars(0)),
        "nobody reserved anything: nothing was tested"
    );
    jobs
}

/// The most that a call for `hello` may cost: a budget of as much has room for one.
async fn one_call() -> NanoDollars {
    let bench = Bench::start(with(a_day("1", OnExceeded::Fail))).await;
    let id = bench.submit("hello").await;
    finished(&bench.store, id).await;
    let Entry::Model { call, cost, .. } = &entries(&bench.store, id).await[0] else { panic!() };
    let most = call.reserved.unwrap().amount;
    assert!(most > *cost, "{most} is a bound of {cost}");
    most
}

fn cost(jobs: &[Job]) -> NanoDollars {
    jobs.iter().map(|job| job.cost).sum()
}

#[tokio::test(start_paused = true)]
async fn sixty_four_parallel_jobs_never_spend_more_than_the_budget() {
    let budget = usd("0.01");
    let options = Options { slots: 64, ..with(a_day("0.01", OnExceeded::Fail)) };
    let bench = Bench::start(options).await;
    let mut ids = Vec::new();
    for n in 0..64 {
        let latency = 20 + n % 7 * 15;
        ids.push(bench.submit(&format!("hello {n} [[sim: latency={latency}ms]]")).await);
    }
    let jobs = watched(&bench.store, &today(&bench.env), budget, &ids).await;
    let succeeded = jobs.iter().filter(|job| job.status == JobStatus::Succeeded).count();
    assert!((5..64).contains(&succeeded), "{succeeded} of 64 fit into the budget");
    for failed in jobs.iter().filter(|job| job.status == JobStatus::Failed) {
        let error = failed.error.as_ref().unwrap();
        assert_eq!((error.code, error.class), (Code::BudgetExceeded, Class::Exhausted), "{error}");
        assert!(error.message.starts_with("the budget for 2023-11-14 is $0.01; $0.00"), "{error}");
    }
    let page = bench.calls();
    assert_eq!(page.summary.billed.cost, cost(&jobs), "what the provider bills is what is recorded");
    assert!(page.max_in_flight > 1, "calls ran side by side");
    let now = spend(&bench).await;
    assert_eq!(now.spent, cost(&jobs));
    bench.engine.stop().await;
    let stopped = bench.store.scope_spend(today(&bench.env)).await.unwrap();
    assert_eq!((stopped.spent, stopped.reserved), (now.spent, NanoDollars(0)), "slices were given back");
}

#[tokio::test(start_paused = true)]
async fn calls_wait_for_money_that_calls_under_way_may_free() {
    // All of them cost less than the budget together, but may not cost what they might at the same time.
    let options = Options { slots: 64, ..with(a_day("0.02", OnExceeded::Fail)) };
    let bench = Bench::start(options).await;
    let mut ids = Vec::new();
    for n in 0..24 {
        ids.push(bench.submit(&format!("hello {n} [[sim: latency=2s]]")).await);
    }
    let jobs = watched(&bench.store, &today(&bench.env), usd("0.02"), &ids).await;
    assert!(jobs.iter().all(|job| job.status == JobStatus::Succeeded), "{:?}", jobs[23].error);
    assert!(bench.calls().max_in_flight < 24);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_job_comes_back_the_next_day_without_a_try_burnt() {
    let bench = Bench::start(with(a_day(&one_call().await.to_string(), OnExceeded::Wait))).await;
    let mut patient = job(&bench.env, "plain", "message", "hello");
    patient.max_attempts = 1;
    let first = finished(&bench.store, bench.submit("hello").await).await;
    assert_eq!(first.status, JobStatus::Succeeded);
    let id = accept(&bench.store, patient).await;
    let ended = finished(&bench.store, id).await;
    assert_eq!(ended.status, JobStatus::Succeeded, "{:?}", ended.error);
    let midnight = first.finished_at.unwrap().day().next().begin();
    let finished_at = ended.finished_at.unwrap();
    assert!(finished_at >= midnight && finished_at.since(midnight) < Duration::from_secs(17 * 60));
    let log = bench.store.log(&TenantId::default(), id, 0, 100).await.unwrap().unwrap();
    let parked = log.iter().filter_map(|logged| match &logged.item {
        LogItem::Status { status: JobStatus::Retrying, failure: Some(failure), .. } => Some(failure.code),
        _ => None,
    });
    let parked: Vec<_> = parked.collect();
    assert!(parked.len() >= 2 && parked.iter().all(|code| *code == Code::BudgetExceeded), "{parked:?}");
    assert_eq!(entries(&bench.store, id).await.len(), 1, "no try is journaled but the call that was made");
    assert_eq!(spend(&bench).await.spent, ended.cost, "the new day has its own spend");
}

#[tokio::test(start_paused = true)]
async fn a_job_never_spends_more_than_its_own_budget() {
    for on_exceeded in [OnExceeded::Fail, OnExceeded::Wait] {
        let bench = Bench::start(with(Budgets { on_exceeded, ..Budgets::default() })).await;
        for (budget, status) in
            [("0.02", JobStatus::Succeeded), ("0.0035", JobStatus::Failed), ("0", JobStatus::Failed)]
        {
            let mut new = job(&bench.env, "sums", "question", "what is 6 * 7?");
            new.budget = Some(usd(budget));
            let id = accept(&bench.store, new).await;
            let ended = finished(&bench.store, id).await;
            assert_eq!(ended.status, status, "{budget}: {:?}", ended.error);
            assert!(ended.cost <= usd(budget), "{budget}");
            if status == JobStatus::Failed {
                let error = ended.error.unwrap();
                assert_eq!(error.code, Code::BudgetExceeded);
                assert!(error.message.starts_with("the job's budget is $"), "{error}");
            }
        }
        let plain = finished(&bench.store, bench.submit("hello").await).await;
        assert_eq!(plain.status, JobStatus::Succeeded, "a job without a budget has no bound");
    }
}

#[tokio::test(start_paused = true)]
async fn a_crew_has_budgets_of_its_own() {
    let day = one_call().await;
    let crew = CrewBudget { day: Some(day), job: Some(usd("0.1")) };
    let budgets = Budgets {
        job: Some(usd("0.000001")),
        crews: [("plain".to_owned(), crew)].into(),
        ..Budgets::default()
    };
    let bench = Bench::start(with(budgets)).await;
    let first = finished(&bench.store, bench.submit("hello").await).await;
    assert_eq!(first.status, JobStatus::Succeeded, "{:?}", first.error);
    let second = finished(&bench.store, bench.submit("hello").await).await.error.unwrap();
    let whose =
        format!("the budget of crew `plain` for 2023-11-14 is ${day}; ${} of it is spent", first.cost);
    assert!(second.message.starts_with(&whose), "{second}");
    let other = accept(&bench.store, job(&bench.env, "sums", "question", "what is 6 * 7?")).await;
    let other = finished(&bench.store, other).await.error.unwrap();
    assert!(other.message.starts_with("the job's budget is $0.000001"), "{other}");
    let scope = SpendScope { crew: Some(CrewName::new("plain")), ..today(&bench.env) };
    assert_eq!(bench.store.scope_spend(scope).await.unwrap().spent, first.cost);
}

/// A dear model of this name and price, which answers nothing, beside the simulator.
fn dear(options: &mut qd_llm::Options) {
    let mut provider = ProviderOptions::new(ProviderKind::Openai);
    provider.base_url = Some("http://127.0.0.1:9/v1".into());
    options.providers.insert("dear".into(), provider);
    let price = PriceOptions { input: 1_000.0, output: 1_000.0, cache_read: None, cache_write: None };
    options.prices.insert("dear/gold".into(), price);
}

const DEAR: &str = r#"
name: dear
agents:
  clerk: {role: Clerk, goal: Answer, backstory: You are exact., llm: dear/gold}
tasks:
  - {name: answer, description: "{message}", expected_output: An answer, agent: clerk}
"#;

async fn of_dear(budgets: Budgets) -> (Job, Vec<Entry>) {
    let bench = Bench::of(with(budgets), |store| store, dear).await;
    bench.publish(DEAR).await;
    let id = accept(&bench.store, job(&bench.env, "dear", "message", "hello")).await;
    (finished(&bench.store, id).await, entries(&bench.store, id).await)
}

#[tokio::test(start_paused = true)]
async fn a_cheaper_model_answers_when_the_dear_one_does_not_fit() {
    let budgets = Budgets { degrade_to: Some("sim/standard".into()), ..a_day("0.01", OnExceeded::Degrade) };
    let (ended, entries) = of_dear(budgets).await;
    assert_eq!(ended.status, JobStatus::Succeeded, "{:?}", ended.error);
    let Entry::Model { call, .. } = &entries[0] else { panic!("{entries:?}") };
    assert_eq!(call.target, "sim/standard", "the journal says who was asked");
    let budgets =
        Budgets { degrade_to: Some("sim/standard".into()), ..a_day("0.00001", OnExceeded::Degrade) };
    let (ended, _) = of_dear(budgets).await;
    assert_eq!(ended.error.map(|error| error.code), Some(Code::BudgetExceeded), "that does not fit either");
}

#[tokio::test(start_paused = true)]
async fn a_price_that_is_not_known_can_be_refused() {
    let unknown = |unknown_price| Budgets { unknown_price, ..a_day("5", OnExceeded::Fail) };
    let bench = Bench::of(
        with(unknown(UnknownPrice::Deny)),
        |store| store,
        |options| {
            dear(options);
            options.prices.clear();
        },
    );
    let bench = bench.await;
    let known = finished(&bench.store, bench.submit("hello").await).await;
    assert_eq!(known.error, None, "the simulator's price is known");
    bench.publish(DEAR).await;
    let id = accept(&bench.store, job(&bench.env, "dear", "message", "hello")).await;
    let error = finished(&bench.store, id).await.error.unwrap();
    assert_eq!((error.code, error.class), (Code::BudgetExceeded, Class::Exhausted));
    assert!(error.message.contains("`dear/gold` is not known"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_may_be_on_the_bill_stays_counted_and_one_that_is_not_is_freed() {
    for (fault, billed) in [("503", Billed::No), ("401", Billed::No), ("cut", Billed::Possibly)] {
        let bench = Bench::start(with(a_day("1", OnExceeded::Fail))).await;
        let mut new = job(&bench.env, "plain", "message", &format!("hello [[sim: fault={fault}]]"));
        new.max_attempts = 1;
        let id = accept(&bench.store, new).await;
        finished(&bench.store, id).await;
        let Entry::CallFailed { billed: noted, call, .. } = &entries(&bench.store, id).await[0] else {
            panic!()
        };
        let reserved = call.reserved.unwrap().amount;
        assert_eq!(*noted, billed, "{fault}");
        let expected = if billed == Billed::No { NanoDollars(0) } else { reserved };
        bench.engine.stop().await;
        let now = bench.store.scope_spend(today(&bench.env)).await.unwrap();
        assert_eq!((now.spent, now.reserved), (expected, NanoDollars(0)), "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_dropped_stay_counted() {
    // At the drain's end and at a cancel.
    let bench =
        Bench::start(Options { drain_timeout: Duration::from_secs(1), ..with(a_day("1", OnExceeded::Fail)) })
            .await;
    let cut = bench.submit("hello [[sim: latency=90s]]").await;
    let cancelled = bench.submit("hello [[sim: latency=90s]]").await;
    bench.in_flight(2).await;
    bench.store.cancel(&TenantId::default(), cancelled).await.unwrap();
    bench.in_flight(1).await;
    bench.engine.stop().await;
    let Entry::CallFailed { call, .. } = &entries(&bench.store, cut).await[0] else { panic!() };
    let each = call.reserved.unwrap().amount;
    let now = bench.store.scope_spend(today(&bench.env)).await.unwrap();
    assert_eq!((now.spent, now.reserved), (each + each, NanoDollars(0)));
}

#[tokio::test(start_paused = true)]
async fn without_budgets_nothing_is_reserved() {
    let bench = Bench::start(quick()).await;
    let id = bench.submit("hello").await;
    let ended = finished(&bench.store, id).await;
    let Entry::Model { call, .. } = &entries(&bench.store, id).await[0] else { panic!() };
    assert_eq!(call.reserved, None);
    assert_eq!(spend(&bench).await, ScopeSpend { spent: ended.cost, reserved: NanoDollars(0) });
}

#[tokio::test(start_paused = true)]
async fn refusals_are_counted_by_policy() {
    let bench = Bench::start(with(a_day("0.00001", OnExceeded::Fail))).await;
    finished(&bench.store, bench.submit("hello").await).await;
    let text = bench.metrics.render(Exposition::Prometheus);
    for line in [
        r#"quarterdeck_budget_refusals_total{policy="fail"} 1"#,
        r#"quarterdeck_budget_limit_usd{scope="tenant"} 0.00001"#,
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

const TWO: &str = r#"
name: two
agents:
  writer: {role: Writer, goal: "Write at length about {message}", backstory: You are wordy.}
  editor: {role: Editor, goal: Edit, backstory: You are brief.}
tasks:
  - {name: draft, description: "Write about {message}", expected_output: A long essay, agent: writer}
  - {name: polish, description: Shorten it, expected_output: One sentence, agent: editor}
"#;

#[tokio::test(start_paused = true)]
async fn agents_that_share_a_model_have_sums_of_their_own_also_when_streaming() {
    for stream in [true, false] {
        let bench = Bench::with_models(with(a_day("1", OnExceeded::Fail)), |options| {
            options.providers.get_mut("sim").unwrap().stream = stream;
        });
        let bench = bench.await;
        bench.publish(TWO).await;
        let id = accept(&bench.store, job(&bench.env, "two", "message", "tides [[sim: latency=50ms]]")).await;
        // Somebody listens, so that tokens are passed on as they come.
        let _watch = bench.store.watch(id);
        let ended = finished(&bench.store, id).await;
        let mut by_agent = std::collections::BTreeMap::<String, (Usage, NanoDollars)>::new();
        for entry in entries(&bench.store, id).await {
            let Entry::Model { usage, cost, call, .. } = entry else { continue };
            let sum = by_agent.entry(call.agent.unwrap().to_string()).or_default();
            sum.0 += usage;
            sum.1 += cost;
        }
        let [editor, writer] = ["editor", "writer"].map(|agent| by_agent[agent]);
        assert_eq!((editor.0.model_calls, writer.0.model_calls), (1, 1), "{by_agent:?}");
        assert_ne!(editor.0, writer.0, "each has its own");
        let mut both = editor.0;
        both += writer.0;
        assert_eq!((both, editor.1 + writer.1), (ended.usage, ended.cost), "stream = {stream}");
        let query = UsageQuery { crew: Some(CrewName::new("two")), from: Day(0), to: Day(30_000), limit: 9 };
        let days = bench.store.usage(&TenantId::default(), query).await.unwrap();
        assert_eq!((days[0].usage, days[0].cost, days.len()), (ended.usage, ended.cost, 1));
    }
}

#[test]
fn a_budget_holds_across_the_deaths_of_its_process() {
    let env = Env::with(Arc::new(ManualClock::at(1_700_000_000_000)), 5);
    let folder = tempfile::tempdir().unwrap();
    let (budget, models): (_, Arc<Models>) = (usd("0.03"), models(&env));
    let start = |store: &Store| {
        let plans = Plans::new(store.clone(), catalog(&env));
        let options = Options { slots: 64, ..with(a_day("0.03", OnExceeded::Fail)) };
        Engine::start(options, store.clone(), Arc::clone(&models), plans, env.clone(), &Arc::default())
    };
    let scope = today(&env);
    let within = |now: ScopeSpend| assert!(now.spent + now.reserved <= budget, "{now:?}");
    let ids = live(async {
        let store = open(folder.path(), &env);
        publish(&store, &catalog(&env), PLAIN).await;
        let mut ids = Vec::new();
        for n in 0..64 {
            let text = format!("hello {n} [[sim: latency={}ms]]", 20 + n % 5 * 20);
            ids.push(accept(&store, job(&env, "plain", "message", &text)).await);
        }
        ids
    });
    for life in 1..=3_u64 {
        live(async {
            let store = open(folder.path(), &env);
            within(store.scope_spend(scope.clone()).await.unwrap());
            let _engine = start(&store);
            // It dies in the middle of calls.
            let page = || models.ledger("sim").unwrap().page();
            while page().totals.answered < life * 3 || page().in_flight == 0 {
                within(store.scope_spend(scope.clone()).await.unwrap());
                if store.stats().await.unwrap().running + store.stats().await.unwrap().queued == 0 {
                    break;
                }
                tokio::task::yield_now().await;
            }
        });
    }
    let (jobs, now) = live(async {
        let store = open(folder.path(), &env);
        let engine = start(&store);
        let mut jobs = Vec::new();
        for id in &ids {
            jobs.push(finished(&store, *id).await);
        }
        engine.stop().await;
        (jobs, store.scope_spend(scope.clone()).await.unwrap())
    });
    within(now);
    let billed = models.ledger("sim").unwrap().page().summary.billed.cost;
    assert!(billed <= now.spent, "{billed} was billed, {} is recorded or counted as lost", now.spent);
    assert!(cost(&jobs) <= billed && billed > NanoDollars(0));
    assert!(jobs.iter().any(|job| job.status == JobStatus::Succeeded));
}
