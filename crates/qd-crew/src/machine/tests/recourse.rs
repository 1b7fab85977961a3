//! Steps that cannot be answered: what was said is put into fewer words, or another agent does the task.

use qd_types::{AgentId, Entry, Message, Recourse, StepId, ToolChoice};
use serde_json::json;

use crate::machine::stage::*;
use crate::prompt::FINAL_ANSWER;
use crate::{Machine, TaskEvent};

fn compact(step: &str, part_bytes: u64) -> Entry {
    Entry::Recourse { step: StepId::new(step), recourse: Recourse::Compact { part_bytes } }
}

fn hand_to(step: &str, agent: &str) -> Entry {
    Entry::Recourse { step: StepId::new(step), recourse: Recourse::Agent { agent: AgentId::new(agent) } }
}

fn last_user(machine: &Machine) -> String {
    match request(machine).messages.last() {
        Some(Message::User { text }) => text.clone(),
        other => panic!("the last message is a user's, not {other:?}"),
    }
}

#[test]
fn what_tools_returned_is_put_into_fewer_words_and_the_turn_asked_again() {
    let mut machine = with_tools();
    machine.apply(&calls("t/turn-1/model", &["clock", "add {\"a\":1}"]));
    machine.apply(&returns("t/turn-1/tool-0", &"noon ".repeat(100)));
    machine.apply(&returns("t/turn-1/tool-1", &"two ".repeat(100)));
    let bytes = machine.compactable(&StepId::new("t/turn-2/model")).unwrap();
    assert!(bytes > 900, "{bytes}");

    machine.apply(&compact("t/turn-2/model", 600));
    assert_eq!(words(&machine.ready()), "t/turn-2/compact-0 t/turn-2/compact-1");
    assert_eq!(machine.compactable(&StepId::new("t/turn-2/model")), None, "it is under way");
    machine.apply(&says("t/turn-2/compact-1", "Two was added."));
    let ask = request(&machine);
    assert!(last_user(&machine).contains("noon noon") && last_user(&machine).contains("Part 1 of 2"));
    assert_eq!((ask.tools.len(), ask.max_tokens), (0, Some(64)));

    machine.apply(&says("t/turn-2/compact-0", "It was noon."));
    assert_eq!(words(&machine.ready()), "t/turn-3/model");
    let again = request(&machine);
    assert_eq!((again.messages.len(), again.tools.len()), (1, 2));
    assert!(last_user(&machine).contains("It was noon.\n\nTwo was added."));
    machine.apply(&says("t/turn-3/model", "done"));
    assert_eq!(words(&machine.ready()), "done: done");
}

#[test]
fn context_and_conversation_are_put_into_fewer_words_too() {
    let yaml = "
agents: {w: {role: R, goal: G, backstory: B}}
tasks: [{name: a, description: D, expected_output: E}, {name: b, description: D, expected_output: E, conversation: true}]
";
    let mut machine = Machine::new(plan(yaml), input(json!({})));
    machine.apply(&fact("conversation", json!([{"role": "user", "text": "My name is Ada."}])));
    machine.apply(&says("a/turn-1/model", "The first result."));
    machine.apply(&compact("b/turn-1/model", 10_000));
    let asked = last_user(&machine);
    assert!(asked.contains("User: My name is Ada.\nThe first result."), "{asked}");
    machine.apply(&says("b/turn-1/compact-0", "Ada; a first result."));
    let again = request(&machine);
    assert_eq!(again.messages.len(), 1);
    let text = last_user(&machine);
    assert!(text.contains("Ada; a first result.") && !text.contains("The first result."), "{text}");
}

#[test]
fn a_task_that_must_answer_still_must_after_a_digest() {
    let yaml = "
agents: {w: {role: R, goal: G, backstory: B, tools: [clock], max_iter: 1}}
tasks: [{name: t, description: D, expected_output: E}]
";
    let mut machine = Machine::new(plan(yaml), input(json!({})));
    machine.apply(&calls("t/turn-1/model", &["clock"]));
    machine.apply(&returns("t/turn-1/tool-0", "noon"));
    machine.apply(&compact("t/turn-2/model", 1_000));
    machine.apply(&says("t/turn-2/compact-0", "noon"));
    assert_eq!(request(&machine).tool_choice, ToolChoice::None);
    assert_eq!(last_user(&machine), FINAL_ANSWER);
}

