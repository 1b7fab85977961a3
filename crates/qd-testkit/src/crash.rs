//! A backend that dies at its n-th write: the write is lost or it is done and nobody hears of it, and from then on no
//! operation returns. What a kill -9 does to a worker, at a place of the test's choosing. Or it only holds the answer
//! back for a while, so that a test can act in between.

use std::future::{Future, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use qd_store::{
    Access, Act, Actor, Answer, Answered, AuditHead, Audited, Backend, Batch, BatchAccepted, BatchCancelled,
    BatchOpened, BatchPage, BatchQuery, Batches, Cache, CacheKey, Cancelled, Claimed, Conversations,
    CrewRecent, Crews, DayUsage, DeadGroup, DeadLetters, DeadQuery, Delivery, DeliveryPage, DeliveryQuery,
    Discard, DueSchedules, EndpointState, Enqueued, Error, Fed, Fence, Finish, Idempotency, ItemPage,
    ItemQuery, JobQuery, Jobs, KeyAdded, NewBatch, NewCrew, NewItem, NewJob, NewKey, NewSchedule, Outbox,
    Page, Published, Recent, Record, Refused, Revocation, Room, Schedule, SchedulePage, SchedulePut,
    ScheduleQuery, ScheduleTick, Schedules, ScopeSpend, Settlement, Slice, SliceAsk, SliceReturn, Spend,
    SpendScope, Stats, StoredConversation, StoredCrew, StoredKey, TakeDeliveries, TakenDeliveries, Tick,
    Ticked, UsageQuery,
};
use qd_types::{
    BatchId, ConversationId, CrewName, CrewVersion, DeliveryId, Job, JobId, JobStatus, KeyId, Logged,
    ScheduleName, Seq, TenantId, Timestamp, WorkerId,
};
use tokio_util::sync::CancellationToken;

/// On which side of the write the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The write is lost.
    Before,
    /// The write is durable, its answer is lost.
    After,
    /// Nobody dies: the write is durable, its answer comes once [`Crash::release`] is called.
    Held,
    /// Nobody dies: the disk refuses this write, and no other.
    Refused,
}

/// Where the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrashPoint {
    /// Counted from 0, over what writes something: a claim that hands nothing out does not, nor does a round of feeding that
    /// feeds nothing.
    pub write: usize,
    /// On which side of it.
    pub when: When,
}

/// The dying backend.
pub struct Crash {
    inner: Arc<dyn Backend>,
    point: Option<CrashPoint>,
    writes: AtomicUsize,
    dead: CancellationToken,
    held: CancellationToken,
    released: CancellationToken,
}

impl Crash {
    /// Around a backend; without a point it only counts.
    #[must_use]
    pub fn new(inner: Arc<dyn Backend>, point: Option<CrashPoint>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            point,
            writes: AtomicUsize::new(0),
            dead: CancellationToken::new(),
            held: CancellationToken::new(),
            released: CancellationToken::new(),
        })
    }

    /// Writes so far.
    #[must_use]
    pub fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }

    /// Waits for the death.
    pub async fn died(&self) {
        self.dead.cancelled().await;
    }

    /// Waits until the answer of the write is held back.
    pub async fn holds(&self) {
        self.held.cancelled().await;
    }

    /// Lets the answer that is held back go.
    pub fn release(&self) {
        self.released.cancel();
    }

    async fn write<T>(&self, write: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.check().await;
        let number = self.writes.fetch_add(1, Ordering::SeqCst);
        let here = self.point.filter(|point| point.write == number).map(|point| point.when);
        if here == Some(When::Before) {
            self.die().await;
        }
        if here == Some(When::Refused) {
            return Err(Error::Refused { reason: "a test wants it so".to_owned() });
        }
        let answer = write.await;
        if here == Some(When::After) {
            self.die().await;
        }
        if here == Some(When::Held) {
            self.held.cancel();
            self.released.cancelled().await;
        }
        self.check().await;
        answer
    }

    async fn check(&self) {
        if self.dead.is_cancelled() {
            pending::<()>().await;
        }
    }

    async fn die(&self) {
        self.dead.cancel();
        pending::<()>().await;
    }
}

