//! What is counted where, and what is found to be wrong.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Ledger, Rate, Sent, Span};
use crate::commands::loadtest::seen::SeenJob;

const MS: Duration = Duration::from_millis(1);

fn ledger() -> Ledger {
    Ledger::new(1_000 * MS, 3_000 * MS)
}

fn sent(number: u64, intended: Duration, took: Duration) -> Sent {
    Sent { number, intended, late: Duration::ZERO, took }
}

fn job(n: u64, more: Value) -> SeenJob {
    let mut job = json!({
        "id": format!("0198c0de-0000-7000-8000-{n:012}"), "status": "queued", "cost_usd": "0.00",
        "created_at": "2030-03-01T12:00:00.000Z", "output": null, "error": null,
        "metadata": {"loadtest": "mine", "loadtest_number": n.to_string()},
    });
    job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(job).unwrap()
}

fn done(n: u64) -> SeenJob {
    let more = json!({
        "status": "succeeded", "output": {"raw": "Two a day."}, "cost_usd": "0.25",
        "started_at": "2030-03-01T12:00:00.300Z", "finished_at": "2030-03-01T12:00:02.300Z",
        "usage": {"model_calls": 2, "tool_calls": 1, "total_tokens": 100},
    });
    job(n, more)
}

fn failed(n: u64, code: &str, class: &str) -> SeenJob {
    job(n, json!({"status": "failed", "error": {"code": code, "class": class}}))
}

#[test]
fn a_job_is_counted_with_its_times_its_calls_and_its_cost() {
    let mut ledger = ledger();
    ledger.accepted(sent(7, 1_500 * MS, 40 * MS), &job(7, json!({})));
    ledger.seen(&job(7, json!({"status": "running"})));
    assert_eq!(ledger.open.len(), 1);
    ledger.seen(&done(7));
    ledger.seen(&done(7));
    let jobs = &ledger.figures.jobs;
    assert_eq!(
        (ledger.open.len(), jobs.succeeded, jobs.model_calls, jobs.tool_calls, jobs.tokens),
        (0, 1, 2, 1, 100)
    );
    assert_eq!(jobs.cost.to_string(), "0.25");
    let close = |of, ms: f64| {
        let found = ledger.figures.span(of).ms(1.0);
        assert!((ms..ms * 1.001).contains(&found), "{of:?}: {found}");
    };
    close(Span::Accept, 40.0);
    close(Span::Wait, 300.0);
    close(Span::Run, 2_000.0);
    close(Span::EndToEnd, 2_340.0);
    // Accepted in second 1, over 2.3 s later.
    let series = ledger.series.report();
    assert_eq!((&series["steps"][1]["accepted"], &series["steps"][3]["finished"]), (&json!(1), &json!(1)));
}

#[test]
fn the_warm_up_is_in_no_figure_and_checked_all_the_same() {
    let mut ledger = ledger();
    ledger.accepted(sent(0, 10 * MS, MS), &job(0, json!({})));
    ledger.refused(sent(90, 20 * MS, MS), 429, Some(1));
    ledger.failed(sent(2, 30 * MS, MS), "timeout", true);
    ledger.hold_back(40 * MS);
    ledger.seen(&job(0, json!({"status": "succeeded", "output": {"raw": " "}})));
    assert_eq!((ledger.figures.requests.offered(), ledger.figures.jobs.over(), ledger.warmed_up), (0, 0, 3));
    assert_eq!(ledger.figures.span(Span::Accept).count(), 0);
    assert_eq!(ledger.broken.empty.count, 1);
}

