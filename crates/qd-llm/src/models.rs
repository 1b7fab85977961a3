//! Every model that can be named: resolves aliases and `provider/model` to something that can be called.

mod estimate;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use qd_env::Env;
use qd_types::AUTO_MODEL;

use crate::bounds::Bounds;
use crate::error::Kind;
use crate::estimate::BYTES_PER_TOKEN;
use crate::http_model::HttpModel;
use crate::layers::{Balancer, Deployment};
use crate::options::Cause;
use crate::presets::known_provider;
use crate::prices::{Address, Pricing};
use crate::routing::{Chosen, Question, Router};
use crate::sim::{Ledger, Sim};
use crate::stack::{DeploymentState, ProviderGuards};
use crate::transport::Transport;
use crate::wires::{Anthropic, Endpoint, OpenAi, Wire};
use crate::{
    Blame, CallError, ChatModel, DeploymentOptions, Forced, ModelOptions, Options, Problem, ProviderKind,
    ProviderOptions, SimModel,
};

/// The models of one configuration.
pub struct Models {
    options: Options,
    env: Env,
    providers: BTreeMap<String, Provider>,
    guards: BTreeMap<String, ProviderGuards>,
    router: Option<Router>,
    // Each use is one lookup, or the building of a model that was not asked for before.
    built: Mutex<HashMap<String, Arc<Balancer>>>,
}

/// Names whose models are kept. Crews name them, so there are few; beyond this each call builds its own.
const BUILT_MAX: usize = 10_000;

/// A model of a chain.
#[derive(Debug, Clone, Copy)]
pub struct Link<'a> {
    /// An alias or `provider/model`.
    pub name: &'a str,
    /// Tokens that it can hold, if that is set.
    pub window: Option<u64>,
    on: &'a [Cause],
}

