//! Clocks: the real one, and one that a test moves.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use qd_types::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Wall clock; may jump.
    fn now(&self) -> Timestamp;
    /// Time since some fixed moment; never goes back.
    fn monotonic(&self) -> Duration;
}

/// The machine's clocks.
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    #[allow(clippy::disallowed_methods)]
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// Stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock {
    wall_ms: AtomicI64,
    elapsed_ms: AtomicI64,
}

impl ManualClock {
    /// A clock that shows `millis` since 1970.
    #[must_use]
    pub fn at(millis: i64) -> Self {
        Self { wall_ms: AtomicI64::new(millis), elapsed_ms: AtomicI64::new(0) }
    }

    /// Lets time pass.
    pub fn advance(&self, span: Duration) {
        let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        self.wall_ms.fetch_add(millis, Ordering::SeqCst);
        self.elapsed_ms.fetch_add(millis, Ordering::SeqCst);
    }

    /// Somebody sets the wall clock, forward or back; no time passes.
    pub fn jump(&self, millis: i64) {
        self.wall_ms.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.wall_ms.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.elapsed_ms.load(Ordering::SeqCst)).unwrap_or(0))
    }
}
