//! When schedules are due: a cron expression in a time zone as a function from one moment to the next.
//!
//! Pure but for the zones, which are the machine's where it has them. The rules where a zone's clocks change are those of
//! Vixie cron: an expression with a fixed time runs once on a day, right after an hour that is left out and not again in
//! one that comes twice; one that steps through the hours goes by the clock on the wall.

use std::fmt;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{Timestamp as Moment, Zoned};
use qd_types::Timestamp;

/// Longest expression, in characters.
pub const EXPRESSION_CHARS_MAX: usize = 100;
/// Longest name of a zone, in characters.
pub const ZONE_CHARS_MAX: usize = 64;
/// Due moments that are looked through before those in the middle are leapt over.
const LOOKED_THROUGH: usize = 2_000;
/// From when on an expression must be due at some time: any moment will do.
const SOME_MOMENT: Timestamp = Timestamp(1_700_000_000_000);

/// An expression in a zone.
#[derive(Debug, Clone)]
pub struct Timetable {
    cron: Cron,
    zone: TimeZone,
}

/// Why there is no such timetable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invalid {
    /// The expression cannot be read, and why.
    Expression(String),
    /// The expression can be read, and no day is as it says.
    NeverDue,
    /// There is no such zone.
    Zone,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expression(why) => write!(
                f,
                "is no cron expression ({why}); it has five fields, minute hour day month weekday, such as `30 6 * * 1-5`, \
                 or is one of @hourly, @daily, @weekly, @monthly, @yearly"
            ),
            Self::NeverDue => f.write_str("is never due: no day of the calendar is as it says"),
            Self::Zone => f.write_str("is no time zone; take a name such as `Europe/Berlin`, or `UTC`"),
        }
    }
}

impl std::error::Error for Invalid {}

/// What is due of a timetable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The last moments that are due, oldest first; never empty.
    pub last: Vec<Timestamp>,
    /// The first one that is not due yet, if there is ever another.
    pub next: Option<Timestamp>,
}

impl Timetable {
    /// Reads an expression of five fields, to the minute, and the IANA name of a zone.
    ///
    /// # Errors
    /// If either cannot be read, or the expression is never due.
    pub fn parse(expression: &str, zone: &str) -> Result<Self, Invalid> {
        if expression.chars().count() > EXPRESSION_CHARS_MAX {
            let why = format!("it is longer than {EXPRESSION_CHARS_MAX} characters");
            return Err(Invalid::Expression(why));
        }
        // A name that only the machine's own settings know would be another zone elsewhere.
        if zone.is_empty() || zone.len() > ZONE_CHARS_MAX {
            return Err(Invalid::Zone);
        }
        let zone = TimeZone::get(zone).map_err(|_| Invalid::Zone)?;
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(expression).map_err(|error| {
            let why = error.to_string().trim_end_matches('.').to_owned();
            Invalid::Expression(why)
        })?;
        let timetable = Self { cron, zone };
        if timetable.after(SOME_MOMENT).is_none() { Err(Invalid::NeverDue) } else { Ok(timetable) }
    }

    /// The first moment after this one at which it is due.
    #[must_use]
    pub fn after(&self, moment: Timestamp) -> Option<Timestamp> {
        let from = self.zoned(moment)?;
        let found: Zoned = self.cron.find_next_occurrence(&from, false).ok()?;
        Some(Timestamp(found.timestamp().as_millisecond())).filter(|found| *found > moment)
    }

    /// What is due at `now`, of which `first` is the first: at most `most` moments. However long ago that was, little is
    /// looked at.
    #[must_use]
    pub fn due(&self, first: Timestamp, now: Timestamp, most: usize) -> Due {
        let mut first = first;
        loop {
            let (mut last, mut next) = (vec![first], self.after(first));
            let mut looked = 0;
            while let Some(at) = next.filter(|at| *at <= now && looked < LOOKED_THROUGH) {
                last.push(at);
                next = self.after(at);
                looked += 1;
            }
            let is_whole = next.is_none_or(|at| at > now);
            // Twice as much as was looked through lies before the end: half of the way there is left out.
            let leap =
                next.and_then(|at| self.after(Timestamp(at.0.midpoint(now.0)))).filter(|at| *at <= now);
            match leap {
                Some(later) if !is_whole => first = later,
                _ => {
                    let surplus = last.len().saturating_sub(most.max(1));
                    last.drain(..surplus);
                    return Due { last, next };
                }
            }
        }
    }

    fn zoned(&self, moment: Timestamp) -> Option<Zoned> {
        Some(Moment::from_millisecond(moment.0).ok()?.to_zoned(self.zone.clone()))
    }
}

#[cfg(test)]
mod tests;
