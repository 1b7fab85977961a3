//! What a load test must keep: names of figures with their limits, as `--slo` gives them, and whether they were kept.

use std::fmt;
use std::time::Duration;

use super::ledger::Figures;
use super::span;

/// What holds when nobody says otherwise: the product's own objectives.
pub(super) const DEFAULT: [&str; 3] = ["accept_p95=500ms", "wait_p95=5s", "error_rate=0.1%"];

/// A figure that is a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Span {
    /// From the intended start of the request to its `202`.
    Accept,
    /// From acceptance until a worker first took the job up.
    Wait,
    /// From there to the job's end.
    Run,
    /// From the intended start to the job's end.
    EndToEnd,
}

impl Span {
    pub(super) const ALL: [(Self, &str); 4] =
        [(Self::Accept, "accept"), (Self::Wait, "wait"), (Self::Run, "run"), (Self::EndToEnd, "end_to_end")];
}

/// The shares that are reported of each span, with their names.
pub(super) const SHARES: [(&str, f64); 5] =
    [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

/// A figure that is a share of requests or jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rate {
    /// Requests and jobs that failed for a reason of the server's.
    Error,
    /// Requests that were refused with 429 or 503.
    Refused,
    /// Jobs that ended without success, whatever the reason.
    Failed,
}

impl Rate {
    const ALL: [(Self, &str); 3] =
        [(Self::Error, "error_rate"), (Self::Refused, "refused_rate"), (Self::Failed, "failed_rate")];
}

/// What is limited, and by how much.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Bound {
    Time { of: Span, share: f64, most: Duration },
    Share { of: Rate, most: f64 },
}

/// One objective.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Slo {
    name: String,
    bound: Bound,
}

/// Whether an objective was kept.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Verdict {
    /// The figure's name.
    pub(super) name: String,
    /// The limit and what was measured: milliseconds, or a share from 0 to 1. Nothing where nothing was measured.
    pub(super) limit: f64,
    pub(super) measured: Option<f64>,
    pub(super) unit: &'static str,
    pub(super) met: bool,
}

impl Slo {
    /// Reads `WHAT=LIMIT`; the error says what is wrong.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let (name, limit) = text
            .split_once('=')
            .ok_or_else(|| format!("`{text}` has no limit; it looks like {}", DEFAULT[0]))?;
        let name = name.trim();
        if let Some((of, _)) = Rate::ALL.iter().find(|(_, known)| *known == name) {
            return Ok(Self { name: name.to_owned(), bound: Bound::Share { of: *of, most: share(limit)? } });
        }
        let of = name.rsplit_once('_').and_then(|(span, quantile)| {
            let (of, _) = Span::ALL.iter().find(|(_, known)| *known == span)?;
            // `p999` is how others write it.
            let quantile = if quantile == "p999" { "p99.9" } else { quantile };
            let (_, share) = SHARES.iter().find(|(known, _)| *known == quantile)?;
            Some((*of, *share))
        });
        let (of, share) = of.ok_or_else(|| format!("there is no figure `{name}`; there are {}", known()))?;
        Ok(Self { name: name.to_owned(), bound: Bound::Time { of, share, most: span::read(limit)? } })
    }

    /// Whether the figures keep it. What was never measured was not kept: a run in which nothing happened proves nothing.
    pub(super) fn judge(&self, figures: &Figures) -> Verdict {
        let (limit, measured, unit) = match self.bound {
            Bound::Time { of, share, most } => {
                let latency = figures.span(of);
                let measured = (latency.count() > 0).then(|| latency.ms(share));
                (most.as_secs_f64() * 1e3, measured, "ms")
            }
            Bound::Share { of, most } => (most, figures.rate(of), "share"),
        };
        let met = measured.is_some_and(|measured| measured <= limit);
        Verdict { name: self.name.clone(), limit, measured, unit, met }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figure = |value: f64| match self.unit {
            "ms" => format!("{value:.1} ms"),
            _ => format!("{:.3} %", value * 100.0),
        };
        let word = if self.met { "kept  " } else { "MISSED" };
        let measured = self.measured.map_or_else(|| "nothing measured".to_owned(), figure);
        write!(f, "{word}  {:<16} {measured} of at most {}", self.name, figure(self.limit))
    }
}

