//! A circuit breaker: after enough failures in a row of time, calls are refused here instead of made in vain, until a
//! probe succeeds.
//!
//! Pure but for its lock: the caller brings the time. A [`Permit`] that is dropped without a verdict counts as neither,
//! so a call that is cancelled or panics neither trips the breaker nor keeps the place of a probe.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;

use crate::options::seconds;

/// When a breaker opens and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerOptions {
    /// Failures within `window` that open it; 0 switches it off.
    pub failures: u32,
    /// How long a failure counts.
    #[serde(rename = "window_seconds", with = "seconds")]
    pub window: Duration,
    /// How long it stays open at first; doubled each time a probe fails, up to `open_max`.
    #[serde(rename = "open_seconds", with = "seconds")]
    pub open: Duration,
    /// The longest that it stays open, unless the provider asks for more.
    #[serde(rename = "open_max_seconds", with = "seconds")]
    pub open_max: Duration,
    /// Calls at once that try whether the provider is back.
    pub probes: u32,
}

impl Default for BreakerOptions {
    fn default() -> Self {
        Self {
            failures: 5,
            window: Duration::from_secs(60),
            open: Duration::from_secs(30),
            open_max: Duration::from_secs(300),
            probes: 1,
        }
    }
}

/// What a call says about its provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It works.
    Success,
    /// It does not; it may have asked to be left alone for a while.
    Failure(Option<Duration>),
    /// It says itself that it will not work for this long.
    Trip(Duration),
    /// Nothing: the request was at fault, or a limit was reached.
    Neutral,
}

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Calls pass.
    Closed,
    /// Calls are refused.
    Open,
    /// A few calls pass, to see.
    HalfOpen,
}

impl Standing {
    /// Every standing.
    pub const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    /// The word of metrics and the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Breaker {
    options: BreakerOptions,
    // Held for a few comparisons.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    at: Stage,
    /// One more at each change of stage: a permit of an older stage says nothing about this one.
    generation: u64,
    /// How often in a row it has opened without closing in between.
    openings: u32,
}

#[derive(Debug)]
enum Stage {
    /// The moments of the latest failures, at most as many as open it.
    Closed(VecDeque<Duration>),
    Open {
        until: Duration,
    },
    HalfOpen {
        under_way: u32,
    },
}

impl Breaker {
    pub(crate) fn new(options: BreakerOptions) -> Arc<Self> {
        let state = State { at: Stage::Closed(VecDeque::new()), generation: 0, openings: 0 };
        Arc::new(Self { options, state: Mutex::new(state) })
    }

    /// Leave to make one call, or how long there will be none.
    pub(crate) fn acquire(self: &Arc<Self>, now: Duration) -> Result<Permit, Duration> {
        let mut state = self.lock();
        if let Stage::Open { until } = state.at {
            if now < until {
                return Err(until - now);
            }
            state.enter(Stage::HalfOpen { under_way: 0 });
        }
        if let Stage::HalfOpen { under_way } = &mut state.at {
            if *under_way >= self.options.probes.max(1) {
                // The probe decides; it is bounded by the time limits of a call. Look again soon.
                return Err(PROBE_WAIT);
            }
            *under_way += 1;
        }
        Ok(Permit { breaker: Arc::clone(self), generation: state.generation, has_verdict: false })
    }

    /// Where it stands.
    pub(crate) fn standing(&self, now: Duration) -> Standing {
        match self.lock().at {
            Stage::Closed(_) => Standing::Closed,
            Stage::Open { until } if now < until => Standing::Open,
            Stage::Open { .. } | Stage::HalfOpen { .. } => Standing::HalfOpen,
        }
    }

    fn settle(&self, generation: u64, verdict: Verdict, now: Duration) {
        let mut state = self.lock();
        if state.generation != generation {
            return;
        }
        match (&mut state.at, verdict) {
            (Stage::HalfOpen { under_way }, Verdict::Neutral) => *under_way = under_way.saturating_sub(1),
            (Stage::HalfOpen { .. }, Verdict::Success) => {
                state.openings = 0;
                state.enter(Stage::Closed(VecDeque::new()));
            }
            (Stage::HalfOpen { .. }, Verdict::Failure(asked)) => self.open(&mut state, asked, now),
            (Stage::HalfOpen { .. } | Stage::Closed(_), Verdict::Trip(asked))
                if self.options.failures > 0 =>
            {
                self.open(&mut state, Some(asked), now);
            }
            (Stage::Closed(failures), Verdict::Failure(asked)) => {
                let most = self.options.failures as usize;
                if most == 0 {
                    return;
                }
                failures.push_back(now);
                while failures.front().is_some_and(|first| *first + self.options.window <= now) {
                    failures.pop_front();
                }
                if failures.len() >= most {
                    self.open(&mut state, asked, now);
                }
            }
            (Stage::Closed(_), Verdict::Success | Verdict::Neutral)
            | (_, Verdict::Trip(_))
            | (Stage::Open { .. }, _) => {}
        }
    }

    fn open(&self, state: &mut State, asked: Option<Duration>, now: Duration) {
        let grown = self.options.open.saturating_mul(1 << state.openings.min(16));
        let span = grown.min(self.options.open_max).max(asked.unwrap_or_default().min(ASKED_MAX));
        state.openings = state.openings.saturating_add(1);
        state.enter(Stage::Open { until: now + span });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long to wait while somebody else probes.
const PROBE_WAIT: Duration = Duration::from_secs(1);
/// No provider closes itself for longer than this.
const ASKED_MAX: Duration = Duration::from_secs(24 * 3600);

impl State {
    fn enter(&mut self, stage: Stage) {
        self.at = stage;
        self.generation += 1;
    }
}

/// Leave to make one call.
#[derive(Debug)]
pub(crate) struct Permit {
    breaker: Arc<Breaker>,
    generation: u64,
    has_verdict: bool,
}

impl Permit {
    /// What the call showed.
    pub(crate) fn settle(mut self, verdict: Verdict, now: Duration) {
        self.has_verdict = true;
        self.breaker.settle(self.generation, verdict, now);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.has_verdict {
            // A neutral verdict does not look at the time.
            self.breaker.settle(self.generation, Verdict::Neutral, Duration::ZERO);
        }
    }
}

#[cfg(test)]
mod tests;
