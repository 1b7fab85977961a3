//! The ledger under a clock that the tests move.

use std::sync::Arc;
use std::time::Duration;

use qd_env::{Env, ManualClock};
use qd_types::Usage;

use super::{Arrival, Counts, Ledger, OpenCall, Outcome};
use crate::sim::FaultKind;

const USAGE: Usage = Usage {
    model_calls: 1,
    tool_calls: 0,
    input_tokens: 100,
    cache_read_tokens: 0,
    cache_write_tokens: 0,
    output_tokens: 10,
    reasoning_tokens: 0,
    unpriced_calls: 0,
};

struct Bench {
    ledger: Ledger,
    clock: Arc<ManualClock>,
}

impl Bench {
    fn new(capacity: usize) -> Self {
        let clock = Arc::new(ManualClock::at(0));
        Self { ledger: Ledger::new(capacity, Env::with(clock.clone(), 0)), clock }
    }

    fn start(&self, call: &str) -> OpenCall {
        self.ledger.start(Arrival { call: Some(call), content: 1, customer: 1 })
    }

    fn answer(&self, call: &str) {
        let mut open = self.start(call);
        open.begun(&USAGE);
        open.answered();
    }

    fn pass(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
    }
}

#[test]
fn a_step_answered_in_two_tries_was_paid_twice() {
    let bench = Bench::new(10);
    for (call, is_answered) in [("j/a/1", true), ("j/a/2", true), ("j/b/1", false), ("j/b/2", true)] {
        if is_answered { bench.answer(call) } else { bench.start(call).faulted(FaultKind::Hang) }
    }
    let page = bench.ledger.page();
    assert_eq!(page.answered_twice, ["j/a"]);
    assert_eq!(page.totals, Counts { started: 4, answered: 3, faulted: 1 });
    let failed = &page.calls["j/b/1"];
    assert_eq!((failed.started, failed.answered, failed.faulted), (1, 0, 1));
    assert_eq!(failed.outcome, Outcome::Fault(FaultKind::Hang));
    assert_eq!((page.in_flight, page.max_in_flight), (0, 1));
    let summary = &page.summary;
    assert_eq!((summary.calls, summary.needs, summary.paid_twice), (4, 2, 1));
    assert!((summary.calls_per_need - 2.0).abs() < 1e-9);
    assert_eq!(summary.needs_by_calls, [(2, 2)].into());
    assert_eq!(summary, &bench.ledger.summary());
}

#[test]
fn the_same_call_answered_again_is_seen() {
    let bench = Bench::new(10);
    bench.answer("j/a/1");
    bench.answer("j/a/1");
    assert_eq!(bench.ledger.page().answered_twice, ["j/a"]);
}

#[test]
fn without_ids_the_same_request_is_the_same_need() {
    let bench = Bench::new(10);
    for content in [1, 1, 2] {
        let mut open = bench.ledger.start(Arrival { call: None, content, customer: 1 });
        open.begun(&USAGE);
        open.answered();
    }
    let page = bench.ledger.page();
    assert_eq!((page.calls.len(), page.totals.answered), (0, 3));
    assert_eq!((page.summary.needs, page.summary.paid_twice), (2, 1));
}

#[test]
fn what_has_begun_is_billed_though_it_never_arrives() {
    let bench = Bench::new(10);
    let mut cut = bench.start("j/a/1");
    cut.faulted(FaultKind::Cut);
    cut.begun(&USAGE);
    drop(cut);
    bench.answer("j/a/2");
    let mut left = bench.start("j/b/1");
    left.begun(&USAGE);
    drop(left);
    let page = bench.ledger.page();
    let summary = page.summary;
    assert_eq!(
        (summary.billed.calls, summary.billed.input_tokens, summary.billed.output_tokens),
        (3, 300, 30)
    );
    assert_eq!((summary.billed_again.calls, summary.paid_twice, summary.abandoned), (1, 0, 1));
    assert_eq!(summary.billed.cost.to_string(), "0.00021");
    assert_eq!(page.calls["j/b/1"].outcome, Outcome::Abandoned);
    let shown = serde_json::to_value(&page.calls["j/a/1"]).unwrap();
    assert_eq!(shown["outcome"], "cut");
    assert_eq!(
        (shown["cost_usd"].as_str(), shown["hash"].as_str()),
        (Some("0.00007"), Some("0000000000000001"))
    );
}

#[test]
fn the_oldest_calls_are_forgotten_and_told_of() {
    let bench = Bench::new(2);
    for call in ["j/a/1", "j/b/1", "j/c/1"] {
        bench.answer(call);
    }
    let mut nameless = bench.ledger.start(Arrival { call: None, content: 9, customer: 1 });
    nameless.answered();
    drop(nameless);
    let page = bench.ledger.page();
    assert_eq!((page.calls.len(), page.forgotten, page.totals.answered), (2, 1, 4));
    assert!(!page.calls.contains_key("j/a/1"));
    assert_eq!(page.summary.needs, 4, "what is forgotten stays counted");
    bench.ledger.clear();
    let page = bench.ledger.page();
    assert_eq!((page.totals, page.summary.needs), (Counts::default(), 0));
}

#[test]
fn the_time_after_a_429_is_measured() {
    let bench = Bench::new(10);
    bench.pass(2_000);
    bench.start("j/a/1").refused(429, Some(Duration::from_secs(5)));
    bench.pass(1_500);
    bench.start("j/b/1").refused(503, None);
    bench.pass(4_000);
    bench.answer("j/a/2");
    let limited = bench.ledger.summary().rate_limited;
    assert_eq!((limited.answers, limited.too_early), (1, 1), "one came within the 5 s, one after them");
    assert_eq!(limited.shortest_spacing_ms, Some(1_500));
    assert_eq!(limited.shortest_retry_ms, Some(5_500));
    assert_eq!(limited.by_second, [(2, 1)].into());
    assert_eq!(bench.ledger.summary().statuses, [(200, 1), (429, 1), (503, 1)].into());
}

#[test]
fn seconds_with_a_429_are_bounded() {
    let bench = Bench::new(10);
    for _ in 0..4_000 {
        bench.start("j/a/1").refused(429, None);
        bench.pass(1_000);
    }
    let limited = bench.ledger.summary().rate_limited;
    assert_eq!((limited.answers, limited.by_second.len()), (4_000, 3_600));
    assert_eq!(limited.by_second.keys().next(), Some(&400));
}
