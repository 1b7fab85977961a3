//! Spans of time as people write them: `40ms`, `1.5s`, `2m`, `1h`.

use std::time::Duration;

const UNITS: [(&str, f64); 4] = [("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3_600.0)];

/// Longer ones are mistakes.
pub(super) const MOST: Duration = Duration::from_secs(24 * 3_600);

/// Reads one; the error says what is wrong with it.
pub(super) fn read(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = UNITS.iter().find(|(name, _)| *name == unit.trim()).map(|(_, seconds)| seconds);
    let span = number.parse::<f64>().ok().zip(seconds).map(|(number, seconds)| number * seconds);
    let span = span.and_then(|span| Duration::try_from_secs_f64(span).ok());
    let span = span.ok_or_else(|| format!("`{text}` is no time; it looks like 40ms, 1.5s, 2m or 1h"))?;
    if span > MOST { Err(format!("`{text}` is longer than a day")) } else { Ok(span) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::read;

    #[test]
    fn spans_are_a_number_and_a_unit() {
        for (text, ms) in
            [("40ms", 40), ("1.5s", 1_500), ("2m", 120_000), ("24h", 86_400_000), ("0s", 0), (" 3 s ", 3_000)]
        {
            assert_eq!(read(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "5", "s", "-1s", "1d", "1.2.3s", "1e9s", "infs", "5 seconds"] {
            assert!(read(text).unwrap_err().contains("is no time"), "{text}");
        }
        assert!(read("25h").unwrap_err().contains("longer than a day"));
    }
}
