//! Properties: the order of results does not matter, and an attempt that resumes goes on as if it had never stopped.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use qd_types::{ChatReply, Entry, StepId};

use crate::machine::stage::*;
use crate::{Effect, EffectKind, Machine, Plan, Ready, TaskEvent};

/// What the model does in each of its turns, task after task; when it runs out, it answers.
type Script = Vec<Turn>;

#[derive(Debug, Clone)]
enum Turn {
    Text(String),
    Nothing,
    Calls(Vec<&'static str>),
}

fn turn() -> impl Strategy<Value = Turn> {
    let call = prop::sample::select(vec![
        "clock",
        "add {\"a\":1}",
        "add {\"a\":2}",
        "add {\"a\":3}",
        "add {}",
        "nope",
        "add [",
    ]);
    prop_oneof![
        2 => "[a-z{}]{1,8}".prop_map(Turn::Text),
        1 => Just(Turn::Nothing),
        5 => prop::collection::vec(call, 1..5).prop_map(Turn::Calls),
    ]
}

fn three_tasks() -> Arc<Plan> {
    plan(
        "
agents:
  w: {role: R, goal: G, backstory: B, tools: [add, clock], max_iter: 3, inject_date: true}
  v: {role: R, goal: G, backstory: B}
tasks:
  - {name: a, description: D, expected_output: E, agent: w}
  - {name: b, description: D, expected_output: E, agent: v, conversation: true}
  - {name: c, description: D, expected_output: E, agent: w, tools: [add], context: [a]}
",
    )
}

/// Replies depend on the step alone, as they would come out of a journal.
fn reply(step: &StepId, script: &Script) -> ChatReply {
    let parts: Vec<&str> = step.as_str().split('/').collect();
    let task = usize::from(parts[0].as_bytes()[0] - b'a');
    let turn: usize = parts[1].trim_start_matches("turn-").parse().unwrap();
    match script.get(task * 4 + turn - 1) {
        Some(Turn::Calls(calls)) => calling(calls),
        Some(Turn::Nothing) => text_reply(""),
        Some(Turn::Text(text)) => text_reply(text),
        None => text_reply("out of ideas"),
    }
}

fn carry_out(effect: &Effect, script: &Script) -> Entry {
    match &effect.kind {
        EffectKind::Model(_) => model(effect.step.as_str(), reply(&effect.step, script)),
        EffectKind::Tool(call) => returns(effect.step.as_str(), &format!("{} of {}", call.name, effect.step)),
    }
}

#[derive(Debug, PartialEq)]
struct Played {
    requests: BTreeMap<StepId, EffectKind>,
    end: Ready,
    events: Vec<TaskEvent>,
}

/// Plays a script to its end. `picks` says which of the ready effects has its result first.
fn play(script: &Script, picks: &[usize]) -> (Played, Vec<Entry>, Vec<Ready>) {
    let mut machine = Machine::new(three_tasks(), Default::default());
    let mut journal = vec![fact("date:%Y-%m-%d", "2026-12-24".into())];
    machine.apply(&journal[0]);
    let (mut requests, mut readies) = (BTreeMap::new(), vec![machine.ready()]);
    let mut picks = picks.iter().cycle();
    loop {
        let Ready::Run(effects) = machine.ready() else { break };
        assert!(!effects.is_empty(), "a machine that is not over has something to do");
        for effect in &effects {
            let known = requests.insert(effect.step.clone(), effect.kind.clone());
            assert!(known.is_none_or(|kind| kind == effect.kind), "{} changed while it waited", effect.step);
        }
        let pick = picks.next().copied().unwrap_or(0) % effects.len();
        let entry = carry_out(&effects[pick], script);
        machine.apply(&entry);
        journal.push(entry);
        readies.push(machine.ready());
        assert!(journal.len() < 500, "a machine comes to an end");
    }
    let end = machine.ready();
    (Played { requests, end, events: machine.take_events() }, journal, readies)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn the_order_of_results_does_not_matter(
        script in prop::collection::vec(turn(), 0..12),
        picks in prop::collection::vec(0_usize..8, 1..20),
        others in prop::collection::vec(0_usize..8, 1..20),
    ) {
        prop_assert_eq!(play(&script, &picks).0, play(&script, &others).0);
    }

    #[test]
    fn resuming_at_every_entry_goes_on_alike(
        script in prop::collection::vec(turn(), 0..12),
        picks in prop::collection::vec(0_usize..8, 1..20),
    ) {
        let (played, journal, readies) = play(&script, &picks);
        for cut in 1..=journal.len() {
            let mut resumed = Machine::new(three_tasks(), Default::default());
            journal[..cut].iter().for_each(|entry| resumed.apply(entry));
            prop_assert_eq!(&resumed.ready(), &readies[cut - 1], "after {} entries", cut);
            // Entries that come twice, and asking in between, change nothing.
            journal[..cut].iter().for_each(|entry| {
                resumed.apply(entry);
                let _ = resumed.ready();
            });
            prop_assert_eq!(&resumed.ready(), &readies[cut - 1], "after {} entries twice", cut);
            journal[cut..].iter().for_each(|entry| resumed.apply(entry));
            prop_assert_eq!(&resumed.ready(), &played.end);
            prop_assert_eq!(&resumed.take_events(), &played.events);
        }
    }
}
