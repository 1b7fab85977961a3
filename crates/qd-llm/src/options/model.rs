//! What can be set about one model: where it runs, how calls are spread, what follows when it cannot answer.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Problem, ProviderOptions};
use crate::Blame;

/// Models that one may fall back to.
const FALLBACKS_MAX: usize = 10;
/// Places that one model may run at.
const DEPLOYMENTS_MAX: usize = 50;
/// Nobody allows more, a minute.
const PACE_MAX: u64 = 1_000_000_000_000;

/// One model under a name of its own: at one place (`provider`, `model`) or at several (`deployments`).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelOptions {
    /// Name of its provider.
    pub provider: String,
    /// Its name there.
    pub model: String,
    /// The places where it runs, if there are several.
    pub deployments: Vec<DeploymentOptions>,
    /// How calls are spread over them.
    pub strategy: Strategy,
    /// How it is given tools.
    pub tools: ToolsBy,
    /// Bound of one call, below the provider's own bounds.
    pub timeout_seconds: Option<f64>,
    /// Bound of an answer where the request sets none.
    pub max_tokens: Option<u32>,
    /// Tokens of prompt and answer that it can hold; known models have theirs.
    pub context_window: Option<u64>,
    /// Sampling where the request sets none.
    pub temperature: Option<f64>,
    /// Nucleus sampling where the request sets none.
    pub top_p: Option<f64>,
    /// Calls at once; those of its provider without.
    pub max_concurrent: Option<usize>,
    /// Requests a minute; those of its provider without.
    pub rpm: Option<u64>,
    /// Tokens a minute; those of its provider without.
    pub tpm: Option<u64>,
    /// Models to ask in this order when it cannot answer: aliases or `provider/model`.
    pub fallback: Vec<String>,
    /// Models to ask before those after some failures only.
    pub fallbacks: Vec<FallbackOptions>,
}

/// One place where a model runs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeploymentOptions {
    /// Name of the provider.
    pub provider: String,
    /// The model's name there.
    pub model: String,
    /// Its part of the calls with the strategy `weighted` (default 1).
    #[serde(default = "one")]
    pub weight: u32,
    /// Calls at once; those of the provider without.
    #[serde(default)]
    pub max_concurrent: Option<usize>,
    /// Requests a minute; those of the provider without.
    #[serde(default)]
    pub rpm: Option<u64>,
    /// Tokens a minute; those of the provider without.
    #[serde(default)]
    pub tpm: Option<u64>,
}

fn one() -> u32 {
    1
}

/// How calls are spread over the places of a model. Those that are left alone or at their limits come last with each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Of two drawn by lot, the one where a further call will probably be done sooner.
    #[default]
    Latency,
    /// Each in turn.
    RoundRobin,
    /// The one with the fewest calls under way.
    LeastBusy,
    /// By lot, each by its weight.
    Weighted,
}

/// How a model is given tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolsBy {
    /// As its protocol has it, and in words once its provider has said that it takes none.
    #[default]
    Auto,
    /// As its protocol has it.
    Native,
    /// In words: what it may call stands in the prompt, and its calls are read from what it writes.
    Text,
}

/// A model that stands in for another after some failures only.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FallbackOptions {
    /// An alias or `provider/model`.
    pub model: String,
    /// After which.
    pub on: Vec<Cause>,
}

/// Why a model cannot answer, as far as another may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The provider cannot be reached, fails, is overloaded or silent.
    Outage,
    /// Its rate limit is reached.
    RateLimit,
    /// Its money or day limit is reached.
    Quota,
    /// The key or the model's name is refused.
    Access,
    /// The request is larger than the model's window.
    ContextLength,
    /// Its answer is of no use.
    BadOutput,
}

impl Cause {
    /// The cause behind a blame; none for those that no other model helps with.
    pub(crate) fn of(blame: Blame) -> Option<Self> {
        match blame {
            Blame::Provider => Some(Self::Outage),
            Blame::RateLimit => Some(Self::RateLimit),
            Blame::Quota => Some(Self::Quota),
            Blame::Access => Some(Self::Access),
            Blame::Window => Some(Self::ContextLength),
            Blame::Answer => Some(Self::BadOutput),
            Blame::Request | Blame::Guard | Blame::NoCall => None,
        }
    }
}

impl ModelOptions {
    /// A model at one place, with defaults.
    #[must_use]
    pub fn at(provider: impl Into<String>, model: impl Into<String>) -> Self {
        Self { provider: provider.into(), model: model.into(), ..Self::default() }
    }

    /// Where it runs; never empty after validation.
    pub(crate) fn places(&self) -> Vec<DeploymentOptions> {
        if !self.deployments.is_empty() {
            return self.deployments.clone();
        }
        vec![DeploymentOptions {
            max_concurrent: self.max_concurrent,
            rpm: self.rpm,
            tpm: self.tpm,
            ..DeploymentOptions::at(&self.provider, &self.model)
        }]
    }

