//! Which model is asked where a crew leaves it open with `llm: auto`: the first rule that applies to the question.
//!
//! A pure decision on the question and the configuration, so that another try of the same step asks the same model. What is
//! known of a question are a few numbers and words; conditions over them are bounded in their work.

use minijinja::value::Value;
use minijinja::{Environment, UndefinedBehavior, context, filters};
use qd_types::{AUTO_MODEL, ChatRequest, Message, Route};

use crate::RouteRule;
use crate::estimate::BYTES_PER_TOKEN;
use crate::options::{Options, RoutingOptions};

/// Steps of work for one condition.
const FUEL: u64 = 300;
/// Bytes of the question that conditions and words look at.
const TEXT_BYTES_MAX: usize = 16 * 1024;
/// What a condition may name.
const NAMES: [&str; 9] =
    ["agent", "crew", "history", "kind", "priority", "prompt_tokens", "text", "tools", "words"];

/// A call whose model is to be chosen.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Which crew asks.
    pub crew: &'a str,
    /// Which of its agents.
    pub agent: &'a str,
    /// How urgent its job is, from 1 to 5.
    pub priority: u8,
    /// What the task says, variables filled in.
    pub asked: &'a str,
    /// The request as it would be sent.
    pub request: &'a ChatRequest,
}

/// The model that a rule chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// By which rule, and the model.
    pub route: Route,
    /// Bound of an answer, where the request has none.
    pub max_tokens: Option<u32>,
}

/// See the module.
pub(crate) struct Router {
    environment: Environment<'static>,
    rules: Vec<RouteRule>,
    pub(crate) standard: String,
}

impl Router {
    /// None without a model for what no rule applies to; validation has told.
    pub(crate) fn new(routing: &RoutingOptions, options: &Options) -> Option<Self> {
        let standard = routing.standard(options)?.to_owned();
        let rules = match (&routing.small, routing.rules.as_slice()) {
            (Some(small), []) => built_in(small, &standard),
            (_, rules) => rules.to_vec(),
        };
        Some(Self { environment: environment(), rules, standard })
    }

    /// Goes through the rules. A condition that fails on a question does not apply to it.
    pub(crate) fn choose(&self, question: &Question<'_>) -> Chosen {
        let known = known_of(question);
        let rule = self.rules.iter().find(|rule| self.applies(rule, &known));
        let (name, model, max_tokens) = match rule {
            Some(rule) => (rule.name.as_str(), rule.model.as_str(), rule.max_tokens),
            None => ("otherwise", self.standard.as_str(), None),
        };
        Chosen { route: Route { rule: name.to_owned(), model: model.to_owned() }, max_tokens }
    }

    fn applies(&self, rule: &RouteRule, known: &Value) -> bool {
        let Some(when) = &rule.when else { return true };
        let answer = self.environment.compile_expression(when).and_then(|when| when.eval(known.clone()));
        answer.map(|answer| answer.is_true()).unwrap_or_else(|error| {
            tracing::warn!(rule = rule.name, %error, "a routing rule failed and was passed over");
            false
        })
    }
}

/// Short and simply worded: the small model. Everything else: the standard one.
fn built_in(small: &str, standard: &str) -> Vec<RouteRule> {
    let rule = |name: &str, when: Option<&str>, model: &str, max_tokens| RouteRule {
        name: name.to_owned(),
        when: when.map(str::to_owned),
        model: model.to_owned(),
        max_tokens: Some(max_tokens),
    };
    vec![
        rule("simple", Some("words < 20 and kind == 'simple'"), small, 400),
        rule("standard", None, standard, 800),
    ]
}

fn environment() -> Environment<'static> {
    // No functions and few filters: nothing in a condition can take long.
    let mut environment = Environment::empty();
    environment.add_filter("length", filters::length);
    environment.add_filter("lower", filters::lower);
    environment.add_test("startingwith", |text: &str, start: &str| text.starts_with(start));
    environment.add_test("endingwith", |text: &str, end: &str| text.ends_with(end));
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment
}

