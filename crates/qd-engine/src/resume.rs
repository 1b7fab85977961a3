//! What a job's log tells the next attempt: entries for the machine, tries already made, bounds already used.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use qd_types::{Class, Entry, JobStatus, LogItem, Logged, StepId, StepKind, TaskId, Timestamp};

/// The past of a job.
#[derive(Debug, Default)]
pub(crate) struct Past {
    /// Failed tries of each step.
    pub(crate) tries: HashMap<StepId, u32>,
    /// Tasks whose start is in the log.
    pub(crate) started: HashSet<TaskId>,
    /// Tasks whose end is in the log.
    pub(crate) finished: HashSet<TaskId>,
    /// Keys of known facts.
    pub(crate) facts: HashSet<String>,
    /// Model calls made, failed ones included.
    pub(crate) model_calls: u32,
    /// Tools executed.
    pub(crate) tool_calls: u32,
    /// How long earlier attempts ran.
    pub(crate) ran: Duration,
}

impl Past {
    /// Folds a log; `learn` gets every entry in order.
    pub(crate) fn read(log: &[Logged], mut learn: impl FnMut(&Entry)) -> Self {
        let mut past = Self::default();
        let mut running_since: Option<Timestamp> = None;
        for logged in log {
            match &logged.item {
                LogItem::Entry { entry } => {
                    past.note(entry);
                    learn(entry);
                }
                LogItem::TaskStarted { task, .. } => {
                    past.started.insert(task.clone());
                }
                LogItem::TaskFinished { task, .. } => {
                    past.finished.insert(task.clone());
                }
                LogItem::Status { status: JobStatus::Running, .. } => running_since = Some(logged.at),
                LogItem::Status { .. } => {
                    past.ran += running_since.take().map_or(Duration::ZERO, |since| logged.at.since(since));
                }
            }
        }
        past
    }

    /// Counts an entry, from the log or new.
    pub(crate) fn note(&mut self, entry: &Entry) {
        match entry {
            Entry::Model { .. } => self.model_calls += 1,
            Entry::Tool { .. } => self.tool_calls += 1,
            Entry::CallFailed { step, failure, .. } => {
                match step.kind() {
                    StepKind::Model => self.model_calls += 1,
                    StepKind::Tool => self.tool_calls += 1,
                }
                // A call that was dropped because its worker stopped is no try.
                if failure.class != Class::Cancelled {
                    *self.tries.entry(step.clone()).or_default() += 1;
                }
            }
            Entry::Fact { key, .. } => {
                self.facts.insert(key.clone());
            }
            Entry::Signal { .. } => {}
        }
    }

    /// Failed tries of a step.
    pub(crate) fn tries_of(&self, step: &StepId) -> u32 {
        self.tries.get(step).copied().unwrap_or(0)
    }
}