    pub(super) fn check(
        &self,
        path: &str,
        providers: &BTreeMap<String, ProviderOptions>,
        problems: &mut Vec<Problem>,
    ) {
        for (index, place) in self.places().iter().enumerate() {
            let path = match self.deployments.len() {
                0 => path.to_owned(),
                _ => format!("{path}.deployments[{index}]"),
            };
            place.check(&path, providers, problems);
        }
        let mut problem = |field: &str, message: &str| {
            problems.push(Problem::new(format!("{path}.{field}"), message));
        };
        let is_at_one_place = !self.provider.is_empty() || !self.model.is_empty();
        if !self.deployments.is_empty() && is_at_one_place {
            problem("deployments", "stands for `provider` and `model`; set either");
        }
        if self.timeout_seconds.is_some_and(|seconds| !(seconds > 0.0 && seconds <= 86_400.0)) {
            problem("timeout_seconds", "must be above 0 and at most 86400 (a day)");
        }
        if self.max_tokens == Some(0) {
            problem("max_tokens", "must be at least 1");
        }
        if self.context_window == Some(0) {
            problem("context_window", "must be at least 1");
        }
        if self.temperature.is_some_and(|t| !(0.0..=2.0).contains(&t)) {
            problem("temperature", "must be between 0 and 2");
        }
        if self.top_p.is_some_and(|p| !(0.0..=1.0).contains(&p)) {
            problem("top_p", "must be between 0 and 1");
        }
        if self.deployments.len() > DEPLOYMENTS_MAX {
            problem("deployments", &format!("has more than {DEPLOYMENTS_MAX}"));
        }
    }

    pub(super) fn check_fallback(
        &self,
        name: &str,
        path: &str,
        is_known: impl Fn(&str) -> bool,
        problems: &mut Vec<Problem>,
    ) {
        let conditional = self.fallbacks.iter().map(|one| &one.model).collect::<Vec<_>>();
        for (field, models) in [("fallback", self.fallback.iter().collect()), ("fallbacks", conditional)] {
            let path = format!("{path}.{field}");
            if models.len() > FALLBACKS_MAX {
                problems.push(Problem::new(&path, format!("has more than {FALLBACKS_MAX} models")));
            }
            for (index, other) in models.iter().enumerate() {
                let message = if *other == name {
                    "names the model itself".to_owned()
                } else if models[..index].contains(other) {
                    format!("names `{other}` twice")
                } else if !is_known(other) {
                    format!("there is no model `{other}`")
                } else {
                    continue;
                };
                problems.push(Problem::new(&path, message));
            }
        }
        for (index, one) in self.fallbacks.iter().enumerate().filter(|(_, one)| one.on.is_empty()) {
            let message =
                format!("is empty, so `{}` would never be asked; `fallback` is for all failures", one.model);
            problems.push(Problem::new(format!("{path}.fallbacks[{index}].on"), message));
        }
    }
}

impl DeploymentOptions {
    /// A place with the bounds of its provider.
    pub(crate) fn at(provider: impl Into<String>, model: impl Into<String>) -> Self {
        Self {
            provider: provider.into(),
            model: model.into(),
            weight: one(),
            max_concurrent: None,
            rpm: None,
            tpm: None,
        }
    }

    fn check(&self, path: &str, providers: &BTreeMap<String, ProviderOptions>, problems: &mut Vec<Problem>) {
        if self.provider.is_empty() {
            problems.push(Problem::new(format!("{path}.provider"), "is missing"));
        } else if !providers.contains_key(&self.provider) {
            let known = providers.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let message = format!("there is no provider `{}`; known: {known}", self.provider);
            problems.push(Problem::new(format!("{path}.provider"), message));
        }
        if self.model.is_empty() {
            problems.push(Problem::new(format!("{path}.model"), "is missing or empty"));
        }
        if self.weight == 0 || self.weight > 1_000 {
            problems.push(Problem::new(format!("{path}.weight"), "must be from 1 to 1000"));
        }
        if self.max_concurrent == Some(0) {
            problems.push(Problem::new(format!("{path}.max_concurrent"), "must be at least 1"));
        }
        check_pace(path, self.rpm, self.tpm, problems);
    }
}

pub(super) fn check_pace(path: &str, rpm: Option<u64>, tpm: Option<u64>, problems: &mut Vec<Problem>) {
    for (name, pace) in [("rpm", rpm), ("tpm", tpm)] {
        if pace.is_some_and(|pace| !(1..=PACE_MAX).contains(&pace)) {
            problems.push(Problem::new(format!("{path}.{name}"), format!("must be from 1 to {PACE_MAX}")));
        }
    }
}
