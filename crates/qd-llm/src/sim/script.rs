//! Decides what the simulator answers to one request: pure, from the seed, the request's content, the step and the try.

use std::time::Duration;

use qd_env::Rng;
use qd_types::{ChatReply, ChatRequest, Message, StopReason, ToolCall, ToolChoice, Usage};

use super::brief::Brief;
use super::latency::sample;
use super::marker::Wishes;
use super::options::{Distribution, FaultKind, SimOptions};
use super::prose;
use super::schema::Maker;

/// Calls asked for in one turn at most.
const MAX_PARALLEL_CALLS: usize = 3;
/// Characters of a tool result that an answer quotes.
const MAX_QUOTE_CHARS: usize = 200;

/// What is going to happen.
pub(crate) struct Decision {
    pub(crate) fault: Option<Fault>,
    pub(crate) first_token: Duration,
    pub(crate) pace: Pace,
    pub(crate) reply: ChatReply,
    pub(crate) usage: Usage,
}

impl Decision {
    /// Whether the call is turned down with an error, which no provider bills.
    pub(crate) fn is_refused(&self) -> bool {
        self.fault.is_some_and(|fault| matches!(fault.kind, FaultKind::Status(_)))
    }
}

/// A fault that hits this call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    pub(crate) retry_after: Option<Duration>,
}

/// Time between tokens.
pub(crate) struct Pace {
    distribution: Distribution,
    rng: Rng,
}

impl Pace {
    pub(crate) fn next(&mut self) -> Duration {
        sample(self.distribution, &mut self.rng)
    }

    pub(crate) fn is_instant(&self) -> bool {
        self.distribution == Distribution::None
    }
}

/// One request as the simulator sees it.
pub(crate) struct Asked<'a> {
    pub(crate) request: &'a ChatRequest,
    pub(crate) model: &'a str,
    pub(crate) step: &'a str,
    /// Which try of the step, from 1.
    pub(crate) number: u32,
    pub(crate) max_tokens: Option<u32>,
}

/// Decides.
pub(crate) fn decide(options: &SimOptions, asked: &Asked<'_>) -> Decision {
    let content = fingerprint(asked.request);
    // The words of an answer do not depend on the try: a repeated call says the same.
    let mut words = Rng::labelled(options.seed ^ content, asked.step);
    let fate = format!("{}/{}", asked.step, asked.number);
    let mut fate = Rng::labelled(options.seed ^ content.rotate_left(17), &fate);

    let wishes = wishes(options, asked.request);
    let fault = fault(options, &wishes, asked, &mut fate);
    let drawn = sample(options.latency.first_token, &mut fate);
    let pace = Pace { distribution: options.latency.per_token, rng: fate };
    let (reply, usage) = answer(asked, &wishes, content, &mut words);
    Decision { fault, first_token: wishes.latency.unwrap_or(drawn), pace, reply, usage }
}

fn wishes(options: &SimOptions, request: &ChatRequest) -> Wishes {
    let mut wishes = Wishes::default();
    if options.markers {
        wishes.read(request.system.as_deref().unwrap_or_default());
        for message in &request.messages {
            if let Message::User { text } = message {
                wishes.read(text);
            }
        }
    }
    wishes
}

fn fault(options: &SimOptions, wishes: &Wishes, asked: &Asked<'_>, rng: &mut Rng) -> Option<Fault> {
    if let Some(kind) = wishes.fault
        && wishes.fault_times.is_none_or(|times| asked.number <= times)
    {
        return Some(Fault { kind, retry_after: wishes.retry_after });
    }
    let hit = options.faults.iter().find(|rule| {
        rule.first_tries.is_none_or(|tries| asked.number <= tries)
            && rule.model.as_ref().is_none_or(|part| asked.model.contains(part.as_str()))
            && rule.prompt.as_ref().is_none_or(|part| prompt_contains(asked.request, part))
            && (rule.rate >= 1.0 || rng.chance(rule.rate))
    })?;
    Some(Fault { kind: hit.kind, retry_after: hit.retry_after() })
}

fn prompt_contains(request: &ChatRequest, part: &str) -> bool {
    request.system.as_ref().is_some_and(|system| system.contains(part))
        || request.messages.iter().any(|m| matches!(m, Message::User { text } if text.contains(part)))
}

fn answer(asked: &Asked<'_>, wishes: &Wishes, content: u64, rng: &mut Rng) -> (ChatReply, Usage) {
    let brief = Brief::of(asked.request);
    let tool_calls = tool_calls(asked.request, wishes, &brief, content, rng);
    let (text, stop) = if tool_calls.is_empty() {
        let text = wishes.answer.clone().unwrap_or_else(|| full_text(asked.request, &brief, rng));
        cut(text, asked)
    } else {
        (String::new(), StopReason::ToolCalls)
    };
    let said = text.len() + tool_calls.iter().map(|c| c.name.len() + c.arguments.len()).sum::<usize>();
    let usage = Usage {
        model_calls: 1,
        input_tokens: tokens_of(prompt_bytes(asked.request)),
        output_tokens: tokens_of(said).max(1),
        ..Usage::default()
    };
    let reply = ChatReply {
        text,
        tool_calls,
        stop,
        model: asked.model.to_owned(),
        response_id: Some(format!("sim-{content:016x}")),
        blocks: None,
    };
    (reply, usage)
}

