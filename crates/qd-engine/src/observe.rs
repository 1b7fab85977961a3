//! What is counted and told of jobs, steps and calls: the one place of this crate that does.
//!
//! Labels come from what is published and configured: a crew's name only once its plan is there, a model's from the
//! options behind the crew's name for it. Texts of prompts, answers and tools stay out of both metrics and logs; of a
//! failure its code and class are told, because its message may quote what was sent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use qd_env::Env;
use qd_llm::{Models, Standing};
use qd_store::{Claimed, DeliveryOutcome, Finish, Outcome};
use qd_telemetry::{Amount, Counter, Fault, Gauge, Handles, Histogram, Metrics, OTHER, fault};
use qd_types::{
    Call, Code, Entry, Failure, Job, LogItem, NanoDollars, Priority, Recourse, Route, Source, StepId,
    StepKind, Timestamp, ToolResult, Usage,
};

use crate::resume::Past;
use crate::tools::Tools;

/// Counts and tells.
pub(crate) struct Observer {
    metrics: Arc<Metrics>,
    crews: Handles<CrewSeries>,
    models: Handles<ModelSeries>,
    /// Of the tools that there are; models invent others.
    tools: BTreeMap<String, ToolSeries>,
    other_tool: ToolSeries,
    waits: [Histogram; Priority::LEVELS],
    saved: Amount,
    saved_by_cache: Amount,
    busy: [Gauge; 2],
    idle: Gauge,
}

/// Handles of one crew.
struct CrewSeries {
    succeeded: Counter,
    durations: [Histogram; 3],
    runs: [Histogram; 3],
    /// By kind, model calls first; of each the executed ones first.
    steps: [[Counter; 2]; 2],
    /// Model calls that were not made because their answer was known.
    cached: Counter,
    /// By the crew's name of the model.
    costs: Handles<Amount>,
}

/// Handles of one model.
pub(crate) struct ModelSeries {
    provider: String,
    model: String,
    ok: Counter,
    ok_duration: Histogram,
    error_duration: Histogram,
    first_token: Histogram,
    /// Input, cache read, cache write, output, reasoning.
    tokens: [Counter; 5],
    unpriced: Counter,
}

struct ToolSeries {
    ok: Counter,
    error: Counter,
    duration: Histogram,
}

const OUTCOMES: [&str; 3] = ["succeeded", "failed", "cancelled"];
const TOKENS: [&str; 5] = ["input", "cache_read", "cache_write", "output", "reasoning"];

impl Observer {
    pub(crate) fn new(metrics: &Arc<Metrics>, slots: usize, tools: &Tools) -> Self {
        let busy = [metrics.worker_slots.with(["busy"]), metrics.agent_worker_busy.only().clone()];
        let idle = metrics.worker_slots.with(["idle"]);
        idle.set(count(slots));
        // There from the start, so that a rate sees the first one.
        let _ = metrics.jobs_recovered.with(["drain_handoff"]);
        for kind in ["compact", "agent"] {
            let _ = metrics.recourses.with([kind]);
        }
        for outcome in ["delivered", "again", "failed"] {
            let _ = metrics.webhook_deliveries.with([outcome]);
        }
        for outcome in ["made", "left_out", "failed", "given_up"] {
            let _ = metrics.schedule_ticks.with([outcome]);
        }
        let _ = metrics.webhook_duration.only();
        Self {
            metrics: Arc::clone(metrics),
            crews: Handles::default(),
            models: Handles::default(),
            tools: tools.names().map(|name| (name.to_owned(), ToolSeries::new(metrics, name))).collect(),
            other_tool: ToolSeries::new(metrics, OTHER),
            waits: ["1", "2", "3", "4", "5"].map(|level| metrics.queue_wait.with([level])),
            saved: metrics.llm_cost_saved.with(["replay"]),
            saved_by_cache: metrics.llm_cost_saved.with(["cache"]),
            busy,
            idle,
        }
    }

    /// Has the guards before each model looked at before every scrape.
    pub(crate) fn watch_guards(&self, models: &Arc<Models>) {
        let models = Arc::clone(models);
        self.metrics.before_scrape(move |metrics| {
            for guard in models.deployments() {
                let (provider, model) = (guard.provider.as_str(), guard.model.as_str());
                for standing in Standing::ALL {
                    let is_it = f64::from(u8::from(standing == guard.breaker));
                    metrics.circuit_breaker.with([provider, model, standing.as_str()]).set(is_it);
                }
                metrics.bulkhead_in_use.with([provider, model]).set(count(guard.in_use));
                metrics.bulkhead_limit.with([provider, model]).set(count(guard.limit));
            }
        });
    }

