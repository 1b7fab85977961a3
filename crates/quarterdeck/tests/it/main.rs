//! End to end: the real binary, as a user or a crash meets it.

#![allow(clippy::unwrap_used, reason = "a test ends where it is surprised")]
#![allow(
    clippy::disallowed_methods,
    reason = "a test of processes reads its environment and starts its own tasks"
)]

mod api;
mod cli;
mod commands;
mod config;
mod crews;
mod hostile;
mod jobs;
mod kill;
mod limits;
mod observe;
mod process;
mod real_model;
mod sdk;
mod simulator;
mod snapshot;
mod stop;
mod tools;
mod webhooks;
