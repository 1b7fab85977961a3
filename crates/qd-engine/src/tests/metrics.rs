//! What the engine counts.

use std::time::Duration;

use qd_telemetry::Exposition;
use qd_types::{Entry, JobStatus, LogItem, TenantId};

use super::{Bench, accept, finished, job, parking, quick};
use crate::Options;

/// The value of a series, as it is served.
pub(super) fn value(bench: &Bench, series: &str) -> Option<f64> {
    let text = bench.metrics.render(Exposition::Prometheus);
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[track_caller]
fn assert_values(bench: &Bench, expected: &[(&str, f64)]) {
    for (series, expected) in expected {
        assert_eq!(
            value(bench, series),
            Some(*expected),
            "{series}\n{}",
            bench.metrics.render(Exposition::Prometheus)
        );
    }
}

/// Waits until no slot is taken: what an attempt counts at its end is counted then.
async fn idle(bench: &Bench) {
    while value(bench, "agent_worker_busy") != Some(0.0) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn job_with_tools_is_counted_from_its_wait_to_its_cost() {
    let bench = Bench::start(quick()).await;
    let id = accept(&bench.store, job(&bench.env, "sums", "question", "what is 6 * 7?")).await;
    let ended = finished(&bench.store, id).await;
    idle(&bench).await;
    let (calls, tools) = (f64::from(ended.usage.model_calls), f64::from(ended.usage.tool_calls));
    let model = r#"provider="sim",model="standard""#;
    assert_values(
        &bench,
        &[
            (r#"quarterdeck_queue_wait_seconds_count{priority="1"}"#, 1.0),
            (r#"quarterdeck_jobs_finished_total{crew="sums",outcome="succeeded",fault="none"}"#, 1.0),
            (r#"quarterdeck_job_duration_seconds_count{crew="sums",outcome="succeeded"}"#, 1.0),
            (r#"quarterdeck_job_run_seconds_count{crew="sums",outcome="succeeded"}"#, 1.0),
            (r#"quarterdeck_steps_total{crew="sums",kind="model",source="executed"}"#, calls),
            (r#"quarterdeck_steps_total{crew="sums",kind="tool",source="executed"}"#, tools),
            (r#"quarterdeck_steps_total{crew="sums",kind="model",source="replayed"}"#, 0.0),
            (&format!(r#"quarterdeck_llm_requests_total{{{model},outcome="ok",error_class="none"}}"#), calls),
            (&format!(r#"quarterdeck_llm_time_to_first_token_seconds_count{{{model}}}"#), 2.0),
            #[allow(clippy::cast_precision_loss)]
            (
                &format!(r#"quarterdeck_llm_tokens_total{{{model},type="output"}}"#),
                ended.usage.output_tokens as f64,
            ),
            (r#"quarterdeck_tool_calls_total{tool="calculator",outcome="ok"}"#, tools - 1.0),
            (r#"quarterdeck_tool_duration_seconds_count{tool="current_time"}"#, 1.0),
            (r#"quarterdeck_worker_slots{state="idle"}"#, 16.0),
            (r#"quarterdeck_workers{state="ready"}"#, 1.0),
            (r#"quarterdeck_store_op_duration_seconds_count{op="enqueue"}"#, 1.0),
            ("agent_job_processing_seconds_count", 1.0),
            ("agent_job_errors_total", 0.0),
        ],
    );
    let cost = value(&bench, &format!(r#"quarterdeck_llm_cost_usd_total{{crew="sums",{model}}}"#)).unwrap();
    assert!((cost - ended.cost.to_dollars()).abs() < 1e-9 && cost > 0.0, "{cost}");
}

#[tokio::test(start_paused = true)]
async fn failures_and_retries_are_counted_by_class_and_fault() {
    let bench = Bench::start(parking()).await;
    let retried = bench.submit("hello [[sim: fault=500 times=1]]").await;
    let refused = bench.submit("hello [[sim: fault=401]]").await;
    assert_eq!(finished(&bench.store, retried).await.status, JobStatus::Succeeded);
    assert_eq!(finished(&bench.store, refused).await.status, JobStatus::Failed);
    idle(&bench).await;
    let error = |class| {
        format!(
            r#"quarterdeck_llm_requests_total{{provider="sim",model="standard",outcome="error",error_class="{class}"}}"#
        )
    };
    assert_values(
        &bench,
        &[
            (r#"quarterdeck_job_retries_total{crew="plain",error_class="transient"}"#, 1.0),
            (r#"quarterdeck_jobs_finished_total{crew="plain",outcome="failed",fault="model"}"#, 1.0),
            (r#"quarterdeck_dead_letters_total{crew="plain",error_class="permanent"}"#, 1.0),
            (&error("transient"), 1.0),
            (&error("permanent"), 1.0),
            ("agent_job_errors_total", 1.0),
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn calls_that_a_later_attempt_takes_from_the_journal_are_counted_as_saved() {
    let bench = Bench::start(parking()).await;
    // Every step fails once, so that every attempt but the first finds calls in the journal.
    let wish = "what is 1 + 1? [[sim: fault=503 times=1]]";
    let id = accept(&bench.store, job(&bench.env, "sums", "question", wish)).await;
    let ended = finished(&bench.store, id).await;
    idle(&bench).await;
    let log = bench.store.log(&TenantId::default(), id, 0, 1_000).await.unwrap().unwrap();
    let (mut calls, mut replayed, mut saved) = (0.0, 0.0, 0.0);
    for logged in &log {
        let LogItem::Entry { entry } = &logged.item else { continue };
        if let Entry::Model { cost, .. } = &**entry {
            let later = f64::from(ended.attempt - logged.attempt);
            calls += 1.0;
            replayed += later;
            saved += later * cost.to_dollars();
        }
    }
    assert!(ended.attempt > 2 && replayed > 1.0, "{log:?}");
    assert_values(
        &bench,
        &[
            (r#"quarterdeck_steps_total{crew="sums",kind="model",source="executed"}"#, calls),
            (r#"quarterdeck_steps_total{crew="sums",kind="model",source="replayed"}"#, replayed),
        ],
    );
    let counted = value(&bench, r#"quarterdeck_llm_cost_saved_usd_total{reason="replay"}"#).unwrap();
    assert!((counted - saved).abs() < 1e-9 && saved > 0.0, "{counted} {saved}");
}

#[tokio::test(start_paused = true)]
async fn jobs_that_end_without_a_worker_and_those_handed_back_are_counted() {
    let bench = Bench::start(Options { slots: 1, drain_timeout: Duration::from_secs(1), ..quick() }).await;
    let running = bench.submit("hello [[sim: latency=100s]]").await;
    bench.in_flight(1).await;
    let cancelled = bench.submit("hello").await;
    bench.store.cancel(&TenantId::default(), cancelled).await.unwrap();
    let mut brief = job(&bench.env, "plain", "message", "hello");
    brief.expires_at = Some(bench.env.now().plus(Duration::from_secs(1)));
    let brief = accept(&bench.store, brief).await;
    assert_eq!(finished(&bench.store, brief).await.status, JobStatus::Failed);
    assert_values(&bench, &[("agent_worker_busy", 1.0), (r#"quarterdeck_worker_slots{state="idle"}"#, 0.0)]);
    let (metrics, store) = (bench.metrics.clone(), bench.store.clone());
    bench.engine.stop().await;
    assert!(!store.job(&TenantId::default(), running).await.unwrap().unwrap().status.is_terminal());
    let text = metrics.render(Exposition::Prometheus);
    for line in [
        r#"quarterdeck_jobs_finished_total{crew="plain",outcome="cancelled",fault="none"} 1"#,
        r#"quarterdeck_jobs_finished_total{crew="plain",outcome="failed",fault="platform"} 1"#,
        r#"quarterdeck_jobs_recovered_total{cause="drain_handoff"} 1"#,
        r#"quarterdeck_workers{state="ready"} 0.0"#,
        r#"quarterdeck_worker_slots{state="busy"} 0.0"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn names_of_crews_that_do_not_exist_and_texts_of_jobs_make_no_series() {
    let bench = Bench::start(quick()).await;
    let mut ids = Vec::new();
    for n in 0..1_000 {
        let name = format!("hostile-{n}");
        ids.push(accept(&bench.store, job(&bench.env, &name, "message", &name)).await);
        if n % 50 == 0 {
            ids.push(bench.submit(&format!("hostile-{n} [[sim: answer=hostile-answer-{n}]]")).await);
        }
    }
    for id in &ids {
        assert!(finished(&bench.store, *id).await.status.is_terminal());
    }
    idle(&bench).await;
    let text = bench.metrics.render(Exposition::Prometheus);
    assert!(!text.contains("hostile"), "{text}");
    for id in &ids {
        assert!(!text.contains(&id.to_string()));
    }
    assert_values(
        &bench,
        &[(r#"quarterdeck_jobs_finished_total{crew="other",outcome="failed",fault="platform"}"#, 1_000.0)],
    );
    assert!(text.lines().count() < 1_800, "{} lines", text.lines().count());
}
