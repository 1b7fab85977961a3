//! When a limit is reset, in the ways in which headers write it: a span, a number of seconds, or a moment.

use std::time::Duration;

use super::moment::{http_date, rfc3339};

/// No provider is believed beyond a day.
pub(crate) const LONGEST: Duration = Duration::from_secs(86_400);

/// Numbers from here on are no spans but moments in seconds since 1970: 2001 and later.
const EPOCH_SECONDS: f64 = 1e9;
/// The same in milliseconds.
const EPOCH_MILLIS: f64 = 1e12;

/// How long until a reset: `12ms`, `6m0s`, `59.5`, `2025-08-21T12:41:00Z`, `1741305600000`. Zero if it has passed, at
/// most a day; nothing if it makes no sense. Moments are compared with `date`, the answer's own.
pub(crate) fn resets_in(value: &str, date: Option<&str>) -> Option<Duration> {
    let value = value.trim();
    let until = |moment: f64| Some((moment - http_date(date?)?).max(0.0));
    let seconds = match value.parse::<f64>() {
        Ok(number) if number >= EPOCH_MILLIS => until(number / 1000.0)?,
        Ok(number) if number >= EPOCH_SECONDS => until(number)?,
        Ok(number) => number,
        Err(_) => match go_duration(value) {
            Some(seconds) => seconds,
            None => until(rfc3339(value)?)?,
        },
    };
    span(seconds)
}

/// A number of seconds that can be one: finite or not, but not negative; at most a day.
pub(crate) fn span(seconds: f64) -> Option<Duration> {
    if seconds.is_nan() || seconds < 0.0 {
        return None;
    }
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST).min(LONGEST))
}

/// `12ms`, `1s`, `6m0s`, `2m59.56s`, `1h2m3s` in seconds.
pub(crate) fn go_duration(text: &str) -> Option<f64> {
    let (mut rest, mut total) = (text.trim(), 0.0);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit_end = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |at| digits + at);
        total += number
            * match &rest[digits..unit_end] {
                "d" => 86_400.0,
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[unit_end..];
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::resets_in;

    const DATE: Option<&str> = Some("Thu, 21 Aug 2025 12:40:30 GMT");

    #[test]
    fn every_way_of_writing_a_reset_is_read() {
        for (value, millis) in [
            ("12ms", 12),
            ("1s", 1_000),
            ("6m0s", 360_000),
            ("2m59.56s", 179_560),
            ("1h2m3s", 3_723_000),
            ("7.5", 7_500),
            (" 60 ", 60_000),
            ("0", 0),
            ("0s", 0),
            ("2025-08-21T12:41:00Z", 30_000),
            ("2025-08-21T14:41:00+02:00", 30_000),
            ("2025-08-21T12:40:00Z", 0),
            ("1755780060", 30_000),
            ("1755780060500", 30_500),
            ("1755780000", 0),
        ] {
            assert_eq!(resets_in(value, DATE), Some(Duration::from_millis(millis)), "{value}");
        }
    }

    #[test]
    fn senseless_resets_are_nothing_and_long_ones_a_day() {
        for value in ["", "-5", "-5s", "NaN", "soon", "5 parsecs", "2025-13-45T00:00:00Z"] {
            assert_eq!(resets_in(value, DATE), None, "{value}");
        }
        for value in ["inf", "9999999", "240h", "2d", "2026-08-21T12:41:00Z", "1e300"] {
            assert_eq!(resets_in(value, DATE), Some(Duration::from_secs(86_400)), "{value}");
        }
        for moment in ["2025-08-21T12:41:00Z", "1755780060", "1755780060500"] {
            assert_eq!(resets_in(moment, None), None, "without a date: {moment}");
        }
    }
}
