//! What a job's log tells the next attempt: entries for the machine, tries already made, bounds already used.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use qd_types::{Class, Entry, Failure, JobStatus, LogItem, Logged, StepId, StepKind, TaskId, Timestamp};

use crate::chain::FailedTry;

/// The past of a job.
#[derive(Debug, Default)]
pub(crate) struct Past {
    /// Failed tries of each step, in order.
    failed: HashMap<StepId, Vec<FailedTry>>,
    /// Tasks that began, with how long the job had been running then.
    pub(crate) started: HashMap<TaskId, Duration>,
    /// Tasks whose end is in the log.
    pub(crate) finished: HashSet<TaskId>,
    /// Tools that may not be repeated and were about to be called, without a result.
    pub(crate) intended: HashSet<StepId>,
    /// Keys of known facts.
    pub(crate) facts: HashSet<String>,
    /// Model calls, failed ones and those included whose answer was known.
    pub(crate) model_calls: u32,
    /// Tools executed.
    pub(crate) tool_calls: u32,
    /// Tokens read and written.
    pub(crate) tokens: u64,
    /// How long earlier attempts ran.
    pub(crate) ran: Duration,
}

impl Past {
    /// A failure of a job that does not go on, which also says what nobody will ask about any more: whoever runs the job
    /// again would call it a second time.
    pub(crate) fn with_doubts(&self, mut failure: Failure) -> Failure {
        let mut steps: Vec<&str> = self.intended.iter().map(StepId::as_str).collect();
        steps.sort_unstable();
        if !steps.is_empty() {
            failure.message += &format!(
                "; the job was about to call a tool in {} and nobody knows whether it did: look there before it is run again",
                steps.join(", ")
            );
        }
        failure
    }

    /// Folds a log; `learn` gets every entry in order.
    pub(crate) fn read(log: &[Logged], mut learn: impl FnMut(&Entry)) -> Self {
        let mut past = Self::default();
        let mut running_since: Option<Timestamp> = None;
        let mut last_sign = Timestamp::default();
        for logged in log {
            match &logged.item {
                LogItem::Entry { entry } => {
                    past.note(entry);
                    learn(entry);
                }
                LogItem::TaskStarted { task, .. } => {
                    let since = running_since.map_or(Duration::ZERO, |since| logged.at.since(since));
                    past.started.entry(task.clone()).or_insert(past.ran + since);
                }
                LogItem::TaskFinished { task, .. } => {
                    past.finished.insert(task.clone());
                }
                // Nobody works on a job that waits.
                LogItem::Reminded { .. } => {}
                LogItem::Status { status: JobStatus::Running, .. } => running_since = Some(logged.at),
                LogItem::Status { .. } => {
                    // Nobody knows when a dead attempt died; the time in which nothing ran is not its running time.
                    let end = if logged.attempt == 0 { last_sign } else { logged.at };
                    past.ran += running_since.take().map_or(Duration::ZERO, |since| end.since(since));
                }
            }
            last_sign = logged.at;
        }
        past
    }

    /// Counts an entry, from the log or new.
    pub(crate) fn note(&mut self, entry: &Entry) {
        match entry {
            Entry::Model { usage, .. } => {
                self.model_calls += 1;
                self.tokens += usage.total_tokens();
            }
            Entry::Intent { step, .. } => {
                self.intended.insert(step.clone());
            }
            Entry::Tool { step, .. } => {
                self.intended.remove(step);
                self.tool_calls += 1;
            }
            Entry::CallFailed { step, failure, call, .. } => {
                match step.kind() {
                    StepKind::Model => self.model_calls += 1,
                    StepKind::Tool => self.tool_calls += 1,
                    StepKind::Human => {}
                }
                // A call that was dropped because its worker stopped is no try.
                if failure.class != Class::Cancelled {
                    self.failed.entry(step.clone()).or_default().push(FailedTry::new(call, failure));
                }
            }
            Entry::Fact { key, .. } => {
                self.facts.insert(key.clone());
            }
            Entry::Human { step, .. } => {
                self.intended.remove(step);
            }
            Entry::Recourse { .. } | Entry::Signal { .. } => {}
        }
    }

    /// Failed tries of a step, in order.
    pub(crate) fn failed_at(&self, step: &StepId) -> &[FailedTry] {
        self.failed.get(step).map(Vec::as_slice).unwrap_or_default()
    }

    /// How many they are.
    pub(crate) fn tries_of(&self, step: &StepId) -> u32 {
        u32::try_from(self.failed_at(step).len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use qd_types::{AgentId, JobStatus, LogItem, Logged, TaskId, Timestamp};

    use super::Past;

    fn status(at: i64, attempt: u32, status: JobStatus) -> Logged {
        let item = LogItem::Status { status, at: None, failure: None, ask: None };
        Logged { seq: 0, at: Timestamp(at * 1_000), attempt, item }
    }

    fn sign(at: i64, attempt: u32) -> Logged {
        let item = LogItem::TaskStarted { task: TaskId::new("t"), agent: AgentId::new("a") };
        Logged { seq: 0, at: Timestamp(at * 1_000), attempt, item }
    }

    #[test]
    fn running_time_leaves_out_waiting_and_the_time_a_dead_worker_was_away() {
        use JobStatus::{Queued, Retrying, Running};
        for (log, seconds) in [
            (vec![status(0, 1, Running)], 0),
            (
                vec![
                    status(0, 1, Running),
                    status(5, 1, Retrying),
                    status(60, 0, Queued),
                    status(61, 2, Running),
                ],
                5,
            ),
            (vec![status(0, 1, Running), status(9_000, 0, Queued), status(9_001, 2, Running)], 0),
            (vec![status(0, 1, Running), sign(7, 1), status(9_000, 0, Queued), status(9_001, 2, Running)], 7),
        ] {
            assert_eq!(Past::read(&log, |_| {}).ran, Duration::from_secs(seconds), "{log:?}");
        }
    }
}
