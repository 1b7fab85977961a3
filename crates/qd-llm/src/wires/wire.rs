//! The client's side of a protocol.

use http::HeaderMap;
use qd_types::{ChatReply, ChatRequest, Usage};

use super::sse::SseEvent;
use crate::{CallError, Secret};

/// A protocol. Errors name no provider: the transport knows its name and adds it.
pub(crate) trait Wire: Send + Sync {
    /// The request on the wire.
    fn encode(&self, request: &ChatRequest, endpoint: &Endpoint) -> HttpParts;
    /// An answer in one piece: a reply, or what its status, headers and body say went wrong.
    fn decode(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> Result<Decoded, CallError>;
    /// Reads a streamed answer of status 200.
    fn stream(&self) -> Box<dyn StreamDecoder>;
}

/// One model at one address.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) base_url: String,
    pub(crate) api_key: Option<Secret>,
    pub(crate) model: String,
    pub(crate) stream: bool,
    /// What holds where the request says nothing.
    pub(crate) max_tokens: Option<u32>,
    pub(crate) temperature: Option<f64>,
    pub(crate) top_p: Option<f64>,
    /// Whether the provider may be asked to keep the beginning of prompts, where the wire has a way to.
    pub(crate) prompt_cache: bool,
}

/// A POST request without its sender.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HttpParts {
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// A reply and its tokens; `model_calls` is 1.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Decoded {
    pub(crate) reply: ChatReply,
    pub(crate) usage: Usage,
}

/// Puts a streamed answer together.
pub(crate) trait StreamDecoder: Send {
    /// Takes one event and appends what is new of the text to `said`.
    fn event(&mut self, event: &SseEvent, said: &mut String) -> Result<Progress, CallError>;
    /// Whether nothing of the reply can be missing, though the stream may still hold its usage or its end marker.
    fn is_complete(&self) -> bool;
    /// The reply; an error if the stream ended before its finish.
    fn finish(self: Box<Self>) -> Result<Decoded, CallError>;
}

/// What an event brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// A sign of life.
    Nothing,
    /// A piece of the answer, though perhaps not of its text.
    Content,
    /// The end marker.
    Done,
}
