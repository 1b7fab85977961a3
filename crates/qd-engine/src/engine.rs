//! The engine as the binary holds it: start, count, stop.

use std::sync::Arc;

use qd_env::Env;
use qd_llm::Models;
use qd_store::Store;
use qd_telemetry::Metrics;
use qd_types::WorkerId;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cached::Answers;
use crate::held::Held;
use crate::observe::Observer;
use crate::pace::Paces;
use crate::spend::SpendGuard;
use crate::tools::Tools;
use crate::{Options, Plans, services, worker};

/// What every attempt needs.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) store: Store,
    pub(crate) models: Arc<Models>,
    pub(crate) plans: Plans,
    pub(crate) tools: Tools,
    pub(crate) env: Env,
    pub(crate) worker: WorkerId,
    pub(crate) held: Held,
    pub(crate) observer: Observer,
    pub(crate) paces: Paces,
    pub(crate) answers: Answers,
    pub(crate) spend: SpendGuard,
    /// No new claims and no new effects.
    pub(crate) stopping: CancellationToken,
    /// Effects in flight are dropped.
    pub(crate) cut: CancellationToken,
}

/// Counts the jobs under way in an engine.
#[derive(Clone)]
pub struct InFlight {
    shared: Arc<Shared>,
}

impl InFlight {
    /// How many.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.held.count()
    }

    /// How many there may be at once.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.shared.options.slots
    }
}

/// A running engine.
pub struct Engine {
    shared: Arc<Shared>,
    worker: JoinHandle<()>,
    services: Vec<JoinHandle<()>>,
}

impl Engine {
    /// Starts claiming.
    #[must_use]
    pub fn start(
        options: Options,
        store: Store,
        models: Arc<Models>,
        plans: Plans,
        env: Env,
        metrics: &Arc<Metrics>,
    ) -> Self {
        let tools = Tools::new(&env, &options.tools);
        let (budgets, book) = (options.budgets.clone(), store.clone());
        let shared = Arc::new(Shared {
            worker: WorkerId::new(format!("worker-{:08x}", env.draw() as u32)),
            held: Held::default(),
            observer: Observer::new(metrics, options.slots, &tools),
            tools,
            paces: Paces::default(),
            answers: Answers::default(),
            spend: SpendGuard::new(budgets, book, Arc::clone(&models), env.clone(), Arc::clone(metrics)),
            stopping: CancellationToken::new(),
            cut: CancellationToken::new(),
            options,
            store,
            models,
            plans,
            env: env.clone(),
        });
        shared.observer.watch_guards(&shared.models);
        let services = services::start(&shared);
        let worker = env.spawn(worker::run(Arc::clone(&shared)));
        shared.observer.workers(usize::from(shared.options.slots > 0), 0);
        tracing::info!(worker = %shared.worker, slots = shared.options.slots, "worker started");
        Self { shared, worker, services }
    }

    /// Counts the jobs under way, also for those who outlive this handle.
    #[must_use]
    pub fn in_flight(&self) -> InFlight {
        InFlight { shared: Arc::clone(&self.shared) }
    }

    /// Stops: no new claims, effects in flight are finished and journaled or dropped at the drain timeout, and every
    /// job goes back to the queue without a try burnt.
    pub async fn stop(self) {
        self.shared.observer.workers(0, usize::from(self.shared.options.slots > 0));
        tracing::info!(worker = %self.shared.worker, jobs = self.shared.held.count(), "worker drains");
        self.shared.stopping.cancel();
        let mut worker = self.worker;
        if tokio::time::timeout(self.shared.options.drain_timeout, &mut worker).await.is_err() {
            tracing::warn!(
                jobs = self.shared.held.count(),
                "drain timeout reached, dropping calls in flight"
            );
            self.shared.cut.cancel();
            // What is left is writing to the store.
            let _ = worker.await;
        }
        for service in self.services {
            let _ = service.await;
        }
        self.shared.spend.give_back(true).await;
        self.shared.observer.workers(0, 0);
    }
}
