//! What is counted of requests and of what they ask for: the one place of this crate that does.
//!
//! A request is known by the template of its route, never by its path; what matches no route shares one label, and so
//! do methods beyond the usual ones. So callers can make no series.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use axum::extract::MatchedPath;
use http::{Method, Request, StatusCode};
use qd_store::{Enqueued, Stats};
use qd_telemetry::{Counter, Exposition, Gauge, Handles, Histogram, Metrics, OTHER};
use qd_types::{Code, CrewName, Priority, Timestamp};

/// The route label of what matches no route.
const UNMATCHED: &str = "unmatched";

const METHODS: [&str; 8] = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", OTHER];
const LEVELS: [&str; Priority::LEVELS] = ["1", "2", "3", "4", "5"];

/// Counts.
pub(crate) struct Observer {
    metrics: Arc<Metrics>,
    routes: Handles<RouteSeries>,
    /// Accepted jobs of a crew by priority.
    submitted: Handles<[Counter; Priority::LEVELS]>,
    in_flight: Gauge,
    streams: Gauge,
    /// New, replayed, conflict.
    idempotency: [Counter; 3],
}

/// Handles of one route, by method.
struct RouteSeries {
    route: String,
    methods: [MethodSeries; METHODS.len()],
}

/// Made when the method is first used on the route: most never are.
#[derive(Default)]
struct MethodSeries {
    duration: OnceLock<Histogram>,
    // A handful of statuses; read for every request, written once for each.
    codes: RwLock<Vec<(StatusCode, Counter)>>,
}

impl Observer {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        // There from the start, so that a rate sees the first one.
        for reason in ["validation", "payload", "auth", "limit", "backpressure", "draining"] {
            let _ = metrics.http_rejections.with([reason]);
        }
        for reason in ["missing", "malformed", "unknown", "expired", "revoked", "forbidden", "too_often"] {
            let _ = metrics.auth_failures.with([reason]);
        }
        Self {
            routes: Handles::default(),
            submitted: Handles::default(),
            in_flight: metrics.http_requests_in_flight.only().clone(),
            streams: metrics.sse_connections.only().clone(),
            idempotency: ["new", "replayed", "conflict"]
                .map(|outcome| metrics.idempotency_requests.with([outcome])),
            metrics,
        }
    }

    /// A request was not let in; `reason` is one of a closed list.
    pub(crate) fn not_let_in(&self, reason: &'static str) {
        self.metrics.auth_failures.with([reason]).inc();
    }

    /// Everything, with the queue as the store sees it now; without it, if the store cannot answer.
    pub(crate) fn scrape(&self, stats: Option<&Stats>, now: Timestamp, exposition: Exposition) -> String {
        match stats {
            Some(stats) => self.queue(stats, now),
            None => {
                self.metrics.queue_jobs.clear();
                self.metrics.queue_depth.clear();
                self.metrics.queue_oldest_age.clear();
                self.metrics.agent_queue_depth.only().set(f64::NAN);
            }
        }
        self.metrics.render(exposition)
    }

    fn queue(&self, stats: &Stats, now: Timestamp) {
        let states = [
            ("scheduled", stats.scheduled),
            ("queued", stats.queued),
            ("running", stats.running),
            ("retrying", stats.retrying()),
            ("waiting", stats.waiting),
        ];
        for (state, jobs) in states {
            self.metrics.queue_jobs.with([state]).set(count(jobs));
        }
        for (label, level) in LEVELS.into_iter().zip(&stats.levels) {
            self.metrics.queue_depth.with([label]).set(count(level.queued));
            let age = level.oldest.map_or(Duration::ZERO, |since| now.since(since));
            self.metrics.queue_oldest_age.with([label]).set(age.as_secs_f64());
        }
        self.metrics.agent_queue_depth.only().set(count(stats.queued));
        #[allow(clippy::cast_precision_loss)]
        self.metrics.store_size.only().set(stats.bytes as f64);
    }

    /// A request is being answered until the guard goes.
    pub(crate) fn in_flight(&self) -> Open {
        Open::of(&self.in_flight)
    }

    /// An event stream is open until the guard goes.
    pub(crate) fn stream(&self) -> Open {
        Open::of(&self.streams)
    }

    /// A request was answered, or refused with a code.
    pub(crate) fn answered(
        &self,
        route: Option<&MatchedPath>,
        method: &Method,
        status: StatusCode,
        problem: Option<Code>,
        took: Duration,
    ) {
        let route = route.map_or(UNMATCHED, MatchedPath::as_str);
        let series = self
            .routes
            .get(route, |route| RouteSeries { route: route.to_owned(), methods: Default::default() });
        series.note(&self.metrics, method, status, took);
        if let Some(reason) = problem.and_then(rejection) {
            self.metrics.http_rejections.with([reason]).inc();
        }
    }

    /// A connection was refused.
    pub(crate) fn connection_refused(&self) {
        self.metrics.http_rejections.with(["backpressure"]).inc();
    }

    /// The store answered to a job.
    pub(crate) fn enqueued(&self, answer: &Enqueued, keyed: bool) {
        let outcome = match answer {
            Enqueued::Created(job) => {
                self.submitted(&job.crew)[job.priority.index()].inc();
                0
            }
            Enqueued::Replayed(_) => 1,
            Enqueued::Conflict { .. } => 2,
            Enqueued::OverQuota { .. } | Enqueued::Full { .. } => return,
        };
        if keyed {
            self.idempotency[outcome].inc();
        }
    }

    fn submitted(&self, crew: &CrewName) -> Arc<[Counter; Priority::LEVELS]> {
        let with = |crew: &str| LEVELS.map(|level| self.metrics.jobs_submitted.with([crew, level]));
        self.submitted.get(crew.as_str(), with)
    }
}

