//! What each failure of each provider means, as a table: one file for a provider, one case a failure.
//!
//! A case is a title, the answer as it stood on the wire (status, headers, a blank line, body), and what it means:
//! `=> CODE CLASS billed=… [wait=…] [limit=… got=…]`, or `=> answer STOP "text"` where it is no failure after all.
//! A body of type `text/event-stream` is read as a stream, in pieces of several sizes.

use std::fmt::Write as _;

use http::{HeaderMap, HeaderName, HeaderValue};
use qd_env::Rng;
use qd_types::{Billed, Class, Code, StopReason};

use super::{Anthropic, Decoded, OpenAi, Progress, Streamed, Wire, requests_window, seen_limits};
use super::{decode_whole, told_by_headers};
use crate::error::Blame;
use crate::{CallError, Oversize};

/// A provider's cases, where it is, how it is spoken to, and how many cases there are.
struct Provider {
    name: &'static str,
    base_url: &'static str,
    wire: &'static dyn Wire,
    cases: &'static str,
    count: usize,
}

const fn openai(name: &'static str, base_url: &'static str, cases: &'static str, count: usize) -> Provider {
    Provider { name, base_url, wire: &OpenAi, cases, count }
}

const PROVIDERS: &[Provider] = &[
    Provider {
        name: "anthropic",
        base_url: "https://api.anthropic.com",
        wire: &Anthropic,
        cases: include_str!("taxonomy_tests/anthropic.txt"),
        count: 56,
    },
    openai("openai", "https://api.openai.com/v1", include_str!("taxonomy_tests/openai.txt"), 44),
    openai("groq", "https://api.groq.com/openai/v1", include_str!("taxonomy_tests/groq.txt"), 23),
    openai(
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        include_str!("taxonomy_tests/gemini.txt"),
        24,
    ),
    openai("openrouter", "https://openrouter.ai/api/v1", include_str!("taxonomy_tests/openrouter.txt"), 30),
    openai("ollama", "http://127.0.0.1:11434/v1", include_str!("taxonomy_tests/ollama.txt"), 19),
    openai("llama.cpp", "http://127.0.0.1:8080/v1", include_str!("taxonomy_tests/llama_cpp.txt"), 17),
    openai("vllm", "http://127.0.0.1:8000/v1", include_str!("taxonomy_tests/vllm.txt"), 21),
    openai("others", "https://gateway.example.com/v1", include_str!("taxonomy_tests/others.txt"), 27),
];

/// One case as it is written.
struct Case {
    title: &'static str,
    status: u16,
    headers: HeaderMap,
    body: &'static str,
    meaning: &'static str,
}

fn cases(file: &'static str) -> Vec<Case> {
    file.split("### ").skip(1).map(case).collect()
}

fn case(text: &'static str) -> Case {
    let (title, rest) = text.split_once('\n').unwrap();
    let (answer, meaning) = rest.rsplit_once("=> ").unwrap_or_else(|| panic!("no meaning: {title}"));
    let (head, body) = answer.split_once("\n\n").unwrap_or((answer.trim_end(), ""));
    let mut lines = head.lines();
    let status = lines.next().unwrap().parse().unwrap_or_else(|_| panic!("no status: {title}"));
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no header: {line}"));
        (name.parse::<HeaderName>().unwrap(), HeaderValue::from_static(value))
    });
    let headers = headers.collect();
    let body = body.strip_suffix('\n').unwrap_or(body);
    Case { title, status, headers, body, meaning: meaning.trim_end() }
}

impl Case {
    /// Reads the answer; streams in pieces of `size` bytes.
    fn read(&self, provider: &Provider, size: usize) -> Result<Decoded, CallError> {
        self.read_as(provider, format!("{}\n", self.body).as_bytes(), size)
    }

    /// The same with another body.
    fn read_as(&self, provider: &Provider, body: &[u8], size: usize) -> Result<Decoded, CallError> {
        let kind = self.headers.get("content-type").map(|kind| kind.to_str().unwrap());
        let is_stream = kind.is_some_and(|kind| kind.starts_with("text/event-stream"));
        let result = if is_stream {
            stream(provider.wire, body, size)
        } else {
            decode_whole(provider.wire, self.status, &self.headers, body)
        };
        let limits = seen_limits(&self.headers, requests_window(provider.base_url));
        result.map_err(|error| told_by_headers(error, self.status, &self.headers, limits))
    }
}

fn stream(wire: &dyn Wire, body: &[u8], size: usize) -> Result<Decoded, CallError> {
    let mut streamed = Streamed::new(wire.stream(), usize::MAX);
    for piece in body.chunks(size) {
        if streamed.take(piece, &mut String::new())? == Progress::Done {
            break;
        }
    }
    streamed.end()
}

