//! Policies around a model, one a file; in which order they stand is `stack.rs`.

mod breaker;
mod breaking;
mod bulkhead;
mod reservoir;

pub(crate) use breaker::Breaker;
pub use breaker::{BreakerOptions, Standing};
pub(crate) use breaking::Breaking;
pub(crate) use bulkhead::Bulkhead;
