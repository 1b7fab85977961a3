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
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerOptions {
    /// Failures within `window` that open it; 0 switches it off.
    pub failures: u32,
    /// Share of the calls within `window` that must have failed besides: a busy provider that fails now and then is not
    /// down. Four times as many failures in a row need no share.
    pub share: f64,
    /// How long a failure counts.
    #[serde(rename = "window_seconds", with = "seconds")]
    pub window: Duration,
    /// How long it stays open at first; half as long again each time a probe fails, up to `open_max`.
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
            share: 0.5,
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

/// What an operator has decided, whatever calls show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forced {
    /// No call passes.
    Open,
    /// Every call passes.
    Closed,
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
    forced: Option<Forced>,
}

#[derive(Debug)]
enum Stage {
    Closed(Window),
    Open { until: Duration },
    HalfOpen { under_way: u32 },
}

/// What came of the latest calls, in slices of time.
#[derive(Debug, Default)]
struct Window {
    slices: VecDeque<Slice>,
    /// Failures without a success in between.
    run: u32,
}

#[derive(Debug)]
struct Slice {
    begin: Duration,
    failed: u32,
    other: u32,
}

/// Failures in a row that need no share, in multiples of `failures`.
const RUN: u32 = 4;
/// Slices of a window: the oldest goes as a whole.
const SLICES: u32 = 6;

impl Window {
    fn count(&mut self, has_failed: bool, now: Duration, window: Duration) {
        while self.slices.front().is_some_and(|first| first.begin + window <= now) {
            self.slices.pop_front();
        }
        self.run = if has_failed { self.run.saturating_add(1) } else { 0 };
        let span = (window / SLICES).max(Duration::from_millis(1));
        if self.slices.back().is_none_or(|last| last.begin + span <= now) {
            self.slices.push_back(Slice { begin: now, failed: 0, other: 0 });
        }
        if let Some(last) = self.slices.back_mut() {
            let counted = if has_failed { &mut last.failed } else { &mut last.other };
            *counted = counted.saturating_add(1);
        }
    }

    /// Failures, and their share of all calls.
    fn failures(&self) -> (u32, f64) {
        let failed: u32 = self.slices.iter().map(|slice| slice.failed).sum();
        let all: u32 = self.slices.iter().map(|slice| slice.failed.saturating_add(slice.other)).sum();
        (failed, f64::from(failed) / f64::from(all.max(1)))
    }
}

impl Breaker {
    pub(crate) fn new(options: BreakerOptions) -> Arc<Self> {
        let state = State { at: Stage::Closed(Window::default()), generation: 0, openings: 0, forced: None };
        Arc::new(Self { options, state: Mutex::new(state) })
    }

    /// Leave to make one call, or how long there will be none.
    pub(crate) fn acquire(self: &Arc<Self>, now: Duration) -> Result<Permit, Duration> {
        let mut state = self.lock();
        match state.forced {
            Some(Forced::Open) => return Err(FORCED_WAIT),
            // Its verdict is of no stage.
            Some(Forced::Closed) => {
                return Ok(Permit { breaker: Arc::clone(self), generation: u64::MAX, has_verdict: false });
            }
            None => {}
        }
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
        let state = self.lock();
        match state.forced {
            Some(Forced::Open) => return Standing::Open,
            Some(Forced::Closed) => return Standing::Closed,
            None => {}
        }
        match state.at {
            Stage::Closed(_) => Standing::Closed,
            Stage::Open { until } if now < until => Standing::Open,
            Stage::Open { .. } | Stage::HalfOpen { .. } => Standing::HalfOpen,
        }
    }

    /// Follows an operator, or calls again, which then begin anew.
    pub(crate) fn force(&self, forced: Option<Forced>) {
        let mut state = self.lock();
        state.forced = forced;
        state.openings = 0;
        state.enter(Stage::Closed(Window::default()));
    }

    /// What an operator has decided.
    pub(crate) fn forced(&self) -> Option<Forced> {
        self.lock().forced
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
                state.enter(Stage::Closed(Window::default()));
            }
            (Stage::HalfOpen { .. }, Verdict::Failure(asked)) => self.open(&mut state, asked, now),
            (Stage::HalfOpen { .. } | Stage::Closed(_), Verdict::Trip(asked))
                if self.options.failures > 0 =>
            {
                self.open(&mut state, Some(asked), now);
            }
            (Stage::Closed(window), Verdict::Failure(asked)) if self.options.failures > 0 => {
                window.count(true, now, self.options.window);
                let (failures, share) = window.failures();
                // Who was busy and well until now has many successes in the window, and is down all the same.
                let is_down = window.run >= self.options.failures.saturating_mul(RUN);
                if failures >= self.options.failures && (share >= self.options.share || is_down) {
                    self.open(&mut state, asked, now);
                }
            }
            (Stage::Closed(window), Verdict::Success) => window.count(false, now, self.options.window),
            (Stage::Closed(_), Verdict::Failure(_) | Verdict::Neutral)
            | (_, Verdict::Trip(_))
            | (Stage::Open { .. }, _) => {}
        }
    }

    fn open(&self, state: &mut State, asked: Option<Duration>, now: Duration) {
        let grown = self.options.open.mul_f64(GROWTH.powi(state.openings.min(16).cast_signed()));
        let span = grown.min(self.options.open_max).max(asked.unwrap_or_default().min(ASKED_MAX));
        state.openings = state.openings.saturating_add(1);
        state.enter(Stage::Open { until: now + span });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long to stay away from what an operator has opened, before looking again.
const FORCED_WAIT: Duration = Duration::from_secs(30);
/// How long to wait while somebody else probes.
const PROBE_WAIT: Duration = Duration::from_secs(1);
/// How much longer it stays open after each probe that failed: a provider that is back after a minute shall not be left
/// alone for another one.
const GROWTH: f64 = 1.5;
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
