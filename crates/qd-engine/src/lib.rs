//! Makes jobs happen: claims them, runs their machines, carries effects out, journals every result before the next
//! decision.
//!
//! Start at [`Engine`] (what the binary holds), then `worker.rs` (claims and slots), `attempt.rs` (one job in one
//! worker's hands), `executor.rs` (effect to world to journal entry).

mod attempt;
mod budgets;
mod cached;
mod chain;
mod engine;
mod executor;
mod facts;
mod held;
mod observe;
mod options;
mod pace;
mod plans;
mod resume;
mod retry;
mod services;
mod spend;
mod tools;
mod worker;

#[cfg(test)]
mod tests;

pub use budgets::{Budgets, CrewBudget, OnExceeded, UnknownPrice};
pub use engine::{Engine, InFlight};
pub use options::{Limits, Options, RetryPolicy};
pub use plans::Plans;
pub use services::{
    Endpoint, InvalidSecret, SigningSecret, Unverified, WebhookHeaders, WebhookOptions, Webhooks, verify,
};
pub use tools::{
    DescribedTool, HttpTool, HttpToolOptions, InvalidTool, ResultMap, ToolEffect, is_built_in, tool_specs,
};
