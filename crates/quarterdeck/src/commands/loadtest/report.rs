//! What a load test found, as JSON for programs and as a page for people. Its shape is versioned; docs/guides/load-testing.md
//! describes it.

use std::fmt::Write as _;

use qd_load::Latency;
use serde_json::{Map, Value, json};

use super::aim::Aim;
use super::ledger::{Ids, Ledger};
use super::plan::Plan;
use super::slo::{SHARES, Span, Verdict};
use crate::cli::Follow;
use crate::output::table;

/// Of the report's shape. A field that is added changes nothing; one that goes or means something else makes a new version.
const VERSION: u32 = 1;
/// Requests sent this much too late say that the generator, and not the server, was slow.
const LATE_MS_MAX: f64 = 20.0;

/// What must hold in every load test, whatever its objectives.
#[derive(Debug, Clone)]
pub(super) struct Check {
    name: &'static str,
    met: bool,
    count: u64,
    jobs: Vec<String>,
}

/// Everything that was found.
pub(super) struct Report {
    slos: Vec<Verdict>,
    checks: Vec<Check>,
    pub(super) interrupted: bool,
    json: Value,
}

impl Report {
    /// Judges and sums up. `checked` says whether the server was asked for all jobs at the end.
    pub(super) fn of(plan: &Plan, aim: &Aim, ledger: &Ledger, started_at: &str, ending: Ending) -> Self {
        let slos: Vec<_> = plan.slos.iter().map(|slo| slo.judge(&ledger.figures)).collect();
        let checks = checks(ledger, ending);
        let interrupted = ending == Ending::Interrupted;
        let mut report = Self { slos, checks, interrupted, json: Value::Null };
        report.json = json!({
            "version": VERSION,
            "quarterdeck": env!("CARGO_PKG_VERSION"),
            "started_at": started_at,
            "verdict": report.verdict(),
            "slos": report.slos.iter().map(slo).collect::<Vec<_>>(),
            "checks": report.checks.iter().map(check).collect::<Vec<_>>(),
            "load": {
                "url": aim.url.as_str().trim_end_matches('/'),
                "crew": plan.crew,
                "label": plan.load,
                "rate_per_second": plan.rate,
                "warmup_seconds": plan.warm_up.as_secs_f64(),
                "duration_seconds": plan.duration.as_secs_f64(),
                "connections": plan.connections,
                "in_flight_max": plan.in_flight,
                "follow": if plan.follow == Follow::Poll { "poll" } else { "events" },
            },
            "requests": requests(ledger),
            "jobs": jobs(plan, ledger),
            "latency_ms": latencies(ledger),
            "over_time": ledger.series.report(),
        });
        report
    }

    /// Whether everything held that had to.
    pub(super) fn passed(&self) -> bool {
        self.slos.iter().all(|slo| slo.met) && self.checks.iter().all(|check| check.met)
    }

    fn verdict(&self) -> &'static str {
        match (self.interrupted, self.passed()) {
            (true, _) => "interrupted",
            (false, true) => "passed",
            (false, false) => "failed",
        }
    }

    pub(super) fn json(&self) -> &Value {
        &self.json
    }

    /// For people.
    pub(super) fn page(&self) -> String {
        let (requests, jobs) = (&self.json["requests"], &self.json["jobs"]);
        let mut page = format!(
            "offered {}, sent {}, accepted {}, refused {}, errors {}, not sent {}\n",
            requests["offered"],
            requests["sent"],
            requests["accepted"],
            requests["refused"]["total"],
            requests["errors"]["total"],
            requests["not_sent"]["in_flight"].as_u64().unwrap_or(0)
                + requests["not_sent"]["late"].as_u64().unwrap_or(0),
        );
        let _ = writeln!(
            page,
            "jobs: {} succeeded, {} failed, {} cancelled; {:.1} ended a second; {} model calls, ${}",
            jobs["succeeded"],
            jobs["failed"],
            jobs["cancelled"],
            jobs["per_second"].as_f64().unwrap_or(0.0),
            jobs["model_calls"],
            jobs["cost_usd"].as_str().unwrap_or("0")
        );
        for (what, kinds) in [
            ("refused", &requests["refused"]["by_status"]),
            ("error", &requests["errors"]["by_kind"]),
            ("failed", &jobs["by_code"]),
        ] {
            for (kind, count) in kinds.as_object().into_iter().flatten() {
                let _ = writeln!(page, "  {what} {kind}: {count}");
            }
        }
        let _ = writeln!(page, "\n{}\n", self.times());
        for slo in &self.slos {
            let _ = writeln!(page, "{slo}");
        }
        for check in self.checks.iter().filter(|check| !check.met) {
            let _ = writeln!(page, "BROKEN  {}: {} {}", check.name, check.count, check.jobs.join(" "));
        }
        let _ = write!(page, "\nverdict: {}", self.verdict());
        page
    }

    fn times(&self) -> String {
        let rows =
            Span::ALL.iter().map(|(_, name)| (*name, &self.json["latency_ms"][*name])).map(|(name, of)| {
                let figure =
                    |key: &str| of[key].as_f64().map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}"));
                let shares = SHARES.iter().map(|(key, _)| figure(key));
                [name.replace('_', " ")].into_iter().chain(shares).collect()
            });
        let headings: Vec<_> = ["ms"].into_iter().chain(SHARES.map(|(name, _)| name)).collect();
        table(&headings, &rows.collect::<Vec<_>>())
    }

    /// What a reader of the figures must know about them.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut all = Vec::new();
        let late = self.json["latency_ms"]["sent_late"]["p99"].as_f64().unwrap_or(0.0);
        if late > LATE_MS_MAX {
            all.push(format!(
                "one request in a hundred was sent {late:.0} ms late and more: every connection was busy, or this machine is; \
                 the figures say so, and more --connections or a lower --rate would tell which"
            ));
        }
        let held = self.json["requests"]["not_sent"]["in_flight"].as_u64().unwrap_or(0);
        if held > 0 {
            all.push(format!(
                "{held} jobs were not sent because as many were under way as --in-flight allows"
            ));
        }
        all
    }
}