#[test]
fn what_was_not_sent_refused_and_failed_is_counted_apart() {
    let mut ledger = ledger();
    let at = 2_000 * MS;
    ledger.accepted(sent(1, at, MS), &job(1, json!({})));
    ledger.refused(sent(90, at, MS), 429, Some(5));
    ledger.refused(sent(90, at, MS), 503, Some(1));
    ledger.refused(sent(90, at, MS), 503, None);
    ledger.failed(sent(2, at, MS), "timeout", true);
    ledger.hold_back(at);
    ledger.give_up(at);
    let requests = &ledger.figures.requests;
    assert_eq!((requests.offered(), requests.sent, requests.accepted), (7, 5, 1));
    assert_eq!((requests.refusals(), requests.failures()), (3, 1));
    assert_eq!((requests.refused[&429], requests.refused[&503], requests.retry_after), (1, 2, Some((1, 5))));
    assert_eq!((requests.held_back, requests.too_late), (1, 1));
    assert_eq!(ledger.figures.rate(Rate::Error), Some(0.2));
    assert_eq!(ledger.figures.rate(Rate::Refused), Some(0.6));
}

#[test]
fn failures_of_models_are_no_errors_of_the_server() {
    let mut ledger = ledger();
    for (n, code, class) in [
        (1, "model_server_error", "transient"),
        (2, "budget_exceeded", "exhausted"),
        (3, "worker_crashed", "permanent"),
        (4, "internal", "bug"),
    ] {
        ledger.accepted(sent(n, 2_000 * MS, MS), &job(n, json!({})));
        ledger.seen(&failed(n, code, class));
    }
    assert_eq!((ledger.figures.jobs.failed, ledger.figures.jobs.platform), (4, 2));
    assert_eq!(ledger.figures.rate(Rate::Error), Some(0.5));
    assert_eq!(ledger.figures.rate(Rate::Failed), Some(1.0));
}

#[test]
fn lost_doubled_and_unfinished_jobs_are_found() {
    let mut ledger = ledger();
    for n in 0..5 {
        ledger.accepted(sent(n, 2_000 * MS, MS), &job(n, json!({})));
    }
    ledger.failed(sent(5, 2_000 * MS, MS), "timeout", true);
    ledger.failed(sent(6, 2_000 * MS, MS), "connect", false);
    for n in 0..3 {
        ledger.seen(&done(n));
    }
    let id = |n| job(n, json!({})).id;
    // Request 1 became two jobs, request 5 one whose answer never came; job 2 is gone.
    let found = [(id(0), 0), (id(1), 1), (id(99), 1), (id(3), 3), (id(4), 4), (id(55), 5)];
    let missing = ledger.compare(&found);
    assert_eq!(missing, [id(2)]);
    missing.into_iter().for_each(|id| ledger.lost(id));
    ledger.stop_waiting();
    let broken = &ledger.broken;
    assert_eq!(
        (broken.lost.count, broken.twice.count, broken.unfinished.count, ledger.unconfirmed),
        (1, 1, 2, 1)
    );
    assert_eq!(broken.lost.first, [id(2).to_string()]);
    assert_eq!(broken.unfinished.first, [id(3).to_string(), id(4).to_string()]);
}

#[test]
fn no_more_jobs_are_sent_than_may_be_under_way() {
    let mut ledger = ledger();
    assert!(ledger.begin(2) && ledger.begin(2) && !ledger.begin(2));
    // One is refused, one is accepted and open, then over.
    ledger.refused(sent(0, MS, MS), 429, None);
    ledger.accepted(sent(1, MS, MS), &job(1, json!({})));
    assert!(ledger.begin(2) && !ledger.begin(2));
    ledger.seen(&done(1));
    assert!(ledger.begin(2) && !ledger.begin(2));
}

#[test]
fn one_job_for_two_requests_is_found() {
    let mut ledger = ledger();
    ledger.accepted(sent(0, 2_000 * MS, MS), &job(0, json!({})));
    ledger.accepted(sent(1, 2_000 * MS, MS), &job(0, json!({})));
    assert_eq!(ledger.broken.twice.count, 1);
}

#[test]
fn jobs_know_their_load() {
    assert_eq!(job(7, json!({})).number_of("mine"), Some(7));
    assert_eq!(job(7, json!({})).number_of("other"), None);
    assert_eq!(job(7, json!({"metadata": {}})).number_of("mine"), None);
}
