//! Commands that print what the binary knows of itself: its API, its settings, its errors, its own command line.

pub(super) mod completions;
pub(super) mod config_schema;
pub(super) mod config_show;
pub(super) mod explain;
pub(super) mod man;
pub(super) mod openapi;
