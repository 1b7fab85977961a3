//! The corpus of bad requests: each case is a request that is wrong in one way and the only right answer to it. Nothing of
//! it may be taken, hang, make the server fail or keep a place there.
//!
//! The sections are lists of cases, one file each; here is what a case is and how a section is tried. What is right is
//! tried besides, so that no case is refused for another reason than its own.

mod content_types;
mod crews;
mod encoding;
mod facades;
mod fields;
mod framing;
mod jobs;
mod keys;
mod methods;
mod numbers;
mod operators;
mod paths;
mod queries;
mod routes;
mod shape;
mod uploads;
mod world;

use std::collections::HashSet;
use std::time::Duration;

use serde_json::Value;

use super::client::{Reply, parse, raw};
use super::contract;
use world::{Things, World};

pub(super) const FAILED: &str = "validation_failed";

/// As long as an answer may take: much less than any time-out of the server, much more than a busy machine needs.
const BOUND: Duration = Duration::from_secs(10);

/// What no answer says.
const INSIDE: [&str; 8] = ["panicked", "src/", ".rs:", "SELECT ", "sqlite", "tokio", "axum", "serde"];

/// The cases of a section.
type Cases = fn(&Things) -> Vec<Case>;

/// Every section by its name.
const SECTIONS: [(&str, Cases); 14] = [
    ("encoding", encoding::cases),
    ("numbers", numbers::cases),
    ("shape", shape::cases),
    ("content types", content_types::cases),
    ("framing", framing::cases),
    ("idempotency keys", keys::cases),
    ("jobs", jobs::cases),
    ("facades", facades::cases),
    ("operators", operators::cases),
    ("crews", crews::cases),
    ("paths", paths::cases),
    ("methods", methods::cases),
    ("queries", queries::cases),
    ("uploads", uploads::cases),
];

/// A request that is wrong in one way, and the answer to it.
struct Case {
    name: String,
    sent: Vec<u8>,
    answer: Answer,
}

/// The only right answer.
enum Answer {
    /// A problem.
    Problem(Told),
    /// This status without a body: what HTTP itself does not allow never becomes a request.
    Bare(u16),
    /// The connection ends without an answer of HTTP/1.
    Cut,
}

/// What a problem tells.
struct Told {
    status: u16,
    code: &'static str,
    /// Paths of the mistakes, sorted, with spaces between them.
    paths: Option<String>,
    /// Something that its text says.
    hint: Option<&'static str>,
    /// What its header `Allow` says, sorted.
    allow: Option<String>,
}

/// A request without its answer.
#[derive(Clone)]
struct Request {
    name: String,
    method: String,
    path: String,
    head: String,
    body: Vec<u8>,
}

/// A request to be spoilt.
fn request(name: impl Into<String>, method: &str, path: impl Into<String>) -> Request {
    let (method, path) = (method.to_owned(), path.into());
    Request { name: name.into(), method, path, head: String::new(), body: Vec::new() }
}

impl Request {
    fn header(mut self, name: &str, value: &str) -> Self {
        self.head.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    fn bytes(self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self.header("content-type", content_type) }
    }

    fn json(self, body: &Value) -> Self {
        self.bytes("application/json", body.to_string())
    }

    fn fails(self, status: u16, code: &'static str) -> Case {
        let told = Told { status, code, paths: None, hint: None, allow: None };
        self.answered(Answer::Problem(told))
    }

    fn answered(self, answer: Answer) -> Case {
        let Self { name, method, path, head, body } = self;
        let mut sent =
            format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{head}").into_bytes();
        if !body.is_empty() || matches!(method.as_str(), "POST" | "PUT") {
            sent.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
        }
        sent.extend_from_slice(b"\r\n");
        sent.extend_from_slice(&body);
        Case { name, sent, answer }
    }
}

impl Case {
    /// Its mistakes have these paths.
    fn at(mut self, paths: impl Into<String>) -> Self {
        if let Answer::Problem(told) = &mut self.answer {
            told.paths = Some(paths.into());
        }
        self
    }

    /// Its text says this.
    fn says(mut self, hint: &'static str) -> Self {
        if let Answer::Problem(told) = &mut self.answer {
            told.hint = Some(hint);
        }
        self
    }

    /// Its header `Allow` says this.
    fn allows(mut self, methods: String) -> Self {
        if let Answer::Problem(told) = &mut self.answer {
            told.allow = Some(methods);
        }
        self
    }

