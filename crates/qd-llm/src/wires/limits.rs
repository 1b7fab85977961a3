//! What an answer's headers say of its provider's limits, whether it succeeded or not.
//!
//! Two families are in use, each with its dialects: `anthropic-ratelimit-BUCKET-FIELD` and `x-ratelimit-FIELD-BUCKET`.
//! Buckets of the second seldom say whether they count by minute or by day. Tokens count by minute everywhere; requests
//! do so with most, by day with Groq, and with OpenAI by the customer's tier. Their resets tell it: both refill evenly,
//! so what is used of a limit comes back within the same part of its window.

use std::collections::BTreeMap;
use std::time::Duration;

use http::HeaderMap;

use super::reset::resets_in;
use crate::limits::{Seen, SeenLimits, Window};

/// Nobody allows more; a larger number is a mistake.
const LIMIT_MAX: f64 = 1e15;
/// A reset further away than this is no reset of a minute's window.
const LONGER_THAN_A_MINUTE: Duration = Duration::from_secs(90);

/// Reads the limits. `requests_per` is the window of requests where nothing tells it: see [`requests_window`].
pub(crate) fn seen_limits(headers: &HeaderMap, requests_per: Window) -> SeenLimits {
    let date = headers.get("date").and_then(|value| value.to_str().ok());
    let mut buckets: BTreeMap<(&str, &str), Bucket<'_>> = BTreeMap::new();
    for (name, value) in headers {
        let (Some((family, bucket, field)), Ok(value)) = (parts(name.as_str()), value.to_str()) else {
            continue;
        };
        let known = buckets.entry((family, bucket)).or_default();
        match field {
            "limit" => known.limit = count(value),
            "remaining" => known.remaining = left(value),
            _ => known.reset = Some(value),
        }
    }
    let mut seen = SeenLimits::default();
    for ((family, name), bucket) in &buckets {
        let Some((dimension, per)) = dimension(name) else { continue };
        let per = if *family == ANTHROPIC { Some(Window::Minute) } else { per };
        let place = match dimension {
            Dimension::Requests => &mut seen.requests,
            Dimension::Tokens => &mut seen.tokens,
            Dimension::InputTokens => &mut seen.input_tokens,
            Dimension::OutputTokens => &mut seen.output_tokens,
        };
        let default = if dimension == Dimension::Requests { requests_per } else { Window::Minute };
        let found = bucket.seen(dimension, per, default, date);
        *place = sooner_empty(*place, found);
    }
    seen
}

/// The window of requests at an address, as long as its answers do not tell it.
pub(crate) fn requests_window(base_url: &str) -> Window {
    let host = base_url.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(str::to_ascii_lowercase));
    let is_groq = host.is_some_and(|host| host == "groq.com" || host.ends_with(".groq.com"));
    if is_groq { Window::Day } else { Window::Minute }
}

const ANTHROPIC: &str = "anthropic-ratelimit-";
/// The second is that of a draft standard, which gateways speak.
const OTHERS: [&str; 2] = ["x-ratelimit-", "ratelimit-"];

/// Family, bucket and field of a header.
fn parts(name: &str) -> Option<(&'static str, &str, &str)> {
    let is_field = |field: &str| matches!(field, "limit" | "remaining" | "reset");
    if let Some(rest) = name.strip_prefix(ANTHROPIC) {
        let (bucket, field) = rest.rsplit_once('-')?;
        return is_field(field).then_some((ANTHROPIC, bucket, field));
    }
    let (family, rest) = OTHERS.iter().find_map(|family| Some((*family, name.strip_prefix(family)?)))?;
    let (field, bucket) = rest.split_once('-').unwrap_or((rest, ""));
    is_field(field).then_some((family, bucket, field))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dimension {
    Requests,
    Tokens,
    InputTokens,
    OutputTokens,
}

/// What a bucket counts, and over which time if its name says so. Other buckets (of subscriptions, of hours) are not ours.
fn dimension(bucket: &str) -> Option<(Dimension, Option<Window>)> {
    let (what, per) = match bucket.rsplit_once('-').unwrap_or(("", bucket)) {
        (what, "minute") => (what, Some(Window::Minute)),
        (what, "day") => (what, Some(Window::Day)),
        _ => (bucket, None),
    };
    let dimension = match what.strip_suffix("_usage_based").unwrap_or(what) {
        "" | "requests" | "req" => Dimension::Requests,
        "tokens" => Dimension::Tokens,
        "input-tokens" => Dimension::InputTokens,
        "output-tokens" => Dimension::OutputTokens,
        _ => return None,
    };
    Some((dimension, per))
}

/// The fields of one bucket.
#[derive(Default)]
struct Bucket<'a> {
    limit: Option<u64>,
    remaining: Option<u64>,
    reset: Option<&'a str>,
}

impl Bucket<'_> {
    fn seen(&self, of: Dimension, per: Option<Window>, default: Window, date: Option<&str>) -> Option<Seen> {
        let resets_in = self.reset.and_then(|value| resets_in(value, date));
        let remaining = match (self.remaining, self.limit) {
            (Some(remaining), Some(limit)) => Some(remaining.min(limit)),
            (remaining, _) => remaining,
        };
        if self.limit.is_none() && remaining.is_none() && resets_in.is_none() {
            return None;
        }
        let per = per.unwrap_or_else(|| match (of, resets_in) {
            (Dimension::Requests, Some(reset)) => window(self.limit, remaining, reset, default),
            _ => default,
        });
        Some(Seen { limit: self.limit, remaining, resets_in, per })
    }
}

/// The window that a reset gives away.
fn window(limit: Option<u64>, remaining: Option<u64>, reset: Duration, default: Window) -> Window {
    if reset > LONGER_THAN_A_MINUTE {
        return Window::Day;
    }
    let (Some(limit), Some(remaining)) = (limit, remaining) else { return default };
    if remaining >= limit {
        return default;
    }
    #[allow(clippy::cast_precision_loss)]
    let whole = reset.as_secs_f64() * limit as f64 / (limit - remaining) as f64;
    if (80_000.0..93_000.0).contains(&whole) {
        Window::Day
    } else if (50.0..70.0).contains(&whole) {
        Window::Minute
    } else {
        default
    }
}

/// A whole number, though some write it as a fraction, and some put the policy behind it: `100, 100;w=60`.
fn count(value: &str) -> Option<u64> {
    let number: f64 = value.split([',', ';']).next()?.trim().parse().ok()?;
    // In bounds, so that nothing is lost but the fraction.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    (0.0..=LIMIT_MAX).contains(&number).then_some(number as u64)
}

/// The same for what is left; whoever has overdrawn has nothing.
fn left(value: &str) -> Option<u64> {
    let is_overdrawn = value.trim().strip_prefix('-').is_some_and(|rest| count(rest).is_some());
    if is_overdrawn { Some(0) } else { count(value) }
}

/// Of two buckets of the same kind, the one with less left.
fn sooner_empty(one: Option<Seen>, other: Option<Seen>) -> Option<Seen> {
    let (Some(a), Some(b)) = (one, other) else { return one.or(other) };
    let left = |seen: Seen| seen.remaining.or(seen.limit).unwrap_or(u64::MAX);
    if left(b) < left(a) { Some(b) } else { Some(a) }
}

#[cfg(test)]
mod tests;
