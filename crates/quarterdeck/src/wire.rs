//! Builds the server, once: store, models, crews, engine, gateway, in this order; stops them in the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use qd_crew::{CrewSource, CrewSpec, Diagnostic, Severity};
use qd_engine::{Engine, Plans};
use qd_env::Env;
use qd_gateway::{
    CrewBook, Deployment, Gateway, Health, KeyBook, Listeners, Pace, Parts, RateLimit, Rates, Running,
    TenantPace,
};
use qd_llm::{Forced, Models};
use qd_store::{Leases, Store, TenantShare, policy};
use qd_telemetry::Metrics;
use qd_types::{Catalog, CrewName, NanoDollars, TenantId};

use crate::config::{self, Config, Durability, Sharing};
use crate::exit::{Exit, ended};
use crate::{crew_files, pepper, process_figures};

/// How long requests under way may take to end when the server stops.
const CONNECTIONS_STOP: Duration = Duration::from_secs(5);

/// A running server.
pub(crate) struct Server {
    gateway: Running,
    engine: Engine,
    health: Arc<Counts>,
    store: Store,
    pub(crate) address: SocketAddr,
    pub(crate) admin: Option<SocketAddr>,
    /// Names of the published crews.
    pub(crate) crews: Vec<CrewName>,
    pub(crate) warnings: Vec<Diagnostic>,
    /// Its keys.
    pub(crate) keys: Arc<KeyBook>,
}

/// What the gateway may know of the engine.
#[derive(Default)]
struct Counts {
    in_flight: std::sync::OnceLock<qd_engine::InFlight>,
    models: std::sync::OnceLock<Arc<Models>>,
    draining: AtomicBool,
}

impl Health for Counts {
    fn tasks_in_flight(&self) -> usize {
        self.in_flight.get().map_or(0, qd_engine::InFlight::count)
    }

    fn slots(&self) -> usize {
        self.in_flight.get().map_or(0, qd_engine::InFlight::slots)
    }

    fn draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    fn deployments(&self) -> Vec<Deployment> {
        let states = self.models.get().map(|models| models.deployments()).unwrap_or_default();
        states.into_iter().map(deployment).collect()
    }

    fn force_breaker(&self, deployment: &str, open: Option<bool>) -> bool {
        let forced = open.map(|open| if open { Forced::Open } else { Forced::Closed });
        self.models.get().is_some_and(|models| models.force_breaker(deployment, forced))
    }
}

/// A deployment as the gateway shows it.
fn deployment(state: qd_llm::DeploymentState) -> Deployment {
    // Limits are far below where fractions are lost, and shares of a call are nobody's business.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let limits = state.limits.iter().map(|known| RateLimit {
        of: known.of.as_str(),
        per_seconds: known.per.as_secs(),
        limit: known.limit as u64,
        left: known.left as u64,
    });
    Deployment {
        name: format!("{}/{}", state.provider, state.model),
        breaker: state.breaker.as_str(),
        is_forced: state.forced.is_some(),
        is_out: state.is_out,
        in_flight: state.in_use,
        max_in_flight: state.limit,
        limits: limits.collect(),
    }
}

/// Models and tools that crews may name.
pub(crate) fn catalog(config: &Config, env: &Env) -> Catalog {
    let (models, tools) = (&config.models, config.settings.described_tools());
    Catalog {
        default_model: models.default_model.clone(),
        model_aliases: models.aliases().map(str::to_owned).collect(),
        providers: models.providers.keys().cloned().collect(),
        tools: qd_engine::tool_specs(env, &tools).into_iter().map(|spec| (spec.name.clone(), spec)).collect(),
        tenants_of_tools: config.settings.tenants_of_tools(),
    }
}

