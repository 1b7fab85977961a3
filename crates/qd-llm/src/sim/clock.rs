//! When the simulator started, and what changes with the time since then: windows, bursts, the warm-up.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use qd_env::{Env, Rng};

use super::options::{BurstOptions, WarmUpOptions};

/// The time since the start, which can be set back to zero. Clones share it.
#[derive(Clone)]
pub(crate) struct SimClock {
    env: Env,
    // Each use is a look or a replacement.
    began: Arc<Mutex<Duration>>,
}

impl SimClock {
    pub(crate) fn new(env: Env) -> Self {
        let began = Arc::new(Mutex::new(env.monotonic()));
        Self { env, began }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.env.monotonic().saturating_sub(*lock(&self.began))
    }

    pub(crate) fn restart(&self) {
        *lock(&self.began) = self.env.monotonic();
    }
}

/// How many times as long everything takes, so long after the start.
pub(crate) fn warm_up_factor(options: WarmUpOptions, elapsed: Duration) -> f64 {
    let left = options.seconds - elapsed.as_secs_f64();
    if left <= 0.0 { 1.0 } else { 1.0 + (options.factor - 1.0) * left / options.seconds }
}

/// Turns on and off by itself: a Markov chain with two states. When it turns depends on the seed alone.
pub(crate) struct Bursts {
    options: BurstOptions,
    seed: u64,
    label: String,
    walk: Mutex<Walk>,
}

struct Walk {
    rng: Rng,
    is_on: bool,
    since: f64,
    until: f64,
}

impl Bursts {
    /// `label` tells the bursts of one simulator apart.
    pub(crate) fn new(options: BurstOptions, seed: u64, label: String) -> Self {
        let walk = Mutex::new(Walk::start(&options, seed, &label));
        Self { options, seed, label, walk }
    }

    pub(crate) fn is_on(&self, elapsed: Duration) -> bool {
        let elapsed = elapsed.as_secs_f64();
        let mut walk = lock(&self.walk);
        if elapsed < walk.since {
            // The clock was started anew.
            *walk = Walk::start(&self.options, self.seed, &self.label);
        }
        while walk.until <= elapsed {
            walk.turn(&self.options);
        }
        walk.is_on
    }
}

impl Walk {
    fn start(options: &BurstOptions, seed: u64, label: &str) -> Self {
        let mut walk = Self { rng: Rng::labelled(seed, label), is_on: true, since: 0.0, until: 0.0 };
        walk.turn(options);
        walk
    }

    fn turn(&mut self, options: &BurstOptions) {
        self.is_on = !self.is_on;
        self.since = self.until;
        let mean = if self.is_on { options.on_seconds } else { options.off_seconds };
        // At least a thousandth of the mean, so that a long sleep is caught up with in few turns.
        self.until += mean * (-(1.0 - self.rng.unit()).ln()).max(0.001);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is in there is whole after every statement, so a poisoned lock is still good.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Bursts, warm_up_factor};
    use crate::sim::{BurstOptions, WarmUpOptions};

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn bursts_take_their_share_of_the_time_and_come_again_with_the_seed() {
        let options = BurstOptions { on_seconds: 10.0, off_seconds: 30.0 };
        let path = |seed| {
            let bursts = Bursts::new(options, seed, "burst/0".to_owned());
            (0..100_000).map(|second| bursts.is_on(seconds(second))).collect::<Vec<_>>()
        };
        let first = path(7);
        assert!(!first[0], "it is quiet at first");
        let share = first.iter().filter(|on| **on).count();
        assert!((22_000..28_000).contains(&share), "{share} of 100000 s");
        let turns = first.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!((3_500..6_000).contains(&turns), "{turns} turns: seconds alone would make more");
        assert_eq!(path(7), first);
        assert_ne!(path(8), first);
    }

    #[test]
    fn a_clock_that_starts_anew_has_the_same_bursts() {
        let options = BurstOptions { on_seconds: 5.0, off_seconds: 5.0 };
        let bursts = Bursts::new(options, 3, "burst/0".to_owned());
        let path = || (0..200).map(|second| bursts.is_on(seconds(second))).collect::<Vec<_>>();
        assert_eq!(path(), path());
    }

    #[test]
    fn a_warm_up_fades() {
        let options = WarmUpOptions { seconds: 20.0, factor: 5.0 };
        for (at, factor) in [(0, 5.0), (10, 3.0), (20, 1.0), (1000, 1.0)] {
            assert!((warm_up_factor(options, seconds(at)) - factor).abs() < 1e-9, "{at} s");
        }
        let never = WarmUpOptions::default();
        assert!((warm_up_factor(never, seconds(0)) - 1.0).abs() < 1e-9);
    }
}
