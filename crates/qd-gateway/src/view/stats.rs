//! The queue, the last hour and the workers, in figures.

use std::time::Duration;

use qd_store::{Distribution, Recent, Stats};
use qd_types::Timestamp;
use serde::Serialize;

use crate::openapi::Schema;

/// How full workers are to be on average: room for what comes while a new one starts.
const TARGET_PERCENT: usize = 80;

/// What `GET /v1/stats` answers.
#[derive(Debug, Serialize)]
pub(crate) struct StatsView {
    queue: QueueView,
    jobs: OpenJobsView,
    recent: RecentView,
    workers: WorkersView,
}

/// Queued jobs.
#[derive(Debug, Serialize)]
struct QueueView {
    depth: usize,
    /// Nothing while no job is queued.
    oldest_age_seconds: Option<f64>,
    by_priority: Vec<LevelView>,
}

/// Queued jobs of one priority.
#[derive(Debug, Serialize)]
struct LevelView {
    priority: usize,
    depth: usize,
    oldest_age_seconds: Option<f64>,
}

/// Jobs that are not over, by status.
#[derive(Debug, Serialize)]
struct OpenJobsView {
    scheduled: usize,
    queued: usize,
    running: usize,
    retrying: usize,
    waiting: usize,
}

/// What happened in the window.
#[derive(Debug, Serialize)]
struct RecentView {
    /// How far back it reaches: an hour, or less if the store was opened since.
    window_seconds: f64,
    succeeded: u64,
    failed: u64,
    cancelled: u64,
    model_calls: u64,
    total_tokens: u64,
    cost_usd: String,
    /// From acceptance (or `run_at`) to the end.
    duration_seconds: SpansView,
    /// From acceptance (or `run_at`) until a worker first took a job up.
    wait_seconds: SpansView,
}

/// Spans of time, summed up. Everything is 0 if there were none.
#[derive(Debug, Serialize)]
struct SpansView {
    count: u64,
    average: f64,
    p50: f64,
    p95: f64,
    p99: f64,
}

/// The worker of this process.
#[derive(Debug, Serialize)]
struct WorkersView {
    slots: usize,
    busy_slots: usize,
}

impl StatsView {
    pub(crate) fn new(
        stats: &Stats,
        recent: &Recent,
        slots: usize,
        busy_slots: usize,
        now: Timestamp,
    ) -> Self {
        let by_priority = stats.levels.iter().enumerate().map(|(index, level)| LevelView {
            priority: index + 1,
            depth: level.queued,
            oldest_age_seconds: level.oldest.map(|since| seconds(now.since(since))),
        });
        Self {
            queue: QueueView {
                depth: stats.queued,
                oldest_age_seconds: stats.oldest().map(|since| seconds(now.since(since))),
                by_priority: by_priority.collect(),
            },
            jobs: OpenJobsView {
                scheduled: stats.scheduled,
                queued: stats.queued,
                running: stats.running,
                retrying: stats.retrying(),
                waiting: stats.waiting,
            },
            recent: RecentView::from(recent),
            workers: WorkersView { slots, busy_slots },
        }
    }
}

impl From<&Recent> for RecentView {
    fn from(recent: &Recent) -> Self {
        Self {
            window_seconds: seconds(recent.window),
            succeeded: recent.succeeded,
            failed: recent.failed,
            cancelled: recent.cancelled,
            model_calls: recent.model_calls,
            total_tokens: recent.tokens,
            cost_usd: recent.cost.to_string(),
            duration_seconds: SpansView::from(&recent.durations),
            wait_seconds: SpansView::from(&recent.waits),
        }
    }
}

impl From<&Distribution> for SpansView {
    fn from(spans: &Distribution) -> Self {
        Self {
            count: spans.count,
            average: seconds(spans.average),
            p50: seconds(spans.p50),
            p95: seconds(spans.p95),
            p99: seconds(spans.p99),
        }
    }
}

/// What `GET /scale` answers.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct ScaleView {
    queued: usize,
    running: usize,
    /// Both: what there is to do now. Scaling on queued jobs alone would stop workers that are busy.
    demand: usize,
    /// 0 while no job is queued.
    oldest_queued_age_seconds: f64,
    /// Of this process; taken for those of every other.
    slots_per_worker: usize,
    /// Of this process.
    busy_slots: usize,
    /// Busy slots to slots of this process: above 1 while spare ones are in use.
    utilisation: f64,
    /// Workers for this demand with a fifth of their slots free. Nothing if this process has no slots.
    desired: Option<usize>,
}

