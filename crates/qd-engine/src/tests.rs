//! The engine over real backends and the simulated provider, under paused time where time matters.

mod batches;
mod behaviour;
mod budgets;
mod cached;
mod crash;
mod guards;
mod human;
mod limits;
mod metrics;
mod recourse;
mod schedules;
mod slots;
mod tools;
mod webhooks;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use qd_crew::{CrewSource, MACHINE_VERSION, SourceFile};
use qd_env::Env;
use qd_llm::{Models, ProviderKind, ProviderOptions};
use qd_store::{Enqueued, NewCrew, NewJob, Store};
use qd_telemetry::Metrics;
use qd_testkit::TokioClock;
use qd_types::{Catalog, CrewName, Input, Job, JobId, LogItem, Priority, TenantId};

use crate::{Engine, Options, Plans, RetryPolicy, tool_specs};

/// Two tasks: in the first, two tools at once and then an answer.
const CREW: &str = r#"
name: sums
agents:
  clerk: {role: Clerk, goal: "Answer {question}", backstory: You are exact., tools: [calculator, current_time]}
tasks:
  - name: work
    description: "Use the calculator and current_time to answer {question}"
    expected_output: A number
    agent: clerk
  - name: report
    description: "Report on {question} in one sentence"
    expected_output: One sentence
    agent: clerk
"#;

/// One agent with one call.
const PLAIN: &str = r#"
name: plain
agents:
  clerk: {role: Clerk, goal: Answer, backstory: You are exact.}
tasks:
  - {name: answer, description: "{message}", expected_output: An answer, agent: clerk}
"#;

fn env() -> Env {
    Env::with(Arc::new(TokioClock::default()), 11)
}

fn models(env: &Env) -> Arc<Models> {
    models_with(env, |_| {})
}

fn models_with(env: &Env, change: impl FnOnce(&mut qd_llm::Options)) -> Arc<Models> {
    let mut options = qd_llm::Options::default();
    options.providers.insert("sim".into(), ProviderOptions::new(ProviderKind::Sim));
    options.default_model = Some("sim/standard".into());
    change(&mut options);
    Arc::new(Models::build(options, env.clone()).unwrap())
}

fn catalog(env: &Env) -> Arc<Catalog> {
    Arc::new(Catalog {
        default_model: Some("sim/standard".into()),
        model_aliases: ["main".to_owned(), "auto".to_owned()].into(),
        providers: ["sim".to_owned(), "sick".to_owned(), "dear".to_owned()].into(),
        tools: tool_specs(env, &[]).into_iter().map(|spec| (spec.name.clone(), spec)).collect(),
        ..Catalog::default()
    })
}

fn quick() -> Options {
    Options {
        retry: RetryPolicy {
            base: Duration::from_millis(20),
            cap: Duration::from_millis(50),
            ..RetryPolicy::default()
        },
        ..Options::default()
    }
}

/// Every wait gives the slot back.
fn parking() -> Options {
    let options = quick();
    Options { retry: RetryPolicy { wait_in_slot: Duration::ZERO, ..options.retry }, ..options }
}

async fn publish(store: &Store, catalog: &Catalog, text: &str) {
    let source = CrewSource::Single(SourceFile::new("test.yaml", text));
    let (spec, _, _) = qd_crew::check(&source, catalog).unwrap();
    let json = serde_json::to_string(&spec).unwrap();
    store.publish(NewCrew::new(TenantId::default(), spec.name.clone(), spec.hash(), json)).await.unwrap();
}

fn job(env: &Env, crew: &str, variable: &str, text: &str) -> NewJob {
    let mut input = Input::new();
    input.insert(variable.into(), text.into());
    NewJob {
        id: env.job_id(),
        tenant: TenantId::default(),
        crew: CrewName::new(crew),
        crew_version: qd_types::CrewVersion(1),
        machine_version: MACHINE_VERSION,
        total_tasks: 2,
        input,
        priority: Priority::NORMAL,
        conversation: None,
        run_at: None,
        expires_at: None,
        timeout_seconds: 300,
        max_attempts: 5,
        metadata: Default::default(),
        budget: None,
        webhook_url: None,
        hooks: None,
        redrive_of: None,
        idempotency: None,
    }
}

