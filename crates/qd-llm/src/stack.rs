//! The one place where the layers around a deployment are ordered, and what they share between calls.
//!
//! From the outside in:
//! 1. the **bulkhead** first: who waits for a place has not asked the breaker yet, whose answer may change meanwhile;
//! 2. then the **breaker**, right before the call: what it lets through is really tried;
//! 3. then the model itself, which bounds its own times and never tries twice.
//!
//! Tries and fallbacks stand outside of all this, in the engine, because each failed call is journaled.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use qd_env::Env;
use tokio::sync::Semaphore;

use crate::layers::{Breaker, Breaking, Bulkhead, Standing};
use crate::{ChatModel, ModelOptions, ProviderOptions};

/// Deployments that are remembered. Crews name them, so there are few; beyond this they share nothing with earlier calls.
const DEPLOYMENTS_MAX: usize = 10_000;

/// The guards of one provider and of each of its models.
pub(crate) struct ProviderGuards {
    provider: Guards,
    // Each use is one lookup.
    deployments: Mutex<HashMap<String, Guards>>,
    options: ProviderOptions,
}

#[derive(Clone)]
struct Guards {
    breaker: Arc<Breaker>,
    places: Arc<Semaphore>,
    limit: usize,
}

impl Guards {
    fn new(options: &ProviderOptions, limit: usize) -> Self {
        let places = Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS)));
        Self { breaker: Breaker::new(options.breaker), places, limit }
    }
}

/// Where a deployment stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentState {
    /// Name of its provider.
    pub provider: String,
    /// Its name there.
    pub model: String,
    /// Its breaker.
    pub breaker: Standing,
    /// Calls under way.
    pub in_use: usize,
    /// Calls that may be under way at once.
    pub limit: usize,
}

impl ProviderGuards {
    pub(crate) fn new(options: &ProviderOptions) -> Self {
        let provider = Guards::new(options, options.max_concurrent);
        Self { provider, deployments: Mutex::default(), options: options.clone() }
    }

    /// A model with everything around it.
    pub(crate) fn around(
        &self,
        inner: Arc<dyn ChatModel>,
        model: &ModelOptions,
        env: &Env,
    ) -> Arc<dyn ChatModel> {
        let name = format!("{}/{}", model.provider, model.model);
        let deployment = self.deployment(model);
        let breaking = Breaking {
            inner,
            env: env.clone(),
            provider: Arc::clone(&self.provider.breaker),
            deployment: Arc::clone(&deployment.breaker),
            name: name.clone(),
        };
        let places = [deployment.places, Arc::clone(&self.provider.places)];
        Arc::new(Bulkhead { inner: Arc::new(breaking), places, name })
    }

    fn deployment(&self, model: &ModelOptions) -> Guards {
        let mut deployments = self.deployments.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = deployments.get(&model.model) {
            return known.clone();
        }
        let fresh = Guards::new(&self.options, model.max_concurrent.unwrap_or(self.options.max_concurrent));
        if deployments.len() < DEPLOYMENTS_MAX {
            deployments.insert(model.model.clone(), fresh.clone());
        }
        fresh
    }

    /// Every deployment that was asked for.
    pub(crate) fn states(&self, provider: &str, now: Duration) -> Vec<DeploymentState> {
        let deployments = self.deployments.lock().unwrap_or_else(PoisonError::into_inner);
        let mut states: Vec<_> = deployments
            .iter()
            .map(|(model, guards)| DeploymentState {
                provider: provider.to_owned(),
                model: model.clone(),
                breaker: worse(self.provider.breaker.standing(now), guards.breaker.standing(now)),
                in_use: guards.limit.saturating_sub(guards.places.available_permits()),
                limit: guards.limit,
            })
            .collect();
        states.sort_by(|a, b| a.model.cmp(&b.model));
        states
    }
}

/// What a caller meets when two breakers stand before a call.
fn worse(a: Standing, b: Standing) -> Standing {
    let rank = |standing| match standing {
        Standing::Closed => 0,
        Standing::HalfOpen => 1,
        Standing::Open => 2,
    };
    if rank(a) >= rank(b) { a } else { b }
}
