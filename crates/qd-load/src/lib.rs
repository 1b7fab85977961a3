//! Open-loop load, for `quarterdeck loadtest` and the benchmark alike: when requests are meant to start, the loop that starts
//! them, and how long they took. What is sent, and what comes back, is the business of those who implement [`Sender`].

mod generator;
mod latency;
mod schedule;

pub use generator::{Sender, Shot, run};
pub use latency::Latency;
pub use schedule::Schedule;
