//! The server's side of a protocol, for the simulator: requests in, answers out, worded as the provider words them.

use qd_types::{ChatReply, ChatRequest, Usage};
use serde_json::json;

use super::refusal::{Refusal, Standing};

/// A protocol as its server speaks it. Pure.
pub(crate) trait ServeWire: Send + Sync {
    /// Reads a request.
    fn decode(&self, body: &[u8]) -> Result<Served, ServedError>;
    /// An answer in one piece.
    fn reply(&self, reply: &ChatReply, usage: &Usage) -> String;
    /// An answer as events: those before the first piece, one for each piece, and the rest.
    fn speech(&self, reply: &ChatReply, usage: &Usage, pieces: &[&str], served: &Served) -> Speech;
    /// The body of an error.
    fn error(&self, refusal: &Refusal) -> String;
    /// Headers of every answer: what the limits leave where there are some, and the wait of a refusal.
    fn headers(&self, refusal: Option<&Refusal>, standing: Option<&Standing>) -> Vec<(&'static str, String)>;
}

/// A request as it was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Served {
    pub(crate) request: ChatRequest,
    pub(crate) stream: bool,
    /// Whether a stream ends with its usage where that has to be asked for.
    pub(crate) include_usage: bool,
}

/// What is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServedError(pub(crate) String);

/// A streamed answer as text on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Speech {
    pub(crate) opening: String,
    pub(crate) pieces: Vec<String>,
    pub(crate) closing: String,
}

/// Where the text of a piece goes in a pattern; nobody's model is called so.
pub(super) const PLACE: &str = "\u{e000}piece\u{e000}";

/// The pattern once for each piece.
pub(super) fn fill_pieces(pattern: &str, pieces: &[&str]) -> Vec<String> {
    let place = json!(PLACE).to_string();
    let (before, after) = pattern.split_once(&place).unwrap_or((pattern, ""));
    pieces.iter().map(|piece| format!("{before}{}{after}", json!(piece))).collect()
}

/// Names of what wires call the parts of a request, for errors.
pub(super) fn missing(field: &str) -> ServedError {
    ServedError(format!("{field}: field required"))
}

/// The status's ordinary word where the simulator has nothing better to say.
pub(crate) fn simulated(status: u16) -> String {
    format!("simulated error of status {status}")
}
