//! What became of every request and of every job: the one place that all senders and followers write to.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use qd_load::Latency;
use qd_types::{JobId, JobStatus, NanoDollars};

use super::seen::SeenJob;
use super::series::{Count, Series};
use super::slo::{Rate, Span};

/// Ids named in the report at most; all are counted.
const NAMED_MAX: usize = 20;
/// Kinds of errors told apart, as they partly come from the server.
const KINDS_MAX: usize = 32;

/// What is reported and judged: everything but the warm-up.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) requests: Requests,
    pub(super) jobs: Jobs,
    spans: [Latency; Span::ALL.len()],
    /// Time to the answer of requests that were refused.
    pub(super) refused: Latency,
    /// How much later than intended requests were sent, because every sender was busy or the generator slow.
    pub(super) late: Latency,
}

/// Requests that were meant to be sent.
#[derive(Debug, Default)]
pub(super) struct Requests {
    pub(super) sent: u64,
    pub(super) accepted: u64,
    /// Refused in so many words, by status.
    pub(super) refused: BTreeMap<u16, u64>,
    /// Of those, the shortest and longest wait that the server asked for.
    pub(super) retry_after: Option<(u64, u64)>,
    /// Everything else that is no acceptance, by kind.
    pub(super) errors: BTreeMap<String, u64>,
    /// Not sent: as many jobs were under way as may be.
    pub(super) held_back: u64,
    /// Not sent: its time was long past when a sender was free.
    pub(super) too_late: u64,
}

impl Requests {
    pub(super) fn offered(&self) -> u64 {
        self.sent + self.held_back + self.too_late
    }

    pub(super) fn refusals(&self) -> u64 {
        self.refused.values().sum()
    }

    pub(super) fn failures(&self) -> u64 {
        self.errors.values().sum()
    }
}

/// Accepted jobs.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    pub(super) cancelled: u64,
    /// Failed jobs by code.
    pub(super) codes: BTreeMap<String, u64>,
    /// Of the failed ones, those that failed for a reason of the server's.
    pub(super) platform: u64,
    pub(super) model_calls: u64,
    pub(super) tool_calls: u64,
    pub(super) tokens: u64,
    pub(super) cost: NanoDollars,
}

impl Jobs {
    pub(super) fn over(&self) -> u64 {
        self.succeeded + self.failed + self.cancelled
    }
}

impl Figures {
    pub(super) fn span(&self, of: Span) -> &Latency {
        &self.spans[of as usize]
    }

    pub(super) fn span_mut(&mut self, of: Span) -> &mut Latency {
        &mut self.spans[of as usize]
    }

    /// A share from 0 to 1; nothing where there is nothing that it could be a share of.
    pub(super) fn rate(&self, of: Rate) -> Option<f64> {
        let (part, whole) = match of {
            Rate::Error => (self.requests.failures() + self.jobs.platform, self.requests.sent),
            Rate::Refused => (self.requests.refusals(), self.requests.sent),
            Rate::Failed => (self.jobs.failed + self.jobs.cancelled, self.jobs.over()),
        };
        (whole > 0).then(|| part as f64 / whole as f64)
    }
}

/// What must never be, warm-up or not.
#[derive(Debug, Default)]
pub(super) struct Broken {
    /// Accepted, and unknown to the server afterwards.
    pub(super) lost: Ids,
    /// One request became several jobs.
    pub(super) twice: Ids,
    /// Succeeded without an output.
    pub(super) empty: Ids,
    /// Not over when waiting ended.
    pub(super) unfinished: Ids,
}

/// Ids, the first of them by name.
#[derive(Debug, Default)]
pub(super) struct Ids {
    pub(super) count: u64,
    pub(super) first: Vec<String>,
}

impl Ids {
    fn add(&mut self, id: JobId) {
        self.count += 1;
        if self.first.len() < NAMED_MAX {
            self.first.push(id.to_string());
        }
    }
}

/// A request that was sent and answered, or given up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) number: u64,
    /// Its intended start, after the beginning of the load.
    pub(super) intended: Duration,
    /// How much later it was sent.
    pub(super) late: Duration,
    /// From the intended start to the answer.
    pub(super) took: Duration,
}

