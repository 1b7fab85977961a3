//! Rules over questions, and conditions that are refused.

use qd_types::{ChatRequest, Message, Route};

use super::{Chosen, Question, Router, check_condition, kind};
use crate::{ModelOptions, Options, ProviderKind, ProviderOptions, RouteRule, RoutingOptions};

fn options(routing: RoutingOptions) -> Options {
    let mut options = Options::default();
    options.providers.insert("sim".into(), ProviderOptions::new(ProviderKind::Sim));
    options.models.insert("little".into(), ModelOptions::at("sim", "little"));
    options.models.insert("main".into(), ModelOptions::at("sim", "standard"));
    options.default_model = Some("main".into());
    options.routing = Some(routing);
    options
}

fn choose(routing: &RoutingOptions, asked: &str) -> Chosen {
    let options = options(routing.clone());
    options.validate().unwrap();
    let request = ChatRequest::new("auto", vec![Message::user(asked)]);
    let question = Question { crew: "c", agent: "a", priority: 3, asked, request: &request };
    Router::new(routing, &options).unwrap().choose(&question)
}

fn chosen(rule: &str, model: &str, max_tokens: Option<u32>) -> Chosen {
    Chosen { route: Route { rule: rule.into(), model: model.into() }, max_tokens }
}

#[test]
fn short_and_simple_questions_go_to_the_small_model() {
    let routing = RoutingOptions { small: Some("little".into()), ..RoutingOptions::default() };
    let long = "word ".repeat(20);
    for (asked, is_simple) in [
        ("What is the capital of France?", true),
        ("", true),
        ("Translate good morning into Spanish.", true),
        (&*"word ".repeat(19), true),
        (&*long, false),
        ("Why is the sky blue?", false),
        ("Explain the difference between TCP and UDP", false),
        ("One. Two. Three.", false),
        ("fn main() { println!() }", false),
        ("Incomprehensibilities notwithstanding", false),
    ] {
        let expected = match is_simple {
            true => chosen("simple", "little", Some(400)),
            false => chosen("standard", "main", Some(800)),
        };
        assert_eq!(choose(&routing, asked), expected, "{asked}");
    }
}

#[test]
fn the_first_rule_that_applies_decides_and_one_that_fails_does_not_apply() {
    let rule = |name: &str, when: Option<&str>, model: &str| RouteRule {
        name: name.into(),
        when: when.map(Into::into),
        model: model.into(),
        max_tokens: None,
    };
    let rules = vec![
        rule("broken", Some("words > 2 and crew.missing > 3"), "little"),
        rule("bills", Some("'invoice' in text|lower and tools == 0"), "little"),
        rule("urgent", Some("priority >= 3 and crew == 'c' and words > 3"), "sim/fast"),
    ];
    let mut routing = RoutingOptions { rules, ..RoutingOptions::default() };
    // It fails already when it is looked at.
    let problems = options(routing.clone()).validate().unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].to_string().starts_with("routing.rules[0].when: cannot be worked out"),
        "{}",
        problems[0]
    );
    routing.rules[0].when = Some("words > 100 and crew.missing > 3".into());
    assert_eq!(choose(&routing, "Pay this Invoice now, please"), chosen("bills", "little", None));
    assert_eq!(choose(&routing, "Do this at once"), chosen("urgent", "sim/fast", None));
    assert_eq!(choose(&routing, "Hello"), chosen("otherwise", "main", None));
    assert_eq!(choose(&routing, &"x ".repeat(200)), chosen("urgent", "sim/fast", None));
}

#[test]
fn kinds_of_questions_are_told_apart() {
    for (text, expected) in [
        ("Thanks!", "simple"),
        ("However, the product is good", "simple"),
        ("List the pros and cons", "reasoning"),
        ("Analyse this text", "reasoning"),
        ("Plan a day in Rome", "reasoning"),
        ("Prove it", "reasoning"),
        ("Which planet is the largest?", "simple"),
        ("Provide the date", "simple"),
        ("Select a colour", "simple"),
        ("We import tea", "simple"),
        ("```\nx\n```", "code"),
        ("SELECT name FROM users", "code"),
        ("First this. Then that. And more", "other"),
    ] {
        assert_eq!(kind(text), expected, "{text}");
    }
}

#[test]
fn conditions_that_cannot_be_meant_are_refused() {
    for (when, message) in [
        ("words <", "is no expression"),
        ("wrods < 20", "there is no `wrods`; known: agent, crew,"),
        ("text.missing > 1", "cannot be worked out"),
        ("words|nofilter", "filter"),
        ("range(10)|length > 1", "there is no `range`"),
        (&*format!("words{} > 1", "+words".repeat(160)), "fuel"),
    ] {
        let error = check_condition(when).expect_err(when);
        assert!(error.contains(message), "{when}: {error}");
    }
    for when in
        ["true", "words < 20", "not tools", "kind in ['code', 'other']", "text|lower is startingwith 'a'"]
    {
        assert_eq!(check_condition(when), Ok(()), "{when}");
    }
}

#[test]
fn mistakes_in_the_options_are_told_together() {
    let rule = RouteRule { name: "a".into(), when: None, model: "nope".into(), max_tokens: Some(0) };
    for (routing, expected) in [
        (RoutingOptions::default(), vec!["routing.small: is missing; or set `rules`"]),
        (
            RoutingOptions { small: Some("x".into()), standard: Some("y/z".into()), ..Default::default() },
            vec!["routing.standard: there is no model `y/z`", "routing.small: there is no model `x`"],
        ),
        (
            RoutingOptions {
                small: Some("little".into()),
                rules: vec![rule.clone(), rule],
                ..Default::default()
            },
            vec![
                "routing.small: is for the built-in rules; name the model in `rules`",
                "routing.rules[0].model: there is no model `nope`",
                "routing.rules[0].max_tokens: must be at least 1",
                "routing.rules[1].name: there is another rule `a`",
                "routing.rules[1].model: there is no model `nope`",
                "routing.rules[1].max_tokens: must be at least 1",
            ],
        ),
    ] {
        let problems = options(routing).validate().unwrap_err();
        assert_eq!(problems.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
    }
    let mut clash = options(RoutingOptions { small: Some("little".into()), ..Default::default() });
    clash.models.insert("auto".into(), ModelOptions::at("sim", "x"));
    assert!(clash.validate().unwrap_err()[0].to_string().contains("alias `auto`"));
    let mut circle = options(RoutingOptions { small: Some("little".into()), ..Default::default() });
    circle.default_model = Some("auto".into());
    assert!(circle.validate().unwrap_err()[0].to_string().contains("routing.standard: is missing"));
}
