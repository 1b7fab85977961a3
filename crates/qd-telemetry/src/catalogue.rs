//! Every metric, one line each: field, kind, name, labels, help. Adding a metric is a line here and the place that
//! observes it; the reference page follows by `cargo xtask docs`.
//!
//! Names follow Prometheus: base units in the name, `_total` on counters. Labels take their values from what is
//! configured (crews, models, tools, routes) or from closed lists, never from what callers send: no job, tenant, key,
//! path or prompt. A capability that is not built has no line.

use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

use crate::exposition::Exposition;
use crate::metrics::{Amounts, Counters, Gauges, Histograms, Kind, Line};

/// Answers of the API: a healthy one takes milliseconds.
const REQUESTS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Operations of the store: a commit is a sync of the disk.
const STORE: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];
/// Time in the queue.
const WAITS: &[f64] = &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];
/// Jobs: seconds to an hour.
const JOBS: &[f64] =
    &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0];
/// Calls of models and tools.
const CALLS: &[f64] = &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0];

macro_rules! catalogue {
    ($($field:ident: $kind:ident $(in $buckets:ident)? $name:literal [$($label:literal),*] $help:literal;)*) => {
        /// Every metric of the process, ready to be counted with. Made once, by the binary, and handed down.
        pub struct Metrics {
            registry: Registry,
            before_scrape: Mutex<Vec<BeforeScrape>>,
            $(#[doc = $help] pub $field: $kind<{ <[&str]>::len(&[$($label),*]) }>,)*
        }

        /// The catalogue, in the order in which it is served.
        pub const CATALOGUE: &[Line] = &[$(Line {
            name: $name,
            kind: catalogue!(@kind $kind),
            labels: &[$($label),*],
            buckets: catalogue!(@buckets $($buckets)?),
            help: $help,
        },)*];

        impl Default for Metrics {
            fn default() -> Self {
                let mut registry = Registry::default();
                let mut lines = CATALOGUE.iter();
                let mut next = || lines.next().expect("a line for each field, by the macro");
                $(let $field = $kind::register(&mut registry, next());)*
                Self { registry, before_scrape: Mutex::default(), $($field,)* }
            }
        }
    };
    (@kind Counters) => { Kind::Counter };
    (@kind Amounts) => { Kind::Counter };
    (@kind Gauges) => { Kind::Gauge };
    (@kind Histograms) => { Kind::Histogram };
    (@buckets) => { &[] };
    (@buckets $buckets:ident) => { $buckets };
}

catalogue! {
    http_requests: Counters "quarterdeck_http_requests_total" ["route", "method", "code"] "Requests answered on the API port, by route template, method and HTTP status; what matches no route shares `unmatched`";
    http_request_duration: Histograms in REQUESTS "quarterdeck_http_request_duration_seconds" ["route", "method"] "Time from a request's head to the head of its answer; an event stream counts until it begins";
    http_requests_in_flight: Gauges "quarterdeck_http_requests_in_flight" [] "Requests of the API port that are being answered";
    http_rejections: Counters "quarterdeck_http_rejections_total" ["reason"] "Requests refused before they did anything: `validation`, `payload`, `auth`, `limit`, `backpressure`, `draining`";
    auth_failures: Counters "quarterdeck_auth_failures_total" ["reason"] "Requests that were not let in: `missing`, `malformed`, `unknown`, `expired`, `revoked`, `forbidden` (the key lacks a scope), `too_often`";
    sse_connections: Gauges "quarterdeck_sse_connections" [] "Event streams that are open";
    idempotency_requests: Counters "quarterdeck_idempotency_requests_total" ["outcome"] "Requests with an idempotency key: `new`, `replayed`, `conflict`";

    queue_jobs: Gauges "quarterdeck_queue_jobs" ["state"] "Jobs that are not over, by state, read from the store at the scrape: every process shows the same, so take `max`, not `sum`";
    queue_depth: Gauges "quarterdeck_queue_depth" ["priority"] "Queued jobs by priority, read from the store at the scrape";
    queue_oldest_age: Gauges "quarterdeck_queue_oldest_queued_age_seconds" ["priority"] "How long the longest queued job of a priority has been queued; 0 if none is";
    queue_wait: Histograms in WAITS "quarterdeck_queue_wait_seconds" ["priority"] "Time from acceptance (or `run_at`) until a worker first took a job up";

    jobs_submitted: Counters "quarterdeck_jobs_submitted_total" ["crew", "priority"] "Jobs accepted";
    jobs_finished: Counters "quarterdeck_jobs_finished_total" ["crew", "outcome", "fault"] "Jobs that ended: `succeeded`, `failed`, `cancelled`; whose fault: `none`, `user`, `model`, `tool`, `platform`";
    job_duration: Histograms in JOBS "quarterdeck_job_duration_seconds" ["crew", "outcome"] "Time from acceptance (or `run_at`) to the end of a job that a worker ended";
    job_run: Histograms in JOBS "quarterdeck_job_run_seconds" ["crew", "outcome"] "Time in which a job was worked on, over all its attempts";
    job_retries: Counters "quarterdeck_job_retries_total" ["crew", "error_class"] "Attempts that ended as `retrying`";
    jobs_recovered: Counters "quarterdeck_jobs_recovered_total" ["cause"] "Jobs queued again because their worker was gone: `restart`, `lease_expired`, or handed them back: `drain_handoff`";
    steps: Counters "quarterdeck_steps_total" ["crew", "kind", "source"] "Steps finished: `model` or `tool`, `executed`, `cached`, or, taken from the journal by a later attempt, `replayed`";
    human_answers: Counters "quarterdeck_human_answers_total" ["crew"] "Questions of jobs that a person has answered";
    human_reminders: Counters "quarterdeck_human_reminders_total" [] "Reminders of questions that nobody had answered";
    dead_letters: Counters "quarterdeck_dead_letters_total" ["crew", "error_class"] "Jobs that failed for good";

    llm_requests: Counters "quarterdeck_llm_requests_total" ["provider", "model", "outcome", "error_class"] "Model calls that came back: `ok`, or `error` with the class of the error (`none` otherwise)";
    llm_request_duration: Histograms in CALLS "quarterdeck_llm_request_duration_seconds" ["provider", "model", "outcome"] "Time of a model call to the end of its answer";
    llm_time_to_first_token: Histograms in CALLS "quarterdeck_llm_time_to_first_token_seconds" ["provider", "model"] "Time of a streaming model call to the first piece of its answer";
    llm_tokens: Counters "quarterdeck_llm_tokens_total" ["provider", "model", "type"] "Tokens of answered calls: `input`, `cache_read`, `cache_write`, `output`, and of the output ones `reasoning`";
    llm_cost: Amounts "quarterdeck_llm_cost_usd_total" ["crew", "provider", "model"] "Price of answered calls in US dollars, where it is known";
    llm_unpriced: Counters "quarterdeck_llm_unpriced_requests_total" ["provider", "model"] "Answered calls whose price is not known";
    llm_cost_saved: Amounts "quarterdeck_llm_cost_saved_usd_total" ["reason"] "Price of calls that were not made in US dollars: `replay`, answered from the journal, or `cache`, from kept answers";
    circuit_breaker: Gauges "quarterdeck_circuit_breaker_state" ["provider", "model", "state"] "1 for the state that the model's breaker is in: `closed`, `open` or `half_open`";
    bulkhead_in_use: Gauges "quarterdeck_bulkhead_in_use" ["provider", "model"] "Calls to the model under way";
    bulkhead_limit: Gauges "quarterdeck_bulkhead_limit" ["provider", "model"] "Calls to the model that may be under way at once";
    budget_limit: Gauges "quarterdeck_budget_limit_usd" ["scope"] "Budgets in use in this process, summed up by scope: `job`, `crew` (of the day) or `tenant` (of the day)";
    budget_spent: Gauges "quarterdeck_budget_spent_usd" ["scope"] "What is spent of them, calls that may be on the bill included";
    budget_reserved: Gauges "quarterdeck_budget_reserved_usd" ["scope"] "What this process holds of them for calls under way and the next ones";
    budget_refusals: Counters "quarterdeck_budget_refusals_total" ["policy"] "Model calls that did not fit into a budget, by what was done about it: `fail`, `wait` or `degrade`";
    routed_calls: Counters "quarterdeck_routed_calls_total" ["rule", "model"] "Model calls whose model a routing rule chose, by rule and alias";
    recourses: Counters "quarterdeck_recourses_total" ["kind"] "Steps that were given up while their task went on: `compact` (what was said is put into fewer words) or `agent` (another one does the task)";
    tool_calls: Counters "quarterdeck_tool_calls_total" ["tool", "outcome"] "Tool calls: `ok` or `error`";
    tool_duration: Histograms in CALLS "quarterdeck_tool_duration_seconds" ["tool"] "Time of a tool call";

    webhook_deliveries: Counters "quarterdeck_webhook_deliveries_total" ["outcome"] "Tries of webhooks: `delivered`, `again`, to be tried later, or `failed`, given up";
    webhook_duration: Histograms in CALLS "quarterdeck_webhook_duration_seconds" [] "Time of a try of a webhook";

    schedule_ticks: Counters "quarterdeck_schedule_ticks_total" ["outcome"] "Ticks of schedules: `made` a job, `left_out` because nobody was there in time, `failed`, to be tried again, or `given_up`";

    workers: Gauges "quarterdeck_workers" ["state"] "Workers of this process: `ready` or `draining`";
    worker_slots: Gauges "quarterdeck_worker_slots" ["state"] "Slots of this process: `busy`, spare ones included, or `idle`, without them";

    store_op_duration: Histograms in STORE "quarterdeck_store_op_duration_seconds" ["op"] "Time of a store operation, waiting for its turn and its commit included";
    store_errors: Counters "quarterdeck_store_errors_total" ["op"] "Store operations that could not be carried out";
    store_size: Gauges "quarterdeck_store_size_bytes" [] "Bytes of the store's files; 0 for one in memory";

    build_info: Gauges "quarterdeck_build_info" ["version"] "Always 1; the label tells the version";
    process_cpu: Amounts "process_cpu_seconds_total" [] "Processor time used, in user and system mode";
    process_resident: Gauges "process_resident_memory_bytes" [] "Memory that is in RAM";
    process_virtual: Gauges "process_virtual_memory_bytes" [] "Memory that is mapped";
    process_threads: Gauges "process_threads" [] "Threads of the process";
    process_open_fds: Gauges "process_open_fds" [] "Open files and sockets";
    process_max_fds: Gauges "process_max_fds" [] "Files and sockets that may be open";
    process_start: Gauges "process_start_time_seconds" [] "When the process started, in seconds since 1970";

    agent_queue_depth: Gauges "agent_queue_depth" [] "Queued jobs; the same as the sum of quarterdeck_queue_depth";
    agent_worker_busy: Gauges "agent_worker_busy" [] "Slots that work on a job; the same as quarterdeck_worker_slots of state busy";
    agent_job_processing: Histograms in JOBS "agent_job_processing_seconds" [] "Time in which a job was worked on; the same as quarterdeck_job_run_seconds without labels";
    agent_job_errors: Counters "agent_job_errors_total" [] "Jobs that failed; the same as the sum of quarterdeck_dead_letters_total";
}

type BeforeScrape = Box<dyn Fn(&Metrics) + Send + Sync>;

impl Metrics {
    /// Has values set that are only known by looking, right before every scrape. `look` must be quick.
    pub fn before_scrape(&self, look: impl Fn(&Self) + Send + Sync + 'static) {
        self.before_scrape.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(look));
    }

    /// Everything, as text.
    #[must_use]
    pub fn render(&self, exposition: Exposition) -> String {
        for look in self.before_scrape.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            look(self);
        }
        let mut text = String::new();
        text::encode(&mut text, &self.registry).expect("writing to a String cannot fail");
        exposition.of_open_metrics(text)
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").field("lines", &CATALOGUE.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