impl Sent {
    fn answered(self) -> Duration {
        self.intended + self.took
    }
}

/// An accepted job that is not known to be over.
#[derive(Debug, Clone)]
pub(super) struct Open {
    number: u64,
    /// From the intended start to the acceptance.
    accept: Duration,
    /// By the server's clock, milliseconds since 1970.
    pub(super) created: i64,
    measured: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Ledger {
    warm_up: Duration,
    pub(super) figures: Figures,
    pub(super) broken: Broken,
    pub(super) series: Series,
    pub(super) open: HashMap<JobId, Open>,
    /// Every job that is over, with the request that made it.
    over: HashMap<JobId, u64>,
    /// Requests of which nobody knows whether they became jobs.
    doubtful: HashSet<u64>,
    /// Of those, the ones that did.
    pub(super) unconfirmed: u64,
    /// The first acceptance by the server's clock, and when that was here.
    anchor: Option<(i64, Duration)>,
    /// Requests of the warm-up that were sent.
    pub(super) warmed_up: u64,
    /// Requests without an answer yet.
    under_way: usize,
}

impl Ledger {
    pub(super) fn new(warm_up: Duration, span: Duration) -> Self {
        Self {
            warm_up,
            figures: Figures::default(),
            broken: Broken::default(),
            series: Series::over(span),
            open: HashMap::new(),
            over: HashMap::new(),
            doubtful: HashSet::new(),
            unconfirmed: 0,
            anchor: None,
            warmed_up: 0,
            under_way: 0,
        }
    }

    /// Whether one more job may be sent, which it is then: it ends with `accepted`, `refused` or `failed`.
    pub(super) fn begin(&mut self, in_flight_max: usize) -> bool {
        let room = self.open.len() + self.under_way < in_flight_max;
        self.under_way += usize::from(room);
        room
    }

    fn is_measured(&self, intended: Duration) -> bool {
        intended >= self.warm_up
    }

    /// The first acceptance by the server's clock.
    pub(super) fn first_created(&self) -> Option<i64> {
        self.anchor.map(|(created, _)| created)
    }

    /// A request is not sent: too many jobs are under way.
    pub(super) fn hold_back(&mut self, intended: Duration) {
        self.series.count(intended, Count::Offered);
        if self.is_measured(intended) {
            self.figures.requests.held_back += 1;
        }
    }

    /// A request is not sent: its time is long past.
    pub(super) fn give_up(&mut self, intended: Duration) {
        self.series.count(intended, Count::Offered);
        if self.is_measured(intended) {
            self.figures.requests.too_late += 1;
        }
    }

    fn sent(&mut self, sent: Sent) -> bool {
        self.under_way = self.under_way.saturating_sub(1);
        self.series.count(sent.intended, Count::Offered);
        let measured = self.is_measured(sent.intended);
        if measured {
            self.figures.requests.sent += 1;
            self.figures.late.note(sent.late);
        } else {
            self.warmed_up += 1;
        }
        measured
    }

    /// The server took a job.
    pub(super) fn accepted(&mut self, sent: Sent, job: &SeenJob) {
        let measured = self.sent(sent);
        self.series.count(sent.answered(), Count::Accepted);
        self.anchor.get_or_insert((job.created_at.0, sent.answered()));
        if measured {
            self.figures.requests.accepted += 1;
            self.figures.span_mut(Span::Accept).note(sent.took);
        }
        let open = Open { number: sent.number, accept: sent.took, created: job.created_at.0, measured };
        if self.over.contains_key(&job.id) || self.open.insert(job.id, open).is_some() {
            // One job for two requests, of which each has a key of its own.
            self.broken.twice.add(job.id);
        }
    }

    /// The server said no, and perhaps when to come again.
    pub(super) fn refused(&mut self, sent: Sent, status: u16, retry_after: Option<u64>) {
        let measured = self.sent(sent);
        self.series.count(sent.answered(), Count::Refused);
        if !measured {
            return;
        }
        let requests = &mut self.figures.requests;
        *requests.refused.entry(status).or_default() += 1;
        if let Some(seconds) = retry_after {
            let (least, most) = requests.retry_after.unwrap_or((seconds, seconds));
            requests.retry_after = Some((least.min(seconds), most.max(seconds)));
        }
        self.figures.refused.note(sent.took);
    }