/// Whether a condition can be read and names only what is known, and works on an ordinary question.
pub(crate) fn check_condition(when: &str) -> Result<(), String> {
    let environment = environment();
    let compiled =
        environment.compile_expression(when).map_err(|error| format!("is no expression: {error}"))?;
    let mut unknown: Vec<_> = compiled
        .undeclared_variables(false)
        .into_iter()
        .filter(|name| !NAMES.contains(&name.as_str()))
        .collect();
    unknown.sort();
    if let Some(name) = unknown.first() {
        return Err(format!("there is no `{name}`; known: {}", NAMES.join(", ")));
    }
    let request = ChatRequest::new(AUTO_MODEL, vec![Message::user("What is the capital of France?")]);
    let asked = "What is the capital of France?";
    let question = Question { crew: "crew", agent: "agent", priority: 1, asked, request: &request };
    compiled.eval(known_of(&question)).map(|_| ()).map_err(|error| format!("cannot be worked out: {error}"))
}

fn known_of(question: &Question<'_>) -> Value {
    let Question { crew, agent, priority, asked, request } = *question;
    let text = &asked[..asked.floor_char_boundary(TEXT_BYTES_MAX)];
    context! {
        agent,
        crew,
        history => request.messages.len().saturating_sub(1),
        kind => kind(text),
        priority,
        prompt_tokens => prompt_tokens(request),
        text,
        tools => request.tools.len(),
        words => text.split_whitespace().count(),
    }
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn prompt_tokens(request: &ChatRequest) -> u64 {
    let of_message = |message: &Message| match message {
        Message::User { text } | Message::Assistant { text, .. } => text.len(),
        Message::Tool { results } => results.iter().map(|result| result.content.len()).sum(),
    };
    let bytes: usize = request.messages.iter().map(of_message).sum();
    ((bytes + request.system.as_ref().map_or(0, String::len)) as f64 / BYTES_PER_TOKEN) as u64
}

/// Beginnings of words in questions that take thought, and short words of that kind as they are. English: other languages
/// set rules of their own.
const THOUGHTFUL: [&str; 23] = [
    "advise",
    "analy",
    "argument",
    "assess",
    "compar",
    "critici",
    "debug",
    "deriv",
    "difference",
    "estimat",
    "evaluat",
    "explain",
    "forecast",
    "implement",
    "improv",
    "investigat",
    "justif",
    "optimi",
    "reason",
    "recommend",
    "refactor",
    "research",
    "strateg",
];
const THOUGHTFUL_WORDS: [&str; 13] = [
    "argue", "cons", "decide", "design", "how", "plan", "planning", "plans", "proof", "pros", "prove",
    "should", "why",
];
/// Signs of code, as they are written.
const CODE: [&str; 9] =
    ["```", "();", "{\n", "SELECT ", "INSERT INTO ", "def ", "fn ", "function(", "#include"];
/// Longer words than this on average are not simple ones.
const WORD_CHARS: usize = 7;

/// `code`, `reasoning`, `simple` (one or two sentences of short words that ask for no thought) or `other`.
fn kind(text: &str) -> &'static str {
    if CODE.iter().any(|sign| text.contains(sign)) {
        return "code";
    }
    let lower = text.to_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|word| !word.is_empty()).collect();
    if words.iter().any(|word| is_thoughtful(word)) {
        return "reasoning";
    }
    let sentences = text.split(['.', '!', '?']).filter(|part| !part.trim().is_empty()).count();
    let chars: usize = words.iter().map(|word| word.chars().count()).sum();
    if sentences <= 2 && chars <= words.len() * WORD_CHARS { "simple" } else { "other" }
}

fn is_thoughtful(word: &str) -> bool {
    THOUGHTFUL_WORDS.contains(&word) || THOUGHTFUL.iter().any(|beginning| word.starts_with(beginning))
}

#[cfg(test)]
mod tests;
