//! How long things took: a histogram of microseconds that keeps three digits, so that it stays small however many there are.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Longest span told apart; longer ones count as this long.
const MOST: Duration = Duration::from_secs(24 * 3_600);

/// Spans of time.
#[derive(Debug, Clone)]
pub struct Latency {
    micros: Histogram<u64>,
}

impl Default for Latency {
    fn default() -> Self {
        let most = u64::try_from(MOST.as_micros()).unwrap_or(u64::MAX);
        Self { micros: Histogram::new_with_bounds(1, most, 3).expect("the bounds are constants that fit") }
    }
}

impl Latency {
    /// Takes one in. The shortest that is told apart is a microsecond.
    pub fn note(&mut self, span: Duration) {
        self.micros.saturating_record(u64::try_from(span.as_micros()).unwrap_or(u64::MAX).max(1));
    }

    /// Takes in all of another.
    pub fn add(&mut self, other: &Self) {
        self.micros.add(&other.micros).expect("all have the same bounds");
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.micros.len()
    }

    /// The span that this share of them, from 0 to 1, was no longer than. It is up to a thousandth too high, never too low; 0 of none.
    #[must_use]
    pub fn at(&self, share: f64) -> Duration {
        Duration::from_micros(self.micros.value_at_quantile(share))
    }

    /// The same in milliseconds.
    #[must_use]
    pub fn ms(&self, share: f64) -> f64 {
        self.at(share).as_secs_f64() * 1e3
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Latency, MOST};

    #[test]
    fn percentiles_are_right_to_three_digits() {
        let mut all = Latency::default();
        assert_eq!((all.count(), all.at(0.99)), (0, Duration::ZERO));
        let mut odd = Latency::default();
        for n in 1..=10_000_u64 {
            let span = Duration::from_micros(n * 100);
            if n % 2 == 0 { all.note(span) } else { odd.note(span) }
        }
        all.add(&odd);
        assert_eq!(all.count(), 10_000);
        for (share, right) in [(0.5, 500.0), (0.95, 950.0), (0.99, 990.0), (0.999, 999.0), (1.0, 1_000.0)] {
            let found = all.ms(share);
            assert!((right..right * 1.001).contains(&found), "{share}: {found}");
        }
    }

    #[test]
    fn spans_beyond_the_bounds_count_as_the_bound() {
        let mut all = Latency::default();
        all.note(Duration::ZERO);
        assert_eq!(all.at(1.0), Duration::from_micros(1));
        all.note(MOST * 10);
        assert!(all.at(1.0) >= MOST && all.at(1.0) < MOST * 2);
    }
}
