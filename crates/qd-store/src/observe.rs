//! What is counted and told of the store's operations: once, for all backends.
//!
//! Jobs that end or come back without a worker (cancelled, expired, rescued) are counted here, because nobody else
//! sees them; those that a worker ends are the engine's.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use qd_env::Env;
use qd_telemetry::{Counter, Fault, Histogram, Metrics, fault};
use qd_types::{Class, Code, CrewName, JobStatus, Priority};

use crate::{Answered, BatchCancelled, Cancelled, Error, Fed, Tick, Ticked};

macro_rules! operations {
    ($($name:ident = $word:literal,)*) => {
        /// An operation of the store.
        #[derive(Debug, Clone, Copy)]
        pub(crate) enum Op {
            $($name,)*
        }

        impl Op {
            const WORDS: &[&'static str] = &[$($word),*];
        }
    };
}

operations! {
    Enqueue = "enqueue",
    Replay = "replay",
    Claim = "claim",
    Renew = "renew",
    Record = "record",
    Finish = "finish",
    Cancel = "cancel",
    Answer = "answer",
    Tick = "tick",
    Job = "job",
    Jobs = "jobs",
    Log = "log",
    Stats = "stats",
    Recent = "recent",
    RecentOf = "recent_of",
    Publish = "publish",
    Crew = "crew",
    Crews = "crews",
    DeadCount = "dead_count",
    DeadGroups = "dead_groups",
    DeadJobs = "dead_jobs",
    Discard = "discard",
    Conversation = "conversation",
    Forget = "forget",
    LeaseSlice = "lease_slice",
    ReturnSlices = "return_slices",
    ScopeSpend = "scope_spend",
    Usage = "usage",
    AddKey = "add_key",
    RevokeKey = "revoke_key",
    Keys = "keys",
    Audit = "audit",
    Audited = "audited",
    AuditHead = "audit_head",
    Cached = "cached",
    Cache = "cache",
    PostDelivery = "post_delivery",
    TakeDeliveries = "take_deliveries",
    SettleDeliveries = "settle_deliveries",
    Resend = "resend",
    Delivery = "delivery",
    Deliveries = "deliveries",
    Endpoints = "endpoints",
    SetEndpoint = "set_endpoint",
    OpenBatch = "open_batch",
    AddItems = "add_items",
    AcceptBatch = "accept_batch",
    DiscardBatch = "discard_batch",
    ReplayBatch = "replay_batch",
    FeedBatches = "feed_batches",
    CancelBatch = "cancel_batch",
    Batch = "batch",
    Batches = "batches",
    BatchItems = "batch_items",
    PutSchedule = "put_schedule",
    PauseSchedule = "pause_schedule",
    DeleteSchedule = "delete_schedule",
    TickSchedule = "tick_schedule",
    DueSchedules = "due_schedules",
    Schedule = "schedule",
    Schedules = "schedules",
}

const LEVELS: [&str; Priority::LEVELS] = ["1", "2", "3", "4", "5"];

/// Observes; without metrics it only tells of errors.
#[derive(Clone, Default)]
pub(crate) struct Observer(Option<Arc<Counted>>);

struct Counted {
    metrics: Arc<Metrics>,
    env: Env,
    /// By operation.
    series: Vec<(Histogram, Counter)>,
}

impl Observer {
    pub(crate) fn new(metrics: &Arc<Metrics>, env: &Env) -> Self {
        let series =
            |word: &&str| (metrics.store_op_duration.with([*word]), metrics.store_errors.with([*word]));
        let series = Op::WORDS.iter().map(series).collect();
        // There from the start, so that a rate sees the first one.
        let _ = metrics.jobs_recovered.with(["lease_expired"]);
        Self(Some(Arc::new(Counted { metrics: Arc::clone(metrics), env: env.clone(), series })))
    }

    /// Carries an operation out and notes how it went.
    pub(crate) async fn call<T>(
        &self,
        op: Op,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let began = self.0.as_ref().map(|counted| counted.env.monotonic());
        let answer = call.await;
        if let (Some(counted), Some(began)) = (&self.0, began) {
            let (duration, errors) = &counted.series[op as usize];
            let took: Duration = counted.env.monotonic().saturating_sub(began);
            duration.observe(took.as_secs_f64());
            if answer.is_err() {
                errors.inc();
            }
        }
        if let Err(error) = &answer {
            tracing::warn!(operation = Op::WORDS[op as usize], %error, "store operation failed");
        }
        answer
    }

    /// A job that was cancelled by request ends here, whoever held it.
    pub(crate) fn cancelled(&self, cancelled: &Cancelled) {
        let Cancelled::Now(job) = cancelled else { return };
        tracing::debug!(job = %job.id, crew = %job.crew, status = "cancelled", "job cancelled");
        self.ended(&job.crew, "cancelled", Fault::None);
    }

    /// A person has spoken: the job goes on, or ends here.
    pub(crate) fn answered(&self, answered: &Answered) {
        let (Some(counted), Answered::Taken(job)) = (&self.0, answered) else { return };
        let has_failed = job.status == JobStatus::Failed;
        tracing::info!(job = %job.id, crew = %job.crew, status = %job.status, "a person has answered");
        counted.metrics.human_answers.with([job.crew.as_str()]).inc();
        if let Some(failure) = job.error.as_ref().filter(|_| has_failed) {
            self.failed(&job.crew, failure.code);
        }
    }

    /// What housekeeping ended and brought back.
    pub(crate) fn ticked(&self, tick: &Tick) {
        let Some(counted) = &self.0 else { return };
        for (crew, code) in &tick.failed {
            self.failed(crew, *code);
        }
        if tick.reminded > 0 {
            counted.metrics.human_reminders.only().inc_by(tick.reminded as u64);
        }
        if tick.rescued > 0 {
            counted.metrics.jobs_recovered.with(["lease_expired"]).inc_by(tick.rescued as u64);
        }
    }

    /// Jobs that were cancelled with their batch.
    pub(crate) fn batch_cancelled(&self, cancelled: &BatchCancelled) {
        let BatchCancelled::Now { batch, jobs } = cancelled else { return };
        tracing::info!(batch = %batch.id, crew = %batch.crew, jobs, "batch cancelled");
        for _ in 0..*jobs {
            self.ended(&batch.crew, "cancelled", Fault::None);
        }
    }

    /// Jobs that batches made are accepted here; those of requests are the gateway's to count.
    pub(crate) fn fed(&self, fed: &Fed) {
        let Some(counted) = &self.0 else { return };
        for (crew, priority) in &fed.started {
            counted.metrics.jobs_submitted.with([crew.as_str(), LEVELS[priority.index()]]).inc();
        }
    }

    /// A schedule made a job.
    pub(crate) fn schedule_ticked(&self, ticked: &Ticked) {
        if let (Some(counted), Ticked::Made(job)) = (&self.0, ticked) {
            counted.metrics.jobs_submitted.with([job.crew.as_str(), LEVELS[job.priority.index()]]).inc();
        }
    }

    /// A job failed in no worker's hands.
    fn failed(&self, crew: &CrewName, code: Code) {
        self.ended(crew, "failed", fault(code));
        if let Some(counted) = &self.0 {
            counted.metrics.dead_letters.with([crew.as_str(), Class::Exhausted.as_str()]).inc();
            counted.metrics.agent_job_errors.only().inc();
        }
    }

    fn ended(&self, crew: &CrewName, outcome: &str, fault: Fault) {
        if let Some(counted) = &self.0 {
            counted.metrics.jobs_finished.with([crew.as_str(), outcome, fault.as_str()]).inc();
        }
    }
}
