//! What the process tells about itself: metrics, logs, and the words that both use.
//!
//! Start at `catalogue.rs` (every metric, one line each) and `fields.rs` (every field of a log line). What is observed
//! where is not decided here: each crate observes at its own seam, in its `observe.rs`.

mod catalogue;
mod exposition;
mod fault;
mod fields;
mod handles;
mod logs;
mod metrics;
mod reference;

pub use catalogue::{CATALOGUE, Metrics};
pub use exposition::Exposition;
pub use fault::{Fault, fault};
pub use fields::{FIELDS, Field};
pub use handles::Handles;
pub use logs::{Error, LogFormat, check_level, start_logs};
pub use metrics::{
    Amount, Amounts, Counter, Counters, Gauge, Gauges, Histogram, Histograms, Kind, Line, OTHER, SERIES_MAX,
};
pub use reference::{Page, pages};
