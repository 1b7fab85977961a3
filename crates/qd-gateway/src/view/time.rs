//! Moments as the API writes and reads them: RFC 3339 in UTC with milliseconds.

use std::fmt;

use qd_types::Timestamp;
use serde::{Serialize, Serializer};

use crate::problem::shown;

/// A moment in an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rfc3339(pub(crate) Timestamp);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", moment(self.0))
    }
}

/// The nearest moment that can be written.
fn moment(timestamp: Timestamp) -> jiff::Timestamp {
    let limit = if timestamp.0 < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    jiff::Timestamp::from_millisecond(timestamp.0).unwrap_or(limit)
}

/// A moment as the header `date` has it, like `Sun, 22 Nov 2026 08:49:37 GMT`.
pub(crate) fn http_date(timestamp: Timestamp) -> String {
    moment(timestamp).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

impl Serialize for Rfc3339 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads a moment of a caller.
pub(crate) fn parse(text: &str) -> Result<Timestamp, String> {
    let wrong = || {
        format!(
            "`{}` is no moment; write it as in RFC 3339 with a time zone, like 2026-03-01T12:00:00Z",
            shown(text)
        )
    };
    // The library reads more than the standard allows (zone names, missing seconds): stay with what every client writes.
    let separated = matches!(text.as_bytes().get(10), Some(b'T' | b't' | b' '));
    if !separated || text.len() < 20 || text.len() > 40 || !text.is_ascii() || text.contains('[') {
        return Err(wrong());
    }
    let moment: jiff::Timestamp = text.parse().map_err(|_| wrong())?;
    Ok(Timestamp(moment.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_utc_with_milliseconds() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_772_366_400_007, "2026-03-01T12:00:00.007Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(Rfc3339(Timestamp(millis)).to_string(), text);
            assert_eq!(parse(text), Ok(Timestamp(millis)));
        }
        assert!(Rfc3339(Timestamp(i64::MAX)).to_string().starts_with("9999-12-"));
    }

    #[test]
    fn moments_are_read_strictly() {
        assert_eq!(parse("2026-03-01T13:00:00+01:00"), Ok(Timestamp(1_772_366_400_000)));
        for bad in [
            "",
            "now",
            "2026-03-01",
            "2026-03-01T12:00:00",
            "2026-02-30T12:00:00Z",
            "2026-03-01T25:00:00Z",
            "2026-03-01T12:00Z",
            "10000-01-01T00:00:00Z",
            "2026-03-01T12:00:00+01:00[Europe/Paris]",
            "1772366400",
            "2026-03-01T12:00:00Z\u{0}",
            "٢٠٢٦-03-01T12:00:00Z",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