/// Starts everything. `extra` crews come on top of those that the configuration names.
pub(crate) async fn start(
    config: &Config,
    extra: Vec<CrewSource>,
    listeners: Listeners,
) -> anyhow::Result<Server> {
    let env = Env::system();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), profile = config.profile, "starting");
    let metrics = Arc::new(Metrics::default());
    process_figures::serve(&metrics, &env);
    let options = gateway_options(config)?;
    let catalog = Arc::new(catalog(config, &env));
    let (specs, warnings) = crews(config, extra, &catalog)?;
    let models = Arc::new(
        Models::build(config.models.clone(), env.clone())
            .map_err(|e| ended(Exit::Configuration, e.to_string()))?,
    );
    let store = open_store(config, &env)?.observed_by(&metrics, &env);
    let taken_over = store.stats().await?.taken_over;
    metrics.jobs_recovered.with(["restart"]).inc_by(taken_over as u64);
    let shared = specs.iter().map(shared).collect::<anyhow::Result<_>>()?;
    let book = CrewBook::new(store.clone(), Arc::clone(&catalog), env.clone()).sharing(shared);
    book.provide(&TenantId::default()).await?;
    let keys = Arc::new(key_book(config, &store, &env)?);
    let health = Arc::new(Counts::default());
    let parts = Parts {
        store: store.clone(),
        crews: Arc::new(book),
        keys: Arc::clone(&keys),
        health: Arc::clone(&health) as Arc<dyn Health>,
        env: env.clone(),
        metrics: Arc::clone(&metrics),
    };
    let gateway =
        Gateway::take(listeners, options, parts).await.map_err(|e| ended(Exit::Conflict, e.to_string()))?;
    let (address, admin) = (gateway.local_addr(), gateway.admin_addr());
    let plans = Plans::new(store.clone(), catalog);
    let _ = health.models.set(Arc::clone(&models));
    let engine = Engine::start(engine_options(config)?, store.clone(), models, plans, env, &metrics);
    let _ = health.in_flight.set(engine.in_flight());
    let crews: Vec<CrewName> = specs.into_iter().map(|spec| spec.name).collect();
    let admin_address = admin.map(tracing::field::display);
    tracing::info!(%address, admin_address, crews = crews.len(), "ready");
    Ok(Server { gateway: gateway.start(), engine, health, store, address, admin, crews, warnings, keys })
}

/// A crew as every tenant has it: name, hash, spec.
fn shared(spec: &CrewSpec) -> anyhow::Result<(CrewName, String, String)> {
    let json = serde_json::to_string(spec).context("a crew cannot be written as JSON")?;
    Ok((spec.name.clone(), spec.hash(), json))
}

/// The keys of a store, under the pepper that belongs to it.
pub(crate) fn key_book(config: &Config, store: &Store, env: &Env) -> anyhow::Result<KeyBook> {
    Ok(KeyBook::new(store.clone(), pepper::of(config, env)?, rates(&config.settings), env.clone()))
}

fn rates(s: &config::Settings) -> Rates {
    let pace = |per_second: f64, burst| (per_second > 0.0).then(|| Pace::new(per_second, burst));
    let l = &s.limits;
    let of = |t: &config::TenantLimits| TenantPace {
        key: (t.key_requests_per_second.is_some() || t.key_burst.is_some()).then(|| {
            pace(
                t.key_requests_per_second.unwrap_or(l.key_requests_per_second),
                t.key_burst.unwrap_or(l.key_burst),
            )
        }),
        tenant: (t.requests_per_second.is_some() || t.burst.is_some()).then(|| {
            pace(
                t.requests_per_second.unwrap_or(l.tenant_requests_per_second),
                t.burst.unwrap_or(l.tenant_burst),
            )
        }),
    };
    Rates {
        key: pace(l.key_requests_per_second, l.key_burst),
        tenant: pace(l.tenant_requests_per_second, l.tenant_burst),
        tenants: s.tenants.iter().map(|(name, t)| (TenantId::new(name), of(t))).collect(),
    }
}