    /// Its request line, as far as there is one.
    fn line(&self) -> String {
        let end = self.sent.iter().position(|byte| *byte == b'\r').unwrap_or(self.sent.len());
        String::from_utf8_lossy(&self.sent[..end.min(120)]).into_owned()
    }

    /// What is wrong with an answer to it.
    fn mistake(&self, answer: &[u8]) -> Option<String> {
        let (told, reply) = match &self.answer {
            Answer::Cut => {
                return answer.starts_with(b"HTTP/").then(|| String::from_utf8_lossy(answer).into_owned());
            }
            _ if answer.is_empty() => return Some("no answer".to_owned()),
            Answer::Bare(status) => {
                let reply = parse(answer);
                let is_bare = reply.status == *status && reply.body.is_empty();
                return (!is_bare).then(|| format!("{}: {}", reply.status, reply.text()));
            }
            Answer::Problem(told) => (told, parse(answer)),
        };
        if reply.status != told.status || reply.body.is_empty() {
            return Some(format!("{}: {}", reply.status, reply.text()));
        }
        let problem = reply.problem(told.status, reply.json()["code"].as_str().unwrap_or_default());
        let mut paths = reply.paths();
        paths.sort();
        let is_right = problem["code"] == told.code
            && told.paths.as_ref().is_none_or(|wanted| *wanted == paths.join(" "))
            && told.hint.is_none_or(|hint| reply.text().contains(hint))
            && told.allow.as_ref().is_none_or(|methods| *methods == allowed(&reply));
        let said = reply.text();
        if let Some(word) = INSIDE.iter().find(|word| said.contains(**word)) {
            return Some(format!("it says `{word}`: {said}"));
        }
        if !is_right {
            let wanted = (told.code, &told.paths, told.hint, &told.allow);
            return Some(format!("not as {wanted:?} at [{}]: {}", paths.join(" "), reply.text()));
        }
        self.is_described(&reply);
        None
    }

    /// Fails if the document does not know this answer of this route.
    fn is_described(&self, reply: &Reply) {
        let line = String::from_utf8_lossy(&self.sent);
        let mut words = line.split(' ');
        if let (Some(method), Some(path)) = (words.next(), words.next()) {
            contract::check(method, path, reply);
        }
    }
}

/// The methods of `Allow`, sorted.
fn allowed(reply: &Reply) -> String {
    let mut methods: Vec<&str> = reply.header("allow").unwrap_or_default().split(',').collect();
    methods.sort_unstable();
    methods.join(",")
}

/// Tries a section: every case in turn on one server, whose bounds are so low that what keeps its place is noticed.
async fn try_all(cases: Cases) {
    let world = World::new().await;
    let before = world.kept().await;
    let mut mistakes = Vec::new();
    for case in cases(&world.things) {
        let what = format!("{}: {}", case.name, case.line());
        match tokio::time::timeout(BOUND, raw(world.server.address, &case.sent)).await {
            Ok(answer) => {
                mistakes.extend(case.mistake(&answer).map(|mistake| format!("{what}\n    {mistake}")))
            }
            Err(_) => mistakes.push(format!("{what}\n    no answer within {BOUND:?}")),
        }
    }
    assert!(mistakes.is_empty(), "{} wrong answers:\n{}", mistakes.len(), mistakes.join("\n"));
    assert_eq!(world.kept().await, before, "something of it was taken");
    world.is_at_rest().await;
}

#[tokio::test]
async fn the_corpus_holds_at_least_500_requests_and_none_twice() {
    let world = World::new().await;
    let (mut counts, mut seen, mut twice) = (Vec::new(), HashSet::new(), Vec::new());
    let mut inputs = HashSet::new();
    for (section, cases) in SECTIONS {
        let cases = cases(&world.things);
        counts.push(format!("{section} {}", cases.len()));
        for case in cases {
            let what = format!("{section}, {}: {}", case.name, case.line());
            inputs.insert((section, case.name));
            if !seen.insert(case.sent) {
                twice.push(what);
            }
        }
    }
    assert!(twice.is_empty(), "there twice:\n{}", twice.join("\n"));
    // What is tried on every route counts once.
    let counts = format!("{} cases of {} inputs: {}", seen.len(), inputs.len(), counts.join(", "));
    println!("{counts}");
    assert!(inputs.len() >= 500, "{counts}");
}