async fn accept(store: &Store, job: NewJob) -> JobId {
    match store.enqueue(job).await.unwrap() {
        Enqueued::Created(job) => job.id,
        other => panic!("{other:?}"),
    }
}

/// Waits until a job is over.
async fn finished(store: &Store, id: JobId) -> Job {
    until(store, id, |job| job.status.is_terminal()).await
}

/// Waits until a job is as it should be.
async fn until(store: &Store, id: JobId, is_so: impl Fn(&Job) -> bool) -> Job {
    let mut watch = store.watch(id);
    loop {
        let job = store.job(&TenantId::default(), id).await.unwrap().unwrap();
        if is_so(&job) {
            return job;
        }
        watch.next().await;
    }
}

async fn entries(store: &Store, id: JobId) -> Vec<qd_types::Entry> {
    let log = store.log(&TenantId::default(), id, 0, 10_000).await.unwrap().unwrap();
    let entry = |item| if let LogItem::Entry { entry } = item { Some(*entry) } else { None };
    log.into_iter().filter_map(|logged| entry(logged.item)).collect()
}

fn open(folder: &Path, env: &Env) -> Store {
    let url = format!("sqlite:{}", folder.join("store.db").display());
    let options = qd_store::Options { url, ..qd_store::Options::default() };
    loop {
        match qd_store::open(&options, env) {
            Ok(store) => return store,
            // The dead process's writer thread is about to let go of the file.
            Err(qd_store::Error::Locked { .. }) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// One life of a process: everything in it ends with its runtime.
fn live<T>(life: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let result = runtime.block_on(life);
    runtime.shutdown_background();
    result
}

/// A memory store with both crews and a running engine.
struct Bench {
    metrics: Arc<Metrics>,
    env: Env,
    store: Store,
    models: Arc<Models>,
    engine: Engine,
}

impl Bench {
    async fn start(options: Options) -> Self {
        Self::over(options, |store| store).await
    }

    /// The same with something around the store.
    async fn over(options: Options, wrap: impl FnOnce(Store) -> Store) -> Self {
        Self::of(options, wrap, |_| {}).await
    }

    /// The same with other models.
    async fn with_models(options: Options, change: impl FnOnce(&mut qd_llm::Options)) -> Self {
        Self::of(options, |store| store, change).await
    }

    async fn of(
        options: Options,
        wrap: impl FnOnce(Store) -> Store,
        change: impl FnOnce(&mut qd_llm::Options),
    ) -> Self {
        let env = env();
        let metrics = Arc::new(Metrics::default());
        let store = wrap(qd_store::open(&qd_store::Options::default(), &env).unwrap());
        let store = store.observed_by(&metrics, &env);
        let (models, catalog) = (models_with(&env, change), catalog(&env));
        for crew in [CREW, PLAIN] {
            publish(&store, &catalog, crew).await;
        }
        let plans = Plans::new(store.clone(), catalog);
        let engine = Engine::start(options, store.clone(), Arc::clone(&models), plans, env.clone(), &metrics);
        Self { metrics, env, store, models, engine }
    }

    /// Publishes one more crew.
    async fn publish(&self, text: &str) {
        publish(&self.store, &catalog(&self.env), text).await;
    }

    async fn submit(&self, text: &str) -> JobId {
        accept(&self.store, job(&self.env, "plain", "message", text)).await
    }

    fn calls(&self) -> qd_llm::sim::LedgerPage {
        self.models.ledger("sim").unwrap().page()
    }

    /// Waits until the simulated provider is in the middle of this many calls.
    async fn in_flight(&self, calls: u64) {
        while self.calls().in_flight != calls {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
