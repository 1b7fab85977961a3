//! What can be set about models: providers, aliases, prices. Plain values with their defaults and one validation.
//!
//! Reading files and the environment is the binary's business; the simulator's own options stand in `sim/options.rs`.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use qd_types::AUTO_MODEL;
use serde::Deserialize;

mod model;
mod routing;

pub(crate) use model::Cause;
pub use model::{DeploymentOptions, FallbackOptions, ModelOptions, Strategy, ToolsBy};
pub use routing::{RouteRule, RoutingOptions};

use crate::Secret;
use crate::layers::BreakerOptions;
use crate::sim::SimOptions;

/// Everything about models.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Providers by name: `[providers.NAME]`.
    pub providers: BTreeMap<String, ProviderOptions>,
    /// Models by alias: `[models.NAME]`.
    pub models: BTreeMap<String, ModelOptions>,
    /// What an agent without `llm` uses: an alias or `provider/model`.
    pub default_model: Option<String>,
    /// Prices that replace the built-in list, by `provider/model` or by model; the simulator keeps its own.
    pub prices: BTreeMap<String, PriceOptions>,
    /// What `llm: auto` means; without, it is an error.
    pub routing: Option<RoutingOptions>,
}

/// Which protocol a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    /// Anthropic Messages.
    Anthropic,
    /// OpenAI Chat Completions, which most others speak too.
    Openai,
    /// The simulator: in this process, or over HTTP at `base_url` (then it speaks OpenAI Chat Completions).
    Sim,
}

/// One provider.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderOptions {
    /// Its protocol.
    pub kind: ProviderKind,
    /// Where it is, e.g. `https://api.anthropic.com` or `https://api.openai.com/v1`; the provider's own place without.
    #[serde(default)]
    pub base_url: Option<String>,
    /// Its key; local servers need none.
    #[serde(default)]
    pub api_key: Option<Secret>,
    /// Requests a minute to each of its models; learned from answers where they tell.
    #[serde(default)]
    pub rpm: Option<u64>,
    /// Tokens a minute to each of its models; learned from answers where they tell.
    #[serde(default)]
    pub tpm: Option<u64>,
    /// Whether answers are streamed (default true). Streaming notices a dead provider early.
    #[serde(default = "yes")]
    pub stream: bool,
    /// Whether calls carry `X-Quarterdeck-Call: job/step/try` [false; always for `sim`].
    #[serde(default)]
    pub trace_header: bool,
    /// Whether a provider with prompt caching is asked to keep the beginning of prompts where that pays (default true).
    #[serde(default = "yes")]
    pub prompt_cache: bool,
    /// Bound of connecting, TLS included (default 5).
    #[serde(default = "five_seconds", rename = "connect_timeout_seconds", with = "seconds")]
    pub connect_timeout: Duration,
    /// Bound from the request to the first piece of a streamed answer (default 30).
    #[serde(default = "thirty_seconds", rename = "first_token_timeout_seconds", with = "seconds")]
    pub first_token_timeout: Duration,
    /// Bound of the silence between two pieces of a streamed answer (default 30).
    #[serde(default = "thirty_seconds", rename = "idle_timeout_seconds", with = "seconds")]
    pub idle_timeout: Duration,
    /// Bound of a streamed answer (default 120).
    #[serde(default = "two_minutes", rename = "total_timeout_seconds", with = "seconds")]
    pub total_timeout: Duration,
    /// Bound of an answer in one piece (default 30).
    #[serde(default = "thirty_seconds", rename = "unary_timeout_seconds", with = "seconds")]
    pub unary_timeout: Duration,
    /// Bound of an answer's body (default 16 MiB).
    #[serde(default = "sixteen_mebibytes")]
    pub max_body_bytes: usize,
    /// Calls at once, over all its models (default 1024).
    #[serde(default = "a_thousand")]
    pub max_concurrent: usize,
    /// When calls to a model that keeps failing are no longer made.
    #[serde(default)]
    pub breaker: BreakerOptions,
    /// How the simulator behaves; for kind `sim` without `base_url`.
    #[serde(default)]
    pub sim: SimOptions,
}

impl ProviderOptions {
    /// Defaults for a protocol.
    #[must_use]
    pub fn new(kind: ProviderKind) -> Self {
        Self {
            kind,
            base_url: None,
            api_key: None,
            rpm: None,
            tpm: None,
            stream: true,
            trace_header: false,
            prompt_cache: true,
            connect_timeout: five_seconds(),
            first_token_timeout: thirty_seconds(),
            idle_timeout: thirty_seconds(),
            total_timeout: two_minutes(),
            unary_timeout: thirty_seconds(),
            max_body_bytes: sixteen_mebibytes(),
            max_concurrent: a_thousand(),
            breaker: BreakerOptions::default(),
            sim: SimOptions::default(),
        }
    }

