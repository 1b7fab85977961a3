//! Tasks whose answer a person looks at: asked, approved, sent back, and what the agent is told then.

use qd_types::{AgentId, Entry, Message, ProviderBlocks, Recourse, StepId, ToolChoice};
use serde_json::json;

use crate::machine::stage::*;
use crate::prompt::feedback;
use crate::{Machine, Question, Ready, TaskEvent};

const M1: &str = "t/turn-1/model";
const H1: &str = "t/turn-1/human";
const M2: &str = "t/turn-2/model";
const H2: &str = "t/turn-2/human";

/// One task `t` that asks, and one `u` after it that does not.
fn asking(of_agent: &str) -> Machine {
    let yaml = format!(
        "
agents: {{w: {{role: R, goal: G, backstory: B, {of_agent}}}, v: {{role: R, goal: G, backstory: B}}}}
tasks:
  - {{name: t, description: D, expected_output: E, agent: w, fallback_agents: [v], human_input: true}}
  - {{name: u, description: D, expected_output: E, agent: w}}
"
    );
    Machine::new(plan(&yaml), input(json!({})))
}

/// Applies entries and says after each what is ready.
fn play(mut machine: Machine, steps: &[(Entry, &str)]) -> Machine {
    for (entry, ready) in steps {
        machine.apply(entry);
        assert_eq!(words(&machine.ready()), *ready, "after {entry:?}");
        // Asked again, and told again, it is the same.
        machine.apply(entry);
        assert_eq!(words(&machine.ready()), *ready, "after the same again: {entry:?}");
    }
    machine
}

fn question(machine: &Machine) -> Question {
    match machine.ready() {
        Ready::Wait(question) => *question,
        other => panic!("a question is ready, not {other:?}"),
    }
}

#[test]
fn an_answer_is_asked_about_and_approved_answers_are_outputs() {
    let mut machine = play(asking(""), &[(says(M1, "draft"), "asks: t/turn-1/human draft")]);
    assert_eq!(machine.take_events().len(), 1, "the task has begun and is not over");
    assert_eq!(machine.progress().completed_tasks, 0);
    let asked = question(&machine);
    assert_eq!((asked.task.as_str(), asked.agent.as_str(), asked.round), ("t", "w", 1));
    machine.apply(&approved(H1));
    assert_eq!(words(&machine.ready()), "u/turn-1/model");
    let events = machine.take_events();
    assert!(matches!(&events[0], TaskEvent::Finished { raw, .. } if raw == "draft"), "{events:?}");
    play(machine, &[(says("u/turn-1/model", "end"), "done: end")]);
}

#[test]
fn what_was_not_asked_changes_nothing() {
    for early in [approved(H1), sent_back(H1, "no")] {
        play(asking(""), &[(early, M1)]);
    }
    let asked = "asks: t/turn-1/human draft";
    for other in [approved(H2), sent_back("u/turn-1/human", "no"), says(M1, "other"), says(M2, "other")] {
        play(asking(""), &[(says(M1, "draft"), asked), (other, asked)]);
    }
}

#[test]
fn feedback_goes_to_the_agent_with_all_that_was_said_and_the_next_answer_is_asked_about_too() {
    let machine = play(
        asking(""),
        &[(says(M1, "draft"), "asks: t/turn-1/human draft"), (sent_back(H1, "shorter"), M2)],
    );
    let messages = request(&machine).messages;
    assert_eq!(messages[1..], [Message::assistant("draft"), Message::user(feedback("shorter"))]);
    let machine = play(
        machine,
        &[
            (says(M2, "brief"), "asks: t/turn-2/human brief"),
            (sent_back(H2, "and kinder"), "t/turn-3/model"),
            (says("t/turn-3/model", "kind"), "asks: t/turn-3/human kind"),
        ],
    );
    assert_eq!(question(&machine).round, 3);
    play(machine, &[(approved("t/turn-3/human"), "u/turn-1/model")]);
}

#[test]
fn tools_may_be_called_again_after_feedback_though_their_turns_were_used_up() {
    let machine = play(
        asking("tools: [clock], max_iter: 1"),
        &[
            (calls(M1, &["clock"]), "t/turn-1/tool-0"),
            (returns("t/turn-1/tool-0", "noon"), M2),
            (says(M2, "noon"), "asks: t/turn-2/human noon"),
            (sent_back(H2, "look again"), "t/turn-3/model"),
        ],
    );
    let again = request(&machine);
    assert_eq!((again.tool_choice, again.messages.len()), (ToolChoice::Auto, 6), "{:?}", again.messages);
    play(machine, &[(calls("t/turn-3/model", &["clock"]), "t/turn-3/tool-0")]);
}

#[test]
fn a_providers_blocks_of_the_answer_are_sent_back_unless_they_hold_calls_that_nobody_made() {
    let blocks = ProviderBlocks { wire: "anthropic".into(), content: json!([{"signature": "s"}]) };
    for (reply, kept) in [(text_reply("draft"), true), (calling(&["clock"]), false)] {
        let reply = qd_types::ChatReply { text: "draft".into(), blocks: Some(blocks.clone()), ..reply };
        let machine =
            play(asking(""), &[(model(M1, reply), "asks: t/turn-1/human draft"), (sent_back(H1, "no"), M2)]);
        let Message::Assistant { tool_calls, blocks, .. } = &request(&machine).messages[1] else { panic!() };
        assert_eq!((tool_calls.len(), blocks.is_some()), (0, kept));
    }
}

#[test]
fn what_a_person_said_outlives_a_new_beginning_another_agent_and_a_digest() {
    let said_back = || {
        play(
            asking("max_retry_limit: 1"),
            &[(says(M1, "draft"), "asks: t/turn-1/human draft"), (sent_back(H1, "shorter"), M2)],
        )
    };
    let hand =
        Entry::Recourse { step: StepId::new(M2), recourse: Recourse::Agent { agent: AgentId::new("v") } };
    let compact =
        Entry::Recourse { step: StepId::new(M2), recourse: Recourse::Compact { part_bytes: 1_000 } };
    let empty = |turn: u32| says(&format!("t/turn-{turn}/model"), "");
    for (what, entries) in [
        ("a new beginning", vec![empty(2), empty(3), empty(4)]),
        ("another agent", vec![hand]),
        ("a digest", vec![compact, says("t/turn-2/compact-0", "a draft was written")]),
    ] {
        let mut machine = said_back();
        entries.iter().for_each(|entry| machine.apply(entry));
        let messages = request(&machine).messages;
        assert_eq!(messages.last(), Some(&Message::user(feedback("shorter"))), "{what}: {messages:?}");
        let step = match machine.ready() {
            Ready::Run(effects) => effects[0].step.clone(),
            other => panic!("{what}: {other:?}"),
        };
        machine.apply(&says(step.as_str(), "brief"));
        assert_eq!(question(&machine).round, 2, "{what}");
    }
}
