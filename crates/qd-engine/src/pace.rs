//! `max_rpm`: how often the agents of a crew may ask their models in any minute, in this process.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use qd_crew::Pace;
use qd_types::{AgentId, CrewName, TenantId};

/// Whose calls are counted: an agent's, or those of a crew's agents together.
pub(crate) type PaceKey = (TenantId, CrewName, Option<AgentId>);

const WINDOW: Duration = Duration::from_secs(60);

/// Windows beyond which those without a recent call are forgotten.
const WINDOWS_KEPT: usize = 1_000;

/// The calls of the last minute, and those that wait for their turn.
#[derive(Default)]
pub(crate) struct Paces {
    // Each use is one map operation and a few pops.
    windows: Mutex<HashMap<PaceKey, VecDeque<Duration>>>,
}

/// When a call may be made.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// After this wait; its place is taken.
    In(Duration),
    /// Not soon: ask again after this.
    NotBefore(Duration),
}

impl Paces {
    /// Takes the next free place at `now`, a moment of the monotonic clock, if it is no further away than `patience`.
    pub(crate) fn take(&self, key: PaceKey, pace: Pace, patience: Duration, now: Duration) -> Turn {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= WINDOWS_KEPT {
            windows.retain(|_, calls| calls.back().is_some_and(|last| *last + WINDOW > now));
        }
        let calls = windows.entry(key).or_default();
        while calls.front().is_some_and(|first| *first + WINDOW <= now) {
            calls.pop_front();
        }
        let most = usize::try_from(pace.calls_per_minute).unwrap_or(usize::MAX).max(1);
        let at = match calls.len().checked_sub(most) {
            // The call `most` places before this one must be a minute ago.
            Some(index) => now.max(calls[index] + WINDOW),
            None => now,
        };
        let wait = at - now;
        if wait > patience {
            return Turn::NotBefore(wait);
        }
        calls.push_back(at);
        Turn::In(wait)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use qd_crew::Pace;
    use qd_types::{CrewName, TenantId};

    use super::{PaceKey, Paces, Turn};

    const PATIENCE: Duration = Duration::from_secs(15);

    fn key(crew: &str) -> PaceKey {
        (TenantId::default(), CrewName::new(crew), None)
    }

    #[test]
    fn no_minute_holds_more_calls_than_the_pace_and_none_is_wasted() {
        let pace = Pace { calls_per_minute: 3, shared: true };
        let paces = Paces::default();
        let mut made = Vec::new();
        for second in 0..600 {
            let now = Duration::from_secs(second);
            if let Turn::In(wait) = paces.take(key("a"), pace, PATIENCE, now) {
                made.push(now + wait);
            }
        }
        for window in made.windows(4) {
            assert!(window[3] - window[0] >= Duration::from_secs(60), "{window:?}");
        }
        assert!(made.len() >= 30, "ten minutes at three a minute: {}", made.len());
    }

    #[test]
    fn long_waits_take_no_place_and_other_crews_are_apart() {
        let pace = Pace { calls_per_minute: 1, shared: true };
        let paces = Paces::default();
        let at = Duration::from_secs;
        assert_eq!(paces.take(key("a"), pace, PATIENCE, at(100)), Turn::In(at(0)));
        assert_eq!(paces.take(key("a"), pace, PATIENCE, at(101)), Turn::NotBefore(at(59)));
        assert_eq!(paces.take(key("a"), pace, PATIENCE, at(101)), Turn::NotBefore(at(59)));
        assert_eq!(paces.take(key("b"), pace, PATIENCE, at(101)), Turn::In(at(0)));
        assert_eq!(paces.take(key("a"), pace, PATIENCE, at(150)), Turn::In(at(10)));
        assert_eq!(paces.take(key("a"), pace, PATIENCE, at(151)), Turn::NotBefore(at(69)));
    }
}
