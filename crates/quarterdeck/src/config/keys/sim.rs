//! Keys of the simulator: of `[providers.NAME.sim]`, and of a scenario, which is that table as a file of its own.

use super::Kind::{Choice, Flag, List, Number, Numbers, Positive, Table, Text, Whole};
use super::{COUNT_MAX, DAY, Key, key};

pub(super) const SIM: &[Key] = &[
    key(
        "scenario",
        Text,
        "A TOML file with these settings; those that stand here as well win. Relative to the configuration.",
    ),
    key("seed", Whole(0, u64::MAX), "Decides every answer, latency and fault [0]."),
    key("latency", Table(LATENCY), "How long answers take [no time]."),
    key("load", Table(LOAD), "How many answers are made at once [any number]."),
    key(
        "dialect",
        Choice(&["openai", "groq", "gemini", "openrouter", "ollama", "llama_cpp", "vllm"]),
        "Whose errors the OpenAI wire sends [openai].",
    ),
    key(
        "limits",
        List(LIMIT),
        "What may be asked within a time, for each key and model; the first entry whose model fits holds.",
    ),
    key("faults", List(FAULT), "What goes wrong; the first rule that applies wins."),
    key("markers", Flag, "Whether [[sim: ...]] in a prompt steers the answer [true]."),
    key(
        "ledger_calls",
        Whole(1, 100_000_000),
        "Calls that the ledger remembers; the oldest go first [100000].",
    ),
    key("max_body_bytes", Whole(1, 100_000_000), "Bound of a request's body over HTTP [4194304]."),
    key("max_connections", Whole(1, 100_000_000), "Bound of connections over HTTP; more wait [4096]."),
];

const LATENCY: &[Key] = &[
    key("first_token", Table(DISTRIBUTION), "Until the first token."),
    key("per_token", Table(DISTRIBUTION), "For each token after it."),
    key(
        "per_input_token_ms",
        Number(0.0, HOUR_MS),
        "For each token of the prompt, before the first token [0].",
    ),
    key("warm_up", Table(WARM_UP), "How much slower it is at first."),
];

const HOUR_MS: f64 = 3_600_000.0;
const FACTOR_MAX: f64 = 1000.0;

const DISTRIBUTION: &[Key] = &[
    key(
        "kind",
        Choice(&["none", "fixed", "normal", "lognormal", "empirical"]),
        "none; fixed with ms; normal with mean_ms and std_ms; lognormal with p50_ms and p99_ms; empirical with values_ms.",
    ),
    key("ms", Number(0.0, HOUR_MS), "Of fixed: always so long."),
    key("mean_ms", Number(0.0, HOUR_MS), "Of normal: its middle."),
    key("std_ms", Number(0.0, HOUR_MS), "Of normal: its width."),
    key("p50_ms", Positive(HOUR_MS), "Of lognormal: half of the calls take less."),
    key("p99_ms", Positive(HOUR_MS), "Of lognormal: one call in a hundred takes longer."),
    key(
        "values_ms",
        Numbers(0.0, HOUR_MS),
        "Of empirical: 1 to 1000 times that never fall; between two neighbours lies an equal share of the calls.",
    ),
];

const WARM_UP: &[Key] = &[
    key("seconds", Number(0.0, DAY), "How long it warms up after the start [0]."),
    key(
        "factor",
        Number(1.0, FACTOR_MAX),
        "How many times as long everything takes at the start; it falls to 1 [3].",
    ),
];

const LOAD: &[Key] = &[
    key("max_concurrency", Whole(1, COUNT_MAX), "Answers under way at once."),
    key(
        "queue",
        Whole(0, COUNT_MAX),
        "Requests that wait for a place; more are turned away as overloaded [1000].",
    ),
    key(
        "factor",
        Number(1.0, FACTOR_MAX),
        "How many times as long everything takes when every place is taken; it grows up to there [1].",
    ),
];

/// More than any provider grants.
const LIMIT_MAX: u64 = 1_000_000_000_000;

const LIMIT: &[Key] = &[
    key("model", Text, "Only models whose name contains this."),
    key("requests_per_minute", Whole(1, LIMIT_MAX), "Requests, refilled evenly over a minute."),
    key("requests_per_day", Whole(1, LIMIT_MAX), "Requests, refilled evenly over a day."),
    key("input_tokens_per_minute", Whole(1, LIMIT_MAX), "Tokens of prompts."),
    key(
        "output_tokens_per_minute",
        Whole(1, LIMIT_MAX),
        "Tokens of answers: max_tokens is taken when a request comes, what it did not need is given back at its end.",
    ),
    key("tokens_per_minute", Whole(1, LIMIT_MAX), "Tokens of prompts and answers together."),
    key("ramp", Table(RAMP), "How fast requests may grow; a 429 with a wait, of which no header warns."),
    key("spend_usd", Number(0.0, 1e9), "Dollars in all; beyond them a 429 without a wait."),
    key("context_tokens", Whole(1, LIMIT_MAX), "Tokens of a prompt that fit the model's window."),
];

const RAMP: &[Key] = &[
    key("requests", Whole(1, LIMIT_MAX), "Requests that every window takes [10]."),
    key("growth", Number(0.0, FACTOR_MAX), "How much more a window takes than the one before it took [0.5]."),
    key("window_seconds", Number(0.001, DAY), "Length of a window [60]."),
];

const FAULT: &[Key] = &[
    key(
        "kind",
        Text,
        "What happens: a status from \"400\" to \"599\", or a word; the guide to the simulator lists them.",
    ),
    key("rate", Number(0.0, 1.0), "How often it does where the conditions hold [1.0]."),
    key("first_tries", Whole(0, u32::MAX as u64), "Only the first so many tries of each step."),
    key("times", Whole(1, LIMIT_MAX), "Only so many times in all, in the order in which calls come."),
    key("from_seconds", Number(0.0, DAY), "Only from so long after the start."),
    key("to_seconds", Number(0.0, DAY), "Only until so long after the start."),
    key("burst", Table(BURST), "Only in bursts, which come by themselves."),
    key("model", Text, "Only models whose name contains this."),
    key("agent", Text, "Only agents whose role contains this."),
    key("prompt", Text, "Only prompts that contain this."),
    key("prompt_matches", Text, "Only prompts of which some text matches this regular expression."),
    key("retry_after_seconds", Number(0.0, DAY), "What Retry-After says, for statuses."),
    key(
        "silence_seconds",
        Number(0.0, DAY),
        "How long hang, silent or stall last before the answer goes on [for ever]; between the pieces of drip [1].",
    ),
    key("body", Choice(&["json", "html", "empty"]), "What the body of a status looks like [json]."),
];

const BURST: &[Key] = &[
    key("on_seconds", Number(0.1, DAY), "How long a burst lasts on average."),
    key("off_seconds", Number(0.1, DAY), "How long it is quiet on average; it is so at first."),
];
