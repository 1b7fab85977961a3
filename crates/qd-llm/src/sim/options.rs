//! How a simulator behaves: seed, latency, limits, faults.

mod faults;
mod limits;

use serde::Deserialize;

use crate::Problem;

pub use faults::{FaultKind, FaultRule};
pub use limits::{LimitOptions, RampOptions};

/// Options of one simulator.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimOptions {
    /// Decides every answer, latency and fault (default 0).
    pub seed: u64,
    /// How long answers take (default no time).
    pub latency: LatencyOptions,
    /// What may be asked within a time; the first entry whose model fits holds (default no limits).
    pub limits: Vec<LimitOptions>,
    /// What goes wrong; the first rule that applies wins.
    pub faults: Vec<FaultRule>,
    /// Whether `[[sim: …]]` in a prompt steers the answer (default true).
    pub markers: bool,
    /// Calls that the ledger remembers; the oldest go first (default 100000).
    pub ledger_calls: usize,
    /// Bound of a request's body over HTTP (default 4 MiB).
    pub max_body_bytes: usize,
    /// Bound of connections over HTTP; more wait unaccepted (default 4096).
    pub max_connections: usize,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self {
            seed: 0,
            latency: LatencyOptions::default(),
            limits: Vec::new(),
            faults: Vec::new(),
            markers: true,
            ledger_calls: 100_000,
            max_body_bytes: 4 * 1024 * 1024,
            max_connections: 4096,
        }
    }
}

impl SimOptions {
    pub(crate) fn check(&self, path: &str, problems: &mut Vec<Problem>) {
        self.latency.first_token.check(&format!("{path}.latency.first_token"), problems);
        self.latency.per_token.check(&format!("{path}.latency.per_token"), problems);
        for (index, limits) in self.limits.iter().enumerate() {
            limits.check(&format!("{path}.limits[{index}]"), problems);
        }
        for (index, rule) in self.faults.iter().enumerate() {
            rule.check(&format!("{path}.faults[{index}]"), problems);
        }
        for (name, bound) in [
            ("ledger_calls", self.ledger_calls),
            ("max_body_bytes", self.max_body_bytes),
            ("max_connections", self.max_connections),
        ] {
            if !(1..=100_000_000).contains(&bound) {
                problems.push(Problem::new(format!("{path}.{name}"), "must be from 1 to 100000000"));
            }
        }
    }
}

/// How long answers take.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LatencyOptions {
    /// Until the first token.
    pub first_token: Distribution,
    /// For each token after it.
    pub per_token: Distribution,
}

/// A distribution of times, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
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
}

impl Distribution {
    fn check(self, path: &str, problems: &mut Vec<Problem>) {
        let fine = |ms: f64| (0.0..=3_600_000.0).contains(&ms);
        let ok = match self {
            Self::None => true,
            Self::Fixed { ms } => fine(ms),
            Self::Normal { mean_ms, std_ms } => fine(mean_ms) && fine(std_ms),
            Self::Lognormal { p50_ms, p99_ms } => p50_ms > 0.0 && fine(p99_ms) && p50_ms <= p99_ms,
        };
        if !ok {
            problems.push(Problem::new(
                path,
                "needs milliseconds from 0 to an hour; a lognormal one 0 < p50_ms <= p99_ms",
            ));
        }
    }
}
