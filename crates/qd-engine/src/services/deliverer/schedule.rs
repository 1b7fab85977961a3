//! When a delivery is tried again: soon at first, then more and more rarely, for about three days in all.

use std::time::Duration;

const MINUTE: u64 = 60;
const HOUR: u64 = 3_600;

/// Seconds after each failed try, as Standard Webhooks proposes. The first try is made at once.
const AFTER: [u64; 9] =
    [5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];
/// Each wait is up to this share shorter or longer, so that a receiver that comes back is not met by all at once.
const JITTER: f64 = 0.2;
/// The longest wait that a receiver may ask for.
const ASKED_MAX: Duration = Duration::from_secs(24 * HOUR);

/// How long to wait after a failed try; `None` when it was the last. `tries` counts those made, this one included; `draw` is
/// from 0 to 1.
pub(crate) fn next_try(tries: u32, asked: Option<Duration>, draw: f64) -> Option<Duration> {
    let place = usize::try_from(tries).ok()?.checked_sub(1)?;
    let seconds = AFTER.get(place).copied()?;
    let factor = 1.0 - JITTER + 2.0 * JITTER * draw.clamp(0.0, 1.0);
    let wait = Duration::from_secs(seconds).mul_f64(factor);
    Some(wait.max(asked.unwrap_or_default().min(ASKED_MAX)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ASKED_MAX, next_try};

    #[test]
    fn ten_tries_take_about_three_days() {
        let waits: Vec<_> = (1..=10).map_while(|tries| next_try(tries, None, 0.5)).collect();
        assert_eq!((waits.len(), waits[0], waits[1]), (9, Duration::from_secs(5), Duration::from_secs(300)));
        let whole: Duration = waits.iter().sum();
        assert!((75 * 3_600..76 * 3_600).contains(&whole.as_secs()), "{whole:?}");
        assert!(waits.is_sorted());
        assert_eq!(next_try(0, None, 0.5), None);
    }

    #[test]
    fn waits_are_spread() {
        assert_eq!(next_try(1, None, 0.0), Some(Duration::from_secs(4)));
        assert_eq!(next_try(1, None, 1.0), Some(Duration::from_secs(6)));
    }

    #[test]
    fn a_receiver_may_ask_for_more_time_and_not_for_less() {
        let asked = |seconds| next_try(2, Some(Duration::from_secs(seconds)), 0.5).unwrap().as_secs();
        assert_eq!((asked(1), asked(600)), (300, 600));
        assert_eq!(asked(u64::MAX), ASKED_MAX.as_secs());
        assert_eq!(next_try(10, Some(Duration::from_secs(5)), 0.5), None, "the last try stays the last");
    }
}
