//! Policies around a model, one a file; in which order they stand is `stack.rs`.

mod breaker;
mod breaking;
mod bulkhead;
mod reservoir;

pub(crate) use breaker::Breaker;
#[cfg(test)]
pub(crate) use breaker::Verdict;
pub use breaker::{BreakerOptions, Standing};
pub(crate) use breaking::Breaking;
#[cfg(test)]
pub(crate) use breaking::of_deployment;
pub(crate) use bulkhead::Bulkhead;