fn tenant_shares(s: &config::Settings) -> qd_store::TenantShares {
    let of = |t: &config::TenantLimits| TenantShare { max_queued: t.max_queued, max_running: t.max_running };
    qd_store::TenantShares {
        each: TenantShare {
            max_queued: s.limits.tenant_max_queued,
            max_running: s.limits.tenant_max_running,
        },
        named: s.tenants.iter().map(|(name, t)| (TenantId::new(name), of(t))).collect(),
    }
}

/// The crews that the configuration names and more, with the built-in one that they do not replace, and warnings.
fn crews(
    config: &Config,
    more: Vec<CrewSource>,
    catalog: &Catalog,
) -> anyhow::Result<(Vec<CrewSpec>, Vec<Diagnostic>)> {
    let crew_files::Found { mut sources, mistakes: mut findings } = crew_files::of_config(config);
    sources.extend(more);
    let (mut specs, found) = crew_files::examine(&sources, catalog);
    findings.extend(found);
    // Crews that have mistakes are no reason to call names of them unknown.
    if findings.iter().all(|finding| finding.severity == Severity::Warning) {
        let names: Vec<String> = specs.iter().map(|spec| spec.name.to_string()).collect();
        findings.extend(crew_files::wrong_names(config, &names));
    }
    let warnings = crew_files::unless_wrong(findings)?;
    if specs.iter().all(|spec| spec.name.as_str() != "assistant") {
        let (built_in, found) = crew_files::examine(&[crew_files::assistant(catalog)], catalog);
        crew_files::unless_wrong(found)?;
        specs.extend(built_in);
    }
    Ok((specs, warnings))
}

