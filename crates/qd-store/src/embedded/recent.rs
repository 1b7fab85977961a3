//! What happened in the last hour, minute by minute, in memory: enough for averages and percentiles without reading a
//! row. It begins empty at every start; the window that it answers for says so.

mod crews;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use qd_types::{CrewName, JobStatus, NanoDollars, TenantId, Timestamp, Usage};

use self::crews::CrewHours;
use crate::{CrewRecent, Distribution, Recent};

/// Minutes that are kept.
const MINUTES: usize = 60;
const MINUTE_MS: i64 = 60_000;

/// Each doubling of a span has this many buckets, as a power of two.
const PARTS_LOG2: u32 = 3;
const PARTS: usize = 1 << PARTS_LOG2;
/// Up to 2^31 ms, three weeks; what is longer counts as that.
const BUCKETS: usize = PARTS * 29;

/// The hour.
pub(crate) struct RecentHour {
    since: Timestamp,
    /// By number of the minute, modulo their count.
    minutes: Vec<Minute>,
    crews: CrewHours,
}

#[derive(Default)]
struct Minute {
    /// Minutes since 1970; what is older than an hour is void.
    number: i64,
    succeeded: u64,
    failed: u64,
    cancelled: u64,
    model_calls: u64,
    tokens: u64,
    cost: NanoDollars,
    durations: Spans,
    waits: Spans,
}

/// Spans by size. The buckets are made when the first span comes, so that idle minutes take no memory.
#[derive(Default)]
struct Spans {
    count: u64,
    sum_ms: u64,
    buckets: Vec<u32>,
}

impl RecentHour {
    /// An hour in which nothing happened yet.
    pub(crate) fn since(since: Timestamp) -> Self {
        let minutes = (0..MINUTES).map(|_| Minute::default()).collect();
        Self { since, minutes, crews: CrewHours::default() }
    }

    /// A job of somebody's crew is over; how long it took if a worker ended it.
    pub(crate) fn note_end(
        &mut self,
        now: Timestamp,
        whose: &(TenantId, CrewName),
        status: JobStatus,
        took: Option<Duration>,
    ) {
        self.crews.note_end(number(now), whose, status, took);
        let minute = self.minute(now);
        match status {
            JobStatus::Succeeded => minute.succeeded += 1,
            JobStatus::Failed => minute.failed += 1,
            JobStatus::Cancelled => minute.cancelled += 1,
            JobStatus::Scheduled
            | JobStatus::Queued
            | JobStatus::Running
            | JobStatus::Retrying
            | JobStatus::Waiting => {}
        }
        if let Some(took) = took {
            minute.durations.note(took);
        }
    }

    pub(crate) fn note_wait(&mut self, now: Timestamp, waited: Duration) {
        self.minute(now).waits.note(waited);
    }

    pub(crate) fn note_spend(&mut self, now: Timestamp, usage: &Usage, cost: NanoDollars) {
        let minute = self.minute(now);
        minute.model_calls += u64::from(usage.model_calls);
        minute.tokens += usage.total_tokens();
        minute.cost += cost;
    }

    fn minute(&mut self, now: Timestamp) -> &mut Minute {
        let number = number(now);
        let place = usize::try_from(number.rem_euclid(MINUTES as i64)).unwrap_or(0);
        let minute = &mut self.minutes[place];
        if minute.number != number {
            *minute = Minute { number, ..Minute::default() };
        }
        minute
    }

    /// Sums the hour up.
    pub(crate) fn read(shared: &Mutex<Self>, now: Timestamp) -> Recent {
        let hour = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = number(now);
        let mut recent = Recent { window: hour.window(now), ..Recent::default() };
        let (mut durations, mut waits) = (Spans::default(), Spans::default());
        for minute in hour.minutes.iter().filter(|minute| is_fresh(minute.number, newest)) {
            recent.succeeded += minute.succeeded;
            recent.failed += minute.failed;
            recent.cancelled += minute.cancelled;
            recent.model_calls += minute.model_calls;
            recent.tokens += minute.tokens;
            recent.cost += minute.cost;
            durations.add(&minute.durations);
            waits.add(&minute.waits);
        }
        recent.durations = durations.distribution();
        recent.waits = waits.distribution();
        recent
    }

