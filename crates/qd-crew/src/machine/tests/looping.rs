//! Entries and what is ready after each of them.

use qd_types::{AgentId, Message, StopReason, TaskId, TaskOutput, ToolChoice, ToolResult};
use serde_json::json;

use crate::machine::stage::*;
use crate::prompt::{FINAL_ANSWER, NUDGE};
use crate::{EffectKind, Machine, Ready, TaskEvent};

const M1: &str = "t/turn-1/model";
const M2: &str = "t/turn-2/model";
const M3: &str = "t/turn-3/model";
const M4: &str = "t/turn-4/model";
const T10: &str = "t/turn-1/tool-0";
const T11: &str = "t/turn-1/tool-1";
const T12: &str = "t/turn-1/tool-2";

/// Applies each entry and compares what is ready after it.
fn play(mut machine: Machine, script: &[(qd_types::Entry, &str)]) -> Machine {
    for (index, (entry, expected)) in script.iter().enumerate() {
        machine.apply(entry);
        assert_eq!(words(&machine.ready()), *expected, "after entry {index}: {entry:?}");
    }
    machine
}

fn user(text: &str) -> Message {
    Message::User { text: text.to_owned() }
}

#[test]
fn a_text_is_the_answer() {
    assert_eq!(words(&plain().ready()), M1);
    play(plain(), &[(says(M1, "42"), "done: 42")]);
    play(with_tools(), &[(says(M1, " 42\n"), "done:  42\n")]);
    let mut cut = text_reply("a long ans");
    cut.stop = StopReason::Length;
    play(plain(), &[(model(M1, cut), "done: a long ans")]);
}

#[test]
fn what_was_not_asked_for_changes_nothing() {
    play(
        with_tools(),
        &[
            (says("t/turn-2/model", "early"), M1),
            (says("other/turn-1/model", "elsewhere"), M1),
            (returns(T10, "no call was made"), M1),
            (call_failed(M1), M1),
            (fact("unknown", json!({"a": 1})), M1),
            (calls(M1, &["clock", "add {\"a\":1}"]), &format!("{T10} {T11}")),
            (says(M1, "again"), &format!("{T10} {T11}")),
            (says(M2, "early"), &format!("{T10} {T11}")),
            (call_failed(T10), &format!("{T10} {T11}")),
            (returns(T12, "no such call"), &format!("{T10} {T11}")),
            (returns(T11, "2"), T10),
            (returns(T11, "3"), T10),
            (returns(T10, "noon"), M2),
            (returns(T10, "one"), M2),
            (says(M2, "done"), "done: done"),
            (says(M2, "again"), "done: done"),
            (says(M3, "more"), "done: done"),
        ],
    );
}

#[test]
fn results_go_back_in_the_order_of_the_calls_whatever_order_they_come_in() {
    let machine = play(
        with_tools(),
        &[
            (calls(M1, &["clock", "add {\"a\":1}", "add {\"a\":2}"]), &format!("{T10} {T11} {T12}")),
            (returns(T12, "third"), &format!("{T10} {T11}")),
            (returns(T10, "first"), T11),
            (returns(T11, "second"), M2),
        ],
    );
    let request = request(&machine);
    let result = |id: &str, name: &str, content: &str| ToolResult {
        id: id.into(),
        name: name.into(),
        content: content.into(),
        is_error: false,
    };
    let results =
        vec![result("c0", "clock", "first"), result("c1", "add", "second"), result("c2", "add", "third")];
    assert_eq!(request.messages[2], Message::Tool { results });
    assert!(matches!(&request.messages[1], Message::Assistant { tool_calls, .. } if tool_calls.len() == 3));
    assert_eq!(request.tool_choice, ToolChoice::Auto);
}

