//! How many tokens a request will be, before anybody has counted them: its bytes by a ratio that each answer corrects.

use std::sync::{Mutex, MutexGuard, PoisonError};

use qd_types::{ChatRequest, Message, Usage};

/// Where every model begins: prose of most tokenizers lies between 3 and 4.5.
pub(crate) const BYTES_PER_TOKEN: f64 = 3.5;
/// No tokenizer is outside of this; what seems to be was miscounted.
const RATIOS: std::ops::RangeInclusive<f64> = 1.0..=12.0;
/// What a message costs besides its text.
const MESSAGE_TOKENS: f64 = 4.0;
/// How much one answer counts against all before it.
const WEIGHT: f64 = 0.1;
/// What an answer is taken for until there were some.
const ANSWER_TOKENS: f64 = 256.0;
/// Shorter prompts tell more of the frame around them than of the ratio.
const PROMPT_BYTES_MIN: u64 = 200;

/// Learns the ratio of one deployment.
#[derive(Debug, Default)]
pub(crate) struct Estimator {
    // Held for a few sums.
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    bytes_per_token: f64,
    answer: f64,
}

impl Default for State {
    fn default() -> Self {
        Self { bytes_per_token: BYTES_PER_TOKEN, answer: ANSWER_TOKENS }
    }
}

#[allow(clippy::cast_precision_loss)] // Far below where it begins.
fn as_f64(count: u64) -> f64 {
    count as f64
}

impl Estimator {
    /// Tokens of a prompt, tools included.
    pub(crate) fn prompt(&self, request: &ChatRequest) -> f64 {
        let (bytes, frame) = size(request);
        as_f64(bytes) / self.lock().bytes_per_token + frame
    }

    /// Tokens of an answer that nothing bounds: half as many again as they were of late.
    pub(crate) fn answer(&self) -> f64 {
        self.lock().answer * 1.5
    }

    /// The ratio as it is known now.
    pub(crate) fn bytes_per_token(&self) -> f64 {
        self.lock().bytes_per_token
    }

    /// Takes in what a call really used.
    pub(crate) fn learn(&self, request: &ChatRequest, usage: &Usage) {
        let (bytes, frame) = size(request);
        let prompt = as_f64(usage.prompt_tokens()) - frame;
        let mut state = self.lock();
        if usage.output_tokens > 0 {
            state.answer += WEIGHT * (as_f64(usage.output_tokens) - state.answer);
        }
        if bytes >= PROMPT_BYTES_MIN && prompt > 0.0 {
            let ratio = (as_f64(bytes) / prompt).clamp(*RATIOS.start(), *RATIOS.end());
            state.bytes_per_token += WEIGHT * (ratio - state.bytes_per_token);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes of text, and tokens of the frame around it.
fn size(request: &ChatRequest) -> (u64, f64) {
    let of_message = |message: &Message| match message {
        Message::User { text } => text.len(),
        Message::Assistant { text, tool_calls, .. } => {
            text.len() + tool_calls.iter().map(|call| call.name.len() + call.arguments.len()).sum::<usize>()
        }
        Message::Tool { results } => results.iter().map(|result| result.content.len()).sum(),
    };
    let texts = request.messages.iter().map(of_message).sum::<usize>();
    let tools = request
        .tools
        .iter()
        .map(|tool| tool.name.len() + tool.description.len() + tool.parameters.to_string().len());
    let system = request.system.as_ref().map_or(0, String::len);
    let messages = request.messages.len() + usize::from(request.system.is_some());
    ((texts + tools.sum::<usize>() + system) as u64, as_f64(messages as u64) * MESSAGE_TOKENS)
}

#[cfg(test)]
mod tests {
    use qd_types::{ChatRequest, Message, Usage};

    use super::{Estimator, RATIOS};

    fn request(bytes: usize) -> ChatRequest {
        ChatRequest::new("m", vec![Message::user("x".repeat(bytes))])
    }

    #[test]
    fn estimates_come_within_fifteen_percent_after_twenty_answers() {
        for ratio in [1.5, 2.8, 3.5, 6.0] {
            let estimator = Estimator::default();
            for n in 1..=20 {
                let bytes = 500 * n;
                let input_tokens = (bytes as f64 / ratio) as u64 + 4;
                estimator
                    .learn(&request(bytes), &Usage { input_tokens, output_tokens: 40, ..Usage::default() });
            }
            let estimate = estimator.prompt(&request(10_000));
            let truth = 10_000.0 / ratio + 4.0;
            assert!((estimate / truth - 1.0).abs() < 0.15, "{ratio}: {estimate} of {truth}");
            assert!((40.0..150.0).contains(&estimator.answer()), "{}", estimator.answer());
        }
    }

    #[test]
    fn usage_that_cannot_be_teaches_little() {
        let estimator = Estimator::default();
        for input_tokens in [0, 1, u64::MAX / 4, 1_000_000] {
            estimator.learn(&request(1_000), &Usage { input_tokens, ..Usage::default() });
            assert!(RATIOS.contains(&estimator.bytes_per_token()), "{input_tokens}");
        }
        // A short prompt is mostly its frame.
        let before = estimator.bytes_per_token();
        estimator.learn(&request(10), &Usage { input_tokens: 50, ..Usage::default() });
        assert!((estimator.bytes_per_token() - before).abs() < f64::EPSILON);
    }
}
