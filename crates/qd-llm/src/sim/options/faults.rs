//! Which faults a simulator has: what happens, and when.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use crate::Problem;

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

    pub(crate) fn check(&self, path: &str, problems: &mut Vec<Problem>) {
        let mut must = |holds: bool, name: &str, message: &str| {
            if !holds {
                problems.push(Problem::new(format!("{path}.{name}"), message));
            }
        };
        must((0.0..=1.0).contains(&self.rate), "rate", "is a probability, from 0 to 1");
        let retry_after = self.retry_after_seconds.is_none_or(|s| (0.0..=86_400.0).contains(&s));
        must(retry_after, "retry_after_seconds", "must be from 0 to 86400 (a day)");
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
    /// `refused`: takes no connections. Over HTTP only an outage closes the whole address; anything less is a reset.
    Refused,
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

/// As it is written in options.
impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            Self::Hang => f.write_str("hang"),
            Self::Reset => f.write_str("reset"),
            Self::Refused => f.write_str("refused"),
            Self::Cut => f.write_str("cut"),
            Self::Truncated => f.write_str("truncated"),
            Self::Html => f.write_str("html"),
            Self::Garbage => f.write_str("garbage"),
            Self::Empty => f.write_str("empty"),
        }
    }
}

impl FromStr for FaultKind {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        Ok(match word {
            "hang" => Self::Hang,
            "reset" => Self::Reset,
            "refused" => Self::Refused,
            "cut" => Self::Cut,
            "truncated" => Self::Truncated,
            "html" => Self::Html,
            "garbage" => Self::Garbage,
            "empty" => Self::Empty,
            number => match number.parse() {
                Ok(status @ 400..=599) => Self::Status(status),
                Ok(_) | Err(_) => {
                    return Err(format!(
                        "`{word}` is no fault: a status from 400 to 599, hang, reset, refused, cut, truncated, html, garbage or empty"
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
