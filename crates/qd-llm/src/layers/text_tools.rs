//! Tools for models that have none: what may be called is told in words, and what the model writes is read as calls.
//!
//! Above this layer a request has tools and a reply has calls, so nobody else knows. The protocol is that of CrewAI's agents
//! (`Action`, `Action Input`, `Observation`, `Final Answer`) with its faults mended: what a model writes after an observation
//! of its own making is dropped, and of a call and a final answer in one text the first one counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use qd_types::{ChatReply, ChatRequest, Class, Code, Message, StopReason, ToolCall, ToolChoice, ToolSpec};

use crate::options::ToolsBy;
use crate::{Answer, CallError, CallScope, ChatModel};

const ACTION: &str = "Action:";
const INPUT: &str = "Action Input:";
const OBSERVATION: &str = "Observation:";
const FINAL: &str = "Final Answer:";

/// What Markdown puts before a word at the start of a line.
const DECORATION: [char; 6] = [' ', '\t', '*', '#', '>', '-'];

/// What providers say of a model that cannot be given tools.
const NO_TOOLS: [&str; 5] = [
    "does not support tools",
    "does not support function calling",
    "tool use is not supported",
    "tools are not supported",
    "tool choice requires --enable-auto-tool-choice",
];

/// See the module.
pub(crate) struct TextTools {
    pub(crate) inner: Arc<dyn ChatModel>,
    pub(crate) by: ToolsBy,
    /// A provider has said that this model takes no tools.
    pub(crate) has_none: Arc<AtomicBool>,
}

#[async_trait]
impl ChatModel for TextTools {
    async fn call(&self, request: &ChatRequest, scope: &CallScope) -> Result<Answer, CallError> {
        let in_words = match self.by {
            ToolsBy::Native => false,
            ToolsBy::Text => true,
            ToolsBy::Auto => self.has_none.load(Ordering::Relaxed),
        };
        if request.tools.is_empty() || !in_words {
            let answer = self.inner.call(request, scope).await;
            return answer.map_err(|error| self.learn(request, error));
        }
        // Pieces of an answer would show the protocol.
        let scope = CallScope { deltas: None, ..scope.clone() };
        let mut answer = self.inner.call(&in_text(request), &scope).await?;
        answer.reply = read(answer.reply, calls_so_far(request));
        Ok(answer)
    }
}

impl TextTools {
    /// A model that is said to take no tools is told of them in words from now on, beginning with the next try.
    fn learn(&self, request: &ChatRequest, mut error: CallError) -> CallError {
        let said = error.message.to_ascii_lowercase();
        let is_it = matches!(error.code, Code::ModelInvalidRequest | Code::ModelNotFound)
            && NO_TOOLS.iter().any(|words| said.contains(words));
        if self.by == ToolsBy::Auto && !request.tools.is_empty() && is_it {
            self.has_none.store(true, Ordering::Relaxed);
            error.class = Class::Transient;
            error.message.push_str("; from now on it is told of tools in words");
        }
        error
    }
}

/// The request without tools, in words.
fn in_text(request: &ChatRequest) -> ChatRequest {
    let told = describe(&request.tools);
    let system = match &request.system {
        Some(system) => format!("{system}\n\n{told}"),
        None => told,
    };
    let mut messages: Vec<Message> = Vec::with_capacity(request.messages.len() + 1);
    for message in &request.messages {
        messages.push(match message {
            Message::User { .. } => message.clone(),
            Message::Assistant { text, tool_calls, .. } => {
                let calls = tool_calls
                    .iter()
                    .map(|call| format!("{ACTION} {}\n{INPUT} {}", call.name, call.arguments));
                let texts =
                    std::iter::once(text.trim().to_owned()).chain(calls).filter(|text| !text.is_empty());
                let text = texts.collect::<Vec<_>>().join("\n");
                Message::Assistant { text, tool_calls: Vec::new(), blocks: None }
            }
            Message::Tool { results } => {
                let texts = results.iter().map(|result| format!("{OBSERVATION} {}", result.content));
                Message::User { text: texts.collect::<Vec<_>>().join("\n") }
            }
        });
    }
    if request.tool_choice == ToolChoice::None {
        let text = format!("Use no tool any more. Write `{FINAL}` and the answer with what you know.");
        messages.push(Message::User { text });
    }
    let mut stop = request.stop.clone();
    stop.push(format!("\n{OBSERVATION}"));
    ChatRequest { system: Some(system), messages, tools: Vec::new(), stop, ..request.clone() }
}