#[test]
fn calls_that_cannot_be_executed_are_answered_here_and_keep_their_index() {
    let machine = play(
        with_tools(),
        &[
            (
                calls(M1, &["nope", "add {\"a\":1}", "add {\"a\":\"1\"}", "clock [", "clock"]),
                "t/turn-1/tool-1 t/turn-1/tool-4",
            ),
            (returns("t/turn-1/tool-4", "noon"), T11),
            (returns(T10, "pushed in"), T11),
            (returns(T11, "1"), M2),
            // Nothing to execute at all: the turn is over at once.
            (calls(M2, &["nope {}", "clock null"]), M3),
        ],
    );
    let request = request(&machine);
    let Message::Tool { results } = &request.messages[2] else { panic!("{:?}", request.messages) };
    let shown: Vec<_> = results.iter().map(|r| (r.id.as_str(), r.is_error, r.content.as_str())).collect();
    assert_eq!(
        shown,
        [
            ("c0", true, "there is no tool `nope`; the tools are `add`, `clock`"),
            ("c1", false, "1"),
            ("c2", true, "the argument `a` of `add` must be of type number, not a string"),
            (
                "c3",
                true,
                "the arguments of `clock` are not valid JSON: EOF while parsing a list at line 1 column 1"
            ),
            ("c4", false, "noon"),
        ]
    );
}

#[test]
fn an_error_of_a_tool_goes_back_to_the_model() {
    let mut machine = with_tools();
    machine.apply(&calls(M1, &["clock"]));
    let result = ToolResult { id: "x".into(), name: "y".into(), content: "broken".into(), is_error: true };
    machine.apply(&qd_types::Entry::Tool {
        step: qd_types::StepId::new(T10),
        result,
        call: Default::default(),
    });
    let expected =
        ToolResult { id: "c0".into(), name: "clock".into(), content: "broken".into(), is_error: true };
    assert_eq!(request(&machine).messages[2], Message::Tool { results: vec![expected] });
}

#[test]
fn the_same_call_is_executed_twice_then_refused_then_fails_the_task() {
    let same = ["add {\"a\":1}", "add { \"a\" : 1 }", "add {\"a\":1}", "add {\"a\":1}", "add {\"a\":1}"];
    let fatal = "fail: task `t`: the model made the same call of `add` 5 times (repeated_tool_calls)";
    let machine = play(
        with_tools(),
        &[
            (calls(M1, &same[..2]), &format!("{T10} {T11}")),
            (returns(T10, "1"), T11),
            (returns(T11, "1"), M2),
            (calls(M2, &[same[2], "add {\"a\":2}"]), "t/turn-2/tool-1"),
            (returns("t/turn-2/tool-1", "2"), M3),
        ],
    );
    let Message::Tool { results } = &request(&machine).messages[4] else { panic!("results are expected") };
    assert!(results[0].is_error && results[0].content.contains("was already called"), "{results:?}");
    play(machine, &[(calls(M3, &same[3..]), fatal), (says(M4, "late"), fatal), (says(M3, "late"), fatal)]);
    play(with_tools(), &[(calls(M1, &same), fatal)]);
    play(
        with_tools(),
        &[(
            calls(M1, &["nope"; 5]),
            "fail: task `t`: the model made the same call of `nope` 5 times (repeated_tool_calls)",
        )],
    );
}

#[test]
fn empty_answers_are_tried_again_twice() {
    let machine = play(plain(), &[(says(M1, ""), M2), (says(M2, " \n\t"), M3)]);
    assert_eq!(request(&machine).messages[1..], [user(NUDGE), user(NUDGE)]);
    play(machine.clone(), &[(says(M3, "at last"), "done: at last")]);
    play(machine, &[(says(M3, ""), "fail: task `t`: the model answered nothing 3 times (empty_answer)")]);

    let mut cut = text_reply("");
    cut.stop = StopReason::Length;
    let hint = "fail: task `t`: the model answered nothing 3 times; the last answer reached its bound of tokens, so \
                raise `max_tokens` (empty_answer)";
    play(plain(), &[(says(M1, ""), M2), (says(M2, ""), M3), (model(M3, cut), hint)]);
}

