//! Lanes that fail: left alone for longer and longer, then asked once.

use std::collections::HashMap;
use std::time::Duration;

/// Failures in a row after which a lane is left alone.
const FAILURES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// Failing lanes that are remembered; beyond it those go that are not left alone.
const LANES_MAX: usize = 10_000;

/// Lanes whose last try failed. Times are monotonic.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    failing: HashMap<String, Failing>,
}

#[derive(Debug, Clone, Copy)]
struct Failing {
    in_a_row: u32,
    alone_until: Duration,
}

impl Lanes {
    /// Notes how a try went.
    pub(super) fn note(&mut self, lane: &str, went_well: bool, now: Duration) {
        if went_well {
            self.failing.remove(lane);
            return;
        }
        if self.failing.len() >= LANES_MAX && !self.failing.contains_key(lane) {
            self.failing.retain(|_, failing| failing.alone_until > now);
            if self.failing.len() >= LANES_MAX {
                return;
            }
        }
        let failing =
            self.failing.entry(lane.to_owned()).or_insert(Failing { in_a_row: 0, alone_until: now });
        // Tries that were under way when the pause began are no news.
        if failing.in_a_row >= FAILURES && failing.alone_until > now {
            return;
        }
        failing.in_a_row += 1;
        if let Some(more) = failing.in_a_row.checked_sub(FAILURES) {
            failing.alone_until = now + PAUSE.saturating_mul(1 << more.min(6)).min(PAUSE_MAX);
        }
    }

    /// How many deliveries lanes may have under way that are not trusted.
    pub(super) fn bounds(&self, now: Duration) -> HashMap<String, usize> {
        let trusted = |failing: &Failing| failing.in_a_row < FAILURES;
        let bound = |failing: &Failing| usize::from(failing.alone_until <= now);
        let some = self.failing.iter().filter(|(_, failing)| !trusted(failing));
        some.map(|(lane, failing)| (lane.clone(), bound(failing))).collect()
    }

    /// How long until a lane may be asked again, if one is left alone.
    pub(super) fn next(&self, now: Duration) -> Option<Duration> {
        let alone = self.failing.values().map(|failing| failing.alone_until).filter(|until| *until > now);
        alone.min().map(|until| until - now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{FAILURES, LANES_MAX, Lanes};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_lane_that_fails_is_left_alone_and_then_asked_once() {
        let (mut lanes, mut now) = (Lanes::default(), SECOND);
        for _ in 1..FAILURES {
            lanes.note("a", false, now);
        }
        assert!(lanes.bounds(now).is_empty(), "four failures are no pattern");
        let mut pauses = Vec::new();
        for _ in 0..9 {
            lanes.note("a", false, now);
            // Those that were under way come back as well.
            lanes.note("a", false, now);
            assert_eq!(lanes.bounds(now)["a"], 0);
            let pause = lanes.next(now).unwrap();
            pauses.push(pause.as_secs());
            now += pause;
            assert_eq!((lanes.bounds(now)["a"], lanes.next(now)), (1, None));
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        lanes.note("a", true, now);
        assert!(lanes.bounds(now).is_empty());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut lanes = Lanes::default();
        for n in 0..LANES_MAX + 10 {
            lanes.note(&n.to_string(), false, SECOND);
        }
        assert!(lanes.failing.len() <= LANES_MAX);
    }
}
