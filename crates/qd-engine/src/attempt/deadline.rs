//! When an attempt must stop: the job's running time is up, or that of its current task.
//!
//! Both count running time over the life of the job, so both are found from where the attempt began on the monotonic
//! clock and from how long earlier attempts ran.

use std::collections::HashMap;
use std::time::Duration;

use qd_types::{Class, Code, Failure, Job, TaskId};

/// The moments at which an attempt is cut.
pub(super) struct Deadline {
    /// When this attempt began, on the monotonic clock.
    began: Duration,
    /// How long earlier attempts ran.
    ran: Duration,
    job: Duration,
    timeout_seconds: u32,
    task: Option<OfTask>,
}

struct OfTask {
    task: TaskId,
    limit: Duration,
    at: Duration,
}

impl Deadline {
    pub(super) fn new(job: &Job, ran: Duration, began: Duration) -> Self {
        let whole = Duration::from_secs(u64::from(job.timeout_seconds));
        let at = began + whole.saturating_sub(ran);
        Self { began, ran, job: at, timeout_seconds: job.timeout_seconds, task: None }
    }

    /// How long the job has been running at a moment of the monotonic clock.
    pub(super) fn ran_at(&self, now: Duration) -> Duration {
        self.ran + now.saturating_sub(self.began)
    }

    /// A task is under way now. `started` says how long the job had run when each task began.
    pub(super) fn enter(
        &mut self,
        task: &TaskId,
        limit: Option<Duration>,
        started: &HashMap<TaskId, Duration>,
    ) {
        self.task = limit.map(|limit| {
            let started = started.get(task).copied().unwrap_or(self.ran);
            let at = (self.began + started + limit).saturating_sub(self.ran);
            OfTask { task: task.clone(), limit, at }
        });
    }

    /// Time left until the first of them.
    pub(super) fn left(&self, now: Duration) -> Duration {
        self.task.as_ref().map_or(self.job, |task| task.at.min(self.job)).saturating_sub(now)
    }

    /// Why the attempt is cut once nothing is left.
    pub(super) fn failure(&self) -> Failure {
        match &self.task {
            Some(OfTask { task, limit, at }) if *at < self.job => {
                let message = format!(
                    "the task ran longer than the max_execution_time of its agent ({} s)",
                    limit.as_secs()
                );
                Failure::new(Code::TaskTimeout, Class::Exhausted, message).in_task(task.clone())
            }
            _ => {
                let seconds = self.timeout_seconds;
                let message = format!("the job ran longer than its timeout_seconds ({seconds})");
                Failure::new(Code::JobTimeout, Class::Exhausted, message)
            }
        }
    }
}
