//! The rules that every line keeps, and that nothing grows without bound.

use std::collections::HashSet;

use super::{CATALOGUE, Metrics};
use crate::{Exposition, Kind, SERIES_MAX};

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[test]
fn names_follow_prometheus() {
    let mut seen = HashSet::new();
    for line in CATALOGUE {
        let name = line.name;
        assert!(seen.insert(name), "{name} stands twice");
        assert!(is_name(name), "{name}");
        let ours = ["quarterdeck_", "process_", "agent_"].iter().any(|prefix| name.starts_with(prefix));
        assert!(ours, "{name} has no prefix of ours");
        assert_eq!(line.kind == Kind::Counter, name.ends_with("_total"), "{name}");
        let is_histogram = line.kind == Kind::Histogram;
        assert_eq!(is_histogram, !line.buckets.is_empty(), "{name}");
        assert!(!is_histogram || name.ends_with("_seconds"), "{name} has no unit");
        for unit in ["_ms", "milli", "minutes", "_kb", "_mb", "percent"] {
            assert!(!name.contains(unit), "{name} is not in base units");
        }
        assert!(line.buckets.windows(2).all(|pair| pair[0] < pair[1]), "{name}: buckets grow");
        assert!(line.help.len() > 10 && !line.help.ends_with('.'), "{name}: {}", line.help);
    }
}

#[test]
fn labels_come_from_a_closed_list() {
    let known = [
        "code",
        "crew",
        "error_class",
        "fault",
        "kind",
        "method",
        "model",
        "op",
        "outcome",
        "policy",
        "priority",
        "provider",
        "reason",
        "cause",
        "route",
        "rule",
        "scope",
        "source",
        "state",
        "tool",
        "type",
        "version",
    ];
    for line in CATALOGUE {
        for label in line.labels {
            assert!(
                known.contains(label),
                "{}: label `{label}` is not on the list of bounded ones",
                line.name
            );
        }
    }
}

#[test]
fn every_line_is_served_with_help_and_type_once_it_has_a_value() {
    let metrics = Metrics::default();
    let _ = (
        metrics.http_requests.with(["/", "GET", "200"]).inc(),
        metrics.llm_cost.with(["a", "b", "c"]).inc_by(0.5),
    );
    let text = metrics.render(Exposition::OpenMetrics);
    for line in
        CATALOGUE.iter().filter(|line| line.labels.is_empty() || line.name.contains("http_requests_total"))
    {
        let family =
            if line.kind == Kind::Counter { line.name.trim_end_matches("_total") } else { line.name };
        assert!(text.contains(&format!("# HELP {family} {}.\n", line.help)), "{text}");
        assert!(text.contains(&format!("# TYPE {family} {}\n", line.kind.as_str())), "{text}");
    }
    assert!(
        text.contains("quarterdeck_http_requests_total{route=\"/\",method=\"GET\",code=\"200\"} 1\n"),
        "{text}"
    );
    assert!(
        text.contains("quarterdeck_llm_cost_usd_total{crew=\"a\",provider=\"b\",model=\"c\"} 0.5\n"),
        "{text}"
    );
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn series_beyond_the_bound_share_one() {
    let metrics = Metrics::default();
    for n in 0..SERIES_MAX + 1_000 {
        metrics.jobs_submitted.with([&format!("crew-{n}"), "1"]).inc();
    }
    let text = metrics.render(Exposition::OpenMetrics);
    assert_eq!(
        text.lines().filter(|line| line.starts_with("quarterdeck_jobs_submitted_total")).count(),
        SERIES_MAX + 1
    );
    assert!(text.contains("quarterdeck_jobs_submitted_total{crew=\"other\",priority=\"other\"} 1000\n"));
}

#[test]
fn what_is_only_known_by_looking_is_looked_at_before_every_scrape() {
    let metrics = Metrics::default();
    metrics.before_scrape(|metrics| {
        metrics.process_threads.only().inc();
    });
    let _ = metrics.render(Exposition::OpenMetrics);
    assert!(
        metrics.render(Exposition::OpenMetrics).contains("process_threads 2.0\n"),
        "{}",
        metrics.render(Exposition::OpenMetrics)
    );
}
