//! `GET /crews/{system}/metrics`: how each crew of a system did in the last hour, held against thresholds.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use qd_store::CrewRecent;
use qd_types::{Code, CrewName, Timestamp};
use serde::Serialize;

use super::{crews_of, names, of_system};
use crate::access::Caller;
use crate::context::Shared;
use crate::openapi::{Answer, Operation, Schema};
use crate::problem::Problem;
use crate::routes::{Name, json};
use crate::view::time::Rfc3339;

#[derive(Serialize)]
struct MetricsView {
    metrics: BTreeMap<String, MetricView>,
}

#[derive(Serialize)]
struct MetricView {
    current: Option<f64>,
    level: &'static str,
    timestamp: Rfc3339,
    thresholds: Thresholds,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Thresholds {
    warning: f64,
    critical: f64,
}

/// One figure of a crew.
struct Measure {
    /// What its name ends with.
    name: &'static str,
    thresholds: Thresholds,
    of: fn(&CrewRecent) -> Option<f64>,
}

/// Where the lower threshold is the critical one, low figures are the bad ones.
const MEASURES: [Measure; 4] = [
    // Of the jobs that ended, those that succeeded.
    Measure {
        name: "completion_rate",
        thresholds: Thresholds { warning: 0.8, critical: 0.6 },
        of: |crew| share(crew.succeeded, crew),
    },
    // Seconds from acceptance to the end, of the jobs that a worker ended.
    Measure {
        name: "avg_response_time",
        thresholds: Thresholds { warning: 60.0, critical: 120.0 },
        of: |crew| crew.average.map(|average| average.as_secs_f64()),
    },
    // Of the jobs that ended, those that failed; cancelled ones count as ended.
    Measure {
        name: "error_rate",
        thresholds: Thresholds { warning: 0.05, critical: 0.1 },
        of: |crew| share(crew.failed, crew),
    },
    // Jobs that are not over. A thousand is also where a queue is called deep.
    Measure {
        name: "workload",
        thresholds: Thresholds { warning: 1_000.0, critical: 10_000.0 },
        of: |crew| Some(number(crew.open as u64)),
    },
];

impl Thresholds {
    fn level(self, current: Option<f64>) -> &'static str {
        let Some(current) = current else { return "ok" };
        let low_is_bad = self.critical < self.warning;
        let is_beyond = |threshold: f64| if low_is_bad { current < threshold } else { current > threshold };
        match (is_beyond(self.critical), is_beyond(self.warning)) {
            (true, _) => "critical",
            (false, true) => "warning",
            (false, false) => "ok",
        }
    }
}

/// A part of the jobs that ended; nothing while none did.
fn share(part: u64, crew: &CrewRecent) -> Option<f64> {
    let ended = crew.succeeded + crew.failed + crew.cancelled;
    (ended > 0).then(|| number(part) / number(ended))
}

#[allow(clippy::cast_precision_loss)]
fn number(count: u64) -> f64 {
    count as f64
}

/// `GET /crews/{system}/metrics`. Nothing in it is read from jobs, so it may be asked for often.
pub(crate) async fn metrics(
    State(context): State<Shared>,
    caller: Caller,
    Name(system): Name,
) -> Result<Response, Problem> {
    let crews = crews_of(&context.options, &system)?;
    let crews = names(&context, &caller.tenant, crews).await?;
    let recent = context.store.recent_of(&caller.tenant, crews.clone()).await?;
    Ok(json(StatusCode::OK, &view(&system, &crews, &recent, context.env.now())))
}

fn view(system: &str, crews: &[CrewName], recent: &[CrewRecent], now: Timestamp) -> MetricsView {
    let of_crew = |(crew, recent): (&CrewName, &CrewRecent)| {
        MEASURES.map(|Measure { name, thresholds, of }| {
            let current = of(recent);
            let level = thresholds.level(current);
            let view = MetricView { current, level, timestamp: Rfc3339(now), thresholds };
            (format!("{system}_{crew}_{name}"), view)
        })
    };
    MetricsView { metrics: crews.iter().zip(recent).flat_map(of_crew).collect() }
}

pub(crate) fn about() -> Operation {
    of_system(Operation::new("facades", "readSystemMetrics", "how the crews of a system do"))
        .about(
            "Over the last hour, or since the server started if that is less: for each crew `<system>_<crew>_` and \
             `completion_rate`, `avg_response_time` (seconds), `error_rate`, `workload` (jobs that are not over). May \
             be asked for often.",
        )
        .answers(200, Answer::json("The figures.", "SystemMetrics"))
        .fails(&[Code::StoreUnavailable])
}

pub(crate) fn schemas() -> Vec<(&'static str, Schema)> {
    let thresholds = Schema::object()
        .about("A completion rate is bad below them, the others above.")
        .field("warning", Schema::number())
        .field("critical", Schema::number());
    let metric = Schema::object()
        .about("One figure of one crew.")
        .field("current", Schema::number().nullable().about("Null where no job ended."))
        .field("level", Schema::words(["ok", "warning", "critical"]))
        .field("timestamp", Schema::moment())
        .field("thresholds", thresholds);
    let metrics = Schema::object().field("metrics", Schema::map(Schema::named("SystemMetric")));
    vec![("SystemMetric", metric), ("SystemMetrics", metrics)]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn figures_are_held_against_their_thresholds() {
        let crew = |succeeded, failed, cancelled| CrewRecent {
            succeeded,
            failed,
            cancelled,
            ..CrewRecent::default()
        };
        let took = |ms| CrewRecent { average: Some(Duration::from_millis(ms)), ..CrewRecent::default() };
        let open = |open| CrewRecent { open, ..CrewRecent::default() };
        for (name, recent, current, level) in [
            ("completion_rate", crew(0, 0, 0), None, "ok"),
            ("completion_rate", crew(8, 2, 0), Some(0.8), "ok"),
            ("completion_rate", crew(79, 20, 1), Some(0.79), "warning"),
            ("completion_rate", crew(6, 0, 4), Some(0.6), "warning"),
            ("completion_rate", crew(0, 0, 1), Some(0.0), "critical"),
            ("error_rate", crew(0, 0, 0), None, "ok"),
            ("error_rate", crew(19, 1, 0), Some(0.05), "ok"),
            ("error_rate", crew(4, 1, 5), Some(0.1), "warning"),
            ("error_rate", crew(0, 1, 0), Some(1.0), "critical"),
            ("avg_response_time", crew(0, 0, 1), None, "ok"),
            ("avg_response_time", took(60_000), Some(60.0), "ok"),
            ("avg_response_time", took(60_500), Some(60.5), "warning"),
            ("avg_response_time", took(120_001), Some(120.001), "critical"),
            ("workload", open(0), Some(0.0), "ok"),
            ("workload", open(1_001), Some(1_001.0), "warning"),
            ("workload", open(10_001), Some(10_001.0), "critical"),
        ] {
            let crews = [CrewName::new("orders")];
            let view = view("shop", &crews, &[recent], Timestamp(0));
            let metric = &view.metrics[&format!("shop_orders_{name}")];
            assert_eq!((metric.current, metric.level), (current, level), "{name} {recent:?}");
            assert_eq!(view.metrics.len(), 4);
        }
    }
}