impl Link<'_> {
    /// Whether it stands in for a failure of this kind.
    #[must_use]
    pub fn helps_with(&self, blame: Blame) -> bool {
        Cause::of(blame).is_some_and(|cause| self.on.is_empty() || self.on.contains(&cause))
    }
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
            let built = Provider::build(name, provider, &env)
                .map_err(|source| BuildError::Client { provider: name.clone(), source })?;
            providers.insert(name.clone(), built);
        }
        let router = options.routing.as_ref().and_then(|routing| Router::new(routing, &options));
        Ok(Self { options, env, providers, guards, router, built: Mutex::default() })
    }

    /// The model of a name: an alias, or `provider/model`. Cheap after the first time.
    ///
    /// # Errors
    /// If there is none.
    pub fn get(&self, name: &str) -> Result<Arc<dyn ChatModel>, UnknownModel> {
        Ok(self.balancer(name)?)
    }

    /// The model for a question whose crew leaves it open; none where it names one.
    #[must_use]
    pub fn route(&self, question: &Question<'_>) -> Option<Chosen> {
        let router = self.router.as_ref().filter(|_| question.request.model == AUTO_MODEL)?;
        Some(router.choose(question))
    }

    /// The model that a route's savings are told against.
    #[must_use]
    pub fn standard(&self) -> Option<&str> {
        self.router.as_ref().map(|router| router.standard.as_str())
    }

    /// The models to ask one after the other when the one before cannot answer: the name itself, then its fallbacks.
    #[must_use]
    pub fn chain<'a>(&'a self, name: &'a str) -> Vec<Link<'a>> {
        let link = |name: &'a str, on: &'a [Cause]| Link { name, window: self.window(name), on };
        let mut chain = vec![link(name, &[])];
        if let Some(model) = self.options.models.get(name) {
            chain.extend(model.fallbacks.iter().map(|one| link(&one.model, &one.on)));
            chain.extend(model.fallback.iter().map(|other| link(other, &[])));
        }
        chain
    }

    /// Everything that the configuration puts into a call of a model besides the request: where it runs, and what holds
    /// where the request says nothing. Equal for names that mean the same; none for a name without a model.
    #[must_use]
    pub fn identity(&self, name: &str) -> Option<String> {
        let model = self.options.resolve(name)?;
        let places = model.places().into_iter().map(|place| {
            let base_url = self.options.providers.get(&place.provider).and_then(|p| p.base_url.as_deref());
            serde_json::json!([place.provider, place.model, base_url])
        });
        let places: Vec<_> = places.collect();
        Some(serde_json::json!([places, model.max_tokens, model.temperature, model.top_p]).to_string())
    }

    /// Whether a deployment, `provider/model`, is one of a model's.
    #[must_use]
    pub fn has_deployment(&self, name: &str, deployment: &str) -> bool {
        let places = self.options.resolve(name).map(|model| model.places()).unwrap_or_default();
        places.iter().any(|place| deployment.split_once('/') == Some((&place.provider, &place.model)))
    }

    /// Whether a model has a deployment that is not among these and would take a call now.
    #[must_use]
    pub fn has_other_deployment(&self, name: &str, asked: &[Arc<str>]) -> bool {
        self.balancer(name).is_ok_and(|model| model.has_other(asked))
    }

    /// Bytes of text that make a token of this model, corrected by each of its answers.
    #[must_use]
    pub fn bytes_per_token(&self, name: &str) -> f64 {
        self.balancer(name).map_or(BYTES_PER_TOKEN, |model| model.bytes_per_token())
    }

    /// Tokens that a model can hold, as far as that is configured.
    #[must_use]
    pub fn window(&self, name: &str) -> Option<u64> {
        self.options.models.get(name)?.context_window
    }

    /// A model of a provider with nothing around it.
    #[cfg(test)]
    pub(crate) fn bare(&self, provider: &str, model: &str) -> Option<Arc<dyn ChatModel>> {
        let model = ModelOptions::at(provider, model);
        self.connect(model.places().first()?, &model)
    }

    fn balancer(&self, name: &str) -> Result<Arc<Balancer>, UnknownModel> {
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = built.get(name) {
            return Ok(Arc::clone(known));
        }
        let unknown = || UnknownModel { name: name.to_owned(), known: self.names() };
        let model = self.options.resolve(name).ok_or_else(unknown)?;
        let deployments: Option<Vec<_>> =
            model.places().iter().map(|place| self.deployment(place, &model)).collect();
        let deployments = deployments.ok_or_else(unknown)?;
        let balancer = Arc::new(Balancer::new(deployments, model.strategy, self.env.clone()));
        if built.len() < BUILT_MAX {
            built.insert(name.to_owned(), Arc::clone(&balancer));
        }
        Ok(balancer)
    }

    /// Where every deployment stands that was asked for so far.
    #[must_use]
    pub fn deployments(&self) -> Vec<DeploymentState> {
        let now = self.env.monotonic();
        self.guards.iter().flat_map(|(provider, guards)| guards.states(provider, now)).collect()
    }

    /// Opens or closes the breaker of a deployment, `provider/model`, whatever its calls show, or leaves it to them again.
    /// Answers whether there is such a provider; a model that was never asked is remembered.
    pub fn force_breaker(&self, name: &str, forced: Option<Forced>) -> bool {
        let Some((provider, model)) = name.split_once('/').filter(|(_, model)| !model.is_empty()) else {
            return false;
        };
        let Some(guards) = self.guards.get(provider) else { return false };
        guards.force(&DeploymentOptions::at(provider, model), forced);
        tracing::warn!(model = name, state = ?forced, "an operator decided about a breaker");
        true
    }

    fn deployment(&self, place: &DeploymentOptions, model: &ModelOptions) -> Option<Deployment> {
        let inner = self.connect(place, model)?;
        Some(self.guards.get(&place.provider)?.around(inner, place, model, &self.env))
    }

    fn connect(&self, place: &DeploymentOptions, model: &ModelOptions) -> Option<Arc<dyn ChatModel>> {
        let options = self.options.providers.get(&place.provider)?;
        // As if the model ran nowhere else.
        let model =
            ModelOptions { provider: place.provider.clone(), model: place.model.clone(), ..model.clone() };
        let (wire, base_url, address, transport) = match self.providers.get(&place.provider)? {
            Provider::Sim(sim) => return Some(Arc::new(SimModel::configured(sim.clone(), options, &model))),
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
                prompt_cache: options.prompt_cache,
            },
            bounds: Bounds::of(options, &model),
            pricing: (!is_sim).then_some(pricing),
            trace_header: options.trace_header || is_sim,
        }))
    }

    /// Provider and model behind a name, as the configuration has them: for labels.
    #[must_use]
    pub fn labels(&self, name: &str) -> Option<(String, String)> {
        let first = self.options.resolve(name)?.places().into_iter().next()?;
        Some((first.provider, first.model))
    }

    /// What an agent without `llm` uses.
    #[must_use]
    pub fn default_name(&self) -> Option<&str> {
        self.options.default_model.as_deref()
    }

    /// Names under `[models]`, and `auto` where it means something.
    pub fn aliases(&self) -> impl Iterator<Item = &str> {
        self.options.aliases()
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
    fn build(name: &str, options: &ProviderOptions, env: &Env) -> Result<Self, reqwest::Error> {
        let (wire, own_url): (&'static dyn Wire, &str) = match (options.kind, &options.base_url) {
            (ProviderKind::Sim, None) => return Ok(Self::Sim(Sim::new(options.sim.clone(), env.clone()))),
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
