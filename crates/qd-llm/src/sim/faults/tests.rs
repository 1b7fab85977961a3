//! When faults hit, under a clock that the tests move.

use std::sync::Arc;
use std::time::Duration;

use qd_env::{Env, ManualClock};
use qd_types::{ChatRequest, Message, StepId};
use serde_json::{Value, json};

use crate::sim::{FaultKind, FaultRule, Sim, SimOptions};
use crate::{CallScope, ChatModel, SimModel};

struct Bench {
    sim: Sim,
    clock: Arc<ManualClock>,
}

impl Bench {
    /// Rules as a scenario writes them.
    fn new(faults: &Value) -> Self {
        let options: SimOptions = serde_json::from_value(json!({ "faults": faults })).unwrap();
        let clock = Arc::new(ManualClock::at(0));
        Self { sim: Sim::new(options, Env::with(clock.clone(), 0)), clock }
    }

    /// The status of one call; 200 if it went well.
    async fn ask(&self, system: &str, prompt: &str) -> u16 {
        let request = ChatRequest {
            system: Some(system.to_owned()),
            ..ChatRequest::new("sim/demo", vec![Message::user(prompt)])
        };
        let model = SimModel::new(self.sim.clone(), "demo");
        let scope = CallScope::of_step(StepId::new("a/turn-1/model"));
        model.call(&request, &scope).await.map_or_else(|error| error.status.unwrap_or(0), |_| 200)
    }

    async fn go(&self) -> u16 {
        self.ask("You are Writer.", "Go").await
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

#[tokio::test]
async fn a_script_is_a_list_of_faults_that_run_out() {
    let bench = Bench::new(&json!([{ "kind": "429", "times": 2 }, { "kind": 503, "times": 1 }]));
    let mut met = Vec::new();
    for _ in 0..5 {
        met.push(bench.go().await);
    }
    assert_eq!(met, [429, 429, 503, 200, 200]);
    bench.sim.restart_clock();
    assert_eq!(bench.go().await, 429, "a clock that starts anew has its script from the beginning");
}

#[tokio::test]
async fn an_outage_holds_in_its_window_alone() {
    let bench = Bench::new(&json!([{ "kind": "503", "from_seconds": 30, "to_seconds": 90 }]));
    for (pass, status) in [(0, 200), (29, 200), (1, 503), (59, 503), (1, 200), (100_000, 200)] {
        bench.pass(pass);
        assert_eq!(bench.go().await, status, "after {pass} s more");
    }
    bench.sim.restart_clock();
    bench.pass(30);
    assert_eq!(bench.go().await, 503);
}

#[tokio::test]
async fn bursts_come_together() {
    let bench = Bench::new(&json!([{ "kind": "500", "burst": { "on_seconds": 20, "off_seconds": 60 } }]));
    let mut met = Vec::new();
    for _ in 0..2_000 {
        met.push(bench.go().await == 500);
        bench.pass(1);
    }
    let hits = met.iter().filter(|hit| **hit).count();
    let turns = met.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!((250..800).contains(&hits) && (20..100).contains(&turns), "{hits} hits in {turns} turns");
}

#[tokio::test]
async fn rules_match_roles_and_forms_of_prompts() {
    let bench = Bench::new(&json!([
        { "kind": "500", "agent": "Researcher" },
        { "kind": "400", "prompt_matches": r"(?i)order \d{3,}" },
    ]));
    for (system, prompt, status) in [
        ("You are Senior Researcher. You dig.", "Go", 500),
        ("You are Writer. You like a Researcher.", "Go", 200),
        ("You are Writer.", "Where is ORDER 1234?", 400),
        ("You are Writer.", "Where is order 12?", 200),
    ] {
        assert_eq!(bench.ask(system, prompt).await, status, "{system} {prompt}");
    }
}

#[tokio::test]
async fn an_outage_goes_before_wishes_and_rules_and_ends_by_itself() {
    let bench = Bench::new(&json!([{ "kind": "500" }]));
    bench.sim.start_outage(FaultRule::always(FaultKind::Status(529)), Some(Duration::from_secs(60)));
    assert_eq!(bench.ask("You are Writer.", "Go [[sim: fault=400]]").await, 529);
    bench.pass(59);
    assert_eq!(bench.go().await, 529);
    bench.pass(1);
    assert_eq!(bench.go().await, 500, "the rules are there again");
    bench.sim.start_outage(FaultRule::always(FaultKind::Status(529)), None);
    bench.pass(80_000);
    assert_eq!(bench.go().await, 529);
    bench.sim.end_outage();
    assert_eq!(bench.go().await, 500);
}

#[tokio::test(start_paused = true)]
async fn the_address_is_closed_in_the_windows_of_refusals_that_spare_nobody() {
    let door = |rule: Value| {
        let bench = Bench::new(&json!([rule]));
        let mut closed = Vec::new();
        for _ in 0..4 {
            closed.push(bench.sim.faults.door_now().0);
            bench.pass(10);
        }
        closed
    };
    let window = json!({ "kind": "refused", "from_seconds": 10, "to_seconds": 30 });
    assert_eq!(door(window), [false, true, true, false]);
    assert_eq!(door(json!({ "kind": "refused", "from_seconds": 20 })), [false, false, true, true]);
    assert_eq!(door(json!({ "kind": "refused", "rate": 0.5 })), [false; 4]);
    assert_eq!(door(json!({ "kind": "503" })), [false; 4]);
}

#[test]
fn rules_that_make_no_sense_are_told() {
    for (rule, message) in [
        (json!({ "kind": "503", "times": 0 }), "f.times: must be at least 1"),
        (
            json!({ "kind": "503", "from_seconds": 9, "to_seconds": 9 }),
            "f.to_seconds: must be after from_seconds",
        ),
        (json!({ "kind": "503", "from_seconds": -1 }), "f.from_seconds: must be from 0 to 86400 (a day)"),
        (
            json!({ "kind": "503", "silence_seconds": 1 }),
            "f.silence_seconds: is for hang, silent, stall and drip",
        ),
        (
            json!({ "kind": "cut", "body": "html" }),
            "f.body: is for statuses; html and empty are kinds of their own",
        ),
        (
            json!({ "kind": "503", "burst": { "on_seconds": 0, "off_seconds": 5 } }),
            "f.burst.on_seconds: must be from 0.1 to 86400 (a day)",
        ),
    ] {
        let rule: FaultRule = serde_json::from_value(rule).unwrap();
        let mut problems = Vec::new();
        rule.check("f", &mut problems);
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(problems, [message]);
    }
    let pattern = serde_json::from_value::<FaultRule>(json!({ "kind": "503", "prompt_matches": "(" }));
    assert!(pattern.unwrap_err().to_string().starts_with("`(` is no regular expression"));
}