    /// A request came to nothing; `doubtful` when the server may have made a job of it all the same.
    pub(super) fn failed(&mut self, sent: Sent, kind: &str, doubtful: bool) {
        let measured = self.sent(sent);
        self.series.count(sent.answered(), Count::Errors);
        if measured {
            let errors = &mut self.figures.requests.errors;
            let kind = if errors.len() < KINDS_MAX || errors.contains_key(kind) { kind } else { "other" };
            *errors.entry(kind.to_owned()).or_default() += 1;
        }
        if doubtful {
            self.doubtful.insert(sent.number);
        }
    }

    /// What a look at an accepted job showed.
    pub(super) fn seen(&mut self, job: &SeenJob) {
        if !job.status.is_terminal() {
            return;
        }
        let Some(open) = self.open.remove(&job.id) else { return };
        self.over.insert(job.id, open.number);
        if let (Some((created, here)), Some(finished)) = (self.anchor, job.finished_at) {
            let since = u64::try_from(finished.0 - created).unwrap_or(0);
            self.series.count(here + Duration::from_millis(since), Count::Finished);
        }
        if job.status == JobStatus::Succeeded && !job.has_output() {
            self.broken.empty.add(job.id);
        }
        if open.measured {
            self.count(job, &open);
        }
    }

    fn count(&mut self, job: &SeenJob, open: &Open) {
        let ready = job.run_at.unwrap_or(job.created_at);
        if let Some(started) = job.started_at {
            self.figures.span_mut(Span::Wait).note(started.since(ready));
            if let Some(finished) = job.finished_at {
                self.figures.span_mut(Span::Run).note(finished.since(started));
            }
        }
        if let Some(finished) = job.finished_at {
            self.figures.span_mut(Span::EndToEnd).note(open.accept + finished.since(job.created_at));
        }
        let jobs = &mut self.figures.jobs;
        match job.status {
            JobStatus::Succeeded => jobs.succeeded += 1,
            JobStatus::Cancelled => jobs.cancelled += 1,
            _ => jobs.failed += 1,
        }
        if let Some(error) = job.error.as_ref().filter(|_| job.status == JobStatus::Failed) {
            *jobs.codes.entry(error.code.clone()).or_default() += 1;
            jobs.platform += u64::from(error.is_of_the_platform());
        }
        jobs.model_calls += job.usage.model_calls;
        jobs.tool_calls += job.usage.tool_calls;
        jobs.tokens += job.usage.total_tokens;
        jobs.cost += job.cost();
    }

    /// The server does not know a job that it accepted.
    pub(super) fn lost(&mut self, id: JobId) {
        if self.open.remove(&id).is_some() || self.over.remove(&id).is_some() {
            self.broken.lost.add(id);
        }
    }

    /// Waiting is over.
    pub(super) fn stop_waiting(&mut self) {
        let mut open: Vec<_> = self.open.keys().copied().collect();
        open.sort_unstable();
        open.into_iter().for_each(|id| self.broken.unfinished.add(id));
    }

    /// Compares with all jobs that the server says this load made, each with the number of its request. Answers those that
    /// were accepted and are not among them, which are to be asked for one by one.
    pub(super) fn compare(&mut self, found: &[(JobId, u64)]) -> Vec<JobId> {
        let mut of_number: HashMap<u64, JobId> = HashMap::new();
        let all: HashSet<JobId> = found.iter().map(|(id, _)| *id).collect();
        for (id, number) in found {
            if of_number.insert(*number, *id).is_some_and(|other| other != *id) {
                self.broken.twice.add(*id);
            }
            let known = self.open.contains_key(id) || self.over.contains_key(id);
            if !known && self.doubtful.remove(number) {
                self.unconfirmed += 1;
            }
        }
        let known: BTreeSet<JobId> = self.open.keys().chain(self.over.keys()).copied().collect();
        known.into_iter().filter(|id| !all.contains(id)).collect()
    }
}

#[cfg(test)]
mod tests;
