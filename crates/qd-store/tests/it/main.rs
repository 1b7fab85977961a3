//! The embedded store on a disk that loses power, fails, is full or slow, and under a clock that jumps.
//!
//! A process of its own, because `qd-faultfs` stands in front of every database of its process.

#![allow(clippy::unwrap_used, reason = "a test ends where it is surprised")]

mod around;
mod check;
mod clock;
mod errors;
mod ledger;
mod power;
mod slow;
mod workload;