fn describe(tools: &[ToolSpec]) -> String {
    let one = |tool: &ToolSpec| {
        format!(
            "Tool: {}\nWhat for: {}\nArguments, as JSON Schema: {}",
            tool.name, tool.description, tool.parameters
        )
    };
    let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
    format!(
        "You may use these tools and no others.\n\n{}\n\nTo use one, write these three lines and nothing after them:\n\
         Thought: why you need it\n{ACTION} one of {}\n{INPUT} its arguments as one JSON object\n\nYou are then given a \
         line that begins with `{OBSERVATION}`; never write such a line yourself. Once you know the answer, write:\n\
         Thought: I know the answer\n{FINAL} the whole answer",
        tools.iter().map(one).collect::<Vec<_>>().join("\n\n"),
        names.join(", ")
    )
}

fn calls_so_far(request: &ChatRequest) -> usize {
    let of = |message: &Message| match message {
        Message::Assistant { tool_calls, .. } => tool_calls.len(),
        Message::User { .. } | Message::Tool { .. } => 0,
    };
    request.messages.iter().map(of).sum()
}

/// What a text in this protocol says: a call, or an answer. `before` calls were made, so that each has an id of its own.
fn read(reply: ChatReply, before: usize) -> ChatReply {
    // What comes after an observation was made up.
    let text = reply.text.find(&format!("\n{OBSERVATION}")).map_or(&*reply.text, |end| &reply.text[..end]);
    let (action, answer) = (line_start(text, ACTION), line_start(text, FINAL));
    if let Some(at) = action.filter(|at| answer.is_none_or(|answer| *at < answer))
        && let Some(call) = call(&text[at..], before)
    {
        let thought = text[..at].trim_end_matches(DECORATION).trim().to_owned();
        return ChatReply { text: thought, tool_calls: vec![call], stop: StopReason::ToolCalls, ..reply };
    }
    let answer = answer.map_or(text, |at| &text[at + FINAL.len()..]).trim().to_owned();
    ChatReply { text: answer, ..reply }
}

/// Where a line begins with a word, Markdown around it aside.
fn line_start(text: &str, word: &str) -> Option<usize> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let decorated = line.len() - line.trim_start_matches(DECORATION).len();
        if line[decorated..].starts_with(word) {
            return Some(at + decorated);
        }
        at += line.len();
    }
    None
}

/// The call in a text that begins with [`ACTION`].
fn call(text: &str, before: usize) -> Option<ToolCall> {
    let rest = &text[ACTION.len()..];
    let arguments = line_start(rest, INPUT).map_or("{}", |at| &rest[at + INPUT.len()..]);
    let line = rest.trim_start_matches(DECORATION).lines().next().unwrap_or_default();
    let name = line.trim_matches(['*', '`', '"', '\'', ' ', '\t']);
    if name.is_empty() {
        return None;
    }
    Some(ToolCall { id: format!("text_{}", before + 1), name: name.to_owned(), arguments: object(arguments) })
}

/// The first JSON object of a text, or the text as it is: then the model is told what is wrong with it.
fn object(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() {
        return "{}".to_owned();
    }
    let first = text.find('{').and_then(|at| {
        let mut values = serde_json::Deserializer::from_str(&text[at..]).into_iter::<serde_json::Value>();
        values.next()?.ok().map(|value| value.to_string())
    });
    first.unwrap_or_else(|| text.trim_matches('`').trim().to_owned())
}

#[cfg(test)]
mod tests;