#[test]
fn a_call_between_empty_answers_starts_their_count_again() {
    play(
        with_tools(),
        &[
            (says(M1, ""), M2),
            (says(M2, ""), M3),
            (calls(M3, &["clock"]), "t/turn-3/tool-0"),
            (returns("t/turn-3/tool-0", "noon"), M4),
            (says(M4, ""), "t/turn-5/model"),
            (says("t/turn-5/model", ""), "t/turn-6/model"),
            (says("t/turn-6/model", "x"), "done: x"),
        ],
    );
}

#[test]
fn after_its_turns_with_tools_the_model_must_answer() {
    let machine = play(
        with_tools(),
        &[
            (calls(M1, &["clock"]), T10),
            (returns(T10, "1"), M2),
            (calls(M2, &["nope"]), M3),
            (calls(M3, &["add {\"a\":1}"]), "t/turn-3/tool-0"),
            (returns("t/turn-3/tool-0", "1"), M4),
        ],
    );
    let last = request(&machine);
    assert_eq!((last.tool_choice, last.tools.len()), (ToolChoice::None, 2), "tools stay declared");
    assert_eq!(last.messages.last(), Some(&user(FINAL_ANSWER)));
    play(machine.clone(), &[(says(M4, "all I know"), "done: all I know")]);
    // A model that calls all the same: only its text counts.
    let mut both = calling(&["clock"]);
    both.text = "text".to_owned();
    play(machine.clone(), &[(model(M4, both), "done: text")]);
    let stubborn = [
        (calls(M4, &["clock"]), "t/turn-5/model"),
        (calls("t/turn-5/model", &["clock"]), "t/turn-6/model"),
        (
            calls("t/turn-6/model", &["clock"]),
            "fail: task `t`: the model answered nothing 3 times (empty_answer)",
        ),
    ];
    play(machine, &stubborn);
}

#[test]
fn calls_without_tools_are_ignored() {
    let mut both = calling(&["clock"]);
    both.text = "text".to_owned();
    play(plain(), &[(model(M1, both), "done: text")]);
    play(plain(), &[(calls(M1, &["clock"]), M2)]);
}

#[test]
fn text_beside_calls_and_the_providers_blocks_are_kept() {
    let mut reply = calling(&["clock"]);
    reply.text = "let me look".to_owned();
    reply.blocks =
        Some(qd_types::ProviderBlocks { wire: "anthropic".into(), content: json!([{"signature": "s"}]) });
    let mut machine = with_tools();
    machine.apply(&model(M1, reply.clone()));
    machine.apply(&returns(T10, "noon"));
    let Message::Assistant { text, tool_calls, blocks } = &request(&machine).messages[1] else { panic!() };
    assert_eq!((text, tool_calls, blocks), (&reply.text, &reply.tool_calls, &reply.blocks));
}

#[test]
fn events_progress_and_output_follow_the_tasks() {
    let yaml = "
agents: {w: {role: R, goal: G, backstory: B}, v: {role: R, goal: G, backstory: B}}
tasks:
  - {name: a, description: D, expected_output: E, agent: w}
  - {name: b, description: D, expected_output: E, agent: v}
";
    let mut machine = Machine::new(plan(yaml), Default::default());
    let started = |task: &str, agent: &str| TaskEvent::Started {
        task: qd_types::TaskId::new(task),
        agent: qd_types::AgentId::new(agent),
    };
    let finished = |task: &str, agent: &str, raw: &str| TaskEvent::Finished {
        task: qd_types::TaskId::new(task),
        agent: qd_types::AgentId::new(agent),
        raw: raw.to_owned(),
    };
    let at = |machine: &Machine| {
        let p = machine.progress();
        (p.completed_tasks, p.total_tasks, p.current_task.map(|task| task.to_string()))
    };
    assert_eq!(machine.take_events(), [started("a", "w")]);
    assert_eq!(machine.take_events(), []);
    assert_eq!(at(&machine), (0, 2, Some("a".to_owned())));
    machine.apply(&says("a/turn-1/model", "A"));
    assert_eq!(machine.take_events(), [finished("a", "w", "A"), started("b", "v")]);
    assert_eq!(at(&machine), (1, 2, Some("b".to_owned())));
    machine.apply(&says("b/turn-1/model", "B"));
    assert_eq!(machine.take_events(), [finished("b", "v", "B")]);
    assert_eq!(at(&machine), (2, 2, None));
    let Ready::Done(output) = machine.ready() else { panic!("{:?}", machine.ready()) };
    let tasks: Vec<_> =
        output.tasks.iter().map(|t| (t.name.as_str(), t.agent.as_str(), t.raw.as_str())).collect();
    assert_eq!((output.raw.as_str(), tasks), ("B", vec![("a", "w", "A"), ("b", "v", "B")]));
}