    /// The same of one crew, but for the jobs that it has.
    pub(crate) fn of_crew(&self, whose: &(TenantId, CrewName), now: Timestamp) -> CrewRecent {
        self.crews.read(whose, number(now))
    }

    /// The minute under way and the 59 before it, unless the store was opened later.
    fn window(&self, now: Timestamp) -> Duration {
        let begun = Duration::from_millis(u64::try_from(now.0.rem_euclid(MINUTE_MS)).unwrap_or(0));
        now.since(self.since).min(Duration::from_secs(60 * (MINUTES as u64 - 1)) + begun)
    }
}

/// Minutes since 1970.
fn number(now: Timestamp) -> i64 {
    now.0.div_euclid(MINUTE_MS)
}

/// Whether a minute is in the hour that ends with the newest.
fn is_fresh(number: i64, newest: i64) -> bool {
    (0..MINUTES as i64).contains(&(newest - number))
}

impl Spans {
    fn note(&mut self, span: Duration) {
        let ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX).min((1 << 31) - 1);
        if self.buckets.is_empty() {
            self.buckets = vec![0; BUCKETS];
        }
        self.count += 1;
        self.sum_ms += ms;
        self.buckets[bucket(ms)] += 1;
    }

    fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.sum_ms += other.sum_ms;
        self.buckets.resize(BUCKETS, 0);
        for (sum, part) in self.buckets.iter_mut().zip(&other.buckets) {
            *sum = sum.saturating_add(*part);
        }
    }

    fn distribution(&self) -> Distribution {
        Distribution {
            count: self.count,
            average: Duration::from_millis(self.sum_ms.checked_div(self.count).unwrap_or(0)),
            p50: self.percentile(50),
            p95: self.percentile(95),
            p99: self.percentile(99),
        }
    }

    fn percentile(&self, percent: u64) -> Duration {
        let wanted = (self.count * percent).div_ceil(100);
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted && wanted > 0 {
                return Duration::from_millis(longest(bucket));
            }
        }
        Duration::ZERO
    }
}

/// Where a span is counted: exact up to 7 ms, then eight buckets for each doubling.
fn bucket(ms: u64) -> usize {
    let Some(doublings) = ms.checked_ilog2().and_then(|log| log.checked_sub(PARTS_LOG2)) else {
        return usize::try_from(ms).unwrap_or(0);
    };
    let part = usize::try_from(ms >> doublings).unwrap_or(0);
    doublings as usize * PARTS + part
}

/// The longest span of a bucket, ms.
fn longest(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let parts = PARTS as u64;
    match (bucket / parts).checked_sub(1) {
        None | Some(0) => bucket,
        Some(doublings) => ((parts + bucket % parts + 1) << doublings) - 1,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use qd_types::{CrewName, JobStatus, TenantId, Timestamp};

    use super::{BUCKETS, RecentHour, bucket, longest};

    #[test]
    fn every_span_is_in_the_bucket_that_reaches_to_it() {
        let spans = (0..5_000).chain((1..31).flat_map(|log| [(1 << log) - 1, 1 << log, (1 << log) + 1]));
        for ms in spans {
            let place = bucket(ms);
            assert!(place < BUCKETS, "{ms}");
            assert!(longest(place) >= ms && longest(place) <= ms + ms / 8, "{ms}: {}", longest(place));
            assert!(place == 0 || longest(place - 1) < ms, "{ms}");
        }
        assert!(bucket((1 << 31) - 1) < BUCKETS);
    }

    #[test]
    fn what_is_older_than_an_hour_is_forgotten() {
        let start = Timestamp(1_700_000_000_000);
        let hour = Mutex::new(RecentHour::since(start));
        let note = |minutes: u64| {
            let now = start.plus(Duration::from_secs(minutes * 60));
            let took = Duration::from_secs(minutes);
            let whose = (TenantId::default(), CrewName::new("research"));
            hour.lock().unwrap().note_end(now, &whose, JobStatus::Succeeded, Some(took));
            RecentHour::read(&hour, now)
        };
        assert_eq!((note(0).succeeded, note(1).window), (1, Duration::from_secs(60)));
        assert_eq!(note(30).succeeded, 3);
        let later = note(75);
        assert_eq!((later.succeeded, later.durations.count), (2, 2));
        assert!(later.window <= Duration::from_secs(3600) && later.window > Duration::from_secs(3500));
        assert_eq!(note(1_000).succeeded, 1);
    }
}
