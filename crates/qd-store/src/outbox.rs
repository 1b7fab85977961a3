//! Deliveries: who is to be told of what happened to a job. They are written in the transaction in which it happens, so that
//! no job ends without them.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use qd_types::{BatchId, CrewName, DeliveryId, HookKind, Job, JobId, JobStatus, Seq, TenantId, Timestamp};

use crate::{Batch, Cursor};

/// Something that webhooks tell of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// A worker took the job up.
    Started,
    /// The job goes on later.
    Retrying,
    /// The job asks a person, or reminds of it.
    Waiting,
    /// The job has its output.
    Succeeded,
    /// The job failed for good.
    Failed,
    /// The job was stopped by request.
    Cancelled,
    /// Every input of a batch has its end.
    BatchFinished,
    /// There is news of a kind for a URL that came with the job.
    Hook(HookKind),
    /// Nothing happened: somebody tries an endpoint.
    Test,
}

impl Event {
    /// Every event that happens to jobs.
    pub const OF_JOBS: [Self; 6] =
        [Self::Started, Self::Retrying, Self::Waiting, Self::Succeeded, Self::Failed, Self::Cancelled];
    /// Every event that endpoints can ask for.
    pub const ALL: [Self; 7] = [
        Self::Started,
        Self::Retrying,
        Self::Waiting,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::BatchFinished,
    ];
    /// Those that are a job's last.
    pub const LAST: [Self; 3] = [Self::Succeeded, Self::Failed, Self::Cancelled];

    /// Its name, the same as in event streams.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "job.started",
            Self::Retrying => "job.retrying",
            Self::Waiting => "job.waiting",
            Self::Succeeded => "job.succeeded",
            Self::Failed => "job.failed",
            Self::Cancelled => "job.cancelled",
            Self::BatchFinished => "batch.finished",
            Self::Hook(HookKind::Step) => "amp.step",
            Self::Hook(HookKind::Task) => "amp.task",
            Self::Hook(HookKind::Crew) => "amp.crew",
            Self::Hook(HookKind::Human) => "amp.human_input",
            Self::Test => "webhook.test",
        }
    }

    /// Every event.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().chain(HookKind::ALL.map(Self::Hook)).chain([Self::Test])
    }

    /// The event of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::all().find(|event| event.as_str() == name)
    }

    /// What a change to this status is, if anybody can be told of it.
    #[must_use]
    pub fn of(status: JobStatus) -> Option<Self> {
        match status {
            JobStatus::Running => Some(Self::Started),
            JobStatus::Retrying => Some(Self::Retrying),
            JobStatus::Waiting => Some(Self::Waiting),
            JobStatus::Succeeded => Some(Self::Succeeded),
            JobStatus::Failed => Some(Self::Failed),
            JobStatus::Cancelled => Some(Self::Cancelled),
            JobStatus::Scheduled | JobStatus::Queued => None,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An endpoint of the configuration, as far as the store must know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Its name.
    pub endpoint: String,
    /// What it is told of.
    pub events: Vec<Event>,
    /// Of which crews; none means all.
    pub crews: Option<Vec<CrewName>>,
}

impl Subscription {
    /// Whether it is told of this.
    #[must_use]
    pub fn wants(&self, event: Event, crew: &CrewName) -> bool {
        self.events.contains(&event) && self.crews.as_ref().is_none_or(|crews| crews.contains(crew))
    }
}

/// Where a delivery goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Destination {
    /// To an endpoint of the configuration.
    Endpoint(String),
    /// To the URL that came with the job.
    Url(String),
}

impl Destination {
    /// What it shares its place in line with: deliveries of one lane wait for each other, those of others do not. An endpoint
    /// is a lane, and so are all URLs of one server.
    #[must_use]
    pub fn lane(&self) -> String {
        match self {
            // No URL begins so.
            Self::Endpoint(name) => format!("@{name}"),
            Self::Url(url) => url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/"),
        }
    }
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryStatus {
    /// It is tried until somebody takes it or its tries are used up.
    Pending,
    /// Somebody took it.
    Delivered,
    /// Nobody took it; it stays, and can be sent again.
    Failed,
}

impl DeliveryStatus {
    /// Every status. The place is how it is stored.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Failed];

