//! Every model that can be named: resolves aliases and `provider/model` to something that can be called.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use qd_env::Env;

use crate::sim::{Ledger, Sim};
use crate::{ChatModel, ModelOptions, Options, Problem, ProviderKind, ProviderOptions, SimModel};

/// The models of one configuration.
pub struct Models {
    options: Options,
    sims: BTreeMap<String, Sim>,
}

/// Why models cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The options have mistakes.
    #[error("the options of models have mistakes: {}", list(.0))]
    Invalid(Vec<Problem>),
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ")
}

/// A name that stands for no model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownModel {
    /// The name.
    pub name: String,
    /// What could have been meant: aliases, then `provider/…`.
    pub known: Vec<String>,
}

impl fmt::Display for UnknownModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no model `{}`; known: {}", self.name, self.known.join(", "))
    }
}

impl std::error::Error for UnknownModel {}

impl Models {
    /// Builds every provider.
    ///
    /// # Errors
    /// If the options have mistakes or a client cannot be made.
    pub fn build(options: Options, _env: Env) -> Result<Self, BuildError> {
        options.validate().map_err(BuildError::Invalid)?;
        let sims = options.providers.iter().filter(|(_, p)| is_in_process_sim(p));
        let sims = sims.map(|(name, p)| (name.clone(), Sim::new(p.sim.clone()))).collect();
        Ok(Self { options, sims })
    }

    /// The model of a name: an alias, or `provider/model`. Cheap.
    ///
    /// # Errors
    /// If there is none.
    pub fn get(&self, name: &str) -> Result<Arc<dyn ChatModel>, UnknownModel> {
        let unknown = || UnknownModel { name: name.to_owned(), known: self.names() };
        let model = self.options.resolve(name).ok_or_else(unknown)?;
        self.connect(&model).ok_or_else(unknown)
    }

    fn connect(&self, model: &ModelOptions) -> Option<Arc<dyn ChatModel>> {
        let provider = self.options.providers.get(&model.provider)?;
        let sim = self.sims.get(&model.provider)?;
        Some(Arc::new(SimModel::configured(sim.clone(), provider, model)))
    }

    /// What an agent without `llm` uses.
    #[must_use]
    pub fn default_name(&self) -> Option<&str> {
        self.options.default_model.as_deref()
    }

    /// Names under `[models]`, for the catalog.
    pub fn aliases(&self) -> impl Iterator<Item = &str> {
        self.options.models.keys().map(String::as_str)
    }

    /// Names of providers, for the catalog.
    pub fn providers(&self) -> impl Iterator<Item = &str> {
        self.options.providers.keys().map(String::as_str)
    }

    /// The ledger of a simulated provider inside this process.
    #[must_use]
    pub fn ledger(&self, provider: &str) -> Option<&Ledger> {
        self.sims.get(provider).map(Sim::ledger)
    }

    fn names(&self) -> Vec<String> {
        self.aliases().map(str::to_owned).chain(self.providers().map(|p| format!("{p}/…"))).collect()
    }
}

fn is_in_process_sim(provider: &ProviderOptions) -> bool {
    provider.kind == ProviderKind::Sim && provider.base_url.is_none()
}