#[async_trait]
impl Jobs for Crash {
    async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>, Error> {
        self.inner.enqueue(jobs).await
    }

    async fn replay(&self, tenant: &TenantId, idempotency: &Idempotency) -> Result<Option<Enqueued>, Error> {
        self.inner.replay(tenant, idempotency).await
    }

    async fn claim(&self, worker: &WorkerId, room: Room) -> Result<Vec<Claimed>, Error> {
        self.check().await;
        // An empty claim writes nothing and happens as often as somebody looks.
        if self.inner.stats().await?.queued == 0 {
            return Ok(Vec::new());
        }
        self.write(self.inner.claim(worker, room)).await
    }

    async fn renew(&self, worker: &WorkerId, held: Vec<(JobId, Fence)>) -> Result<Vec<Revocation>, Error> {
        self.check().await;
        self.inner.renew(worker, held).await
    }

    async fn record(&self, records: Vec<Record>) -> Result<Vec<Result<Seq, Refused>>, Error> {
        self.write(self.inner.record(records)).await
    }

    async fn finish(&self, finishes: Vec<Finish>) -> Result<Vec<Result<JobStatus, Refused>>, Error> {
        self.write(self.inner.finish(finishes)).await
    }

    async fn answer(&self, tenant: &TenantId, answer: Answer) -> Result<Answered, Error> {
        self.write(self.inner.answer(tenant, answer)).await
    }

    async fn cancel(&self, tenant: &TenantId, job: JobId) -> Result<Cancelled, Error> {
        self.inner.cancel(tenant, job).await
    }

    async fn tick(&self, limit: usize) -> Result<Tick, Error> {
        self.check().await;
        self.inner.tick(limit).await
    }

    async fn job(&self, tenant: &TenantId, job: JobId) -> Result<Option<Job>, Error> {
        self.inner.job(tenant, job).await
    }

    async fn jobs(&self, tenant: &TenantId, query: JobQuery) -> Result<Page, Error> {
        self.inner.jobs(tenant, query).await
    }

    async fn log(
        &self,
        tenant: &TenantId,
        job: JobId,
        after: Seq,
        limit: usize,
    ) -> Result<Option<Vec<Logged>>, Error> {
        self.inner.log(tenant, job, after, limit).await
    }

    async fn stats(&self) -> Result<Stats, Error> {
        self.inner.stats().await
    }

    async fn recent(&self) -> Result<Recent, Error> {
        self.inner.recent().await
    }

    async fn recent_of(&self, tenant: &TenantId, crews: Vec<CrewName>) -> Result<Vec<CrewRecent>, Error> {
        self.inner.recent_of(tenant, crews).await
    }
}

#[async_trait]
impl Crews for Crash {
    async fn publish(&self, crew: NewCrew) -> Result<Published, Error> {
        self.inner.publish(crew).await
    }

    async fn crew(
        &self,
        tenant: &TenantId,
        name: &CrewName,
        version: Option<CrewVersion>,
    ) -> Result<Option<StoredCrew>, Error> {
        self.inner.crew(tenant, name, version).await
    }

    async fn crews(&self, tenant: &TenantId) -> Result<Vec<StoredCrew>, Error> {
        self.inner.crews(tenant).await
    }
}

#[async_trait]
impl DeadLetters for Crash {
    async fn dead_groups(&self, tenant: &TenantId, query: DeadQuery) -> Result<Vec<DeadGroup>, Error> {
        self.inner.dead_groups(tenant, query).await
    }

    async fn dead_count(&self, tenant: &TenantId, query: DeadQuery) -> Result<u64, Error> {
        self.inner.dead_count(tenant, query).await
    }

    async fn dead_jobs(&self, tenant: &TenantId, query: DeadQuery, limit: usize) -> Result<Vec<Job>, Error> {
        self.inner.dead_jobs(tenant, query, limit).await
    }

