//! Every field that a log line may have. A line with another one fails the tests.
//!
//! Names are the glossary's words and the same in all crates; units stand in the name. Prompts, answers, arguments of
//! tools, outputs and keys are never logged, at no level: codes and classes say what failed, ids say where to look.

/// A field of log lines.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it tells.
    pub meaning: &'static str,
}

macro_rules! fields {
    ($($name:literal $meaning:literal;)*) => {
        /// Every field, those of every line first.
        pub const FIELDS: &[Field] = &[$(Field { name: $name, meaning: $meaning },)*];
    };
}

fields! {
    "timestamp" "When, RFC 3339 in UTC. On every line";
    "level" "`ERROR`: a person must look. `WARN`: something failed. `INFO`: the life of the process. `DEBUG`: every job. `TRACE`: more. On every line";
    "target" "The crate and module that tells. On every line";
    "message" "What happened, in words that do not vary. On every line";

    "job" "Id of the job";
    "crew" "Name of the job's crew";
    "task" "Name of the task";
    "step" "Path of the step, as in `GET /v1/jobs/{id}/steps`";
    "attempt" "Which attempt of the job, from 1";
    "try" "Which try of the step, from 1";
    "worker" "Id of the worker, new at every start";
    "model" "The model as the crew names it";
    "tool" "Name of the tool";
    "status" "Status of the job after this; or of an answer, as a number";
    "class" "What is done about a failure: `transient`, `overloaded`, `rate_limited`, `quota`, `permanent`, `exhausted`, `cancelled`, `bug`";
    "code" "What failed: a code with a page in docs/errors";
    "fault" "Whose fault: `user`, `model`, `tool`, `platform`";
    "refused" "Why a write of an attempt was not taken: its lease is gone, or the job is over";
    "crashes" "How often in a row its worker crashed";
    "crashed" "Whether a job is queued again because its worker died, or because its time has come";

    "request_id" "The request's `X-Request-Id`, as its answer carries it";
    "peer" "Address of a client";
    "operation" "Operation of the store";
    "error" "What the store, the disk or the network said";
    "reason" "Why, in words";

    "duration_ms" "How long it took";
    "wait_ms" "How long until it is tried again";
    "timeout_ms" "How long was waited";
    "jobs" "How many jobs";
    "revoked" "How many leases were lost";
    "slots" "Jobs at once in this process";
    "crews" "How many crews are published";
    "address" "Where the API listens";
    "admin_address" "Where the admin port listens";
    "version" "Version of the program";
    "profile" "Profile of the configuration";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::FIELDS;

    #[test]
    fn every_field_stands_once_with_its_meaning() {
        let mut seen = HashSet::new();
        for field in FIELDS {
            assert!(seen.insert(field.name), "`{}` stands twice", field.name);
            assert!(!field.meaning.is_empty() && !field.meaning.ends_with('.'), "`{}`", field.name);
        }
    }
}
