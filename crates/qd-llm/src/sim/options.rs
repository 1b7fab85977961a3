//! How a simulator behaves: seed, latency, limits, faults.

mod faults;
mod latency;
mod limits;

use serde::Deserialize;

use crate::Problem;

pub use crate::wires::Dialect;
pub use faults::{BurstOptions, FaultBody, FaultKind, FaultRule, Pattern};
pub use latency::{Distribution, LatencyOptions, LoadOptions, WarmUpOptions};
pub use limits::{LimitOptions, RampOptions};

/// Entries of a list of rules.
const RULES_MAX: usize = 1000;

/// Options of one simulator.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimOptions {
    /// Decides every answer, latency and fault (default 0).
    pub seed: u64,
    /// How long answers take (default no time).
    pub latency: LatencyOptions,
    /// How many answers are made at once (default any number).
    pub load: LoadOptions,
    /// Whose errors the OpenAI wire sends (default OpenAI's own).
    pub dialect: Dialect,
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
            load: LoadOptions::default(),
            dialect: Dialect::Openai,
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
        self.latency.check(&format!("{path}.latency"), problems);
        self.load.check(&format!("{path}.load"), problems);
        for (name, count) in [("limits", self.limits.len()), ("faults", self.faults.len())] {
            if count > RULES_MAX {
                let message =
                    format!("has {count} entries, at most {RULES_MAX}: each call goes through them");
                problems.push(Problem::new(format!("{path}.{name}"), message));
            }
        }
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
