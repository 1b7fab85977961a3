//! End to end: the real binary, as a user or a crash meets it.

#![allow(
    clippy::disallowed_methods,
    reason = "a test of processes reads its environment and starts tasks of its own"
)]

mod api;
mod cli;
mod crews;
mod kill;
mod process;
mod real_model;
mod stop;
