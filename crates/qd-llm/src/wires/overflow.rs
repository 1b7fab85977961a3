//! Whether an error says that a request is too long for its model, and the numbers that it names.
//!
//! Servers agree on no code for it, so their words are known here: of those who serve models and of proxies that pass
//! them on. Every phrase is in lower case.

use serde_json::Value;

use crate::TooLong;

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
pub(super) fn numbers(error: &Value, message: &str) -> Option<TooLong> {
    let field = |key: &str| error.get(key)?.as_u64().and_then(|number| u32::try_from(number).ok());
    let message = message.to_lowercase();
    let limit = field("n_ctx").or_else(|| first(&message, LIMIT));
    let got = field("n_prompt_tokens").or_else(|| first(&message, WHOLE)).or_else(|| {
        let answer = first(&message, ANSWER).unwrap_or(0);
        first(&message, PROMPT).map(|prompt| prompt.saturating_add(answer))
    });
    (limit.is_some() || got.is_some()).then_some(TooLong { limit, got })
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
mod tests {
    use serde_json::{Value, json};

    use super::{PHRASES, TooLong, numbers};

    #[test]
    fn numbers_are_found_in_the_words_of_each_server() {
        for (message, limit, got) in [
            ("prompt is too long: 210000 tokens > 200000 maximum", 200_000, 210_000),
            (
                "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease",
                200_000,
                209_573,
            ),
            (
                "This model's maximum context length is 8192 tokens. However, you requested 8210 tokens (7186 in the messages, 1024 in the completion).",
                8_192,
                8_210,
            ),
            (
                "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 285001 tokens.",
                272_000,
                285_001,
            ),
            (
                "This endpoint's maximum context length is 32768 tokens. However, you requested about 40123 tokens (39000 of text input, 1123 in the output).",
                32_768,
                40_123,
            ),
            (
                "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
                1_048_576,
                1_200_000,
            ),
            (
                "Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 9012, please reduce",
                6_000,
                9_012,
            ),
            (
                "'max_tokens' or 'max_completion_tokens' is too large: 5000. This model's maximum context length is 4096 tokens and your request has 100 input tokens (5000 > 4096 - 100).",
                4_096,
                5_100,
            ),
            (
                "You passed 3073 input tokens and requested 128000 output tokens. However, the model's context length is only 131072 tokens, resulting in a maximum input length of 3072 tokens.",
                131_072,
                131_073,
            ),
            (
                "This model's maximum context length is 4096 tokens. However, you requested 1000 output tokens and your prompt contains at least 4000 input tokens, for a total of at least 5000 tokens.",
                4_096,
                5_000,
            ),
            (
                "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
                4_096,
                5_000,
            ),
            (
                "Requested token count exceeds the model's maximum context length of 8192 tokens. You requested a total of 9000 tokens: 8000 tokens from the input messages",
                8_192,
                9_000,
            ),
            (
                "The input (8391 tokens) is longer than the model's context length (8192 tokens).",
                8_192,
                8_391,
            ),
            (
                "request (5584 tokens) exceeds the available context size (4096 tokens), try increasing it",
                4_096,
                5_584,
            ),
            ("Requested tokens (2285) exceed context window of 2048", 2_048, 2_285),
            (
                "Trying to keep the first 14538 tokens when context the overflows. However, the model is loaded with context length of only 2048 tokens",
                2_048,
                14_538,
            ),
            ("greater than the context length (n_keep: 13055>= n_ctx: 4096)", 4_096, 13_055),
            (
                "Prompt contains 40,000 tokens and 0 draft tokens, too large for model with 32,768 maximum context length",
                32_768,
                40_000,
            ),
            (
                "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 `inputs` tokens and 500 `max_new_tokens`",
                4_096,
                4_500,
            ),
            (
                "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
                131_072,
                537_812,
            ),
        ] {
            let expected = TooLong { limit: Some(limit), got: Some(got) };
            assert_eq!(numbers(&Value::Null, message), Some(expected), "{message}");
        }
    }

    #[test]
    fn one_number_or_none_is_all_that_some_tell() {
        let told = |message: &str| numbers(&Value::Null, message);
        let limit = told("This model's maximum context length is 4096 tokens.");
        assert_eq!(limit, Some(TooLong { limit: Some(4096), got: None }));
        assert_eq!(
            told("Your request exceeded model token limit: 262144"),
            Some(TooLong { limit: Some(262_144), got: None })
        );
        assert_eq!(told("prompt too long; exceeded max context length by 1200 tokens"), None);
        assert_eq!(told("maximum context length is 99999999999999 tokens"), None);
        let fields = json!({ "n_prompt_tokens": 9, "n_ctx": 8 });
        let message = "the request exceeds the available context size, try increasing it";
        assert_eq!(numbers(&fields, message), Some(TooLong { limit: Some(8), got: Some(9) }));
    }

    #[test]
    fn phrases_are_in_lower_case() {
        assert!(PHRASES.iter().all(|phrase| *phrase == phrase.to_lowercase()));
    }
}
