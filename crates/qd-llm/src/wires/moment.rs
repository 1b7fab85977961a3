//! Moments as headers write them: HTTP dates and RFC 3339, to seconds since 1970 and, for the simulator, back.

use std::time::Duration;

use qd_types::Timestamp;

/// `Sun, 06 Nov 1994 08:49:37 GMT`, the only form that HTTP still allows to be sent.
pub(crate) fn http_date(text: &str) -> Option<f64> {
    let rest = text.trim().split_once(", ")?.1.strip_suffix(" GMT")?;
    let mut words = rest.split(' ');
    let (day, month, year, time) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = i64::try_from(months.iter().position(|m| *m == month)?).ok()? + 1;
    seconds(year.parse().ok()?, month, day.parse().ok()?, time)
}

/// `2025-08-21T12:41:00Z`, with a fraction or an offset if there is one.
pub(crate) fn rfc3339(text: &str) -> Option<f64> {
    let (date, time) = text.trim().split_once(['T', 't'])?;
    let mut parts = date.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let (time, offset) = match time.find(['Z', 'z', '+', '-']) {
        Some(at) => (&time[..at], &time[at..]),
        None => return None,
    };
    Some(seconds(year, month, day, time)? - offset_seconds(offset)?)
}

fn offset_seconds(offset: &str) -> Option<f64> {
    let sign = match offset.chars().next()? {
        'Z' | 'z' => return Some(0.0),
        '+' => 1.0,
        _ => -1.0,
    };
    let (hours, minutes) = offset[1..].split_once(':')?;
    Some(sign * (hours.parse::<f64>().ok()? * 3600.0 + minutes.parse::<f64>().ok()? * 60.0))
}

fn seconds(year: i64, month: i64, day: i64, time: &str) -> Option<f64> {
    let mut parts = time.split(':').map(|part| part.parse::<f64>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let in_range = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0.0..24.0).contains(&hour)
        && (0.0..60.0).contains(&minute)
        && (0.0..61.0).contains(&second);
    #[allow(clippy::cast_precision_loss)]
    in_range.then(|| days(year, month, day) as f64 * 86_400.0 + hour * 3600.0 + minute * 60.0 + second)
}

/// Days since 1970 of a date of the Gregorian calendar: years begin in March, so that the leap day comes last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The moment `span` after `now` in whole seconds, rounded up: whoever comes back then is not early.
pub(crate) fn to_rfc3339(now: Timestamp, span: Duration) -> String {
    let nanos = i128::from(now.0) * 1_000_000 + i128::try_from(span.as_nanos()).unwrap_or(i128::MAX / 2);
    let seconds = i64::try_from(-((-nanos).div_euclid(1_000_000_000))).unwrap_or(i64::MAX);
    let (year, month, day) = date(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The date so many days after the first of 1970: [`days`] backwards.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use qd_types::Timestamp;

    use super::{http_date, rfc3339, to_rfc3339};

    #[test]
    fn moments_are_written_as_they_are_read() {
        for text in
            ["1970-01-01T00:00:00Z", "1994-11-06T08:49:37Z", "2024-02-29T23:59:59Z", "2100-03-01T00:00:00Z"]
        {
            #[allow(clippy::cast_possible_truncation)]
            let at = Timestamp(rfc3339(text).unwrap() as i64 * 1000);
            assert_eq!(to_rfc3339(at, Duration::ZERO), text);
            let before = Timestamp(at.0 - 1500);
            assert_eq!(to_rfc3339(before, Duration::from_millis(501)), text, "rounded up");
        }
    }

    #[test]
    fn moments_are_read() {
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777.0));
        assert_eq!(http_date("Thu, 29 Feb 2024 00:00:00 GMT"), Some(1_709_164_800.0));
        assert_eq!(rfc3339("1994-11-06T08:49:37Z"), Some(784_111_777.0));
        assert_eq!(rfc3339("1994-11-06T09:49:37.5+01:00"), Some(784_111_777.5));
        for wrong in
            ["", "soon", "06 Nov 1994", "Sun, 06 Xyz 1994 08:49:37 GMT", "Sun, 41 Nov 1994 08:49:37 GMT"]
        {
            assert_eq!(http_date(wrong), None, "{wrong}");
            assert_eq!(rfc3339(wrong), None, "{wrong}");
        }
        assert_eq!(rfc3339("2025-08-21T12:41:00"), None);
    }
}
