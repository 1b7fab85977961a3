//! Anthropic Messages.

mod decode;
mod encode;
mod errors;
mod prompt_cache;
mod serve;
mod stream;
#[cfg(test)]
mod tests;

use http::HeaderMap;
use qd_types::ChatRequest;

use super::wire::{Decoded, Endpoint, HttpParts, StreamDecoder, Wire};
use crate::CallError;

/// Name of the wire in provider blocks.
pub(crate) const NAME: &str = "anthropic";

/// The wire.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Anthropic;

impl Wire for Anthropic {
    fn encode(&self, request: &ChatRequest, endpoint: &Endpoint) -> HttpParts {
        encode::encode(request, endpoint)
    }

    fn decode(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Result<Decoded, CallError> {
        if status == 200 {
            decode::decode(headers, body)
        } else {
            Err(errors::of_answer(status, headers, body))
        }
    }

    fn stream(&self) -> Box<dyn StreamDecoder> {
        Box::new(stream::Decoder::default())
    }
}