    /// A webhook was tried, however it went.
    pub(crate) fn webhook_took(&self, took: Duration) {
        self.metrics.webhook_duration.only().observe(took.as_secs_f64());
    }

    /// Something was done about a tick of a schedule; `outcome` is one of a closed list.
    pub(crate) fn ticked(&self, outcome: &'static str) {
        self.metrics.schedule_ticks.with([outcome]).inc();
    }

    /// A try of a webhook was settled.
    pub(crate) fn delivered(&self, outcome: DeliveryOutcome) {
        let outcome = match outcome {
            DeliveryOutcome::Delivered => "delivered",
            DeliveryOutcome::Again(_) => "again",
            DeliveryOutcome::Failed => "failed",
        };
        self.metrics.webhook_deliveries.with([outcome]).inc();
    }

    /// How many workers of this process are ready, and how many only finish what they have.
    pub(crate) fn workers(&self, ready: usize, draining: usize) {
        self.metrics.workers.with(["ready"]).set(count(ready));
        self.metrics.workers.with(["draining"]).set(count(draining));
    }

    /// Counts a slot as taken until the guard goes. Spare ones are never idle: they are not for everybody.
    pub(crate) fn busy(&self, spare: bool) -> Busy<'_> {
        if !spare {
            self.idle.dec();
        }
        for gauge in &self.busy {
            gauge.inc();
        }
        Busy { observer: self, spare }
    }

    /// An attempt has its plan and begins.
    pub(crate) fn begun(&self, claimed: &Claimed, now: Timestamp) {
        let job = &claimed.job;
        if job.attempt == 1 {
            self.waits[job.priority.index()].observe(now.since(job.first_ready_at()).as_secs_f64());
        } else {
            self.replayed(claimed);
        }
    }

    /// Steps that an earlier attempt finished: this one takes them from the journal and pays nothing.
    fn replayed(&self, claimed: &Claimed) {
        let crew = self.crew(claimed.job.crew.as_str());
        for logged in &claimed.log {
            let LogItem::Entry { entry } = &logged.item else { continue };
            match &**entry {
                Entry::Model { cost, .. } => {
                    crew.steps[0][1].inc();
                    self.saved.inc_by(dollars(*cost));
                }
                Entry::Tool { .. } => {
                    crew.steps[1][1].inc();
                }
                Entry::CallFailed { .. }
                | Entry::Intent { .. }
                | Entry::Recourse { .. }
                | Entry::Human { .. }
                | Entry::Fact { .. }
                | Entry::Signal { .. } => {}
            }
        }
    }

    /// An effect came back. The journal has its time in whole milliseconds, which is coarse for a tool.
    pub(crate) fn step(&self, models: &Models, job: &Job, entry: &Entry, took: Duration) {
        match entry {
            Entry::Model { step, source: Source::Cached, call, .. } => self.known(job, step, call),
            Entry::Model { step, usage, cost, call, .. } => {
                let model = self.model(models, &call.target);
                model.ok_duration.observe(took.as_secs_f64());
                self.answered(&model, job, call, usage, *cost);
                tracing::trace!(job = %job.id, %step, model = call.target, duration_ms = call.duration_ms, "model answered");
            }
            Entry::Tool { step, result, .. } => self.tool(job, step, result, took),
            Entry::CallFailed { step, failure, call, .. } => {
                if step.kind() == StepKind::Model {
                    let model = self.model(models, &call.target);
                    model.error_duration.observe(took.as_secs_f64());
                    let labels = [&model.provider, &model.model, "error", failure.class.as_str()];
                    self.metrics.llm_requests.with(labels).inc();
                }
                tell_failed(job, step, failure, call);
            }
            Entry::Intent { .. }
            | Entry::Recourse { .. }
            | Entry::Human { .. }
            | Entry::Fact { .. }
            | Entry::Signal { .. } => {}
        }
    }

    /// A step was given up, and its task goes on in this way.
    pub(crate) fn resorted(&self, recourse: &Recourse) {
        let kind = match recourse {
            Recourse::Compact { .. } => "compact",
            Recourse::Agent { .. } => "agent",
        };
        self.metrics.recourses.with([kind]).inc();
    }

    /// A rule chose the model of a call.
    pub(crate) fn routed(&self, route: &Route) {
        self.metrics.routed_calls.with([&route.rule, &route.model]).inc();
    }

    fn known(&self, job: &Job, step: &StepId, call: &Call) {
        self.crew(job.crew.as_str()).cached.inc();
        self.saved_by_cache.inc_by(dollars(call.saved.unwrap_or_default()));
        tracing::trace!(job = %job.id, %step, model = call.target, "answer taken from the cache");
    }

    fn answered(&self, model: &ModelSeries, job: &Job, call: &Call, usage: &Usage, cost: NanoDollars) {
        model.ok.inc();
        let tokens = [
            usage.input_tokens,
            usage.cache_read_tokens,
            usage.cache_write_tokens,
            usage.output_tokens,
            usage.reasoning_tokens,
        ];
        for (counter, tokens) in model.tokens.iter().zip(tokens).filter(|(_, tokens)| *tokens > 0) {
            counter.inc_by(tokens);
        }
        if usage.unpriced_calls > 0 {
            model.unpriced.inc_by(u64::from(usage.unpriced_calls));
        }
        let crew = self.crew(job.crew.as_str());
        crew.steps[0][0].inc();
        let labels = |_: &str| self.metrics.llm_cost.with([job.crew.as_str(), &model.provider, &model.model]);
        crew.costs.get(&call.target, labels).inc_by(dollars(cost));
    }

    fn tool(&self, job: &Job, step: &StepId, result: &ToolResult, took: Duration) {
        let tool = self.tools.get(&result.name).unwrap_or(&self.other_tool);
        if result.is_error { &tool.error } else { &tool.ok }.inc();
        tool.duration.observe(took.as_secs_f64());
        self.crew(job.crew.as_str()).steps[1][0].inc();
        if result.is_error {
            // The model is told and may mend its call: nothing that an operator must know of.
            tracing::debug!(job = %job.id, %step, tool = result.name, "tool call failed");
        }
    }

    /// The end of an attempt is durable.
    pub(crate) fn ended(&self, claimed: &Claimed, finish: &Finish, env: &Env, began: Duration) {
        let job = &claimed.job;
        let ran = env.monotonic().saturating_sub(began);
        let spent = || Spans {
            whole: env.now().since(job.first_ready_at()),
            run: if job.attempt > 1 { ran + Past::read(&claimed.log, |_| {}).ran } else { ran },
        };
        match &finish.outcome {
            Outcome::Succeeded(_) => {
                let spans = spent();
                let crew = self.crew(job.crew.as_str());
                crew.succeeded.inc();
                self.over(&crew, 0, &spans);
                tracing::debug!(
                    job = %job.id, crew = %job.crew, attempt = job.attempt, status = "succeeded",
                    duration_ms = ms(spans.whole), "job succeeded"
                );
            }
            Outcome::Failed(failure) => self.job_failed(job, failure, &spent()),
            Outcome::Cancelled => {
                self.metrics.jobs_finished.with([job.crew.as_str(), "cancelled", Fault::None.as_str()]).inc();
                self.over(&self.crew(job.crew.as_str()), 2, &spent());
            }
            Outcome::Retry { after, failure } => {
                let class = failure.class.as_str();
                self.metrics.job_retries.with([label(job, Some(failure)), class]).inc();
                tracing::info!(
                    job = %job.id, crew = %job.crew, attempt = job.attempt, status = "retrying", code = %failure.code,
                    class, wait_ms = ms(*after), "job is tried again later"
                );
            }
            Outcome::Wait(ask) => tracing::info!(
                job = %job.id, crew = %job.crew, step = %ask.step, attempt = job.attempt, status = "waiting",
                "job waits for a person"
            ),
            Outcome::Release => {
                self.metrics.jobs_recovered.with(["drain_handoff"]).inc();
                tracing::info!(job = %job.id, crew = %job.crew, attempt = job.attempt, status = "queued", "job handed back");
            }
        }
    }

    fn job_failed(&self, job: &Job, failure: &Failure, spans: &Spans) {
        let (label, class) = (label(job, Some(failure)), failure.class.as_str());
        let fault = fault(failure.code).as_str();
        self.metrics.jobs_finished.with([label, "failed", fault]).inc();
        self.metrics.dead_letters.with([label, class]).inc();
        self.metrics.agent_job_errors.only().inc();
        self.over(&self.crew(label), 1, spans);
        let task = failure.task.as_ref().map(tracing::field::display);
        tracing::warn!(
            job = %job.id, crew = %job.crew, task, attempt = job.attempt, status = "failed", code = %failure.code, class,
            fault, duration_ms = ms(spans.whole), "job failed"
        );
    }

    fn over(&self, crew: &CrewSeries, outcome: usize, spans: &Spans) {
        crew.durations[outcome].observe(spans.whole.as_secs_f64());
        crew.runs[outcome].observe(spans.run.as_secs_f64());
        self.metrics.agent_job_processing.only().observe(spans.run.as_secs_f64());
    }

    fn crew(&self, name: &str) -> Arc<CrewSeries> {
        let metrics = &self.metrics;
        self.crews.get(name, |crew| CrewSeries {
            succeeded: metrics.jobs_finished.with([crew, "succeeded", Fault::None.as_str()]),
            durations: OUTCOMES.map(|outcome| metrics.job_duration.with([crew, outcome])),
            runs: OUTCOMES.map(|outcome| metrics.job_run.with([crew, outcome])),
            steps: ["model", "tool"]
                .map(|kind| ["executed", "replayed"].map(|source| metrics.steps.with([crew, kind, source]))),
            cached: metrics.steps.with([crew, "model", "cached"]),
            costs: Handles::default(),
        })
    }

    /// The handles of the model behind a crew's name for it.
    pub(crate) fn model(&self, models: &Models, name: &str) -> Arc<ModelSeries> {
        let metrics = &self.metrics;
        self.models.get(name, |name| {
            let (provider, model) = models.labels(name).unwrap_or((OTHER.to_owned(), OTHER.to_owned()));
            let by_model = [provider.as_str(), model.as_str()];
            let with = |outcome| [provider.as_str(), model.as_str(), outcome];
            ModelSeries {
                ok: metrics.llm_requests.with([&provider, &model, "ok", "none"]),
                ok_duration: metrics.llm_request_duration.with(with("ok")),
                error_duration: metrics.llm_request_duration.with(with("error")),
                first_token: metrics.llm_time_to_first_token.with(by_model),
                tokens: TOKENS.map(|kind| metrics.llm_tokens.with(with(kind))),
                unpriced: metrics.llm_unpriced.with(by_model),
                provider,
                model,
            }
        })
    }
}

