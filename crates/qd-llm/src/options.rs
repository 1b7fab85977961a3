//! What can be set about models: providers, aliases, prices. Plain values with their defaults and one validation.
//!
//! Reading files and the environment is the binary's business; the simulator's own options stand in `sim/options.rs`.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;

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
    /// Whether answers are streamed (default true). Streaming notices a dead provider early.
    #[serde(default = "yes")]
    pub stream: bool,
    /// Whether calls carry `X-Quarterdeck-Call: job/step/try` [false; always for `sim`].
    #[serde(default)]
    pub trace_header: bool,
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
            stream: true,
            trace_header: false,
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

/// Models that one may fall back to.
const FALLBACKS_MAX: usize = 10;

/// One model under a name of its own.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelOptions {
    /// Name of its provider.
    pub provider: String,
    /// Its name there.
    pub model: String,
    /// Bound of one call, below the provider's own bounds.
    #[serde(default)]
    pub timeout_seconds: Option<f64>,
    /// Bound of an answer where the request sets none.
    #[serde(default)]
    pub max_tokens: Option<u32>,
    /// Sampling where the request sets none.
    #[serde(default)]
    pub temperature: Option<f64>,
    /// Nucleus sampling where the request sets none.
    #[serde(default)]
    pub top_p: Option<f64>,
    /// Calls at once; those of its provider without.
    #[serde(default)]
    pub max_concurrent: Option<usize>,
    /// Models to ask in this order when it cannot answer: aliases or `provider/model`.
    #[serde(default)]
    pub fallback: Vec<String>,
}

impl ModelOptions {
    fn check(&self, path: &str, providers: &BTreeMap<String, ProviderOptions>, problems: &mut Vec<Problem>) {
        if !providers.contains_key(&self.provider) {
            let known = providers.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            problems.push(Problem::new(
                format!("{path}.provider"),
                format!("there is no provider `{}`; known: {known}", self.provider),
            ));
        }
        if self.model.is_empty() {
            problems.push(Problem::new(format!("{path}.model"), "is empty"));
        }
        if let Some(seconds) = self.timeout_seconds
            && !(seconds > 0.0 && seconds <= 86_400.0)
        {
            problems.push(Problem::new(
                format!("{path}.timeout_seconds"),
                "must be above 0 and at most 86400 (a day)",
            ));
        }
        if self.max_concurrent == Some(0) {
            problems.push(Problem::new(format!("{path}.max_concurrent"), "must be at least 1"));
        }
        if self.max_tokens == Some(0) {
            problems.push(Problem::new(format!("{path}.max_tokens"), "must be at least 1"));
        }
        if self.temperature.is_some_and(|t| !(0.0..=2.0).contains(&t)) {
            problems.push(Problem::new(format!("{path}.temperature"), "must be between 0 and 2"));
        }
        if self.top_p.is_some_and(|p| !(0.0..=1.0).contains(&p)) {
            problems.push(Problem::new(format!("{path}.top_p"), "must be between 0 and 1"));
        }
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
            self.check_fallback(name, model, &path, &mut problems);
        }
        for (name, price) in &self.prices {
            price.check(&format!("prices.{name}"), &mut problems);
        }
        if let Some(name) = &self.default_model
            && self.resolve(name).is_none()
        {
            problems.push(Problem::new("default_model", format!("there is no model `{name}`")));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    fn check_fallback(&self, name: &str, model: &ModelOptions, path: &str, problems: &mut Vec<Problem>) {
        let path = format!("{path}.fallback");
        if model.fallback.len() > FALLBACKS_MAX {
            problems.push(Problem::new(&path, format!("has more than {FALLBACKS_MAX} models")));
        }
        for (index, other) in model.fallback.iter().enumerate() {
            let message = if other == name {
                "names the model itself".to_owned()
            } else if model.fallback[..index].contains(other) {
                format!("names `{other}` twice")
            } else if self.resolve(other).is_none() {
                format!("there is no model `{other}`")
            } else {
                continue;
            };
            problems.push(Problem::new(&path, message));
        }
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