impl RouteSeries {
    fn note(&self, metrics: &Metrics, method: &Method, status: StatusCode, took: Duration) {
        let place = METHODS.iter().position(|known| *known == method.as_str()).unwrap_or(METHODS.len() - 1);
        let (series, label) = (&self.methods[place], METHODS[place]);
        let duration =
            series.duration.get_or_init(|| metrics.http_request_duration.with([&self.route, label]));
        duration.observe(took.as_secs_f64());
        {
            let codes = series.codes.read().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, counter)) = codes.iter().find(|(code, _)| *code == status) {
                counter.inc();
                return;
            }
        }
        let counter = metrics.http_requests.with([&self.route, label, status.as_str()]);
        counter.inc();
        // Two that come here at once both add the same handle: harmless.
        series.codes.write().unwrap_or_else(PoisonError::into_inner).push((status, counter));
    }
}

/// Something that is open, counted by a gauge.
pub(crate) struct Open(Gauge);

impl Open {
    fn of(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Where the router writes down which route a request matched, for whoever counts it outside.
#[derive(Clone, Default)]
pub(crate) struct Matched(Arc<OnceLock<MatchedPath>>);

impl Matched {
    pub(crate) fn get(&self) -> Option<&MatchedPath> {
        self.0.get()
    }

    /// Writes it down; every route passes here.
    pub(crate) fn note<B>(request: Request<B>) -> Request<B> {
        let extensions = request.extensions();
        if let (Some(matched), Some(path)) = (extensions.get::<Self>(), extensions.get::<MatchedPath>()) {
            let _ = matched.0.set(path.clone());
        }
        request
    }
}

/// Why a request was refused before it did anything, if this code says so.
pub(crate) fn rejection(code: Code) -> Option<&'static str> {
    match code {
        Code::InvalidRequest
        | Code::ValidationFailed
        | Code::InvalidCrew
        | Code::NotSupported
        | Code::UnsupportedMediaType
        | Code::UnknownCrew
        | Code::IdempotencyConflict
        | Code::RequestTimeout => Some("validation"),
        Code::PayloadTooLarge => Some("payload"),
        Code::Unauthorized | Code::Forbidden => Some("auth"),
        Code::RateLimited | Code::QuotaExceeded => Some("limit"),
        Code::QueueFull | Code::Overloaded => Some("backpressure"),
        Code::Draining => Some("draining"),
        Code::NotFound
        | Code::MethodNotAllowed
        | Code::EventsPruned
        | Code::JobOver
        | Code::AlreadyExists
        | Code::KeyOver
        | Code::ToolOutcomeUnknown
        | Code::CrewConfigured
        | Code::PreconditionFailed
        | Code::JobNotFailed
        | Code::JobNotWaiting
        | Code::AlreadyAnswered
        | Code::StoreUnavailable
        | Code::Internal
        | Code::ModelUnreachable
        | Code::ModelTimeout
        | Code::ModelServerError
        | Code::ModelOverloaded
        | Code::ModelCircuitOpen
        | Code::ModelBusy
        | Code::ModelRateLimited
        | Code::ModelQuota
        | Code::ModelAuth
        | Code::ModelPermission
        | Code::ModelNotFound
        | Code::ContextLength
        | Code::ContentFilter
        | Code::ModelInvalidRequest
        | Code::ModelBadOutput
        | Code::ModelStreamInterrupted
        | Code::EmptyAnswer
        | Code::RepeatedToolCalls
        | Code::NoOutput
        | Code::TooManyModelCalls
        | Code::TooManyToolCalls
        | Code::TooManyTokens
        | Code::BudgetExceeded
        | Code::MaxRpmReached
        | Code::TaskTimeout
        | Code::JobTimeout
        | Code::JobExpired
        | Code::JobCancelled
        | Code::HumanInputExpired
        | Code::HumanInputRejected
        | Code::WorkerPanic
        | Code::WorkerCrashed
        | Code::CrewUnavailable
        | Code::StillRunning => None,
    }
}

#[allow(clippy::cast_precision_loss)]
fn count(jobs: usize) -> f64 {
    jobs as f64
}