impl Server {
    /// Where clients reach it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns when the store is not to be trusted any more: the process must end rather than go on with it.
    pub(crate) async fn broken(&self) -> qd_store::Error {
        loop {
            if let Err(error @ qd_store::Error::Broken { .. }) = self.store.stats().await {
                return error;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Stops: not ready, no claims; calls in flight are finished and journaled, or dropped at the drain timeout.
    pub(crate) async fn stop(self) {
        self.health.draining.store(true, Ordering::Release);
        self.engine.stop().await;
        self.gateway.stop(CONNECTIONS_STOP).await;
    }
}

/// The file of an embedded store.
pub(crate) fn database(config: &Config) -> Option<std::path::PathBuf> {
    config.settings.store.url.strip_prefix("sqlite:").map(|path| config.base.join(path))
}

/// Opens the store that is configured.
pub(crate) fn open_store(config: &Config, env: &Env) -> anyhow::Result<Store> {
    let s = &config.settings;
    let url = match database(config) {
        Some(path) => format!("sqlite:{}", path.display()),
        None => s.store.url.clone(),
    };
    let options = qd_store::Options {
        url,
        durability: match s.store.durability {
            Durability::Strict => qd_store::Durability::Strict,
            Durability::Relaxed => qd_store::Durability::Relaxed,
        },
        max_depth: s.queue.max_depth,
        sharing: match s.queue.sharing {
            Sharing::Weighted => policy::Sharing::Weighted,
            Sharing::Strict => policy::Sharing::Strict,
        },
        tenants: tenant_shares(s),
        leases: Leases::OfProcess,
        retention: Duration::from_secs(s.retention.jobs_days * 24 * 3600),
        conversation_ttl: Duration::from_secs(s.conversations.ttl_seconds),
        cache: qd_store::CacheRoom { entries: s.store.cache_entries, bytes: s.store.cache_bytes },
        subscriptions: s.subscriptions(),
        open_batches: s.batches.max_open,
        ..qd_store::Options::default()
    };
    qd_store::open(&options, env).map_err(|error| {
        let exit = match error {
            qd_store::Error::Locked { .. } => Exit::Conflict,
            _ => Exit::Configuration,
        };
        ended(exit, error.to_string())
    })
}

/// What the API is served with, checked: e.g. that no public address is taken by mistake.
pub(crate) fn gateway_options(config: &Config) -> anyhow::Result<qd_gateway::Options> {
    let server = &config.settings.server;
    let address = |text: &str| text.parse().with_context(|| format!("`{text}` is no address"));
    let options = qd_gateway::Options {
        listen: address(&server.listen)?,
        admin_listen: if server.admin_listen.is_empty() {
            None
        } else {
            Some(address(&server.admin_listen)?)
        },
        auth: config.settings.auth.mode.into(),
        insecure_public: server.insecure_public,
        default_crew: CrewName::new(&config.settings.default_crew),
        systems: systems(&config.settings),
        max_connections: server.max_connections,
        max_connections_per_address: server.max_connections_per_address,
        body_bytes_max: server.max_body_bytes,
        batches: batch_bounds(&config.settings.batches),
        default_max_attempts: config.settings.retry.max_attempts,
        webhooks: config.settings.webhook_endpoints(),
        job_webhooks: config.settings.job_webhooks()?,
        ..qd_gateway::Options::default()
    };
    options.validate().map_err(|e| ended(Exit::Configuration, e.to_string()))?;
    Ok(options)
}

fn systems(s: &config::Settings) -> std::collections::BTreeMap<String, Vec<CrewName>> {
    let crews = |system: &config::System| system.crews.iter().map(CrewName::new).collect();
    s.systems.iter().map(|(name, system)| (name.clone(), crews(system))).collect()
}

fn batch_bounds(b: &config::Batches) -> qd_gateway::BatchBounds {
    qd_gateway::BatchBounds {
        upload_items_max: b.max_inputs,
        upload_bytes_max: b.max_upload_bytes,
        json_bytes_max: b.max_body_bytes,
        ..qd_gateway::BatchBounds::default()
    }
}

fn engine_options(config: &Config) -> anyhow::Result<qd_engine::Options> {
    let s = &config.settings;
    Ok(qd_engine::Options {
        slots: s.worker.slots,
        spare_slots: s.worker.spare(),
        lease: Duration::from_secs(s.worker.lease_seconds),
        drain_timeout: Duration::from_secs(s.worker.drain_timeout_seconds),
        retry: qd_engine::RetryPolicy {
            base: Duration::from_millis(s.retry.base_ms),
            cap: Duration::from_millis(s.retry.cap_ms),
            wait_in_slot: Duration::from_millis(s.retry.wait_in_slot_ms),
        },
        limits: qd_engine::Limits {
            model_calls: s.limits.model_calls,
            tool_calls: s.limits.tool_calls,
            tokens: s.limits.tokens,
            parallel_effects: s.limits.parallel_effects,
        },
        budgets: budgets(&s.budgets),
        history_tokens: s.conversations.token_budget.saturating_sub(s.conversations.reserve_tokens),
        tools: s.http_tools()?,
        human_input: s.human_input.into(),
        webhooks: s.deliverer()?,
        ..qd_engine::Options::default()
    })
}

fn budgets(b: &config::Budgets) -> qd_engine::Budgets {
    let dollars = |amount: Option<f64>| amount.map(NanoDollars::from_dollars);
    let of_crew = |crew: &config::CrewBudget| qd_engine::CrewBudget {
        day: dollars(crew.day_usd),
        job: dollars(crew.job_usd),
    };
    qd_engine::Budgets {
        tenant_day: dollars(b.tenant_day_usd),
        job: dollars(b.job_usd),
        crews: b.crews.iter().map(|(name, crew)| (name.clone(), of_crew(crew))).collect(),
        on_exceeded: match b.on_exceeded {
            config::OnExceeded::Fail => qd_engine::OnExceeded::Fail,
            config::OnExceeded::Wait => qd_engine::OnExceeded::Wait,
            config::OnExceeded::Degrade => qd_engine::OnExceeded::Degrade,
        },
        degrade_to: b.degrade_to.clone(),
        unknown_price: match b.unknown_price {
            config::UnknownPrice::Warn => qd_engine::UnknownPrice::Warn,
            config::UnknownPrice::Deny => qd_engine::UnknownPrice::Deny,
        },
    }
}
