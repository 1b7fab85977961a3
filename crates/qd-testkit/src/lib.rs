//! For tests only: a clock that follows tokio's (so that paused time moves everything), and a store that stops at a
//! chosen operation as if its process had been killed there.

mod clock;
mod crash;

pub use clock::TokioClock;
pub use crash::{Crash, CrashPoint, When};