fn full_text(request: &ChatRequest, brief: &Brief, rng: &mut Rng) -> String {
    let results: Vec<(String, String)> = request
        .messages
        .iter()
        .filter_map(|message| match message {
            Message::Tool { results } => Some(results),
            Message::User { .. } | Message::Assistant { .. } => None,
        })
        .flatten()
        .map(|result| (result.name.clone(), result.content.trim().chars().take(MAX_QUOTE_CHARS).collect()))
        .collect();
    let answer = prose::answer(brief, rng);
    // A form for machines stays whole.
    if results.is_empty() || answer.starts_with('{') {
        return answer;
    }
    format!("{}\n\n{answer}", prose::lead_over_results(&brief.subject, &results))
}

/// Obeys stop texts and the token bound, as a provider would.
fn cut(mut text: String, asked: &Asked<'_>) -> (String, StopReason) {
    let mut stop = StopReason::End;
    let met = asked.request.stop.iter().filter(|s| !s.is_empty()).filter_map(|s| text.find(s.as_str())).min();
    if let Some(at) = met {
        text.truncate(at);
        stop = StopReason::StopText;
    }
    if let Some(most) = asked.max_tokens
        && tokens_of(text.len()) > u64::from(most)
    {
        let bytes = usize::try_from(u64::from(most) * 7 / 2).unwrap_or(usize::MAX).max(1);
        let end = text.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= bytes).last();
        text.truncate(end.unwrap_or_else(|| text.chars().next().map_or(0, char::len_utf8)));
        stop = StopReason::Length;
    }
    (text, stop)
}

fn tool_calls(
    request: &ChatRequest,
    wishes: &Wishes,
    brief: &Brief,
    content: u64,
    rng: &mut Rng,
) -> Vec<ToolCall> {
    let turns = request.messages.iter().filter(|m| matches!(m, Message::Tool { .. })).count();
    let wanted_turns = usize::try_from(wishes.tool_times.unwrap_or(1)).unwrap_or(usize::MAX);
    if request.tools.is_empty() || request.tool_choice == ToolChoice::None || turns >= wanted_turns {
        return Vec::new();
    }
    let mut names = chosen_tools(request, wishes, brief);
    names.truncate(MAX_PARALLEL_CALLS);
    let nothing = serde_json::json!({});
    names
        .into_iter()
        .enumerate()
        .map(|(index, name)| {
            let spec = request.tools.iter().find(|tool| tool.name == name);
            let root = spec.map_or(&nothing, |tool| &tool.parameters);
            let mut maker = Maker { root, rng, subject: &brief.subject, expression: &brief.expression };
            let arguments = maker.arguments().to_string();
            ToolCall { id: format!("call_{content:016x}_{index}"), name, arguments }
        })
        .collect()
}

/// The tool wished for (even one that does not exist, for that is worth testing), those that the task names, or the
/// first one.
fn chosen_tools(request: &ChatRequest, wishes: &Wishes, brief: &Brief) -> Vec<String> {
    if let Some(name) = &wishes.tool {
        return vec![name.clone()];
    }
    let is_named = |name: &str| {
        let words = name.to_lowercase();
        brief.wanted.contains(&words) || brief.wanted.contains(&words.replace('_', " "))
    };
    let named: Vec<String> =
        request.tools.iter().filter(|tool| is_named(&tool.name)).map(|tool| tool.name.clone()).collect();
    if named.is_empty() {
        request.tools.iter().take(1).map(|tool| tool.name.clone()).collect()
    } else {
        named
    }
}

/// Bytes divided by 3.5, the usual ratio for prose.
fn tokens_of(bytes: usize) -> u64 {
    (bytes as u64 * 2).div_ceil(7)
}

fn prompt_bytes(request: &ChatRequest) -> usize {
    let mut bytes = 0;
    visit(request, &mut |text| bytes += text.len());
    bytes
}

/// FNV-1a over everything that matters to the answer; not over the model's name, which wires write differently.
fn fingerprint(request: &ChatRequest) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    visit(request, &mut |text| {
        for byte in text.bytes().chain(std::iter::once(0xff)) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    });
    hash
}

fn visit(request: &ChatRequest, see: &mut dyn FnMut(&str)) {
    see(request.system.as_deref().unwrap_or_default());
    for message in &request.messages {
        match message {
            Message::User { text } => see(text),
            Message::Assistant { text, tool_calls, .. } => {
                see(text);
                for call in tool_calls {
                    see(&call.name);
                    see(&call.arguments);
                }
            }
            Message::Tool { results } => {
                for result in results {
                    see(&result.content);
                }
            }
        }
    }
    for tool in &request.tools {
        see(&tool.name);
        see(&tool.description);
    }
}

/// The text in pieces of about a token: a word with the blank before it.
pub(crate) fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    for (at, c) in text.char_indices().skip(1) {
        if c == ' ' || c == '\n' {
            pieces.push(&text[start..at]);
            start = at;
        }
    }
    if start < text.len() {
        pieces.push(&text[start..]);
    }
    pieces
}

#[cfg(test)]
mod tests;