#[test]
fn fewer_words_are_tried_three_times_and_only_where_they_are_wanted() {
    let mut machine = with_tools();
    for turn in [1, 2, 3] {
        let step = format!("t/turn-{turn}/model");
        assert!(machine.compactable(&StepId::new(&step)).is_some(), "turn {turn}");
        // Nothing was said yet, so nothing is to be summarised the first time.
        machine.apply(&fact("conversation", json!([])));
        machine.apply(&calls(&step, &[&format!("add {{\"a\":{turn}}}")]));
        machine.apply(&returns(&format!("t/turn-{turn}/tool-0"), "1"));
    }
    for turn in [4, 5, 6] {
        machine.apply(&compact(&format!("t/turn-{turn}/model"), 1_000));
        machine.apply(&says(&format!("t/turn-{turn}/compact-0"), "short"));
    }
    assert_eq!(words(&machine.ready()), "t/turn-7/model");
    assert_eq!(machine.compactable(&StepId::new("t/turn-7/model")), None);
    machine.apply(&compact("t/turn-7/model", 1_000));
    assert_eq!(words(&machine.ready()), "t/turn-7/model");

    let yaml = "
agents: {w: {role: R, goal: G, backstory: B, respect_context_window: false}}
tasks: [{name: t, description: D, expected_output: E}]
";
    let machine = Machine::new(plan(yaml), input(json!({})));
    assert_eq!(machine.compactable(&StepId::new("t/turn-1/model")), None);
}

fn with_stand_ins() -> Machine {
    let yaml = "
agents:
  w: {role: R, goal: G, backstory: B, tools: [clock], max_retry_limit: 0}
  x: {role: Other, goal: G, backstory: B, llm: small, max_retry_limit: 0}
  y: {role: Last, goal: G, backstory: B}
tasks:
  - {name: t, description: D, expected_output: E, agent: w, fallback_agents: [x, y]}
  - {name: u, description: D, expected_output: E, agent: w}
";
    Machine::new(plan(yaml), input(json!({})))
}

#[test]
fn another_agent_does_the_task_with_its_own_model_and_tools() {
    let mut machine = with_stand_ins();
    machine.apply(&calls("t/turn-1/model", &["clock"]));
    machine.apply(&returns("t/turn-1/tool-0", "noon"));
    let step = StepId::new("t/turn-2/model");
    assert_eq!(machine.stand_in(&step), Some(&AgentId::new("x")));
    // Not yet its turn, and no such step.
    machine.apply(&hand_to("t/turn-2/model", "y"));
    assert_eq!(machine.stand_in(&StepId::new("u/turn-1/model")), None);
    machine.apply(&hand_to("t/turn-2/model", "x"));
    let ask = request(&machine);
    assert_eq!((words(&machine.ready()).as_str(), ask.model.as_str()), ("t/turn-3/model", "small"));
    assert_eq!((ask.messages.len(), ask.tools.len()), (1, 0), "from the beginning");
    assert!(ask.system.unwrap().contains("You are Other."));

    machine.take_events();
    machine.apply(&says("t/turn-3/model", "from x"));
    let (task, agent) = (qd_types::TaskId::new("t"), AgentId::new("x"));
    assert_eq!(machine.take_events()[0], TaskEvent::Finished { task, agent, raw: "from x".into() });
    assert_eq!(request(&machine).model, "main", "the next task is done by its own agent");
    assert_eq!(machine.stand_in(&StepId::new("u/turn-1/model")), None);
}

#[test]
fn output_of_no_use_makes_room_for_the_next_agent_until_nobody_is_left() {
    let mut machine = with_stand_ins();
    for turn in 1..=3 {
        machine.apply(&says(&format!("t/turn-{turn}/model"), " "));
    }
    assert_eq!(request(&machine).model, "small");
    for turn in 4..=6 {
        machine.apply(&says(&format!("t/turn-{turn}/model"), ""));
    }
    assert!(request(&machine).system.unwrap().contains("You are Last."));
    for turn in 7..=15 {
        machine.apply(&says(&format!("t/turn-{turn}/model"), ""));
    }
    assert!(words(&machine.ready()).starts_with("fail: task `t`: the model answered nothing"));
}
