//! A moment. Where moments come from is `qd-env`'s business; how they are written for people is the gateway's.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This moment and a while; saturates at the end of time.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero when it is not after.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The day it belongs to.
    #[must_use]
    pub fn day(self) -> Day {
        Day(i32::try_from(self.0.div_euclid(DAY_MS)).unwrap_or(i32::MAX))
    }
}

const DAY_MS: i64 = 86_400_000;

/// A day of UTC, counted from 1970-01-01. Written `2026-10-31`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Day(pub i32);

impl Day {
    /// Its first moment.
    #[must_use]
    pub fn begin(self) -> Timestamp {
        Timestamp(i64::from(self.0) * DAY_MS)
    }

    /// The day after; the last one has none and answers itself.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A text that is no day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidDay;

impl fmt::Display for InvalidDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is no day of the calendar written as 2026-10-31")
    }
}

impl std::error::Error for InvalidDay {}

/// The civil calendar, by the usual arithmetic over eras of 400 years.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = i64::from(self.0) + 719_468;
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl FromStr for Day {
    type Err = InvalidDay;
    fn from_str(text: &str) -> Result<Self, InvalidDay> {
        let is_shaped = text.len() == 10
            && text.bytes().enumerate().all(|(at, byte)| match at {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            });
        let part = |from: usize, to: usize| text.get(from..to).and_then(|digits| digits.parse::<i64>().ok());
        let (Some(year), Some(month), Some(day), true) = (part(0, 4), part(5, 7), part(8, 10), is_shaped)
        else {
            return Err(InvalidDay);
        };
        let shifted_year = year - i64::from(month <= 2);
        let (era, of_era) = (shifted_year.div_euclid(400), shifted_year.rem_euclid(400));
        let shifted_month = if month > 2 { month - 3 } else { month + 9 };
        let of_year = (153 * shifted_month + 2) / 5 + day - 1;
        let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
        let found = Self(i32::try_from(days).map_err(|_| InvalidDay)?);
        // A day that the calendar does not have comes back as another one.
        if found.to_string() == text { Ok(found) } else { Err(InvalidDay) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Day, Timestamp};

    #[test]
    fn days_are_written_and_read_by_the_calendar() {
        for (days, text) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (19_782, "2024-02-29"),
            (20_757, "2026-10-31"),
            (11_016, "2000-02-29"),
        ] {
            assert_eq!((Day(days).to_string().as_str(), text.parse()), (text, Ok(Day(days))));
        }
        for day in -800_000..800_000 {
            if (0..=2_932_896).contains(&(day + 719_528)) && day % 37 == 0 {
                assert_eq!(Day(day).to_string().parse(), Ok(Day(day)));
            }
        }
        for wrong in ["", "2026-2-1", "2026-02-29", "2026-13-01", "2026-00-10", "+026-01-01", "2026-01-01T"] {
            assert!(wrong.parse::<Day>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_day_ends_at_midnight_utc() {
        let noon = Timestamp(1_793_448_000_000);
        assert_eq!(noon.day().to_string(), "2026-10-31");
        assert_eq!(noon.day().next().begin(), Timestamp(1_793_491_200_000));
        assert_eq!(Timestamp(1_793_491_199_999).day(), noon.day());
    }
}