    async fn discard(&self, discard: Discard) -> Result<Vec<JobId>, Error> {
        self.inner.discard(discard).await
    }
}

#[async_trait]
impl Conversations for Crash {
    async fn conversation(
        &self,
        tenant: &TenantId,
        conversation: &ConversationId,
        limit: usize,
    ) -> Result<Option<StoredConversation>, Error> {
        self.inner.conversation(tenant, conversation, limit).await
    }

    async fn forget(&self, tenant: &TenantId, conversation: &ConversationId) -> Result<bool, Error> {
        self.inner.forget(tenant, conversation).await
    }
}

#[async_trait]
impl Outbox for Crash {
    async fn post_delivery(&self, delivery: Delivery) -> Result<(), Error> {
        self.write(self.inner.post_delivery(delivery)).await
    }

    async fn take_deliveries(&self, ask: TakeDeliveries) -> Result<TakenDeliveries, Error> {
        self.inner.take_deliveries(ask).await
    }

    async fn settle_deliveries(&self, settlements: Vec<Settlement>) -> Result<(), Error> {
        self.write(self.inner.settle_deliveries(settlements)).await
    }

    async fn resend(&self, tenant: &TenantId, delivery: DeliveryId) -> Result<Option<Delivery>, Error> {
        self.write(self.inner.resend(tenant, delivery)).await
    }

    async fn delivery(&self, tenant: &TenantId, delivery: DeliveryId) -> Result<Option<Delivery>, Error> {
        self.inner.delivery(tenant, delivery).await
    }

    async fn deliveries(&self, tenant: &TenantId, query: DeliveryQuery) -> Result<DeliveryPage, Error> {
        self.inner.deliveries(tenant, query).await
    }

    async fn endpoints(&self, tenant: &TenantId) -> Result<Vec<EndpointState>, Error> {
        self.inner.endpoints(tenant).await
    }

    async fn set_endpoint(&self, tenant: &TenantId, state: EndpointState) -> Result<(), Error> {
        self.write(self.inner.set_endpoint(tenant, state)).await
    }
}

#[async_trait]
impl Batches for Crash {
    async fn open_batch(&self, batch: NewBatch) -> Result<BatchOpened, Error> {
        self.write(self.inner.open_batch(batch)).await
    }

    async fn add_items(&self, batch: BatchId, items: Vec<NewItem>) -> Result<bool, Error> {
        self.write(self.inner.add_items(batch, items)).await
    }

    async fn accept_batch(
        &self,
        batch: BatchId,
        idempotency: Option<Idempotency>,
    ) -> Result<BatchAccepted, Error> {
        self.write(self.inner.accept_batch(batch, idempotency)).await
    }

    async fn discard_batch(&self, batch: BatchId) -> Result<(), Error> {
        self.write(self.inner.discard_batch(batch)).await
    }

    async fn replay_batch(
        &self,
        tenant: &TenantId,
        idempotency: Idempotency,
    ) -> Result<Option<BatchAccepted>, Error> {
        self.inner.replay_batch(tenant, idempotency).await
    }

    async fn feed_batches(&self, max: usize) -> Result<Fed, Error> {
        self.check().await;
        // One that feeds nothing writes nothing, and happens as often as somebody looks.
        let query = BatchQuery { limit: 100, ..BatchQuery::default() };
        let batches = self.inner.batches(&TenantId::default(), query).await?.batches;
        if batches.iter().all(|batch| batch.counts.pending == 0 || batch.counts.open == batch.concurrency) {
            return Ok(Fed::default());
        }
        self.write(self.inner.feed_batches(max)).await
    }

    async fn cancel_batch(&self, tenant: &TenantId, batch: BatchId) -> Result<BatchCancelled, Error> {
        self.write(self.inner.cancel_batch(tenant, batch)).await
    }

    async fn batch(&self, tenant: &TenantId, batch: BatchId) -> Result<Option<Batch>, Error> {
        self.inner.batch(tenant, batch).await
    }