#[test]
fn the_output_is_the_last_text_that_is_not_empty() {
    let output = |text: &&str| TaskOutput {
        name: TaskId::new("t"),
        agent: AgentId::new("w"),
        raw: (*text).to_owned(),
        json: None,
    };
    let outputs = |texts: &[&str]| texts.iter().map(output).collect::<Vec<_>>();
    assert_eq!(super::super::last_text(&outputs(&["a", "b", " "])), Some("b"));
    assert_eq!(super::super::last_text(&outputs(&["", "\n"])), None);
}

#[test]
fn effects_name_their_task_agent_and_call() {
    let mut machine = with_tools();
    machine.apply(&calls(M1, &["clock", "add {\"a\": 1}"]));
    let Ready::Run(effects) = machine.ready() else { panic!() };
    assert!(effects.iter().all(|e| e.task.as_str() == "t" && e.agent.as_str() == "w"));
    let shown: Vec<_> = effects
        .iter()
        .map(|effect| match &effect.kind {
            EffectKind::Tool(call) => (call.id.as_str(), call.name.as_str(), call.arguments.as_str()),
            EffectKind::Model(_) => panic!("tools are expected"),
        })
        .collect();
    assert_eq!(shown, [("c0", "clock", "{}"), ("c1", "add", "{\"a\": 1}")]);
}

fn begun_anew(machine: &Machine) -> bool {
    let Ready::Run(effects) = machine.ready() else { panic!("nothing to do") };
    effects[0].begun_anew
}

#[test]
fn unusable_output_begins_the_task_anew_as_often_as_its_agent_allows() {
    let yaml = "
agents: {w: {role: R, goal: G, backstory: B, tools: [add], max_retry_limit: 1}}
tasks: [{name: t, description: D, expected_output: E}]
";
    let fresh = || Machine::new(crate::machine::stage::plan(yaml), qd_types::Input::new());
    let step = |turn: u32| format!("t/turn-{turn}/model");
    let empties = |first: u32| (first..first + 3).map(move |turn| says(&step(turn), ""));

    let mut machine = fresh();
    let opening = request(&machine);
    for entry in empties(1) {
        machine.apply(&entry);
    }
    assert_eq!(words(&machine.ready()), step(4));
    assert_eq!(request(&machine), opening, "nothing of the first beginning is left");
    assert_eq!((begun_anew(&fresh()), begun_anew(&machine)), (false, true));
    let mut given_up = machine.clone();
    for entry in empties(4) {
        given_up.apply(&entry);
    }
    let end =
        "fail: task `t`: the model answered nothing 3 times; the task was begun anew 1 times (empty_answer)";
    assert_eq!(words(&given_up.ready()), end);
    play(machine, &[(says(&step(4), "42"), "done: 42")]);

    let mut machine = fresh();
    for turn in 1..=4 {
        machine.apply(&calls(&step(turn), &["add {\"a\": 1}"]));
        machine.apply(&returns(&format!("t/turn-{turn}/tool-0"), "1"));
    }
    play(machine, &[(calls(&step(5), &["add {\"a\": 1}"]), &step(6))]);
}
