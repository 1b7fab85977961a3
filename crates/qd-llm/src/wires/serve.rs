//! The server's side of a protocol, for the simulator: requests in, answers out, worded as the provider words them. What a
//! refusal is stands in `refusal.rs`.

use qd_types::{ChatReply, ChatRequest, Usage};
use serde_json::json;

use super::refusal::{Refusal, Standing};

/// A protocol as its server speaks it. Pure.
pub(crate) trait ServeWire: Send + Sync {
    /// Reads a request.
    fn decode(&self, body: &[u8]) -> Result<Served, ServedError>;
    /// An answer in one piece.
    fn reply(&self, said: &Said<'_>) -> String;
    /// An answer as events.
    fn speech(&self, said: &Said<'_>, pieces: &[&str], served: &Served) -> Speech;
    /// The status of a refusal.
    fn status(&self, refusal: &Refusal) -> u16;
    /// The body of a refusal.
    fn error(&self, refusal: &Refusal) -> String;
    /// A refusal in the middle of a stream.
    fn error_event(&self, refusal: &Refusal) -> String;
    /// An event that no client knows.
    fn unknown_event(&self) -> String;
    /// Headers of every answer: what the limits leave where there are some, and the wait of a refusal.
    fn headers(&self, refusal: Option<&Refusal>, standing: Option<&Standing>) -> Vec<(&'static str, String)>;
}

/// What a model says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said<'a> {
    pub(crate) reply: &'a ChatReply,
    /// The stop text that ended it.
    pub(crate) stop_text: Option<&'a str>,
    /// Left out of the answer without.
    pub(crate) usage: Option<&'a Usage>,
    /// Whether it refuses to answer; nothing of the reply is said then.
    pub(crate) is_refused: bool,
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
    /// Events before the first piece. They may come twice.
    pub(crate) opening: String,
    /// The text.
    pub(crate) pieces: Vec<String>,
    /// The tool calls.
    pub(crate) tools: String,
    /// Where `tools` breaks off inside the arguments of the last call.
    pub(crate) tools_cut: usize,
    /// Events after everything that is said. They may come twice.
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
