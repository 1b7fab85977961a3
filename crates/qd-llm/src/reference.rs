//! docs/reference/model-errors.md, written from the matches that decide: a failure that is added to them is added here.
//!
//! `cargo xtask docs` writes the page; the test compares it with the committed one.

use std::fmt::Write as _;
use std::path::Path;

use qd_types::{Billed, Class};

use crate::CallError;
use crate::error::{Blame, Kind};
use crate::layers::{Verdict, of_deployment};

/// Every kind, in the order of the page: those that pass by themselves first.
const KINDS: [Kind; 21] = [
    Kind::RateLimited,
    Kind::Overloaded,
    Kind::ServerError,
    Kind::GatewayError,
    Kind::Unreachable,
    Kind::Timeout,
    Kind::StreamInterrupted,
    Kind::BadOutput,
    Kind::CircuitOpen,
    Kind::Busy,
    Kind::Quota,
    Kind::ContextLength,
    Kind::HopelessOutput,
    Kind::Auth,
    Kind::Permission,
    Kind::ModelNotFound,
    Kind::PromptRefused,
    Kind::AnswerRefused,
    Kind::InvalidRequest,
    Kind::OutOfTime,
    Kind::Cancelled,
];

/// What happened, for people.
fn what(kind: Kind) -> &'static str {
    match kind {
        Kind::RateLimited => "a rate limit of the provider is reached",
        Kind::Overloaded => "the provider has no room, or its model still loads",
        Kind::ServerError => "the provider has an error inside",
        Kind::GatewayError => "something between here and the model gave up; the model may have worked",
        Kind::Unreachable => "no connection; nothing was sent",
        Kind::Timeout => "sent, and no answer in time",
        Kind::StreamInterrupted => "the answer broke off before its finish; what came of it is dropped",
        Kind::BadOutput => {
            "an answer that is none: empty, no JSON, a web page, a tool call that the provider could not read"
        }
        Kind::CircuitOpen => "not called: the model failed too often of late",
        Kind::Busy => "not called: too many calls are under way",
        Kind::Quota => "money, a plan's quota or a day's quota is used up",
        Kind::ContextLength => "the request is larger than the model's window, or than a minute allows",
        Kind::HopelessOutput => {
            "an answer that is none and would be none again: all tokens spent before a word, or beyond a bound of size"
        }
        Kind::Auth => "the key is refused",
        Kind::Permission => "the key may not do this, or not from here",
        Kind::ModelNotFound => "there is no such model",
        Kind::PromptRefused => "the prompt was refused for its content",
        Kind::AnswerRefused => "the model refused, or its answer was withheld for its content",
        Kind::InvalidRequest => "the request is wrong",
        Kind::OutOfTime => "the job's time was over before the answer came",
        Kind::Cancelled => "the job was cancelled",
    }
}

fn row(page: &mut String, kind: Kind) {
    let error = CallError::new(kind, "");
    let blame = Blame::of(error.code);
    let same = match error.class {
        Class::RateLimited => "after the wait that the provider asks for, else after a backoff",
        Class::Transient => "after a backoff",
        Class::Overloaded if blame == Blame::Guard => "later; costs no try",
        Class::Overloaded => "after twice the backoff",
        Class::Quota | Class::Permanent | Class::Exhausted | Class::Cancelled | Class::Bug => "never",
    };
    let other = match blame {
        Blame::Guard => "at once, within the same try",
        _ if blame.may_fall_back() => "at once",
        _ => "no",
    };
    let breaker = match of_deployment(&Err(error.clone())) {
        Verdict::Failure(_) => "counts as a failure",
        Verdict::Trip(span) => &format!("opens for {} s", span.as_secs()),
        Verdict::Success => "counts as a success",
        Verdict::Neutral => "no matter",
    };
    let charged = match error.billed {
        Billed::No => "no",
        Billed::Possibly => "perhaps",
        Billed::Yes => "yes",
    };
    let code = error.code;
    writeln!(
        page,
        "| {} | [`{code}`](../errors/{code}.md) | `{}` | {same} | {other} | {breaker} | {charged} |",
        what(kind),
        error.class.as_str()
    )
    .expect("writing to a String cannot fail");
}

const HEAD: &str = "# Failures of model calls

<!-- Written by `cargo xtask docs` from the matches of crates/qd-llm. -->

What Quarterdeck does when a call to a model fails. Which failure an answer means is found out from its status, its
headers and its words, differently for each provider: the same status 429 is a rate limit, a quota or a request that is
too large. The table of answers that are told apart stands in
[wires/taxonomy_tests](../../crates/qd-llm/src/wires/taxonomy_tests): one file for a provider, as its answers stand on
the wire, and what each means.

| what happened | code | class | the same model again | the next model of `fallback` | breaker of the model | charged |
|---|---|---|---|---|---|---|
";

const FOOT: &str = "
- *Again*: as long as the step has tries left (`max_attempts` of the job). A failure that is never tried again, or whose
  tries are used up, fails the job if no other model may be asked.
- *The next model* is asked as long as the step has tries left and `fallback` of the model names one.
- *Charged*: what is booked as possibly charged shows in the job's usage as such.
- A breaker that opens is left open at least as long as the provider asks for.

## How long to wait

The first of these that says something sensible:

1. `x-should-retry: false` means never, whatever the status; `true` means that even a refused request may be tried
   again, but not where money, a quota or its size is at fault.
2. `retry-after-ms`, in milliseconds.
3. `x-ms-retry-after-ms`, in milliseconds.
4. `retry-after`, in seconds or as a date, which is compared with the answer's own `date`.
5. `RetryInfo` in Google's error details, e.g. `13s`. Not where a day's quota is used up: the delay does not help.
6. The message: `Please try again in 6m0s`, `retry after 26 seconds`.
7. Of a limit or a quota: the latest reset of all that have nothing left, `anthropic-ratelimit-*`, `x-ratelimit-*`.
8. A backoff of our own, random up to `retry.base_ms`, doubled with each try up to `retry.cap_ms`.

Zero, negative and other senseless values count as absent; nobody is waited for longer than a day. Up to a tenth is
added to a wait that a provider asks for, so that not everybody comes back at once.

## What is counted

The tokens of an answer are those that the provider tells. Counts that cannot be (negative, fractions, above 100
million) make the whole of an answer's usage worthless: it is then estimated from bytes and has no price, as where a
provider tells none. A part is never counted as more than its whole: what was read from a cache as more than the prompt,
reasoning as more than the answer.

## Bounds

| what | bound |
|---|---|
| an answer | `max_body_bytes` of the provider |
| a line of a stream | 1 MiB |
| the body of a failure | the first 64 KiB are read |
| what is kept of a provider's message | 500 characters, without keys |
| tool calls of an answer | 256 |
";

#[test]
fn reference_of_failures_is_up_to_date() {
    let mut page = HEAD.to_owned();
    for kind in KINDS {
        row(&mut page, kind);
    }
    page.push_str(FOOT);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/model-errors.md");
    if option_env!("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/reference/model-errors.md differs from the matches: run `cargo xtask docs`"
    );
}