/// A result in the words of the table.
fn meaning(result: &Result<Decoded, CallError>) -> String {
    let error = match result {
        Ok(Decoded { reply, .. }) => {
            let stop = match reply.stop {
                StopReason::End => "end",
                StopReason::Length => "length",
                StopReason::StopText => "stop_text",
                StopReason::ToolCalls => "tool_calls",
            };
            return format!("answer {stop} {:?}", reply.text);
        }
        Err(error) => error,
    };
    let billed = match error.billed {
        Billed::No => "no",
        Billed::Possibly => "possibly",
        Billed::Yes => "yes",
    };
    let mut words = format!("{} {} billed={billed}", error.code, error.class.as_str());
    if let Some(wait) = error.retry_after {
        write!(words, " wait={}s", wait.as_secs_f64()).unwrap();
    }
    let Oversize { limit, got } = error.oversize.unwrap_or(Oversize { limit: None, got: None });
    for (name, number) in [("limit", limit), ("got", got)] {
        if let Some(number) = number {
            write!(words, " {name}={number}").unwrap();
        }
    }
    words
}

#[test]
fn every_failure_means_what_the_table_says() {
    let mut wrong = String::new();
    for provider in PROVIDERS {
        for case in cases(provider.cases) {
            for size in [1, 7, 1 << 20] {
                let result = case.read(provider, size);
                let found = meaning(&result);
                if found != case.meaning {
                    let name = provider.name;
                    writeln!(wrong, "{name}: {}\n  {}\n  {found}\n  {result:?}", case.title, case.meaning)
                        .unwrap();
                    break;
                }
            }
        }
    }
    assert!(wrong.is_empty(), "expected, found:\n{wrong}");
}

#[test]
fn the_table_has_cases_of_every_provider() {
    let counted: Vec<_> = PROVIDERS.iter().map(|p| (p.name, cases(p.cases).len())).collect();
    let expected: Vec<_> = PROVIDERS.iter().map(|p| (p.name, p.count)).collect();
    assert_eq!(counted, expected);
    let all: usize = counted.iter().map(|(_, count)| count).sum();
    assert!(all >= 130, "{all}");
}

/// What holds of every failure, whoever it comes from.
#[test]
fn quotas_are_never_tried_again_and_limits_are_nobodys_failure() {
    for provider in PROVIDERS {
        for case in cases(provider.cases) {
            let Err(error) = case.read(provider, 64) else { continue };
            let title = format!("{}: {}", provider.name, case.title);
            assert_eq!(error.status, Some(case.status), "{title}");
            assert!(error.message.len() > 10 && error.message.len() < 700, "{title}: {}", error.message);
            assert_eq!(error.class == Class::Quota, error.code == Code::ModelQuota, "{title}");
            assert_eq!(error.class == Class::RateLimited, error.code == Code::ModelRateLimited, "{title}");
            let blame = Blame::of(error.code);
            match error.class {
                Class::Quota => {
                    assert!(!error.class.is_retryable(), "{title}");
                    assert_eq!(blame, Blame::Quota, "{title}");
                }
                Class::RateLimited => assert_eq!(blame, Blame::RateLimit, "{title}"),
                Class::Overloaded => assert_eq!(blame, Blame::Provider, "{title}"),
                Class::Transient | Class::Permanent => {
                    assert!(!matches!(blame, Blame::Quota | Blame::RateLimit | Blame::NoCall), "{title}");
                }
                Class::Exhausted | Class::Cancelled | Class::Bug => panic!("{title}: {error:?}"),
            }
        }
    }
}

/// Damaged on the way, an answer is read or gives an error; nothing breaks, and no message grows.
#[test]
fn damage_to_an_answer_breaks_no_more_than_the_call() {
    for provider in PROVIDERS {
        for (number, case) in cases(provider.cases).iter().enumerate() {
            for seed in 0..30 {
                let mut rng = Rng::labelled(seed, &format!("{}/{number}", provider.name));
                let mut body = case.body.as_bytes().to_vec();
                for _ in 0..=rng.below(4) {
                    damage(&mut body, &mut rng);
                }
                if let Err(error) = case.read_as(provider, &body, 64) {
                    assert!(error.message.len() < 2_200, "{} {seed}: {}", case.title, error.message);
                }
            }
        }
    }
}

/// Turns a byte, cuts, or doubles a part.
fn damage(body: &mut Vec<u8>, rng: &mut Rng) {
    let length = body.len() as u64;
    if length == 0 {
        return;
    }
    let at = usize::try_from(rng.below(length)).unwrap();
    match rng.below(4) {
        0 => body[at] = u8::try_from(rng.below(256)).unwrap(),
        1 => body.truncate(at),
        2 => drop(body.drain(..at)),
        _ => body.extend_from_within(at..),
    }
}