impl ToolSeries {
    fn new(metrics: &Metrics, name: &str) -> Self {
        Self {
            ok: metrics.tool_calls.with([name, "ok"]),
            error: metrics.tool_calls.with([name, "error"]),
            duration: metrics.tool_duration.with([name]),
        }
    }
}

impl ModelSeries {
    /// The first piece of an answer came.
    pub(crate) fn first_token(&self, after: Duration) {
        self.first_token.observe(after.as_secs_f64());
    }
}

fn tell_failed(job: &Job, step: &StepId, failure: &Failure, call: &Call) {
    tracing::warn!(
        job = %job.id, crew = %job.crew, %step, r#try = call.number, model = call.target, code = %failure.code,
        class = failure.class.as_str(), duration_ms = call.duration_ms, "model call failed"
    );
}

/// A slot that is counted as taken.
pub(crate) struct Busy<'a> {
    observer: &'a Observer,
    spare: bool,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        for gauge in &self.observer.busy {
            gauge.dec();
        }
        if !self.spare {
            self.observer.idle.inc();
        }
    }
}

/// How long a job took.
struct Spans {
    /// From acceptance.
    whole: Duration,
    /// Of that, in attempts.
    run: Duration,
}

/// The crew's name, unless it turned out that there is no such crew.
fn label<'a>(job: &'a Job, failure: Option<&Failure>) -> &'a str {
    if failure.is_some_and(|failure| failure.code == Code::CrewUnavailable) {
        OTHER
    } else {
        job.crew.as_str()
    }
}

fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// A bill is not negative; should a price list make it so, a counter must not fall.
fn dollars(cost: NanoDollars) -> f64 {
    cost.to_dollars().max(0.0)
}

#[allow(clippy::cast_precision_loss)]
fn count(things: usize) -> f64 {
    things as f64
}
