//! The protocols of providers as pure functions of bytes and headers. Nothing outside this folder knows their JSON.
//!
//! Each wire has two sides: [`Wire`] for the client, [`ServeWire`] for the simulator's server.

mod answer;
mod anthropic;
mod counts;
mod error_body;
mod headers;
mod limits;
mod mask;
mod moment;
mod openai;
mod overflow;
mod receive;
mod refusal;
mod reset;
mod serve;
mod sse;
mod status;
#[cfg(test)]
mod taxonomy_tests;
mod wait;
mod wire;

pub(crate) use anthropic::Anthropic;
pub(crate) use limits::{requests_window, seen_limits};
pub(crate) use mask::MASK;
pub use openai::Dialect;
pub(crate) use openai::{OpenAi, OpenAiServer};
pub(crate) use receive::{Streamed, decode_whole, told_by_headers, too_large};
pub(crate) use refusal::{Gauge, Measure, Refusal, Standing, Why};
pub(crate) use serve::{Said, ServeWire, Served, Speech, simulated};
#[cfg(test)]
pub(crate) use sse::SseParser;
pub(crate) use status::status_kind;
pub(crate) use wire::{Decoded, Endpoint, HttpParts, Progress, Wire};