    /// The word used in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

/// How a try went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// When it ended.
    pub at: Timestamp,
    /// What the receiver answered, if anything.
    pub http_status: Option<u16>,
    /// What went wrong, if anything.
    pub error: Option<String>,
}

/// One webhook for one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The same at every try: receivers know by it what they have had.
    pub id: DeliveryId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The job that it tells of, if it tells of one.
    pub job: Option<JobId>,
    /// The batch that it tells of, if it tells of one.
    pub batch: Option<BatchId>,
    /// What happened.
    pub event: Event,
    /// The item of the job's log that it tells of, where it is about one.
    pub about: Option<Seq>,
    /// When.
    pub at: Timestamp,
    /// Where it goes.
    pub destination: Destination,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// Tries so far.
    pub tries: u32,
    /// When it is tried next, while pending.
    pub next_at: Option<Timestamp>,
    /// The last try.
    pub last: Option<Tried>,
    /// When it was taken or given up.
    pub ended_at: Option<Timestamp>,
}

impl Delivery {
    /// One that is due at once.
    #[must_use]
    pub fn new(
        id: DeliveryId,
        tenant: TenantId,
        job: Option<JobId>,
        event: Event,
        destination: Destination,
        now: Timestamp,
    ) -> Self {
        let (status, tries, last, ended_at) = (DeliveryStatus::Pending, 0, None, None);
        Self {
            id,
            tenant,
            job,
            batch: None,
            event,
            about: None,
            at: now,
            destination,
            status,
            tries,
            next_at: Some(now),
            last,
            ended_at,
        }
    }
}

/// Which deliveries to take.
#[derive(Debug, Clone, Default)]
pub struct TakeDeliveries {
    /// At most so many.
    pub max: usize,
    /// At most so many of each lane.
    pub per_lane: usize,
    /// Lanes that have room for another number; none are taken where it is 0.
    pub rooms: HashMap<String, usize>,
}

/// What a delivery tells of.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    /// A job.
    Job(Box<Job>),
    /// A batch that is over.
    Batch(Box<Batch>),
}

/// Deliveries that somebody is to try now. Nobody else is given them until they are settled, or their process ends.
#[derive(Debug, Clone, Default)]
pub struct TakenDeliveries {
    /// Each with what it tells of, if that is still kept; a test tells of nothing.
    pub deliveries: Vec<(Delivery, Option<Subject>)>,
    /// When the next pending one that is not due yet will be.
    pub next_due: Option<Timestamp>,
}

/// How a try of a taken delivery went.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// Which one.
    pub delivery: DeliveryId,
    /// Of whom.
    pub tenant: TenantId,
    /// What the receiver answered, if anything.
    pub http_status: Option<u16>,
    /// What went wrong, if anything.
    pub error: Option<String>,
    /// What becomes of it.
    pub outcome: DeliveryOutcome,
}

/// What becomes of a delivery after a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// Somebody took it.
    Delivered,
    /// It is tried again after this.
    Again(Duration),
    /// It is given up.
    Failed,
}

/// Which deliveries to list, newest first.
#[derive(Debug, Clone, Default)]
pub struct DeliveryQuery {
    /// Only in this status.
    pub status: Option<DeliveryStatus>,
    /// Only of this job.
    pub job: Option<JobId>,
    /// Only to this endpoint of the configuration.
    pub endpoint: Option<String>,
    /// Only of this event.
    pub event: Option<Event>,
    /// Where the page before ended.
    pub cursor: Option<Cursor>,
    /// At most this many.
    pub limit: usize,
}

/// One page of deliveries.
#[derive(Debug, Clone, Default)]
pub struct DeliveryPage {
    /// Newest first.
    pub deliveries: Vec<Delivery>,
    /// Where the next page starts, if there may be one.
    pub next: Option<Cursor>,
}

/// What is remembered of an endpoint of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EndpointState {
    /// Its name.
    pub name: String,
    /// Since when every try failed.
    pub failing_since: Option<Timestamp>,
    /// Since when nothing is sent to it.
    pub disabled_at: Option<Timestamp>,
    /// Why.
    pub reason: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::{Destination, Event};

    #[test]
    fn a_lane_is_an_endpoint_or_a_server() {
        let url = |url: &str| Destination::Url(url.to_owned()).lane();
        assert_eq!(url("https://a.example/hooks/1?x=/"), "https://a.example");
        assert_eq!(url("https://a.example:8443/"), "https://a.example:8443");
        assert_eq!(url("https://a.example/"), url("https://a.example/b/c"));
        assert_eq!(Destination::Endpoint("shop".to_owned()).lane(), "@shop");
    }

    #[test]
    fn events_are_known_by_their_names() {
        for event in Event::all() {
            assert_eq!(Event::parse(event.as_str()), Some(event));
        }
        assert_eq!(Event::parse("job.queued"), None);
    }
}