impl ScaleView {
    pub(crate) fn new(stats: &Stats, slots: usize, busy_slots: usize, now: Timestamp) -> Self {
        let demand = stats.queued + stats.running;
        let oldest = stats.oldest().map_or(Duration::ZERO, |since| now.since(since));
        Self {
            queued: stats.queued,
            running: stats.running,
            demand,
            oldest_queued_age_seconds: seconds(oldest),
            slots_per_worker: slots,
            busy_slots,
            utilisation: share(busy_slots, slots),
            desired: (slots > 0).then(|| (demand * 100).div_ceil(slots * TARGET_PERCENT)),
        }
    }
}

#[allow(clippy::cast_precision_loss)]
fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// To the millisecond: what a clock says beyond is noise.
#[allow(clippy::cast_precision_loss)]
fn seconds(span: Duration) -> f64 {
    span.as_millis() as f64 / 1000.0
}

/// What the document says of figures.
pub(crate) fn schemas() -> Vec<(&'static str, Schema)> {
    let age = || Schema::number().nullable().about("Age of the oldest; null while there is none.");
    let level = Schema::object()
        .field("priority", Schema::whole(1, qd_types::Priority::LEVELS as i64))
        .field("depth", Schema::count())
        .field("oldest_age_seconds", age());
    let queue = Schema::object()
        .about("Queued jobs.")
        .field("depth", Schema::count())
        .field("oldest_age_seconds", age())
        .field("by_priority", Schema::list(level));
    let open = ["scheduled", "queued", "running", "retrying", "waiting"];
    let open = open.into_iter().fold(Schema::object(), |open, status| open.field(status, Schema::count()));
    let workers = Schema::object()
        .about("The worker of this process.")
        .field("slots", Schema::count())
        .field("busy_slots", Schema::count().about("Spare ones included."));
    let stats = Schema::object()
        .about("The queue, the last hour and the workers, in figures.")
        .field("queue", queue)
        .field("jobs", open.about("Jobs that are not over, by status."))
        .field("recent", recent_schema())
        .field("workers", workers);
    let spans = Schema::object()
        .about("Spans of time, summed up; everything is 0 if there were none.")
        .field("count", Schema::count())
        .field("average", Schema::number())
        .field("p50", Schema::number())
        .field("p95", Schema::number())
        .field("p99", Schema::number());
    vec![("Stats", stats), ("Spans", spans)]
}

fn recent_schema() -> Schema {
    let window = "How far back it reaches: an hour, or less if the store was opened since.";
    let spans = |about| Schema::named("Spans").about(about);
    Schema::object()
        .about("What happened in the window.")
        .field("window_seconds", Schema::number().about(window))
        .field("succeeded", Schema::count())
        .field("failed", Schema::count())
        .field("cancelled", Schema::count())
        .field("model_calls", Schema::count())
        .field("total_tokens", Schema::count())
        .field("cost_usd", Schema::dollars())
        .field("duration_seconds", spans("From acceptance (or `run_at`) to the end."))
        .field("wait_seconds", spans("From acceptance (or `run_at`) until a worker first took a job up."))
}

#[cfg(test)]
mod tests {
    use qd_store::Stats;
    use qd_types::Timestamp;

    use super::ScaleView;

    #[test]
    fn workers_are_wanted_for_what_is_queued_and_running() {
        for (queued, running, slots, desired) in [
            (0, 0, 8, Some(0)),
            (1, 0, 8, Some(1)),
            (12, 8, 8, Some(4)),
            (0, 6, 8, Some(1)),
            (0, 8, 8, Some(2)),
            (10_000, 100, 100, Some(127)),
            (5, 0, 0, None),
        ] {
            let stats = Stats { queued, running, ..Stats::default() };
            let view = ScaleView::new(&stats, slots, running, Timestamp(0));
            assert_eq!((view.desired, view.demand), (desired, queued + running), "{view:?}");
        }
    }
}
