//! How long a simulated provider takes: to its first token, between tokens, while it warms up, and under load.

use serde::Deserialize;

use crate::Problem;

/// How long answers take.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LatencyOptions {
    /// Until the first token.
    pub first_token: Distribution,
    /// For each token after it.
    pub per_token: Distribution,
    /// For each token of the prompt, before the first token (default none).
    pub per_input_token_ms: f64,
    /// How much slower it is at first.
    pub warm_up: WarmUpOptions,
}

/// How much slower a provider is at first. The factor falls evenly to one.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WarmUpOptions {
    /// How long it warms up (default 0: not at all).
    pub seconds: f64,
    /// How many times as long everything takes at the start (default 3).
    pub factor: f64,
}

impl Default for WarmUpOptions {
    fn default() -> Self {
        Self { seconds: 0.0, factor: 3.0 }
    }
}

/// How many answers a provider makes at once, and what becomes of the rest.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoadOptions {
    /// Answers under way at once (default no bound).
    pub max_concurrency: Option<usize>,
    /// Requests that wait for a place; further ones are turned away as overloaded (default 1000).
    pub queue: usize,
    /// How many times as long everything takes when every place is taken; it grows evenly up to there (default 1).
    pub factor: f64,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { max_concurrency: None, queue: 1000, factor: 1.0 }
    }
}

/// A distribution of times, in milliseconds.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Distribution {
    /// No time at all.
    #[default]
    None,
    /// Always the same.
    Fixed {
        /// It.
        ms: f64,
    },
    /// A bell curve, cut at zero.
    Normal {
        /// Its middle.
        mean_ms: f64,
        /// Its width.
        std_ms: f64,
    },
    /// Mostly quick with a long tail, as providers are.
    Lognormal {
        /// Half of the calls take less.
        p50_ms: f64,
        /// One call in a hundred takes longer.
        p99_ms: f64,
    },
    /// As it was measured.
    Empirical {
        /// Times that never fall; between two neighbours lies an equal share of the calls.
        values_ms: Vec<f64>,
    },
}

const HOUR_MS: f64 = 3_600_000.0;
const FACTOR_MAX: f64 = 1000.0;
const VALUES_MAX: usize = 1000;

impl LatencyOptions {
    pub(super) fn check(&self, path: &str, problems: &mut Vec<Problem>) {
        self.first_token.check(&format!("{path}.first_token"), problems);
        self.per_token.check(&format!("{path}.per_token"), problems);
        let mut must = |holds: bool, name: &str, message: &str| {
            if !holds {
                problems.push(Problem::new(format!("{path}.{name}"), message));
            }
        };
        let prefill = (0.0..=HOUR_MS).contains(&self.per_input_token_ms);
        must(prefill, "per_input_token_ms", "must be from 0 to 3600000 (an hour)");
        let warm_up = self.warm_up;
        must(
            (0.0..=86_400.0).contains(&warm_up.seconds),
            "warm_up.seconds",
            "must be from 0 to 86400 (a day)",
        );
        must((1.0..=FACTOR_MAX).contains(&warm_up.factor), "warm_up.factor", "must be from 1 to 1000");
    }
}

impl LoadOptions {
    pub(super) fn check(&self, path: &str, problems: &mut Vec<Problem>) {
        let mut must = |holds: bool, name: &str, message: &str| {
            if !holds {
                problems.push(Problem::new(format!("{path}.{name}"), message));
            }
        };
        let concurrency = self.max_concurrency.is_none_or(|most| (1..=1_000_000).contains(&most));
        must(concurrency, "max_concurrency", "must be from 1 to 1000000");
        must(self.queue <= 1_000_000, "queue", "must be at most 1000000");
        must((1.0..=FACTOR_MAX).contains(&self.factor), "factor", "must be from 1 to 1000");
        let has_measure = self.factor <= 1.0 || self.max_concurrency.is_some();
        must(has_measure, "factor", "means nothing without max_concurrency");
    }
}

impl Distribution {
    fn check(&self, path: &str, problems: &mut Vec<Problem>) {
        let fine = |ms: f64| (0.0..=HOUR_MS).contains(&ms);
        let ok = match self {
            Self::None => true,
            Self::Fixed { ms } => fine(*ms),
            Self::Normal { mean_ms, std_ms } => fine(*mean_ms) && fine(*std_ms),
            Self::Lognormal { p50_ms, p99_ms } => *p50_ms > 0.0 && fine(*p99_ms) && p50_ms <= p99_ms,
            Self::Empirical { values_ms } => {
                (1..=VALUES_MAX).contains(&values_ms.len())
                    && values_ms.iter().all(|ms| fine(*ms))
                    && values_ms.is_sorted()
            }
        };
        if !ok {
            problems.push(Problem::new(
                path,
                "needs milliseconds from 0 to an hour; a lognormal one 0 < p50_ms <= p99_ms, an empirical one 1 to 1000 \
                 values_ms that never fall",
            ));
        }
    }
}
