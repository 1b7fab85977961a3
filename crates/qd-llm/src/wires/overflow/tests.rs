//! What servers say of requests that are too long, and the numbers in it.

use serde_json::{Value, json};

use super::{Oversize, PHRASES, numbers};

/// A message, the limit and what was got.
const MESSAGES: &[(&str, u32, u32)] = &[
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
    ("The decoder prompt (length 5000) is longer than the maximum model length of 4096.", 4_096, 5_000),
    (
        "Requested token count exceeds the model's maximum context length of 8192 tokens. You requested a total of 9000 tokens: 8000 tokens from the input messages",
        8_192,
        9_000,
    ),
    ("The input (8391 tokens) is longer than the model's context length (8192 tokens).", 8_192, 8_391),
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
];

#[test]
fn numbers_are_found_in_the_words_of_each_server() {
    for (message, limit, got) in MESSAGES {
        let expected = Oversize { limit: Some(*limit), got: Some(*got) };
        assert_eq!(numbers(&Value::Null, message), Some(expected), "{message}");
    }
}

#[test]
fn one_number_or_none_is_all_that_some_tell() {
    let told = |message: &str| numbers(&Value::Null, message);
    let limit = told("This model's maximum context length is 4096 tokens.");
    assert_eq!(limit, Some(Oversize { limit: Some(4096), got: None }));
    assert_eq!(
        told("Your request exceeded model token limit: 262144"),
        Some(Oversize { limit: Some(262_144), got: None })
    );
    assert_eq!(told("prompt too long; exceeded max context length by 1200 tokens"), None);
    assert_eq!(told("maximum context length is 99999999999999 tokens"), None);
    let fields = json!({ "n_prompt_tokens": 9, "n_ctx": 8 });
    let message = "the request exceeds the available context size, try increasing it";
    assert_eq!(numbers(&fields, message), Some(Oversize { limit: Some(8), got: Some(9) }));
}

#[test]
fn phrases_are_in_lower_case() {
    assert!(PHRASES.iter().all(|phrase| *phrase == phrase.to_lowercase()));
}