    async fn batches(&self, tenant: &TenantId, query: BatchQuery) -> Result<BatchPage, Error> {
        self.inner.batches(tenant, query).await
    }

    async fn batch_items(
        &self,
        tenant: &TenantId,
        batch: BatchId,
        query: ItemQuery,
    ) -> Result<Option<ItemPage>, Error> {
        self.inner.batch_items(tenant, batch, query).await
    }
}

#[async_trait]
impl Schedules for Crash {
    async fn put_schedule(&self, new: NewSchedule, replaces: bool) -> Result<SchedulePut, Error> {
        self.write(self.inner.put_schedule(new, replaces)).await
    }

    async fn pause_schedule(
        &self,
        tenant: &TenantId,
        name: &ScheduleName,
        next_at: Option<Timestamp>,
    ) -> Result<Option<Schedule>, Error> {
        self.write(self.inner.pause_schedule(tenant, name, next_at)).await
    }

    async fn delete_schedule(&self, tenant: &TenantId, name: &ScheduleName) -> Result<bool, Error> {
        self.write(self.inner.delete_schedule(tenant, name)).await
    }

    async fn tick_schedule(&self, tick: ScheduleTick) -> Result<Ticked, Error> {
        self.write(self.inner.tick_schedule(tick)).await
    }

    async fn due_schedules(&self, limit: usize) -> Result<DueSchedules, Error> {
        self.inner.due_schedules(limit).await
    }

    async fn schedule(&self, tenant: &TenantId, name: &ScheduleName) -> Result<Option<Schedule>, Error> {
        self.inner.schedule(tenant, name).await
    }

    async fn schedules(&self, tenant: &TenantId, query: ScheduleQuery) -> Result<SchedulePage, Error> {
        self.inner.schedules(tenant, query).await
    }
}

#[async_trait]
impl Cache for Crash {
    async fn cached(&self, tenant: &TenantId, key: &CacheKey) -> Result<Option<Vec<u8>>, Error> {
        self.inner.cached(tenant, key).await
    }

    async fn cache(
        &self,
        tenant: &TenantId,
        key: &CacheKey,
        value: Vec<u8>,
        ttl: Duration,
    ) -> Result<(), Error> {
        self.inner.cache(tenant, key, value, ttl).await
    }
}

#[async_trait]
impl Spend for Crash {
    async fn lease_slice(&self, ask: SliceAsk) -> Result<Slice, Error> {
        self.write(self.inner.lease_slice(ask)).await
    }

    async fn return_slices(&self, left: Vec<SliceReturn>) -> Result<(), Error> {
        self.write(self.inner.return_slices(left)).await
    }

    async fn scope_spend(&self, scope: SpendScope) -> Result<ScopeSpend, Error> {
        self.inner.scope_spend(scope).await
    }

    async fn usage(&self, tenant: &TenantId, query: UsageQuery) -> Result<Vec<DayUsage>, Error> {
        self.inner.usage(tenant, query).await
    }
}

#[async_trait]
impl Access for Crash {
    async fn add_key(&self, key: NewKey, by: Actor) -> Result<KeyAdded, Error> {
        self.inner.add_key(key, by).await
    }

    async fn revoke_key(
        &self,
        tenant: Option<&TenantId>,
        id: KeyId,
        by: Actor,
    ) -> Result<Option<StoredKey>, Error> {
        self.inner.revoke_key(tenant, id, by).await
    }

    async fn keys(&self) -> Result<(Vec<StoredKey>, AuditHead), Error> {
        self.inner.keys().await
    }

    async fn audit(&self, act: Act) -> Result<Audited, Error> {
        self.inner.audit(act).await
    }

    async fn audited(&self, after: u64, limit: usize) -> Result<Vec<Audited>, Error> {
        self.inner.audited(after, limit).await
    }

    async fn audit_head(&self) -> Result<AuditHead, Error> {
        self.inner.audit_head().await
    }
}
