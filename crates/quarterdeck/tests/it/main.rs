//! End to end: the real binary, as a user or a crash meets it.

#![allow(clippy::unwrap_used, reason = "a test ends where it is surprised")]
#![allow(
    clippy::disallowed_methods,
    reason = "a test of processes reads its environment and starts its own tasks"
)]

mod api;
mod cli;
mod crews;
mod kill;
mod limits;
mod process;
mod real_model;
mod stop;
