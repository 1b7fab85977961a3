//! What a simulated provider takes within a minute or a day, and for how much money.

use serde::Deserialize;

use crate::Problem;

/// Limits of every key with each model of this name. Without any of them everything is taken.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitOptions {
    /// Only models whose name contains this.
    pub model: Option<String>,
    /// Requests, refilled evenly over a minute.
    pub requests_per_minute: Option<u64>,
    /// Requests, refilled evenly over a day.
    pub requests_per_day: Option<u64>,
    /// Tokens of prompts.
    pub input_tokens_per_minute: Option<u64>,
    /// Tokens of answers. `max_tokens` is taken when a request comes, what it did not need is given back at its end.
    pub output_tokens_per_minute: Option<u64>,
    /// Tokens of prompts and answers together.
    pub tokens_per_minute: Option<u64>,
    /// How fast requests may grow.
    pub ramp: Option<RampOptions>,
    /// Dollars that answers may cost in all; beyond them no wait helps.
    pub spend_usd: Option<f64>,
    /// Tokens of a prompt that fit the model's window.
    pub context_tokens: Option<u64>,
}

/// How fast requests may grow: beyond `requests`, a window takes at most `growth` more than the one before it took.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RampOptions {
    /// Requests that every window takes (default 10).
    pub requests: u64,
    /// Growth from window to window (default 0.5: half as many again).
    pub growth: f64,
    /// Length of a window (default 60).
    pub window_seconds: f64,
}

impl Default for RampOptions {
    fn default() -> Self {
        Self { requests: 10, growth: 0.5, window_seconds: 60.0 }
    }
}

/// More than any provider grants; larger numbers are slips.
const MOST: u64 = 1_000_000_000_000;

impl LimitOptions {
    /// Whether they are those of this model.
    pub(in crate::sim) fn holds_for(&self, model: &str) -> bool {
        self.model.as_ref().is_none_or(|part| model.contains(part.as_str()))
    }

    pub(super) fn check(&self, path: &str, problems: &mut Vec<Problem>) {
        let mut must = |holds: bool, name: &str, message: &str| {
            if !holds {
                problems.push(Problem::new(format!("{path}.{name}"), message));
            }
        };
        for (name, limit) in [
            ("requests_per_minute", self.requests_per_minute),
            ("requests_per_day", self.requests_per_day),
            ("input_tokens_per_minute", self.input_tokens_per_minute),
            ("output_tokens_per_minute", self.output_tokens_per_minute),
            ("tokens_per_minute", self.tokens_per_minute),
            ("context_tokens", self.context_tokens),
            ("ramp.requests", self.ramp.map(|ramp| ramp.requests)),
        ] {
            must(
                limit.is_none_or(|limit| (1..=MOST).contains(&limit)),
                name,
                "must be from 1 to 1000000000000",
            );
        }
        if let Some(ramp) = self.ramp {
            must((0.0..=1000.0).contains(&ramp.growth), "ramp.growth", "must be from 0 to 1000");
            must(
                (0.001..=86_400.0).contains(&ramp.window_seconds),
                "ramp.window_seconds",
                "must be from 0.001 to 86400 (a day)",
            );
        }
        let spend = self.spend_usd.is_none_or(|dollars| (0.0..=1e9).contains(&dollars));
        must(spend, "spend_usd", "must be from 0 to 1000000000");
    }
}
