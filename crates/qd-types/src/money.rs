//! Money as integers: model prices are millionths of a cent, and sums must not drift.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Billionths of a US dollar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NanoDollars(pub i64);

impl NanoDollars {
    /// From dollars as price lists give them; rounds to the nearest unit, not-a-number becomes zero.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)]
    pub fn from_dollars(dollars: f64) -> Self {
        // `as` saturates for floats and maps NaN to zero, which is what a price border wants.
        Self((dollars * 1e9).round() as i64)
    }

    /// For facades that speak in numbers; inside and in the native API money stays exact.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn to_dollars(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

impl Add for NanoDollars {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for NanoDollars {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for NanoDollars {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl SubAssign for NanoDollars {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

/// A text that is no amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidMoney;

impl fmt::Display for InvalidMoney {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is no amount of dollars; write a decimal with at most nine places, such as 0.25")
    }
}

impl std::error::Error for InvalidMoney {}

/// A decimal of at most ten digits before the point and nine after it, without a sign: exact, as it is printed.
impl FromStr for NanoDollars {
    type Err = InvalidMoney;
    fn from_str(text: &str) -> Result<Self, InvalidMoney> {
        let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
        let fits = |digits: &str, most| {
            (1..=most).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !fits(whole, 10) || !fits(places, 9) {
            return Err(InvalidMoney);
        }
        let number = |digits: &str| digits.parse::<i64>().map_err(|_| InvalidMoney);
        let nanos = number(&format!("{places:0<9}"))?;
        number(whole)?
            .checked_mul(1_000_000_000)
            .and_then(|dollars| dollars.checked_add(nanos))
            .map(Self)
            .ok_or(InvalidMoney)
    }
}

impl Sum for NanoDollars {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), Add::add)
    }
}

/// Dollars as an exact decimal without trailing zeros, at least two places: `0.00`, `0.0123`, `-1.50`.
impl fmt::Display for NanoDollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, rest) = (self.0.unsigned_abs() / 1_000_000_000, self.0.unsigned_abs() % 1_000_000_000);
        let digits = format!("{rest:09}");
        let kept = digits.trim_end_matches('0').len().max(2);
        write!(f, "{sign}{whole}.{}", &digits[..kept])
    }
}

#[cfg(test)]
mod tests {
    use super::NanoDollars;

    #[test]
    fn money_prints_as_an_exact_decimal() {
        for (nanos, text) in [
            (0, "0.00"),
            (1, "0.000000001"),
            (12_300_000, "0.0123"),
            (1_500_000_000, "1.50"),
            (-1_500_000_000, "-1.50"),
            (i64::MAX, "9223372036.854775807"),
        ] {
            assert_eq!(NanoDollars(nanos).to_string(), text);
        }
    }

    #[test]
    fn money_is_read_exactly_or_not_at_all() {
        for (text, nanos) in [
            ("0", 0),
            ("0.000000001", 1),
            ("0.25", 250_000_000),
            ("12", 12_000_000_000),
            ("9223372036.854775807", i64::MAX),
        ] {
            assert_eq!(text.parse(), Ok(NanoDollars(nanos)), "{text}");
        }
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1e3",
            "NaN",
            "0.0000000001",
            "9223372036.854775808",
            "1,5",
            " 1",
        ] {
            assert!(text.parse::<NanoDollars>().is_err(), "{text}");
        }
    }

    #[test]
    fn prices_as_floats_are_rounded_once() {
        assert_eq!(NanoDollars::from_dollars(0.000_003), NanoDollars(3_000));
        assert_eq!(NanoDollars::from_dollars(f64::NAN), NanoDollars(0));
    }
}
