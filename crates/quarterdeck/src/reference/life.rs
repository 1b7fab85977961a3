//! The page about the life of a job, drawn from the table of transitions.

use std::fmt::Write as _;

use qd_types::JobStatus;

/// The whole page.
pub(super) fn page() -> String {
    let mut page = "# The life of a job\n\nDrawn from `JobStatus::transitions`, the one table that the stores and their \
                    tests go by. The status of a job only moves along these arrows; whoever reads it twice never sees it go \
                    back from an end.\n\n```mermaid\nstateDiagram-v2\n    [*] --> scheduled: run_at is later\n    \
                    [*] --> queued\n"
        .to_owned();
    for status in JobStatus::ALL {
        for next in status.transitions() {
            let _ = writeln!(page, "    {status} --> {next}: {}", cause(status, *next));
        }
        if status.is_terminal() {
            let _ = writeln!(page, "    {status} --> [*]");
        }
    }
    page.push_str("```\n\n| status | means | may become |\n|---|---|---|\n");
    for status in JobStatus::ALL {
        let next: Vec<_> = status.transitions().iter().map(|next| format!("`{next}`")).collect();
        let next = if next.is_empty() { "nothing: it is final".to_owned() } else { next.join(", ") };
        let _ = writeln!(page, "| `{status}` | {} | {next} |", meaning(status));
    }
    page
}

fn meaning(status: JobStatus) -> &'static str {
    match status {
        JobStatus::Scheduled => "accepted, waits for its `run_at`",
        JobStatus::Queued => "ready for a worker, or behind another job of its conversation",
        JobStatus::Running => "a worker holds its lease and works on it",
        JobStatus::Retrying => {
            "a step failed, or its agent's pace is used up; goes on at `retry_at` and holds no worker"
        }
        JobStatus::Waiting => {
            "asks a person about a task's answer, and goes on once it has theirs; holds no worker"
        }
        JobStatus::Succeeded => "has its `output`",
        JobStatus::Failed => "has its `error`; `redrive` makes a new job of it",
        JobStatus::Cancelled => "stopped by request; `redrive` makes a new job of it",
    }
}

fn cause(from: JobStatus, to: JobStatus) -> &'static str {
    match (from, to) {
        (JobStatus::Scheduled | JobStatus::Retrying, JobStatus::Queued) => "its time has come",
        (JobStatus::Waiting, JobStatus::Queued) => "the answer came",
        (_, JobStatus::Running) => "claimed",
        (_, JobStatus::Queued) => "its worker died or gave it back",
        (_, JobStatus::Retrying) => "goes on later",
        (_, JobStatus::Waiting) => "asks",
        (_, JobStatus::Succeeded) => "the crew is done",
        (JobStatus::Running, JobStatus::Failed) => "a failure for good, or a limit",
        (JobStatus::Waiting, JobStatus::Failed) => {
            "nobody answered in time, it was sent back too often, or expires_at has passed"
        }
        (_, JobStatus::Failed) => "expires_at has passed",
        (_, JobStatus::Cancelled) => "on request",
        (_, JobStatus::Scheduled) => "never",
    }
}
