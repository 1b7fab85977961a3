//! What happened when: counts over time, in steps that stay few however long the load is.

use std::time::Duration;

use serde_json::{Value, json};

/// Steps at most, so that the report of a day is no longer than that of an hour.
const STEPS_MAX: u64 = 3_600;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    /// Meant to be sent.
    Offered,
    /// Answered with a job.
    Accepted,
    /// Answered with 429 or 503.
    Refused,
    /// Answered otherwise, or not at all.
    Errors,
    /// Jobs that ended.
    Finished,
}

const NAMES: [&str; 5] = ["offered", "accepted", "refused", "errors", "finished"];

/// See the module.
#[derive(Debug)]
pub(super) struct Series {
    step: Duration,
    steps: Vec<[u64; NAMES.len()]>,
}

impl Series {
    /// For a load of that length. What happens later counts into steps behind it, up to twice the bound.
    pub(super) fn over(span: Duration) -> Self {
        let step = Duration::from_secs(span.as_secs().div_ceil(STEPS_MAX).max(1));
        Self { step, steps: Vec::new() }
    }

    pub(super) fn count(&mut self, at: Duration, what: Count) {
        let step = at.as_secs() / self.step.as_secs();
        let step = usize::try_from(step.min(2 * STEPS_MAX)).unwrap_or(0);
        if self.steps.len() <= step {
            self.steps.resize(step + 1, [0; NAMES.len()]);
        }
        self.steps[step][what as usize] += 1;
    }

    /// Jobs that ended a second, from one moment to another; whole steps are taken.
    pub(super) fn per_second(&self, from: Duration, to: Duration) -> f64 {
        let step = |at: Duration| usize::try_from(at.as_secs() / self.step.as_secs()).unwrap_or(usize::MAX);
        let steps = self.steps.iter().skip(step(from)).take((step(to) - step(from)).max(1));
        let ended: u64 = steps.map(|counts| counts[Count::Finished as usize]).sum();
        ended as f64 / (to.saturating_sub(from)).as_secs_f64().max(1.0)
    }

    /// Counts of each step, by name.
    pub(super) fn report(&self) -> Value {
        let steps = self.steps.iter().zip(0_u64..).map(|(counts, n)| {
            let mut step = json!({"second": n * self.step.as_secs()});
            for (name, count) in NAMES.iter().zip(counts) {
                step[name] = json!(count);
            }
            step
        });
        json!({"step_seconds": self.step.as_secs(), "steps": steps.collect::<Vec<_>>()})
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::{Count, STEPS_MAX, Series};

    #[test]
    fn counts_fall_into_their_second() {
        let mut series = Series::over(Duration::from_secs(30));
        series.count(Duration::from_millis(999), Count::Offered);
        series.count(Duration::from_millis(2_000), Count::Finished);
        series.count(Duration::from_millis(2_001), Count::Finished);
        let report = series.report();
        assert_eq!(report["step_seconds"], 1);
        let zero =
            json!({"second": 1, "offered": 0, "accepted": 0, "refused": 0, "errors": 0, "finished": 0});
        assert_eq!(report["steps"][1], zero);
        assert_eq!((&report["steps"][0]["offered"], &report["steps"][2]["finished"]), (&json!(1), &json!(2)));
        let second = Duration::from_secs(1);
        assert_eq!(series.per_second(second, second * 3), 1.0);
        assert_eq!(series.per_second(second * 3, second * 30), 0.0);
    }

    #[test]
    fn long_loads_have_longer_steps_and_no_more_of_them() {
        let day = Duration::from_secs(24 * 3_600);
        let mut series = Series::over(day);
        series.count(day * 100, Count::Finished);
        assert_eq!(series.report()["step_seconds"], 24);
        assert!(series.steps.len() as u64 <= 2 * STEPS_MAX + 1);
    }
}
