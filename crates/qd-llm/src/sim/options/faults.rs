//! Which faults a simulator has: what happens, and when.

mod kind;
mod pattern;

use std::time::Duration;

use serde::Deserialize;

use crate::Problem;

pub use kind::FaultKind;
pub use pattern::Pattern;

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
    /// Only so many times in all, in the order in which calls come.
    #[serde(default)]
    pub times: Option<u64>,
    /// Only from so long after the start.
    #[serde(default)]
    pub from_seconds: Option<f64>,
    /// Only until so long after the start.
    #[serde(default)]
    pub to_seconds: Option<f64>,
    /// Only in bursts.
    #[serde(default)]
    pub burst: Option<BurstOptions>,
    /// Only models whose name contains this.
    #[serde(default)]
    pub model: Option<String>,
    /// Only agents whose role contains this.
    #[serde(default)]
    pub agent: Option<String>,
    /// Only prompts that contain this.
    #[serde(default)]
    pub prompt: Option<String>,
    /// Only prompts of which some text matches this regular expression.
    #[serde(default)]
    pub prompt_matches: Option<Pattern>,
    /// What `Retry-After` says, for statuses.
    #[serde(default)]
    pub retry_after_seconds: Option<f64>,
    /// How long a `hang`, `silent` or `stall` lasts before the answer goes on (for ever without), and between the pieces of
    /// a `drip` (1 without).
    #[serde(default)]
    pub silence_seconds: Option<f64>,
    /// What the body of a status looks like.
    #[serde(default)]
    pub body: FaultBody,
}

/// Faults that come in bursts: on and off by turns, each for a time that varies around its mean.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BurstOptions {
    /// How long a burst lasts on average.
    pub on_seconds: f64,
    /// How long it is quiet on average; it is so at first.
    pub off_seconds: f64,
}

/// What the body of a failed answer looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultBody {
    /// As the provider words it.
    #[default]
    Json,
    /// A web page of whatever stands before the provider.
    Html,
    /// Nothing.
    Empty,
}

impl FaultRule {
    /// This fault, always.
    #[must_use]
    pub fn always(kind: FaultKind) -> Self {
        Self {
            kind,
            rate: 1.0,
            first_tries: None,
            times: None,
            from_seconds: None,
            to_seconds: None,
            burst: None,
            model: None,
            agent: None,
            prompt: None,
            prompt_matches: None,
            retry_after_seconds: None,
            silence_seconds: None,
            body: FaultBody::Json,
        }
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
        must(self.times != Some(0), "times", "must be at least 1");
        for (name, seconds) in [
            ("retry_after_seconds", self.retry_after_seconds),
            ("silence_seconds", self.silence_seconds),
            ("from_seconds", self.from_seconds),
            ("to_seconds", self.to_seconds),
        ] {
            let fits = seconds.is_none_or(|seconds| (0.0..=86_400.0).contains(&seconds));
            must(fits, name, "must be from 0 to 86400 (a day)");
        }
        let window = self.to_seconds.is_none_or(|to| to > self.from_seconds.unwrap_or(0.0));
        must(window, "to_seconds", "must be after from_seconds");
        if let Some(burst) = self.burst {
            for (name, seconds) in
                [("burst.on_seconds", burst.on_seconds), ("burst.off_seconds", burst.off_seconds)]
            {
                must((0.1..=86_400.0).contains(&seconds), name, "must be from 0.1 to 86400 (a day)");
            }
        }
        must(
            self.silence_seconds.is_none() || self.kind.has_silence(),
            "silence_seconds",
            "is for hang, silent, stall and drip",
        );
        must(
            self.body == FaultBody::Json || matches!(self.kind, FaultKind::Status(_)),
            "body",
            "is for statuses; html and empty are kinds of their own",
        );
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        span(self.retry_after_seconds)
    }

    pub(crate) fn silence(&self) -> Option<Duration> {
        span(self.silence_seconds)
    }

    /// Whether it is what happens at a moment, whoever asks.
    pub(crate) fn is_at(&self, elapsed: Duration) -> bool {
        span(self.from_seconds).is_none_or(|from| elapsed >= from)
            && span(self.to_seconds).is_none_or(|to| elapsed < to)
    }
}

fn span(seconds: Option<f64>) -> Option<Duration> {
    seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

fn always() -> f64 {
    1.0
}
