//! Full cycles in one process: accept, claim, one unary call to the simulator without latency, journal, finish; 256
//! slots, strict durability.

use std::sync::Arc;
use std::time::{Duration, Instant};

use qd_crew::{CrewSource, MACHINE_VERSION, SourceFile};
use qd_engine::{Engine, Options, Plans, tool_specs};
use qd_env::Env;
use qd_llm::{Models, ProviderKind, ProviderOptions};
use qd_store::{NewCrew, NewJob, Store};
use qd_types::{Catalog, CrewName, CrewVersion, Input, Priority, TenantId};

/// Jobs kept queued, so that workers never wait and the queue never matters.
const BACKLOG: usize = 2_000;

pub(crate) async fn run() -> anyhow::Result<()> {
    println!("## full cycles/s");
    let folder = tempfile::tempdir_in(".")?;
    let env = Env::system();
    let options = qd_store::Options {
        url: format!("sqlite:{}", folder.path().join("store.db").display()),
        max_depth: 2_000_000,
        ..qd_store::Options::default()
    };
    let metrics = Arc::default();
    let store = qd_store::open(&options, &env)?.observed_by(&metrics, &env);
    let catalog = catalog(&env);
    publish(&store, &catalog).await?;
    let mut models = qd_llm::Options::default();
    let provider = ProviderOptions { stream: false, ..ProviderOptions::new(ProviderKind::Sim) };
    models.providers.insert("sim".into(), provider);
    let models = Arc::new(Models::build(models, env.clone())?);
    let plans = Plans::new(store.clone(), Arc::new(catalog));
    let engine = Engine::start(
        Options { slots: 256, ..Options::default() },
        store.clone(),
        Arc::clone(&models),
        plans,
        env.clone(),
        &metrics,
    );

    let finished = |models: &Models| models.ledger("sim").map_or(0, |ledger| ledger.page().totals.answered);
    let (mut made, span) = (0_u64, Duration::from_secs(10));
    let start = Instant::now();
    let mut warm: Option<(Instant, u64)> = None;
    while start.elapsed() < span + Duration::from_secs(2) {
        let room = BACKLOG.saturating_sub(store.stats().await?.queued);
        if room > 0 {
            made += room as u64;
            store.enqueue_all((0..room).map(|_| job(&env)).collect()).await?;
        } else {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if warm.is_none() && start.elapsed() > Duration::from_secs(2) {
            warm = Some((Instant::now(), done(&store, made).await?));
        }
    }
    if let Some((since, before)) = warm {
        let cycles = done(&store, made).await? - before;
        println!(
            "{:.0} cycles/s over {:.1} s ({} calls)",
            cycles as f64 / since.elapsed().as_secs_f64(),
            since.elapsed().as_secs_f64(),
            finished(&models)
        );
    }
    engine.stop().await;
    Ok(())
}

/// Jobs that are over: all that were made, less those that wait or run.
async fn done(store: &Store, made: u64) -> anyhow::Result<u64> {
    let stats = store.stats().await?;
    Ok(made - (stats.queued + stats.running + stats.delayed) as u64)
}

fn catalog(env: &Env) -> Catalog {
    Catalog {
        default_model: Some("sim/standard".into()),
        providers: ["sim".to_owned()].into(),
        tools: tool_specs(env, &[]).into_iter().map(|spec| (spec.name.clone(), spec)).collect(),
        ..Catalog::default()
    }
}

async fn publish(store: &Store, catalog: &Catalog) -> anyhow::Result<()> {
    let source = CrewSource::Single(SourceFile::new("echo.yaml", crate::process::CREW));
    let (spec, _, _) = qd_crew::check(&source, catalog)?;
    let json = serde_json::to_string(&spec)?;
    store.publish(NewCrew::new(TenantId::default(), spec.name.clone(), spec.hash(), json)).await?;
    Ok(())
}

fn job(env: &Env) -> NewJob {
    let mut input = Input::new();
    input.insert("message".into(), "hello".into());
    NewJob {
        id: env.job_id(),
        tenant: TenantId::default(),
        crew: CrewName::new("echo"),
        crew_version: CrewVersion(1),
        machine_version: MACHINE_VERSION,
        total_tasks: 1,
        input,
        priority: Priority::NORMAL,
        conversation: None,
        run_at: None,
        expires_at: None,
        timeout_seconds: 300,
        max_attempts: 5,
        metadata: std::collections::BTreeMap::new(),
        budget: None,
        webhook_url: None,
        hooks: None,
        redrive_of: None,
        idempotency: None,
    }
}
