//! Decides what the simulator answers to one request, from the seed, the request's content, the step and the try. Which
//! fault hits it is asked of `faults.rs`, which knows the time.

use std::time::Duration;

use qd_env::Rng;
use qd_types::{ChatReply, ChatRequest, Message, StopReason, ToolCall, ToolChoice, Usage};

use super::brief::Brief;
use super::faults::{Fault, Faults};
use super::latency::{from_millis, sample, times};
use super::marker::Wishes;
use super::options::{Distribution, SimOptions};
use super::prose;
use super::schema::Maker;

/// Calls asked for in one turn at most.
const MAX_PARALLEL_CALLS: usize = 3;
/// Characters of a tool result that an answer quotes.
const MAX_QUOTE_CHARS: usize = 200;

/// Between the pieces of an answer that drips.
pub(crate) const DROP_PAUSE: Duration = Duration::from_secs(1);

/// What is going to happen.
pub(crate) struct Decision {
    /// The hash of what was asked.
    pub(crate) content: u64,
    pub(crate) fault: Option<Fault>,
    pub(crate) first_token: Duration,
    pub(crate) pace: Pace,
    pub(crate) reply: ChatReply,
    /// The stop text that ended the answer.
    pub(crate) stop_text: Option<String>,
    pub(crate) usage: Usage,
}

/// Time between tokens.
pub(crate) struct Pace {
    distribution: Distribution,
    factor: f64,
    rng: Rng,
}

impl Pace {
    pub(crate) fn next(&mut self) -> Duration {
        times(sample(&self.distribution, &mut self.rng), self.factor)
    }

    /// Always the same time.
    pub(crate) fn every(span: Duration) -> Self {
        let distribution = Distribution::Fixed { ms: span.as_secs_f64() * 1000.0 };
        Self { distribution, factor: 1.0, rng: Rng::labelled(0, "pace") }
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
pub(crate) fn decide(options: &SimOptions, faults: &Faults, asked: &Asked<'_>) -> Decision {
    let content = fingerprint(asked.request);
    // The words of an answer do not depend on the try: a repeated call says the same.
    let mut words = Rng::labelled(options.seed ^ content, asked.step);
    let fate = format!("{}/{}", asked.step, asked.number);
    let mut fate = Rng::labelled(options.seed ^ content.rotate_left(17), &fate);

    let wishes = wishes(options, asked.request);
    let fault = faults.hit(&wishes, asked, &mut fate);
    let mut drawn = sample(&options.latency.first_token, &mut fate);
    let pace = Pace { distribution: options.latency.per_token.clone(), factor: 1.0, rng: fate };
    let (reply, stop_text, usage) = answer(asked, &wishes, content, &mut words);
    if options.latency.per_input_token_ms > 0.0 {
        #[allow(clippy::cast_precision_loss)]
        let prefill = options.latency.per_input_token_ms * usage.input_tokens as f64;
        drawn += from_millis(prefill);
    }
    Decision { content, fault, first_token: wishes.latency.unwrap_or(drawn), pace, reply, stop_text, usage }
}

impl Decision {
    /// Everything takes so many times as long.
    pub(crate) fn slow_down(&mut self, factor: f64) {
        self.first_token = times(self.first_token, factor);
        self.pace.factor = factor;
    }
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

fn answer(
    asked: &Asked<'_>,
    wishes: &Wishes,
    content: u64,
    rng: &mut Rng,
) -> (ChatReply, Option<String>, Usage) {
    let brief = Brief::of(asked.request);
    let tool_calls = tool_calls(asked.request, wishes, &brief, content, rng);
    let Cut { text, stop, stop_text } = if tool_calls.is_empty() {
        let text = wishes.answer.clone().unwrap_or_else(|| full_text(asked.request, &brief, rng));
        cut(text, asked)
    } else {
        Cut { text: String::new(), stop: StopReason::ToolCalls, stop_text: None }
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
    (reply, stop_text, usage)
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

/// A text up to where it had to end.
struct Cut {
    text: String,
    stop: StopReason,
    stop_text: Option<String>,
}

/// Obeys stop texts and the token bound, as a provider would.
fn cut(mut text: String, asked: &Asked<'_>) -> Cut {
    let (mut stop, mut stop_text) = (StopReason::End, None);
    let stops = asked.request.stop.iter().filter(|stop| !stop.is_empty());
    let met = stops.filter_map(|stop| Some((text.find(stop.as_str())?, stop))).min_by_key(|(at, _)| *at);
    if let Some((at, met)) = met {
        text.truncate(at);
        (stop, stop_text) = (StopReason::StopText, Some(met.clone()));
    }
    if let Some(most) = asked.max_tokens
        && tokens_of(text.len()) > u64::from(most)
    {
        let bytes = usize::try_from(u64::from(most) * 7 / 2).unwrap_or(usize::MAX).max(1);
        let end = text.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= bytes).last();
        text.truncate(end.unwrap_or_else(|| text.chars().next().map_or(0, char::len_utf8)));
        (stop, stop_text) = (StopReason::Length, None);
    }
    Cut { text, stop, stop_text }
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

/// Ten times the truth.
pub(crate) fn exaggerated(usage: &Usage) -> Usage {
    Usage {
        input_tokens: usage.input_tokens.saturating_mul(10),
        output_tokens: usage.output_tokens.saturating_mul(10),
        ..*usage
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
