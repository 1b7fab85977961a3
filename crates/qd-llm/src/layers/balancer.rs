//! Chooses among the deployments of one model, and passes over those that refuse a call before it is made.
//!
//! One call is made at most: what came of it is journaled before anybody is asked again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use qd_env::Env;
use qd_types::ChatRequest;

use super::breaker::Breaker;
use super::reservoir::Need;
use super::{Standing, Strategy};
use crate::estimate::BYTES_PER_TOKEN;
use crate::stack::{Guards, worse};
use crate::{Answer, CallError, CallScope, ChatModel};

/// A model at one endpoint with one key.
pub(crate) struct Deployment {
    /// With all its layers.
    pub(crate) model: Arc<dyn ChatModel>,
    pub(crate) weight: u32,
    /// Of its provider and its own.
    pub(crate) breakers: [Arc<Breaker>; 2],
    pub(crate) guards: Arc<Guards>,
}

impl Deployment {
    /// Whether a call would reach the provider now, as far as can be known.
    fn is_well(&self, now: Duration) -> bool {
        let [provider, own] = &self.breakers;
        let standing = worse(provider.standing(now), own.standing(now));
        standing != Standing::Open && !self.guards.load.is_out(now)
    }
}

/// See the module.
pub(crate) struct Balancer {
    deployments: Vec<Deployment>,
    strategy: Strategy,
    env: Env,
    turn: AtomicUsize,
}

impl Balancer {
    /// Over at least one deployment.
    pub(crate) fn new(deployments: Vec<Deployment>, strategy: Strategy, env: Env) -> Self {
        Self { deployments, strategy, env, turn: AtomicUsize::new(0) }
    }

    /// Whether a deployment that is not among these would take a call now.
    pub(crate) fn has_other(&self, asked: &[Arc<str>]) -> bool {
        let now = self.env.monotonic();
        self.deployments.iter().any(|one| {
            !asked.contains(&one.guards.name)
                && one.is_well(now)
                && one.guards.reservoir.wait(Need::default(), now).is_zero()
        })
    }

    /// Bytes of text that make a token, as the first of the deployments has shown.
    pub(crate) fn bytes_per_token(&self) -> f64 {
        self.deployments.first().map_or(BYTES_PER_TOKEN, |first| first.guards.estimator.bytes_per_token())
    }

    /// Every deployment, in the order in which they are asked.
    fn order(&self, scope: &CallScope) -> Vec<&Deployment> {
        if let [only] = &self.deployments[..] {
            return vec![only];
        }
        let now = self.env.monotonic();
        let mut order = self.spread(now);
        // Stable: within each of these the strategy decides.
        order.sort_by_cached_key(|one| {
            let is_asked = scope.avoid.contains(&one.guards.name);
            (!one.is_well(now), is_asked, one.guards.reservoir.wait(Need::default(), now))
        });
        order
    }

    fn spread(&self, now: Duration) -> Vec<&Deployment> {
        let all = &self.deployments;
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        // From another one each time, so that equals take turns.
        let mut order: Vec<_> = all.iter().cycle().skip(turn % all.len()).take(all.len()).collect();
        match self.strategy {
            Strategy::RoundRobin => {}
            Strategy::LeastBusy => order.sort_by_key(|one| one.guards.load.under_way()),
            Strategy::Weighted => {
                let mut rng = self.env.rng(&format!("balance/{turn}"));
                // The smallest of exponential draws is each with its weight's probability.
                order
                    .sort_by_cached_key(|one| Score(-(1.0 - rng.unit()).ln() / f64::from(one.weight.max(1))));
            }
            Strategy::Latency => {
                let mut rng = self.env.rng(&format!("balance/{turn}"));
                let drawn = rng.below(all.len() as u64) as usize;
                order.rotate_left(drawn);
                // Everybody running to the same quickest one would make it the slowest: two are looked at.
                let second = 1 + rng.below(all.len() as u64 - 1) as usize;
                if order[second].guards.load.score(now) < order[0].guards.load.score(now) {
                    order.swap(0, second);
                }
            }
        }
        order
    }

    async fn ask(
        &self,
        one: &Deployment,
        request: &ChatRequest,
        scope: &CallScope,
    ) -> Result<Answer, CallError> {
        let guards = &one.guards;
        let _under_way = guards.load.begin();
        let began = self.env.monotonic();
        let mut answer = one.model.call(request, scope).await;
        let now = self.env.monotonic();
        let is_newly_out = guards.load.note(&answer, now.saturating_sub(began), now);
        if let (true, Err(error)) = (is_newly_out, &answer) {
            tracing::error!(model = &*guards.name, code = %error.code, "a model's key or name was refused; its other deployments carry on");
        }
        match &mut answer {
            Ok(answer) => answer.deployment = Some(Arc::clone(&guards.name)),
            Err(error) => error.deployment = Some(Arc::clone(&guards.name)),
        }
        answer
    }
}

/// Orders numbers that are never NaN.
#[derive(PartialEq)]
struct Score(f64);

impl Eq for Score {}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

#[async_trait]
impl ChatModel for Balancer {
    async fn call(&self, request: &ChatRequest, scope: &CallScope) -> Result<Answer, CallError> {
        let mut refusal: Option<CallError> = None;
        for one in self.order(scope) {
            match self.ask(one, request, scope).await {
                Err(error) if !error.was_made() => {
                    // Whoever is free first decides when to come back.
                    if refusal.as_ref().is_none_or(|known| error.retry_after < known.retry_after) {
                        refusal = Some(error);
                    }
                }
                answer => return answer,
            }
        }
        Err(refusal.expect("a model has a deployment, and each refused"))
    }
}

#[cfg(test)]
mod tests;
