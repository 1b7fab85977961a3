//! The only source of time and chance.
//!
//! Everything that reads a clock, makes an id, draws a number or starts a task does it through an [`Env`], so that a
//! seed and a controllable clock reproduce a run. Nobody else may (see `clippy.toml`).

mod clock;
mod rng;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use qd_types::{BatchId, DeliveryId, JobId, Timestamp};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

pub use clock::{Clock, ManualClock, SystemClock};
pub use rng::Rng;

/// Time, ids, randomness and tasks of one process. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Env {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Arc<dyn Clock>,
    seed: u64,
    /// Secrets come from the operating system, as nothing of them may follow from a seed.
    is_system: bool,
    draws: AtomicU64,
    tasks: TaskTracker,
}

impl Env {
    /// The real clock and a random seed.
    #[must_use]
    pub fn system() -> Self {
        // The one place where true randomness enters.
        #[allow(clippy::disallowed_methods)]
        let seed = fastrand::Rng::new().u64(..);
        Self::new(Arc::new(SystemClock::default()), seed, true)
    }

    /// A given clock and seed, for tests and simulation.
    #[must_use]
    pub fn with(clock: Arc<dyn Clock>, seed: u64) -> Self {
        Self::new(clock, seed, false)
    }

    fn new(clock: Arc<dyn Clock>, seed: u64, is_system: bool) -> Self {
        let (draws, tasks) = (AtomicU64::new(0), TaskTracker::new());
        Self { inner: Arc::new(Inner { clock, seed, is_system, draws, tasks }) }
    }

    /// Wall clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// Time since some fixed moment of this process; never goes back.
    #[must_use]
    pub fn monotonic(&self) -> Duration {
        self.inner.clock.monotonic()
    }

    /// A stream of numbers that depends on the seed and the label alone.
    #[must_use]
    pub fn rng(&self, label: &str) -> Rng {
        Rng::labelled(self.inner.seed, label)
    }

    /// A number that differs at every call (in a fixed order for a given seed).
    #[must_use]
    pub fn draw(&self) -> u64 {
        let n = self.inner.draws.fetch_add(1, Ordering::Relaxed);
        rng::mix(self.inner.seed ^ rng::mix(n))
    }

    /// Bytes that nobody can guess, for keys. Under a given seed they follow from it, as everything does.
    ///
    /// # Panics
    /// If the operating system has no randomness to give: nothing secret can be made then.
    #[must_use]
    pub fn secret<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        if self.inner.is_system {
            getrandom::fill(&mut bytes).expect("the operating system gives randomness");
        } else {
            for chunk in bytes.chunks_mut(8) {
                chunk.copy_from_slice(&self.draw().to_le_bytes()[..chunk.len()]);
            }
        }
        bytes
    }

    /// A new UUIDv7.
    #[must_use]
    pub fn job_id(&self) -> JobId {
        JobId(self.uuid())
    }

    /// A new UUIDv7.
    #[must_use]
    pub fn batch_id(&self) -> BatchId {
        BatchId(self.uuid())
    }

    /// A new UUIDv7.
    #[must_use]
    pub fn delivery_id(&self) -> DeliveryId {
        DeliveryId(self.uuid())
    }

    fn uuid(&self) -> uuid::Uuid {
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.draw().to_le_bytes());
        random[8..].copy_from_slice(&self.draw().to_le_bytes()[..2]);
        let millis = u64::try_from(self.now().0).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }

    /// Starts a task that [`Env::tasks`] knows of.
    #[allow(clippy::disallowed_methods)]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.inner.tasks.spawn(future)
    }

    /// Every task started through this environment, to wait for at the end.
    #[must_use]
    pub fn tasks(&self) -> &TaskTracker {
        &self.inner.tasks
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Env, ManualClock};

    #[test]
    fn a_seed_reproduces_every_number() {
        let numbers = |seed| {
            let env = Env::with(Arc::new(ManualClock::at(1_000)), seed);
            (env.job_id(), env.draw(), env.rng("jitter").u64(), env.rng("other").u64())
        };
        assert_eq!(numbers(7), numbers(7));
        assert_ne!(numbers(7), numbers(8));
        let env = Env::with(Arc::new(ManualClock::at(1_000)), 7);
        assert_ne!(env.job_id(), env.job_id());
        assert_ne!(env.rng("jitter").u64(), env.rng("other").u64());
    }

    #[test]
    fn secrets_differ_and_come_from_the_seed_only_under_one() {
        let of = |env: &Env| env.secret::<32>();
        let env = Env::with(Arc::new(ManualClock::at(1_000)), 7);
        let (first, second) = (of(&env), of(&env));
        assert_ne!(first, second);
        assert_eq!(of(&Env::with(Arc::new(ManualClock::at(1_000)), 7)), first);
        let system = Env::system();
        let (first, second) = (of(&system), of(&system));
        assert!(first != second && first != [0; 32]);
    }
}
