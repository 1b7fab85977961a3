//! What is said to the model.

use qd_types::{Message, ToolChoice};
use serde_json::json;

use crate::machine::stage::*;
use crate::{CONVERSATION_FACT, Machine, Ready};

fn last_user(machine: &Machine) -> String {
    match request(machine).messages.last() {
        Some(Message::User { text }) => text.clone(),
        other => panic!("the user speaks last, not {other:?}"),
    }
}

#[test]
fn a_request_holds_agent_task_values_and_sampling() {
    let yaml = "
agents:
  w:
    role: >
      Expert on {topic}
    goal: Know {topic}
    backstory: Years with {n} {list}.
    llm: {model: small, temperature: 0.5, top_p: 0.9, seed: 7, stop: [END]}
    max_tokens: 99
    tools: [clock]
tasks:
  - {name: t, description: 'Study {topic}', expected_output: '{n} facts', markdown: true}
inputs: {n: 3, topic: unused}
";
    let machine = Machine::new(plan(yaml), input(json!({"topic": "{n} bees", "list": ["a", true]})));
    let request = request(&machine);
    assert_eq!(
        request.system.as_deref(),
        Some("You are Expert on {n} bees. Years with 3 ['a', True].\n\nYour goal: Know {n} bees")
    );
    assert_eq!(
        request.messages,
        [Message::User {
            text: "Your task:\nStudy {n} bees\n\nThe answer has to be:\n3 facts\n\nAnswer with the whole text of the \
                   result, not with a summary of it or remarks about it.\n\nWrite the answer in Markdown, with \
                   headings, lists and emphasis where they help the reader, and without a code fence around the whole."
                .to_owned()
        }]
    );
    assert_eq!((request.model.as_str(), request.max_tokens), ("small", Some(99)));
    assert_eq!((request.temperature, request.top_p, request.seed), (Some(0.5), Some(0.9), Some(7)));
    assert_eq!((request.stop, request.tool_choice), (vec!["END".to_owned()], ToolChoice::Auto));
    assert_eq!(request.tools.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>(), ["clock"]);
}

#[test]
fn tools_of_a_task_replace_those_of_its_agent_unless_empty() {
    for (of_task, expected) in
        [("tools: [add]", vec!["add"]), ("tools: []", vec!["clock"]), ("tools: ", vec!["clock"])]
    {
        let yaml = format!(
            "agents: {{w: {{role: R, goal: G, backstory: B, tools: [clock]}}}}\ntasks:\n  - name: t\n    description: \
             D\n    expected_output: E\n    {of_task}\n"
        );
        let request = request(&Machine::new(plan(&yaml), Default::default()));
        assert_eq!(
            request.tools.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>(),
            expected,
            "{of_task}"
        );
    }
}

#[test]
fn context_is_all_earlier_outputs_or_the_named_ones_or_none() {
    let yaml = |context: &str| {
        format!(
            "agents: {{w: {{role: R, goal: G, backstory: B}}}}\ntasks:\n  - {{name: a, description: D, \
             expected_output: E}}\n  - {{name: b, description: D, expected_output: E}}\n  - {{name: c, description: D, \
             expected_output: E{context}}}\n"
        )
    };
    for (context, expected) in [
        ("", Some("AAA {x}\n\n----------\n\nBBB")),
        (", context: ", Some("AAA {x}\n\n----------\n\nBBB")),
        (", context: [a]", Some("AAA {x}")),
        (", context: [b, a]", Some("BBB\n\n----------\n\nAAA {x}")),
        (", context: []", None),
    ] {
        let mut machine = Machine::new(plan(&yaml(context)), Default::default());
        machine.apply(&says("a/turn-1/model", "AAA {x}"));
        machine.apply(&says("b/turn-1/model", "BBB"));
        let text = last_user(&machine);
        let shown = text.split_once("Results of earlier tasks to work with:\n").map(|(_, rest)| rest);
        let shown = shown.map(|rest| rest.trim_end_matches("\n\nWrite the complete answer now."));
        assert_eq!(shown, expected, "{context}");
    }
}

