//! The protocols of providers as pure functions of bytes and headers. Nothing outside this folder knows their JSON.
//!
//! Each wire has two sides: [`Wire`] for the client, [`ServeWire`] for the simulator's server.

mod answer;
mod anthropic;
mod error_body;
mod headers;
mod moment;
mod openai;
mod refusal;
mod serve;
mod sse;
mod status;
mod wait;
mod wire;

pub(crate) use anthropic::Anthropic;
pub(crate) use headers::kept_headers;
pub use openai::Dialect;
pub(crate) use openai::{OpenAi, OpenAiServer};
pub(crate) use refusal::{Gauge, Measure, Refusal, Standing, Why};
pub(crate) use serve::{Said, ServeWire, Served, Speech, simulated};
pub(crate) use sse::{SseParser, TooLong};
pub(crate) use status::status_kind;
pub(crate) use wire::{Decoded, Endpoint, HttpParts, Progress, StreamDecoder, Wire};
