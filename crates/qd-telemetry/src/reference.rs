//! The reference pages of metrics and log fields, written from the tables. A test compares them with the files.

use std::fmt::Write as _;

use crate::catalogue::CATALOGUE;
use crate::fields::FIELDS;
use crate::metrics::Line;

/// A page of the reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its file, from the root of the repository.
    pub path: &'static str,
    /// What stands in it.
    pub text: String,
}

/// The pages.
#[must_use]
pub fn pages() -> Vec<Page> {
    vec![
        Page { path: "docs/reference/metrics.md", text: metrics() },
        Page { path: "docs/reference/logs.md", text: logs() },
    ]
}

const WRITTEN_BY: &str = "<!-- Written by `cargo xtask docs` from the tables of crates/qd-telemetry. -->";

fn metrics() -> String {
    let mut page = format!(
        "# Metrics\n\n{WRITTEN_BY}\n\nServed by `GET /metrics` on the admin port, as Prometheus text, or as OpenMetrics text to who asks for that. How to use them stands \
         in [observing](../guides/observing.md).\n\nLabels take their values from what is configured or from closed \
         lists, so that the number of series is bounded by the configuration: no job, key, path or prompt. Beyond 5,000 \
         series a metric counts under the label values `other`. Counters start at zero with the process. A series \
         with labels is there from the first time that something was counted in it.\n\n\
         | metric | type | labels | what it tells |\n|---|---|---|---|\n"
    );
    for line in CATALOGUE {
        row(&mut page, line);
    }
    page.push_str("\n## Buckets\n\n| metric | upper bounds |\n|---|---|\n");
    for line in CATALOGUE.iter().filter(|line| !line.buckets.is_empty()) {
        let bounds: Vec<String> = line.buckets.iter().map(f64::to_string).collect();
        writeln!(page, "| `{}` | {} |", line.name, bounds.join(", "))
            .expect("writing to a String cannot fail");
    }
    page
}

fn row(page: &mut String, line: &Line) {
    let labels: Vec<String> = line.labels.iter().map(|label| format!("`{label}`")).collect();
    let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(", ") };
    writeln!(page, "| `{}` | {} | {labels} | {} |", line.name, line.kind.as_str(), line.help)
        .expect("writing to a String cannot fail");
}

fn logs() -> String {
    let mut page = format!(
        "# Log fields\n\n{WRITTEN_BY}\n\nWith `log.format = \"json\"` every line on standard error is one JSON object \
         with these fields and no others. Prompts, answers, arguments of tools, outputs and keys are never logged, at \
         no level.\n\n| field | what it tells |\n|---|---|\n"
    );
    for field in FIELDS {
        writeln!(page, "| `{}` | {} |", field.name, field.meaning).expect("writing to a String cannot fail");
    }
    page
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::pages;

    fn file(path: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
    }

    #[test]
    fn reference_pages_are_as_the_tables_say() {
        for page in pages() {
            let written = std::fs::read_to_string(file(page.path)).unwrap_or_default();
            assert!(written == page.text, "{} differs from the tables: run `cargo xtask docs`", page.path);
        }
    }
}
