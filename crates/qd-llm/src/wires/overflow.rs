//! Whether an error says that a request is too long for its model, and the numbers that it names.
//!
//! Servers agree on no code for it, so their words are known here: of those who serve models and of proxies that pass
//! them on. Every phrase is in lower case.

use serde_json::Value;

use crate::Oversize;

/// Codes and types that say it.
pub(super) const CODES: &[&str] = &["context_length_exceeded", "exceed_context_size_error"];

/// Phrases that say it, and no phrase of a limit of another kind.
pub(super) const PHRASES: &[&str] = &[
    // Anthropic.
    "prompt is too long",
    "exceed context limit",
    // OpenAI, vLLM, SGLang and most others.
    "maximum context length is",
    "input tokens exceed the configured limit",
    "the model's context length is only",
    "longer than the maximum model length",
    "cannot be greater than max_model_len",
    "requested token count exceeds",
    "is longer than the model's context length",
    "tokens) exceeds the maximum allowed length",
    // Gemini.
    "exceeds the maximum number of tokens allowed",
    // llama.cpp, its bindings, LM Studio, Ollama.
    "exceeds the available context size",
    "is larger than the max context size",
    "exceed context window of",
    "the model is loaded with context length of only",
    "is greater than the context length",
    "exceeded max context length",
    "exceeds the context length",
    "longer than the context length currently available",
    // Text Generation Inference, Mistral, xAI, Kimi, Qwen, Bedrock behind a proxy, LiteLLM itself.
    "`max_new_tokens` must be <=",
    "`inputs` must have less than",
    "too large for model with",
    "maximum prompt length is",
    "exceeded model token limit",
    "range of input length should be",
    "input is too long for",
    "contextwindowexceedederror",
    "context length exceeded",
];

/// What stands before the number of tokens that are allowed.
const LIMIT: &[&str] = &[
    "maximum context length is ",
    "maximum context length of ",
    "context length is only ",
    "context length of only ",
    "configured limit of ",
    "maximum number of tokens allowed (",
    "available context size (",
    "max context size (",
    "maximum model length of ",
    "model's context length (",
    "maximum allowed length (",
    "exceed context window of ",
    "too large for model with ",
    "maximum prompt length is ",
    "must be <= ",
    "must have less than ",
    "max_model_len=",
    "token limit: ",
    "n_ctx: ",
    "limit is ",
    "limit ",
    "> ",
];

/// What stands before the number of tokens of the whole request.
const WHOLE: &[&str] = &["total of at least ", "total of ", "you requested about "];
/// What stands before the number of tokens of the prompt.
const PROMPT: &[&str] = &[
    "prompt contains at least ",
    "prompt contains ",
    "request has ",
    "you passed ",
    "resulted in ",
    "input token count (",
    "request (",
    "input (",
    "input length (",
    "prompt (length ",
    "prompt is too long: ",
    "exceed context limit: ",
    "request contains ",
    "current length is ",
    "given: ",
    "keep the first ",
    "n_keep: ",
    "requested tokens (",
    "you requested ",
    "requested ",
];
/// What stands before the number of tokens that the answer may have, where a message tells both.
const ANSWER: &[&str] =
    &["is too large: ", "input tokens and requested ", "`inputs` tokens and ", "exceed context limit: # + "];

/// The numbers in a message, or in fields beside it as llama.cpp writes them.
pub(super) fn numbers(error: &Value, message: &str) -> Option<Oversize> {
    let field = |key: &str| error.get(key)?.as_u64().and_then(|number| u32::try_from(number).ok());
    let message = message.to_lowercase();
    let limit = field("n_ctx").or_else(|| first(&message, LIMIT));
    let got = field("n_prompt_tokens").or_else(|| first(&message, WHOLE)).or_else(|| {
        let answer = first(&message, ANSWER).unwrap_or(0);
        first(&message, PROMPT).map(|prompt| prompt.saturating_add(answer))
    });
    (limit.is_some() || got.is_some()).then_some(Oversize { limit, got })
}

fn first(message: &str, leads: &[&str]) -> Option<u32> {
    leads.iter().find_map(|lead| after(message, lead))
}

/// The number right behind a phrase; a `#` in the phrase stands for another number.
fn after(message: &str, lead: &str) -> Option<u32> {
    let (lead, rest) = lead.split_once('#').unwrap_or((lead, ""));
    message.match_indices(lead).find_map(|(at, _)| {
        let (number, tail) = leading(&message[at + lead.len()..])?;
        if rest.is_empty() { Some(number) } else { leading(tail.strip_prefix(rest)?).map(|(n, _)| n) }
    })
}

/// A number at the beginning, with or without commas between thousands, and what follows.
fn leading(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != ',').unwrap_or(text.len());
    let digits = text[..end].trim_end_matches(',').replace(',', "");
    Some((digits.parse().ok()?, &text[end..]))
}

#[cfg(test)]
mod tests;