fn share(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let (number, of) = text.strip_suffix('%').map_or((text, 1.0), |number| (number.trim(), 100.0));
    let share = number.parse::<f64>().ok().map(|number| number / of);
    let share = share.filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| format!("`{text}` is no share; it looks like 0.001 or 0.1%"))
}

fn known() -> String {
    let spans = Span::ALL.map(|(_, name)| format!("{name}_p50|p95|p99|p99.9|max"));
    let rates = Rate::ALL.map(|(_, name)| name.to_owned());
    [&spans[..], &rates[..]].concat().join(", ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{DEFAULT, Rate, Slo, Span};
    use crate::commands::loadtest::ledger::Figures;

    #[test]
    fn objectives_are_read_or_refused_with_the_reason() {
        for text in
            DEFAULT.iter().chain(&["run_max=1h", "end_to_end_p99.9=5s", "accept_p999=1s", "refused_rate=0"])
        {
            assert!(Slo::read(text).is_ok(), "{text}");
        }
        for (text, why) in [
            ("accept_p99", "has no limit"),
            (
                "accept_p98=1s",
                "there is no figure `accept_p98`; there are accept_p50|p95|p99|p99.9|max, wait_",
            ),
            ("accept=1s", "there is no figure"),
            ("p99=1s", "there is no figure"),
            ("accept_p99=1", "is no time"),
            ("error_rate=2", "is no share"),
            ("error_rate=-0.1%", "is no share"),
            ("error_rate=NaN", "is no share"),
        ] {
            assert!(Slo::read(text).unwrap_err().contains(why), "{text}: {:?}", Slo::read(text));
        }
    }

    #[test]
    fn objectives_are_kept_up_to_their_limit() {
        let mut figures = Figures::default();
        for ms in 1..=100 {
            figures.span_mut(Span::Accept).note(Duration::from_millis(ms));
        }
        (figures.requests.sent, figures.requests.accepted) = (1_000, 999);
        figures.requests.errors.insert("timeout".to_owned(), 1);
        for (text, measured, met) in [
            ("accept_p99=100ms", Some(99.0), true),
            ("accept_p99=90ms", Some(99.0), false),
            ("accept_max=101ms", Some(100.0), true),
            ("error_rate=0.1%", Some(0.001), true),
            ("error_rate=0.0009", Some(0.001), false),
            ("refused_rate=0", Some(0.0), true),
            // No job was taken up: nothing is proved.
            ("wait_p95=5s", None, false),
            ("failed_rate=1", None, false),
        ] {
            let verdict = Slo::read(text).unwrap().judge(&figures);
            assert_eq!(verdict.met, met, "{text}: {verdict}");
            let close = |(a, b): (f64, f64)| (a - b).abs() <= b * 0.001;
            assert!(verdict.measured.zip(measured).map_or(measured.is_none(), close), "{text}: {verdict}");
        }
        assert_eq!(figures.rate(Rate::Refused), Some(0.0));
    }

    #[test]
    fn verdicts_say_what_was_measured() {
        let verdict = |text: &str| Slo::read(text).unwrap().judge(&Figures::default()).to_string();
        assert_eq!(verdict("wait_p95=5s"), "MISSED  wait_p95         nothing measured of at most 5000.0 ms");
        let mut figures = Figures::default();
        (figures.requests.sent, figures.requests.accepted) = (10, 10);
        let kept = Slo::read("error_rate=0.1%").unwrap().judge(&figures).to_string();
        assert_eq!(kept, "kept    error_rate       0.000 % of at most 0.100 %");
    }
}
