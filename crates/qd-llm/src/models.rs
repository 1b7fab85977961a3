//! Every model that can be named: resolves aliases and `provider/model` to something that can be called.

mod estimate;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use qd_env::Env;

use crate::bounds::Bounds;
use crate::error::Kind;
use crate::http_model::HttpModel;
use crate::presets::known_provider;
use crate::prices::{Address, Pricing};
use crate::sim::{Ledger, Sim};
use crate::stack::{DeploymentState, ProviderGuards};
use crate::transport::Transport;
use crate::wires::{Anthropic, Endpoint, OpenAi, Wire};
use crate::{CallError, ChatModel, ModelOptions, Options, Problem, ProviderKind, ProviderOptions, SimModel};

/// The models of one configuration.
pub struct Models {
    options: Options,
    env: Env,
    providers: BTreeMap<String, Provider>,
    guards: BTreeMap<String, ProviderGuards>,
}

/// What the models of one provider share.
enum Provider {
    /// A simulator in this process.
    Sim(Sim),
    /// A server and the connections to it.
    Http { wire: &'static dyn Wire, base_url: String, address: Arc<Address>, transport: Transport },
}

/// Why models cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The options have mistakes.
    #[error("the options of models have mistakes: {}", list(.0))]
    Invalid(Vec<Problem>),
    /// The system offers no TLS roots, or something as basic is missing.
    #[error("cannot make an http client for provider `{provider}`")]
    Client {
        /// For which provider.
        provider: String,
        /// Why.
        source: reqwest::Error,
    },
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

impl From<UnknownModel> for CallError {
    fn from(unknown: UnknownModel) -> Self {
        Self::new(Kind::ModelNotFound, unknown.to_string())
    }
}

impl Models {
    /// Builds every provider.
    ///
    /// # Errors
    /// If the options have mistakes or a client cannot be made.
    pub fn build(options: Options, env: Env) -> Result<Self, BuildError> {
        options.validate().map_err(BuildError::Invalid)?;
        let (mut providers, mut guards) = (BTreeMap::new(), BTreeMap::new());
        for (name, provider) in &options.providers {
            guards.insert(name.clone(), ProviderGuards::new(provider));
            let built = Provider::build(name, provider)
                .map_err(|source| BuildError::Client { provider: name.clone(), source })?;
            providers.insert(name.clone(), built);
        }
        Ok(Self { options, env, providers, guards })
    }

    /// The model of a name: an alias, or `provider/model`. Cheap.
    ///
    /// # Errors
    /// If there is none.
    pub fn get(&self, name: &str) -> Result<Arc<dyn ChatModel>, UnknownModel> {
        let unknown = || UnknownModel { name: name.to_owned(), known: self.names() };
        let model = self.options.resolve(name).ok_or_else(unknown)?;
        let deployment = self.connect(&model).ok_or_else(unknown)?;
        let guards = self.guards.get(&model.provider).ok_or_else(unknown)?;
        Ok(guards.around(deployment, &model, &self.env))
    }

    /// The models to ask one after the other when the one before cannot answer: the name itself, then its fallbacks.
    #[must_use]
    pub fn chain<'a>(&'a self, name: &'a str) -> Vec<&'a str> {
        let fallback =
            self.options.models.get(name).map(|model| model.fallback.as_slice()).unwrap_or_default();
        std::iter::once(name).chain(fallback.iter().map(String::as_str)).collect()
    }

    /// Where every deployment stands that was asked for so far.
    #[must_use]
    pub fn deployments(&self) -> Vec<DeploymentState> {
        let now = self.env.monotonic();
        self.guards.iter().flat_map(|(provider, guards)| guards.states(provider, now)).collect()
    }

    fn connect(&self, model: &ModelOptions) -> Option<Arc<dyn ChatModel>> {
        let options = self.options.providers.get(&model.provider)?;
        let (wire, base_url, address, transport) = match self.providers.get(&model.provider)? {
            Provider::Sim(sim) => return Some(Arc::new(SimModel::configured(sim.clone(), options, model))),
            Provider::Http { wire, base_url, address, transport } => (*wire, base_url, address, transport),
        };
        let is_sim = options.kind == ProviderKind::Sim;
        let pricing = Pricing::new(&self.options.prices, &model.provider, &model.model, address.clone());
        Some(Arc::new(HttpModel {
            env: self.env.clone(),
            provider: model.provider.clone(),
            wire,
            transport: transport.clone(),
            endpoint: Endpoint {
                base_url: base_url.clone(),
                api_key: options.api_key.clone(),
                model: model.model.clone(),
                stream: options.stream,
                max_tokens: model.max_tokens,
                temperature: model.temperature,
                top_p: model.top_p,
            },
            bounds: Bounds::of(options, model),
            pricing: (!is_sim).then_some(pricing),
            trace_header: options.trace_header || is_sim,
        }))
    }

    /// Provider and model behind a name, as the configuration has them: for labels.
    #[must_use]
    pub fn labels(&self, name: &str) -> Option<(String, String)> {
        self.options.resolve(name).map(|model| (model.provider, model.model))
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
        match self.providers.get(provider)? {
            Provider::Sim(sim) => Some(sim.ledger()),
            Provider::Http { .. } => None,
        }
    }

    fn names(&self) -> Vec<String> {
        self.aliases().map(str::to_owned).chain(self.providers().map(|p| format!("{p}/…"))).collect()
    }
}

impl Provider {
    fn build(name: &str, options: &ProviderOptions) -> Result<Self, reqwest::Error> {
        let (wire, own_url): (&'static dyn Wire, &str) = match (options.kind, &options.base_url) {
            (ProviderKind::Sim, None) => return Ok(Self::Sim(Sim::new(options.sim.clone()))),
            (ProviderKind::Anthropic, _) => (&Anthropic, "https://api.anthropic.com"),
            (ProviderKind::Openai | ProviderKind::Sim, _) => (&OpenAi, "https://api.openai.com/v1"),
        };
        // `[providers.groq]` with a key alone means Groq's own address.
        let known = known_provider(name).filter(|(kind, _)| *kind == options.kind).and_then(|(_, url)| url);
        let base_url = options.base_url.as_deref().unwrap_or_else(|| known.unwrap_or(own_url)).to_owned();
        let address = Arc::new(Address::new(&base_url));
        let transport = Transport::new(options, &base_url)?;
        Ok(Self::Http { wire, base_url, address, transport })
    }
}
