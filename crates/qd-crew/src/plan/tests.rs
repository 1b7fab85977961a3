//! Variables, inputs and facts of a plan.

use serde_json::json;

use super::FactNeed;
use crate::machine::stage::{input, plan};

const YAML: &str = "
agents:
  w: {role: 'R {topic}', goal: 'G {year}', backstory: 'B {not a variable} {\"json\": 1}'}
tasks:
  - {name: t, description: 'D {topic} {depth}', expected_output: 'E {format-of_output}'}
inputs: {year: 2026, depth: null, spare: x}
";

#[test]
fn variables_come_from_all_texts() {
    let plan = plan(YAML);
    let names: Vec<&str> = plan.variables().iter().map(String::as_str).collect();
    assert_eq!(names, ["depth", "format-of_output", "topic", "year"]);
    assert_eq!(plan.required_variables().into_iter().collect::<Vec<_>>(), ["format-of_output", "topic"]);
    assert_eq!(plan.default_inputs(), &input(json!({"year": 2026, "depth": null, "spare": "x"})));
    assert_eq!(plan.name().as_str(), "x");
}

#[test]
fn inputs_are_checked_before_a_job_is_accepted() {
    let plan = plan(YAML);
    let missing = "the crew needs a value for it";
    let unknown = "the crew has no such variable";
    for (given, expected) in [
        (json!({"topic": "T", "format-of_output": "F"}), vec![]),
        (
            json!({"topic": null, "format-of_output": [1], "year": {"a": 1}, "depth": 2.5, "spare": true}),
            vec![],
        ),
        (json!({}), vec![("format-of_output", missing.to_owned()), ("topic", missing.to_owned())]),
        (
            json!({"topc": "T", "format-of_output": "F", "message": "hi"}),
            vec![
                ("topic", missing.to_owned()),
                ("topc", format!("{unknown}; did you mean `topic`?")),
                ("message", unknown.to_owned()),
            ],
        ),
        (
            json!({"topic": "T".repeat(5 << 20), "format-of_output": "F"}),
            vec![("topic", "its value makes a text of the crew longer than 4194304 bytes".to_owned())],
        ),
    ] {
        let problems = plan.check_input(&input(given.clone())).err().unwrap_or_default();
        let shown: Vec<_> = problems.iter().map(|p| (p.variable.as_str(), p.message.clone())).collect();
        assert_eq!(shown, expected, "{}", given.to_string().chars().take(100).collect::<String>());
    }
}

#[test]
fn message_is_a_variable_like_any_other() {
    let yaml = "
agents: {w: {role: R, goal: G, backstory: B}}
tasks: [{name: t, description: 'D {message}', expected_output: E}]
";
    let plan = plan(yaml);
    assert_eq!(plan.check_input(&input(json!({"message": "hi"}))), Ok(()));
    assert!(plan.check_input(&input(json!({}))).is_err());
}

#[test]
fn facts_are_needed_where_something_uses_them() {
    let date = |format: &str| FactNeed::Date { key: format!("date:{format}"), format: format.to_owned() };
    let with = |agents: &str, of_task: &str| {
        plan(&format!(
            "agents: {{{agents}}}\ntasks:\n  - {{name: t, description: D, expected_output: E, agent: w{of_task}}}\n  - \
             {{name: u, description: D, expected_output: E, agent: w}}\n"
        ))
    };
    let silent = "w: {role: R, goal: G, backstory: B}";
    let dated = "w: {role: R, goal: G, backstory: B, inject_date: true}, v: {role: R, goal: G, backstory: B, \
                 inject_date: true, date_format: '%A'}";
    for (plan, has_conversation, expected) in [
        (with(silent, ""), false, vec![]),
        (with(silent, ""), true, vec![FactNeed::Conversation]),
        (with(silent, ", conversation: false"), true, vec![]),
        (with(dated, ""), false, vec![date("%Y-%m-%d")]),
        (with(dated, ""), true, vec![FactNeed::Conversation, date("%Y-%m-%d")]),
    ] {
        assert_eq!(plan.fact_needs(has_conversation), expected);
    }
}

#[test]
fn the_examples_compile_and_ask_for_what_their_comments_say() {
    use qd_types::{Catalog, ToolSpec};

    use crate::{CrewSource, SourceFile, check};

    let tool = |name: &str| {
        (name.to_owned(), ToolSpec { name: name.into(), description: "d".into(), parameters: json!({}) })
    };
    let catalog = Catalog {
        default_model: Some("main".to_owned()),
        tools: [tool("calculator"), tool("current_time")].into(),
        ..Catalog::default()
    };
    let file = |path: &str, text: &str| SourceFile::new(path, text);
    let research = file("research.yaml", include_str!("../../../../examples/crews/research.yaml"));
    let support = file("support.yaml", include_str!("../../../../examples/crews/support.yaml"));
    let newsletter = CrewSource::Directory {
        name: "newsletter".to_owned(),
        agents: file("agents.yaml", include_str!("../../../../examples/crews/newsletter/agents.yaml")),
        tasks: file("tasks.yaml", include_str!("../../../../examples/crews/newsletter/tasks.yaml")),
        crew: None,
    };
    for (source, required) in [
        (CrewSource::Single(research), vec!["topic"]),
        (CrewSource::Single(support), vec!["message"]),
        // Without crew.yaml the defaults are missing, but agents and tasks stand alone.
        (newsletter, vec!["readers", "story_count", "subject"]),
    ] {
        let (_, plan, warnings) = check(&source, &catalog).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(warnings, []);
        assert_eq!(plan.required_variables().into_iter().collect::<Vec<_>>(), required);
        assert_eq!(plan.fact_needs(true), [FactNeed::Conversation]);
    }
}