    fn check(&self, path: &str, problems: &mut Vec<Problem>) {
        if let Some(url) = &self.base_url
            && let Err(reason) = check_base_url(url)
        {
            problems.push(Problem::new(format!("{path}.base_url"), format!("`{url}` {reason}")));
        }
        if let Some(key) = &self.api_key
            && (key.expose().is_empty() || !key.expose().bytes().all(|b| b.is_ascii_graphic()))
        {
            problems.push(Problem::new(
                format!("{path}.api_key"),
                "is empty or has characters that no header can carry; was a line break copied along?",
            ));
        }
        model::check_pace(path, self.rpm, self.tpm, problems);
        for (name, span) in [
            ("connect_timeout_seconds", self.connect_timeout),
            ("first_token_timeout_seconds", self.first_token_timeout),
            ("idle_timeout_seconds", self.idle_timeout),
            ("total_timeout_seconds", self.total_timeout),
            ("unary_timeout_seconds", self.unary_timeout),
        ] {
            check_span(&format!("{path}.{name}"), span, problems);
        }
        if self.max_body_bytes < 1024 {
            problems.push(Problem::new(format!("{path}.max_body_bytes"), "must be at least 1024"));
        }
        if self.max_concurrent == 0 {
            problems.push(Problem::new(format!("{path}.max_concurrent"), "must be at least 1"));
        }
        for (name, span) in [
            ("window_seconds", self.breaker.window),
            ("open_seconds", self.breaker.open),
            ("open_max_seconds", self.breaker.open_max),
        ] {
            check_span(&format!("{path}.breaker.{name}"), span, problems);
        }
        if !(0.0..=1.0).contains(&self.breaker.share) {
            problems.push(Problem::new(format!("{path}.breaker.share"), "is a share, from 0 to 1"));
        }
        if self.breaker.probes == 0 {
            problems.push(Problem::new(format!("{path}.breaker.probes"), "must be at least 1"));
        }
        self.sim.check(&format!("{path}.sim"), problems);
    }
}

/// Dollars for a million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceOptions {
    /// Of prompts.
    pub input: f64,
    /// Of answers.
    pub output: f64,
    /// Of prompt tokens read from the provider's cache; `input` without.
    #[serde(default)]
    pub cache_read: Option<f64>,
    /// Of prompt tokens written to the provider's cache; `input` without.
    #[serde(default)]
    pub cache_write: Option<f64>,
}

impl PriceOptions {
    fn check(&self, path: &str, problems: &mut Vec<Problem>) {
        let all =
            [Some(self.input), Some(self.output), self.cache_read, self.cache_write].into_iter().flatten();
        if all.into_iter().any(|price| !(0.0..=1e6).contains(&price)) {
            problems.push(Problem::new(path, "prices are dollars for a million tokens, from 0 to 1000000"));
        }
    }
}

/// Something in the options that cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where, e.g. `providers.groq.base_url`.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

impl Problem {
    pub(crate) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

impl Options {
    /// Finds every mistake at once.
    ///
    /// # Errors
    /// With all problems, if there are any.
    pub fn validate(&self) -> Result<(), Vec<Problem>> {
        let mut problems = Vec::new();
        for (name, provider) in &self.providers {
            let path = format!("providers.{name}");
            if name.is_empty() || name.contains('/') {
                problems.push(Problem::new(&path, "a provider's name is not empty and holds no `/`"));
            }
            provider.check(&path, &mut problems);
        }
        for (name, model) in &self.models {
            if name.is_empty() {
                problems.push(Problem::new("models", "an alias is not empty"));
            }
            let path = format!("models.{name}");
            model.check(&path, &self.providers, &mut problems);
            model.check_fallback(name, &path, |other| self.resolve(other).is_some(), &mut problems);
        }
        for (name, price) in &self.prices {
            price.check(&format!("prices.{name}"), &mut problems);
        }
        if let Some(routing) = &self.routing {
            routing.check(self, &mut problems);
        }
        let is_auto = |name: &str| self.routing.is_some() && name == AUTO_MODEL;
        if let Some(name) = &self.default_model
            && self.resolve(name).is_none()
            && !is_auto(name)
        {
            problems.push(Problem::new("default_model", format!("there is no model `{name}`")));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// What a crew may name besides `provider/model`: the aliases, and `auto` where it means something.
    pub fn aliases(&self) -> impl Iterator<Item = &str> {
        self.models.keys().map(String::as_str).chain(self.routing.iter().map(|_| AUTO_MODEL))
    }

    /// The model behind a name: an alias, or `provider/model` of a known provider.
    pub fn resolve(&self, name: &str) -> Option<ModelOptions> {
        if let Some(model) = self.models.get(name) {
            return Some(model.clone());
        }
        let (provider, model) = name.split_once('/')?;
        let known = self.providers.contains_key(provider) && !model.is_empty();
        known.then(|| ModelOptions {
            provider: provider.to_owned(),
            model: model.to_owned(),
            ..ModelOptions::default()
        })
    }
}

fn check_base_url(url: &str) -> Result<(), &'static str> {
    let Ok(parsed) = url.parse::<http::Uri>() else { return Err("is no URL") };
    match parsed.scheme_str() {
        Some("http" | "https") => {}
        _ => return Err("must start with http:// or https://"),
    }
    if parsed.host().is_none_or(str::is_empty) {
        return Err("names no host");
    }
    if parsed.authority().is_some_and(|a| a.as_str().contains('@')) {
        return Err("must not hold a user name or password; use `api_key`");
    }
    if parsed.query().is_some() { Err("must not have a query") } else { Ok(()) }
}

fn check_span(path: &str, span: Duration, problems: &mut Vec<Problem>) {
    if span.is_zero() || span > Duration::from_secs(86_400) {
        problems.push(Problem::new(path, "must be above 0 and at most 86400 (a day)"));
    }
}

fn yes() -> bool {
    true
}

fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

fn thirty_seconds() -> Duration {
    Duration::from_secs(30)
}

fn two_minutes() -> Duration {
    Duration::from_secs(120)
}

fn a_thousand() -> usize {
    1024
}

fn sixteen_mebibytes() -> usize {
    16 * 1024 * 1024
}

/// Durations as numbers of seconds.
pub(crate) mod seconds {
    use std::time::Duration;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer};

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds)
            .map_err(|_| D::Error::custom(format!("{seconds} is no number of seconds")))
    }
}

#[cfg(test)]
mod tests;
