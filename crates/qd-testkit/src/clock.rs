//! A clock that follows tokio's: under paused time, wall clock and timers move together.

use std::time::Duration;

use qd_env::Clock;
use qd_types::Timestamp;
use tokio::time::Instant;

/// See the module. Made inside a runtime.
pub struct TokioClock {
    start: Instant,
}

impl Default for TokioClock {
    #[allow(clippy::disallowed_methods)]
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000).plus(self.start.elapsed())
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}
