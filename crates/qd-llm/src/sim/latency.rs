//! Draws latencies from the configured distributions.

use std::time::Duration;

use qd_env::Rng;

use super::options::Distribution;

/// The 99th percentile of the standard normal distribution.
const Z99: f64 = 2.326_347_874;
/// Tails end here: a simulation that sleeps for days helps nobody.
const LONGEST: Duration = Duration::from_secs(3600);

/// One sample.
pub(crate) fn sample(distribution: &Distribution, rng: &mut Rng) -> Duration {
    let ms = match distribution {
        Distribution::None => return Duration::ZERO,
        Distribution::Fixed { ms } => *ms,
        Distribution::Normal { mean_ms, std_ms } => mean_ms + std_ms * rng.normal(),
        Distribution::Lognormal { p50_ms, p99_ms } => {
            let sigma = (p99_ms / p50_ms).ln() / Z99;
            p50_ms * (sigma * rng.normal()).exp()
        }
        Distribution::Empirical { values_ms } => between(values_ms, rng.unit()),
    };
    from_millis(ms)
}

/// Bounded on both sides.
pub(crate) fn from_millis(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms.max(0.0) / 1000.0).unwrap_or(LONGEST).min(LONGEST)
}

/// So many times as long, within the same bounds.
pub(crate) fn times(span: Duration, factor: f64) -> Duration {
    // Without a factor nothing is rounded.
    if factor <= 1.0 { span } else { from_millis(span.as_secs_f64() * 1000.0 * factor) }
}

/// The value that a share of the others lies below.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]
fn between(values: &[f64], share: f64) -> f64 {
    let place = share * (values.len().saturating_sub(1)) as f64;
    let below = values.get(place as usize).copied().unwrap_or(0.0);
    let above = values.get(place as usize + 1).copied().unwrap_or(below);
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use qd_env::Rng;

    use super::{Distribution, sample};

    #[test]
    fn a_lognormal_distribution_meets_its_percentiles() {
        let mut rng = Rng::labelled(1, "latency");
        let shape = Distribution::Lognormal { p50_ms: 400.0, p99_ms: 3000.0 };
        let mut samples: Vec<f64> =
            (0..20_000).map(|_| sample(&shape, &mut rng).as_secs_f64() * 1000.0).collect();
        samples.sort_by(f64::total_cmp);
        assert!((samples[10_000] - 400.0).abs() < 20.0, "p50 is {}", samples[10_000]);
        assert!((samples[19_800] - 3000.0).abs() < 450.0, "p99 is {}", samples[19_800]);
    }

    #[test]
    fn an_empirical_distribution_gives_each_stretch_its_share() {
        let mut rng = Rng::labelled(1, "latency");
        let shape = Distribution::Empirical { values_ms: vec![100.0, 200.0, 1000.0] };
        let samples: Vec<f64> =
            (0..10_000).map(|_| sample(&shape, &mut rng).as_secs_f64() * 1000.0).collect();
        assert!(samples.iter().all(|ms| (100.0..=1000.0).contains(ms)));
        let quick = samples.iter().filter(|ms| **ms < 200.0).count();
        assert!((4_700..5_300).contains(&quick), "{quick} of 10000");
        let one = Distribution::Empirical { values_ms: vec![7.0] };
        assert_eq!(sample(&one, &mut rng).as_millis(), 7);
    }

    #[test]
    fn a_normal_distribution_is_never_negative() {
        let mut rng = Rng::labelled(1, "latency");
        let shape = Distribution::Normal { mean_ms: 1.0, std_ms: 10.0 };
        assert!((0..1000).any(|_| sample(&shape, &mut rng).is_zero()));
    }
}
