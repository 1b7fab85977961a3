//! Policies around a model, one a file; in which order they stand is `stack.rs`.

mod balancer;
mod breaker;
mod breaking;
mod bulkhead;
mod load;
mod pacing;
mod reservoir;
mod retrying;
mod text_tools;

use crate::options::Strategy;

pub(crate) use balancer::{Balancer, Deployment};
pub(crate) use breaker::Breaker;
pub use breaker::{BreakerOptions, Forced, Standing};
pub(crate) use breaking::Breaking;
pub(crate) use bulkhead::Bulkhead;
pub(crate) use load::Load;
pub(crate) use pacing::Pacing;
pub(crate) use reservoir::Reservoir;
pub use reservoir::{Counted, KnownLimit};
pub(crate) use retrying::{RetryBudget, Retrying};
pub(crate) use text_tools::TextTools;
#[cfg(test)]
pub(crate) use {breaker::Verdict, breaking::of_deployment};
