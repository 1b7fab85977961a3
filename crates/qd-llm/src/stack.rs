//! The one place where the layers around a deployment are ordered, and what they share between calls.
//!
//! From the outside in:
//! 1. the **balancer** (`layers/balancer.rs`) chooses among the deployments of a model, and passes over those that refuse;
//! 2. **pacing**: who waits for the turn that a rate limit gives it holds nothing that others need;
//! 3. the **bulkhead**: who waits for a place has not asked the breaker yet, whose answer may change meanwhile;
//! 4. the **breaker**, and the budget of **retries**, right before the call: what they let through is really made;
//! 5. **tools in words** (`layers/text_tools.rs`), for models that have none;
//! 6. the model itself, which bounds its own times and never tries twice.
//!
//! Tries and fallbacks stand outside of all this, in the engine, because each failed call is journaled.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use qd_env::Env;
use tokio::sync::Semaphore;

use crate::estimate::Estimator;
use crate::layers::{
    Breaker, Breaking, Bulkhead, Deployment, Forced, Load, Pacing, Reservoir, RetryBudget, Retrying,
    Standing, TextTools,
};
use crate::{ChatModel, DeploymentOptions, KnownLimit, ModelOptions, ProviderOptions};

/// Deployments that are remembered. Crews name them, so there are few; beyond this they share nothing with earlier calls.
const DEPLOYMENTS_MAX: usize = 10_000;

/// The guards of one provider and of each of its deployments.
pub(crate) struct ProviderGuards {
    breaker: Arc<Breaker>,
    places: Arc<Semaphore>,
    // Each use is one lookup. By the model's name there.
    deployments: Mutex<HashMap<String, Arc<Guards>>>,
    options: ProviderOptions,
}

/// What the calls to one deployment share.
pub(crate) struct Guards {
    /// `provider/model`.
    pub(crate) name: Arc<str>,
    breaker: Arc<Breaker>,
    places: Arc<Semaphore>,
    limit: usize,
    pub(crate) reservoir: Arc<Reservoir>,
    pub(crate) estimator: Arc<Estimator>,
    retries: Arc<RetryBudget>,
    /// Its provider has said that this model takes no tools.
    has_no_tools: Arc<AtomicBool>,
    pub(crate) load: Load,
}

/// Where a deployment stands.
#[derive(Debug, Clone, PartialEq)]
pub struct DeploymentState {
    /// Name of its provider.
    pub provider: String,
    /// Its name there.
    pub model: String,
    /// Its breaker.
    pub breaker: Standing,
    /// What an operator has decided about it.
    pub forced: Option<Forced>,
    /// Its key or its name was refused of late: others are asked first.
    pub is_out: bool,
    /// Calls under way.
    pub in_use: usize,
    /// Calls that may be under way at once.
    pub limit: usize,
    /// Its rate limits, as far as they are known.
    pub limits: Vec<KnownLimit>,
}

impl ProviderGuards {
    pub(crate) fn new(options: &ProviderOptions) -> Self {
        let places = Arc::new(Semaphore::new(options.max_concurrent.min(Semaphore::MAX_PERMITS)));
        let breaker = Breaker::new(options.breaker);
        Self { breaker, places, deployments: Mutex::default(), options: options.clone() }
    }

    /// A model with everything around it.
    pub(crate) fn around(
        &self,
        inner: Arc<dyn ChatModel>,
        place: &DeploymentOptions,
        model: &ModelOptions,
        env: &Env,
    ) -> Deployment {
        let guards = self.guards(place);
        let (name, env) = (Arc::clone(&guards.name), env.clone());
        let text_tools = TextTools { inner, by: model.tools, has_none: Arc::clone(&guards.has_no_tools) };
        let retrying = Retrying {
            inner: Arc::new(text_tools),
            env: env.clone(),
            budget: Arc::clone(&guards.retries),
            name: Arc::clone(&name),
        };
        let breaking = Breaking {
            inner: Arc::new(retrying),
            env: env.clone(),
            provider: Arc::clone(&self.breaker),
            deployment: Arc::clone(&guards.breaker),
            name: Arc::clone(&name),
        };
        let places = [Arc::clone(&guards.places), Arc::clone(&self.places)];
        let bulkhead = Bulkhead { inner: Arc::new(breaking), places, name: Arc::clone(&name) };
        let pacing = Pacing {
            inner: Arc::new(bulkhead),
            env,
            reservoir: Arc::clone(&guards.reservoir),
            estimator: Arc::clone(&guards.estimator),
            max_tokens: model.max_tokens,
            name,
        };
        Deployment {
            model: Arc::new(pacing),
            weight: place.weight,
            breakers: [Arc::clone(&self.breaker), Arc::clone(&guards.breaker)],
            guards,
        }
    }

    /// Follows an operator about the breaker of a deployment.
    pub(crate) fn force(&self, place: &DeploymentOptions, forced: Option<Forced>) {
        self.guards(place).breaker.force(forced);
    }

    fn guards(&self, place: &DeploymentOptions) -> Arc<Guards> {
        let mut deployments = self.lock();
        if let Some(known) = deployments.get(&place.model) {
            return Arc::clone(known);
        }
        let fresh = Arc::new(self.fresh(place));
        if deployments.len() < DEPLOYMENTS_MAX {
            deployments.insert(place.model.clone(), Arc::clone(&fresh));
        }
        fresh
    }

    fn fresh(&self, place: &DeploymentOptions) -> Guards {
        let limit = place.max_concurrent.unwrap_or(self.options.max_concurrent);
        Guards {
            name: format!("{}/{}", place.provider, place.model).into(),
            breaker: Breaker::new(self.options.breaker),
            places: Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS))),
            limit,
            reservoir: Reservoir::new(place.rpm.or(self.options.rpm), place.tpm.or(self.options.tpm)),
            estimator: Arc::default(),
            retries: RetryBudget::new(),
            has_no_tools: Arc::default(),
            load: Load::default(),
        }
    }

    /// Every deployment that was asked for.
    pub(crate) fn states(&self, provider: &str, now: Duration) -> Vec<DeploymentState> {
        let deployments = self.lock();
        let mut states: Vec<_> = deployments
            .iter()
            .map(|(model, guards)| DeploymentState {
                forced: guards.breaker.forced(),
                provider: provider.to_owned(),
                model: model.clone(),
                breaker: worse(self.breaker.standing(now), guards.breaker.standing(now)),
                is_out: guards.load.is_out(now),
                in_use: guards.limit.saturating_sub(guards.places.available_permits()),
                limit: guards.limit,
                limits: guards.reservoir.known(now),
            })
            .collect();
        states.sort_by(|a, b| a.model.cmp(&b.model));
        states
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Guards>>> {
        self.deployments.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a caller meets when two breakers stand before a call.
pub(crate) fn worse(a: Standing, b: Standing) -> Standing {
    let rank = |standing| match standing {
        Standing::Closed => 0,
        Standing::HalfOpen => 1,
        Standing::Open => 2,
    };
    if rank(a) >= rank(b) { a } else { b }
}
