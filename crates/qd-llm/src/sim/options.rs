//! How a simulator behaves: seed, latency, faults.

use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use crate::Problem;

/// Options of one simulator.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimOptions {
    /// Decides every answer, latency and fault (default 0).
    pub seed: u64,
    /// How long answers take (default no time).
    pub latency: LatencyOptions,
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
        for (index, rule) in self.faults.iter().enumerate() {
            if !(0.0..=1.0).contains(&rule.rate) {
                problems.push(Problem::new(
                    format!("{path}.faults[{index}].rate"),
                    "is a probability, from 0 to 1",
                ));
            }
            let retry_after_ok = rule.retry_after_seconds.is_none_or(|s| (0.0..=86_400.0).contains(&s));
            if !retry_after_ok {
                problems.push(Problem::new(
                    format!("{path}.faults[{index}].retry_after_seconds"),
                    "must be from 0 to 86400 (a day)",
                ));
            }
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

/// When which fault happens. All conditions must hold.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// What happens.
    pub kind: FaultKind,
    /// How often it does where the conditions hold (default 1.0: always). The same try of the same step meets the same fate.
    #[serde(default = "always")]
    pub rate: f64,
    /// Only the first so many tries of each step.
    #[serde(default)]
    pub first_tries: Option<u32>,
    /// Only models whose name contains this.
    #[serde(default)]
    pub model: Option<String>,
    /// Only prompts that contain this.
    #[serde(default)]
    pub prompt: Option<String>,
    /// What `Retry-After` says, for statuses.
    #[serde(default)]
    pub retry_after_seconds: Option<f64>,
}

impl FaultRule {
    /// This fault, always.
    #[must_use]
    pub fn always(kind: FaultKind) -> Self {
        Self { kind, rate: 1.0, first_tries: None, model: None, prompt: None, retry_after_seconds: None }
    }

    /// This fault at the first `tries` tries of each step.
    #[must_use]
    pub fn first_tries(kind: FaultKind, tries: u32) -> Self {
        Self { first_tries: Some(tries), ..Self::always(kind) }
    }

    /// This fault with a probability.
    #[must_use]
    pub fn at_rate(kind: FaultKind, rate: f64) -> Self {
        Self { rate, ..Self::always(kind) }
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.retry_after_seconds.and_then(|s| Duration::try_from_secs_f64(s).ok())
    }
}

/// What can go wrong. Written as a status (`"503"`) or a word (`"hang"`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// An error answer as the provider would word it: 400 to 599.
    Status(u16),
    /// `hang`: takes the request and never answers.
    Hang,
    /// `reset`: closes the connection without an answer.
    Reset,
    /// `cut`: breaks the connection in the middle of the answer.
    Cut,
    /// `truncated`: ends the answer properly in the middle, without its finish marker.
    Truncated,
    /// `html`: a page instead of an answer, with status 200.
    Html,
    /// `garbage`: half a JSON document, with status 200.
    Garbage,
    /// `empty`: a well-formed answer that says nothing.
    Empty,
}

impl FromStr for FaultKind {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        Ok(match word {
            "hang" => Self::Hang,
            "reset" => Self::Reset,
            "cut" => Self::Cut,
            "truncated" => Self::Truncated,
            "html" => Self::Html,
            "garbage" => Self::Garbage,
            "empty" => Self::Empty,
            number => match number.parse() {
                Ok(status @ 400..=599) => Self::Status(status),
                Ok(_) | Err(_) => {
                    return Err(format!(
                        "`{word}` is no fault: a status from 400 to 599, hang, reset, cut, truncated, html, garbage or empty"
                    ));
                }
            },
        })
    }
}

impl<'de> Deserialize<'de> for FaultKind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Status(u16),
            Word(String),
        }
        let word = match Written::deserialize(deserializer)? {
            Written::Status(status) => status.to_string(),
            Written::Word(word) => word,
        };
        word.parse().map_err(serde::de::Error::custom)
    }
}

fn always() -> f64 {
    1.0
}