/// How a load ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// All was sent, and the server was asked for all jobs.
    Checked,
    /// All was sent, but the server did not say which jobs it has.
    Unchecked,
    /// By Ctrl-C.
    Interrupted,
}

fn checks(ledger: &Ledger, ending: Ending) -> Vec<Check> {
    let broken = &ledger.broken;
    let none =
        |name, ids: &Ids| Check { name, met: ids.count == 0, count: ids.count, jobs: ids.first.clone() };
    let mut all = vec![
        none("jobs lost", &broken.lost),
        none("requests that became two jobs", &broken.twice),
        none("jobs that succeeded without an output", &broken.empty),
    ];
    if ending != Ending::Interrupted {
        all.push(none("jobs that did not end in time", &broken.unfinished));
        let unchecked = u64::from(ending == Ending::Unchecked);
        let name = "lists of all jobs that the server did not give";
        all.push(Check { name, met: unchecked == 0, count: unchecked, jobs: Vec::new() });
    }
    // A run in which nothing succeeded proves nothing.
    let nothing = ledger.figures.jobs.succeeded == 0;
    all.push(Check { name: "nothing succeeded", met: !nothing, count: u64::from(nothing), jobs: Vec::new() });
    all
}

fn slo(verdict: &Verdict) -> Value {
    let (name, unit) = (&verdict.name, verdict.unit);
    json!({"name": name, "unit": unit, "limit": verdict.limit, "measured": verdict.measured, "met": verdict.met})
}

fn check(check: &Check) -> Value {
    json!({"name": check.name, "met": check.met, "count": check.count, "jobs": check.jobs})
}

fn requests(ledger: &Ledger) -> Value {
    let requests = &ledger.figures.requests;
    let by_status: Map<_, _> =
        requests.refused.iter().map(|(status, count)| (status.to_string(), json!(count))).collect();
    let retry_after = requests.retry_after.map(|(least, most)| json!({"min": least, "max": most}));
    json!({
        "warmup": ledger.warmed_up,
        "offered": requests.offered(),
        "sent": requests.sent,
        "accepted": requests.accepted,
        "refused": {"total": requests.refusals(), "by_status": by_status, "retry_after_seconds": retry_after},
        "errors": {"total": requests.failures(), "by_kind": requests.errors},
        "not_sent": {"in_flight": requests.held_back, "late": requests.too_late},
        "unconfirmed": ledger.unconfirmed,
    })
}

fn jobs(plan: &Plan, ledger: &Ledger) -> Value {
    let jobs = &ledger.figures.jobs;
    let per_second = ledger.series.per_second(plan.warm_up, plan.warm_up + plan.duration);
    json!({
        "succeeded": jobs.succeeded,
        "failed": jobs.failed,
        "cancelled": jobs.cancelled,
        "by_code": jobs.codes,
        "platform_failures": jobs.platform,
        "per_second": per_second,
        "model_calls": jobs.model_calls,
        "tool_calls": jobs.tool_calls,
        "tokens": jobs.tokens,
        "cost_usd": jobs.cost.to_string(),
    })
}

fn latencies(ledger: &Ledger) -> Value {
    let figures = &ledger.figures;
    let mut all: Map<_, _> =
        Span::ALL.iter().map(|(of, name)| ((*name).to_owned(), latency(figures.span(*of)))).collect();
    all.insert("refused".to_owned(), latency(&figures.refused));
    all.insert("sent_late".to_owned(), latency(&figures.late));
    Value::Object(all)
}

fn latency(of: &Latency) -> Value {
    let mut shares = json!({"count": of.count()});
    for (name, share) in SHARES {
        shares[name] = if of.count() == 0 { Value::Null } else { json!(of.ms(share)) };
    }
    shares
}
