//! How long a provider asks us to wait: one order over all the places where providers say it.
//!
//! The first place that says something sensible wins. Moments are compared with the answer's own `Date`, so that
//! neither side's clock matters. Before all this stands `x-should-retry`, see `receive.rs`; what comes after it (our
//! own backoff) is not decided here.

use std::time::Duration;

use http::HeaderMap;
use qd_types::Class;

use super::error_body::ErrorBody;
use super::moment::http_date;
use super::reset::{go_duration, resets_in, span};

/// The wait that a failed answer asks for, when its body asks for `in_body`. Only limits are waited for until they are
/// reset: a bucket that happens to be empty beside another failure is full again long after it may be drawn from.
pub(crate) fn wait(headers: &HeaderMap, in_body: Option<Duration>, class: Class) -> Option<Duration> {
    let get = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let millis = |name: &str| sensible(get(name)?.parse::<f64>().ok()? / 1000.0);
    millis("retry-after-ms")
        .or_else(|| millis("x-ms-retry-after-ms"))
        .or_else(|| retry_after(get("retry-after")?, get("date")))
        .or(in_body)
        .or_else(|| matches!(class, Class::RateLimited | Class::Quota).then(|| exhausted(headers))?)
}

/// The wait that the body of a failed answer asks for. One whose quota is used up for the day, or that has none, asks
/// for a wait all the same, which does not help.
pub(crate) fn in_body(body: &ErrorBody) -> Option<Duration> {
    if body.is_used_up {
        return None;
    }
    sensible(body.retry_delay.as_deref().and_then(go_duration).unwrap_or_default())
        .or_else(|| in_message(&body.message))
}

/// A wait that is one; at most a day.
fn sensible(seconds: f64) -> Option<Duration> {
    span(seconds).filter(|wait| !wait.is_zero())
}

fn retry_after(value: &str, date: Option<&str>) -> Option<Duration> {
    match value.parse::<f64>() {
        Ok(seconds) => sensible(seconds),
        Err(_) => sensible(http_date(value)? - http_date(date?)?),
    }
}

/// `Please try again in 6m0s.`, `Please retry in 38.4s.`, `Please retry after 26 seconds.`
fn in_message(message: &str) -> Option<Duration> {
    let lower = message.to_ascii_lowercase();
    let leads = ["try again in ", "retry in ", "retry after ", "try again after ", "please wait "];
    leads.iter().find_map(|lead| {
        lower.match_indices(lead).find_map(|(at, _)| {
            let mut words = lower[at + lead.len()..].split_whitespace();
            let word = words.next()?.trim_end_matches(['.', ',', ')', ';']);
            let seconds = match word.parse::<f64>() {
                Ok(number) => number * unit_seconds(words.next()?)?,
                Err(_) => go_duration(word)?,
            };
            sensible(seconds)
        })
    })
}

fn unit_seconds(word: &str) -> Option<f64> {
    let units = [
        ("ms", 1e-3),
        ("millisecond", 1e-3),
        ("sec", 1.0),
        ("min", 60.0),
        ("hour", 3600.0),
        ("day", 86_400.0),
    ];
    units.iter().find(|(unit, _)| word.starts_with(unit)).map(|(_, seconds)| *seconds)
}

/// The latest reset of all buckets that have nothing left.
fn exhausted(headers: &HeaderMap) -> Option<Duration> {
    let text = |value: &http::HeaderValue| value.to_str().ok().map(str::trim).map(str::to_owned);
    let date = headers.get("date").and_then(text);
    let empty = headers.iter().filter(|(_, value)| text(value).is_some_and(|left| is_nothing(&left)));
    let resets = empty.filter_map(|(name, _)| {
        let name = name.as_str();
        // `anthropic-ratelimit-tokens-remaining`, `x-ratelimit-remaining-tokens`
        let reset = if name.starts_with("anthropic-ratelimit-") {
            name.strip_suffix("-remaining").map(|bucket| format!("{bucket}-reset"))
        } else {
            name.strip_prefix("x-ratelimit-remaining").map(|bucket| format!("x-ratelimit-reset{bucket}"))
        }?;
        resets_in(&headers.get(reset).and_then(text)?, date.as_deref())
    });
    resets.filter(|wait| !wait.is_zero()).max()
}

/// Nothing is left, or less: some count on below zero.
fn is_nothing(left: &str) -> bool {
    left.parse::<f64>().is_ok_and(|left| left <= 0.0)
}

#[cfg(test)]
mod tests;
