//! OpenAI Chat Completions, which most providers and local servers speak, each a little differently.

mod decode;
mod encode;
mod errors;
mod finish;
mod serve;
mod stream;
#[cfg(test)]
mod tests;

use http::HeaderMap;
use qd_types::ChatRequest;

pub use serve::Dialect;
pub(crate) use serve::OpenAiServer;

use super::wire::{Decoded, Endpoint, HttpParts, StreamDecoder, Wire};
use crate::CallError;

/// Name of the wire in provider blocks.
pub(crate) const NAME: &str = "openai";

/// The wire.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenAi;

impl Wire for OpenAi {
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
