//! The live side of the store: hints that something happened, and tokens while they stream.
//!
//! Lossy by design and no part of any transaction: a reader that misses everything still finds it by polling.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use qd_types::{Delta, JobId};
use tokio::sync::{Notify, broadcast};

use crate::Fence;
use crate::embedded::Notice;

/// What a watcher of a job hears.
#[derive(Debug, Clone)]
pub enum LiveEvent {
    /// The job's log or status has grown: read it.
    Changed,
    /// A piece of a streaming answer.
    Delta(Arc<Delta>),
}

/// Hints and live tokens, in this process or between processes.
#[async_trait]
pub trait Live: Send + Sync {
    /// Tells the job's watchers that there is something new to read.
    fn changed(&self, job: JobId);
    /// Whether anybody watches the job: tokens cost nothing when nobody does.
    fn is_watched(&self, job: JobId) -> bool;
    /// Sends a piece of an answer to the job's watchers.
    fn emit(&self, delta: Delta);
    /// Starts watching a job.
    fn watch(&self, job: JobId) -> Watch;
    /// Tells a dispatcher that a job became ready.
    fn work_arrived(&self);
    /// Waits for [`Live::work_arrived`]; returns at once if it happened since the last wait.
    async fn work(&self);
    /// Tells a dispatcher that a job became ready that a spare slot is for.
    fn spare_work_arrived(&self);
    /// Waits for [`Live::spare_work_arrived`]; returns at once if it happened since the last wait.
    async fn spare_work(&self);
    /// Tells whoever delivers that deliveries were written or come due at another time.
    fn deliveries_written(&self);
    /// Waits for [`Live::deliveries_written`]; returns at once if it happened since the last wait.
    async fn deliveries_changed(&self);
    /// Tells whoever feeds batches that one may make jobs.
    fn batches_changed(&self);
    /// Waits for [`Live::batches_changed`]; returns at once if it happened since the last wait.
    async fn batches(&self);
    /// Tells workers that a lease was revoked. Where the worker is in this process, it is known to
    /// [`Live::is_revoked`] before whoever revoked it gets an answer.
    fn lease_revoked(&self, job: JobId, fence: Fence);
    /// Whether a lease is known to be revoked. A hint: `false` may be late.
    fn is_revoked(&self, job: JobId, fence: Fence) -> bool;
    /// Forgets a revoked lease: its attempt has ended.
    fn let_go(&self, job: JobId, fence: Fence);
    /// Waits for [`Live::lease_revoked`].
    async fn revocation(&self);
}

/// Passes on what a committed transaction wants others to hear of.
pub(crate) fn tell(live: &dyn Live, notices: &[Notice]) {
    for notice in notices {
        match notice {
            Notice::Changed(job) => live.changed(*job),
            Notice::Work => live.work_arrived(),
            Notice::SpareWork => live.spare_work_arrived(),
            Notice::Deliveries => live.deliveries_written(),
            Notice::Batches => live.batches_changed(),
            Notice::Revoked(job, fence) => live.lease_revoked(*job, *fence),
        }
    }
}

/// Pieces that a slow watcher may be behind before it loses some.
const WATCH_BACKLOG: usize = 256;

/// Revoked leases that are remembered; more are forgotten, which only makes their attempts hear of it later.
const REVOKED_MAX: usize = 100_000;

type Topics = Mutex<HashMap<JobId, broadcast::Sender<LiveEvent>>>;

/// [`Live`] inside one process.
#[derive(Default)]
pub struct LocalBus {
    // Looked at for every commit; the count spares the lock while nobody watches anything.
    watched: AtomicUsize,
    topics: Arc<Topics>,
    work: Notify,
    spare_work: Notify,
    deliveries: Notify,
    batches: Notify,
    revocation: Notify,
    // Looked at before every call; the count spares the lock while nothing is revoked.
    revoked_count: AtomicUsize,
    revoked: Mutex<HashSet<(JobId, Fence)>>,
}

impl LocalBus {
    fn change_revoked(&self, change: impl FnOnce(&mut HashSet<(JobId, Fence)>)) {
        let mut revoked = self.revoked.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut revoked);
        self.revoked_count.store(revoked.len(), Ordering::Release);
    }

    fn send(&self, job: JobId, event: LiveEvent) {
        if self.watched.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(topic) = topics.get(&job)
            && topic.send(event).is_err()
        {
            topics.remove(&job);
            self.watched.store(topics.len(), Ordering::Release);
        }
    }
}

#[async_trait]
impl Live for LocalBus {
    fn changed(&self, job: JobId) {
        self.send(job, LiveEvent::Changed);
    }

    fn is_watched(&self, job: JobId) -> bool {
        self.watched.load(Ordering::Acquire) > 0
            && self
                .topics
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get(&job)
                .is_some_and(|topic| topic.receiver_count() > 0)
    }

    fn emit(&self, delta: Delta) {
        self.send(delta.job, LiveEvent::Delta(Arc::new(delta)));
    }

    fn watch(&self, job: JobId) -> Watch {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        // Topics whose watchers are gone are swept here, so that the map is bounded by the watchers there are.
        if topics.len() >= 64 && topics.len().is_power_of_two() {
            topics.retain(|_, topic| topic.receiver_count() > 0);
        }
        let topic = topics.entry(job).or_insert_with(|| broadcast::channel(WATCH_BACKLOG).0);
        let receiver = topic.subscribe();
        self.watched.store(topics.len(), Ordering::Release);
        Watch { receiver }
    }

    fn work_arrived(&self) {
        self.work.notify_one();
    }

    async fn work(&self) {
        self.work.notified().await;
    }

    fn spare_work_arrived(&self) {
        self.spare_work.notify_one();
    }

    async fn spare_work(&self) {
        self.spare_work.notified().await;
    }

    fn deliveries_written(&self) {
        self.deliveries.notify_one();
    }

    async fn deliveries_changed(&self) {
        self.deliveries.notified().await;
    }

    fn batches_changed(&self) {
        self.batches.notify_one();
    }

    async fn batches(&self) {
        self.batches.notified().await;
    }

    fn lease_revoked(&self, job: JobId, fence: Fence) {
        self.change_revoked(|revoked| {
            if revoked.len() >= REVOKED_MAX {
                revoked.clear();
            }
            revoked.insert((job, fence));
        });
        self.revocation.notify_one();
    }

    fn is_revoked(&self, job: JobId, fence: Fence) -> bool {
        self.revoked_count.load(Ordering::Acquire) > 0
            && self.revoked.lock().unwrap_or_else(PoisonError::into_inner).contains(&(job, fence))
    }

    fn let_go(&self, job: JobId, fence: Fence) {
        if self.revoked_count.load(Ordering::Acquire) > 0 {
            self.change_revoked(|revoked| {
                revoked.remove(&(job, fence));
            });
        }
    }

    async fn revocation(&self) {
        self.revocation.notified().await;
    }
}

/// One watcher's ear on a job.
pub struct Watch {
    receiver: broadcast::Receiver<LiveEvent>,
}

impl Watch {
    /// The next event. A watcher that fell behind hears [`LiveEvent::Changed`] and has lost pieces in between.
    pub async fn next(&mut self) -> LiveEvent {
        match self.receiver.recv().await {
            Ok(event) => event,
            Err(broadcast::error::RecvError::Lagged(_)) => LiveEvent::Changed,
            // The sender lives in the bus; if the topic was swept, there is nothing more to hear.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}