#[test]
fn nothing_of_a_task_is_carried_into_the_next() {
    let yaml = "
agents: {w: {role: R, goal: G, backstory: B, tools: [clock]}}
tasks:
  - {name: a, description: D, expected_output: E}
  - {name: b, description: D, expected_output: E, context: []}
";
    let mut machine = Machine::new(plan(yaml), Default::default());
    for entry in [
        calls("a/turn-1/model", &["clock", "clock"]),
        returns("a/turn-1/tool-0", "noon"),
        returns("a/turn-1/tool-1", "noon"),
        says("a/turn-2/model", "A"),
    ] {
        machine.apply(&entry);
    }
    assert_eq!(request(&machine).messages.len(), 1);
    machine.apply(&calls("b/turn-1/model", &["clock", "clock"]));
    assert_eq!(words(&machine.ready()), "b/turn-1/tool-0 b/turn-1/tool-1", "repeats count by task");
}

fn history() -> qd_types::Entry {
    fact(CONVERSATION_FACT, json!([{"role": "user", "text": "Hi"}, {"role": "assistant", "text": "Hello"}]))
}

#[test]
fn the_conversation_goes_to_the_first_task_unless_tasks_say_otherwise() {
    for (first, second, expected) in [
        ("", "", (3, 1)),
        (", conversation: false", "", (1, 1)),
        ("", ", conversation: true", (3, 3)),
        (", conversation: no", ", conversation: yes", (1, 3)),
    ] {
        let yaml = format!(
            "agents: {{w: {{role: R, goal: G, backstory: B}}}}\ntasks:\n  - {{name: a, description: D, \
             expected_output: E{first}}}\n  - {{name: b, description: D, expected_output: E{second}}}\n"
        );
        let mut machine = Machine::new(plan(&yaml), Default::default());
        machine.apply(&history());
        let before = request(&machine).messages;
        machine.apply(&says("a/turn-1/model", "A"));
        let after = request(&machine).messages;
        assert_eq!((before.len(), after.len()), expected, "{first} {second}");
        for messages in [before, after].iter().filter(|messages| messages.len() == 3) {
            assert_eq!(messages[0], Message::User { text: "Hi".to_owned() });
            assert!(matches!(&messages[1], Message::Assistant { text, .. } if text == "Hello"));
        }
    }
}

#[test]
fn the_first_value_of_a_fact_holds() {
    let mut machine = plain();
    machine.apply(&history());
    machine.apply(&fact(CONVERSATION_FACT, json!([])));
    assert_eq!(request(&machine).messages.len(), 3);
}

#[test]
fn a_conversation_that_is_none_fails_the_job_as_our_mistake() {
    for value in [json!("text"), json!([{"role": "system", "text": "x"}]), json!([{"role": "user"}])] {
        let mut machine = plain();
        machine.apply(&fact(CONVERSATION_FACT, value.clone()));
        let Ready::Fail(failure) = machine.ready() else { panic!("{value} is refused") };
        assert_eq!((failure.code.as_str(), failure.class.as_str()), ("internal", "bug"));
    }
}

#[test]
fn the_date_stands_at_the_end_of_the_instructions() {
    let yaml = "
agents: {w: {role: R, goal: G, backstory: B, inject_date: true, date_format: '%d.%m.%Y'}}
tasks: [{name: t, description: D, expected_output: E}]
";
    let mut machine = Machine::new(plan(yaml), Default::default());
    machine.apply(&fact("date:%d.%m.%Y", json!("24.12.2026")));
    assert_eq!(
        request(&machine).system.as_deref(),
        Some("You are R. B\n\nYour goal: G\n\nCurrent date: 24.12.2026")
    );
}

#[test]
fn without_a_system_prompt_everything_is_said_by_the_user() {
    let yaml = "
agents: {w: {role: R, goal: G, backstory: B, use_system_prompt: false}}
tasks: [{name: t, description: D, expected_output: E}]
";
    let machine = Machine::new(plan(yaml), Default::default());
    assert_eq!(request(&machine).system, None);
    assert!(last_user(&machine).starts_with("You are R. B\n\nYour goal: G\n\nYour task:\nD"));
}

#[test]
fn an_input_that_was_not_checked_fails_the_job() {
    let yaml = "
agents: {w: {role: R, goal: G, backstory: B}}
tasks: [{name: t, description: 'D {x}', expected_output: E}]
";
    let mut machine = Machine::new(plan(yaml), Default::default());
    machine.apply(&says("t/turn-1/model", "x"));
    assert_eq!(words(&machine.ready()), "fail: `x`: the crew needs a value for it (validation_failed)");
    assert_eq!(machine.take_events(), []);
}
