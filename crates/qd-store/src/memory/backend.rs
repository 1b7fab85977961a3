//! The ports over rows in memory: a lock, the transition, the notices.

mod batches;
mod schedules;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use qd_env::Env;
use qd_types::{
    ConversationId, CrewName, CrewVersion, DeliveryId, Job, JobId, JobStatus, KeyId, Logged, Seq, TenantId,
    WorkerId,
};

use super::rows::MemoryRows;
use crate::embedded::{Core, Limits, RecentHour, Rows};
use crate::live::{Live, tell};
use crate::{
    Access, Act, Actor, Answer, Answered, AuditHead, Audited, Cache, CacheKey, Cancelled, Claimed,
    Conversations, CrewRecent, Crews, DayUsage, DeadGroup, DeadLetters, DeadQuery, Delivery, DeliveryPage,
    DeliveryQuery, Discard, EndpointState, Enqueued, Error, Fence, Finish, Idempotency, Incarnation,
    JobQuery, Jobs, KeyAdded, NewCrew, NewJob, NewKey, Outbox, Page, Published, Recent, Record, Refused,
    Revocation, Room, ScopeSpend, Settlement, Slice, SliceAsk, SliceReturn, Spend, SpendScope, Stats,
    StoredConversation, StoredCrew, StoredKey, TakeDeliveries, TakenDeliveries, Tick, UsageQuery,
};

/// The backend behind `memory:`.
pub(crate) struct MemoryBackend {
    // Held for one transition, never across an await.
    core: Mutex<Core<MemoryRows>>,
    live: Arc<dyn Live>,
    env: Env,
    limits: Limits,
}

impl MemoryBackend {
    pub(crate) fn new(env: Env, limits: Limits, live: Arc<dyn Live>) -> Self {
        let core = Core::new(MemoryRows::default(), env.clone(), limits.clone(), Incarnation(env.draw()), 1);
        Self { core: Mutex::new(core), live, env, limits }
    }

    fn lock(&self) -> MutexGuard<'_, Core<MemoryRows>> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(
        &self,
        transition: impl FnOnce(&mut Core<MemoryRows>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut core = self.lock();
        let answer = transition(&mut core);
        let notices = core.take_notices();
        drop(core);
        tell(&*self.live, &notices);
        answer
    }
}

#[async_trait]
impl Jobs for MemoryBackend {
    async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>, Error> {
        self.change(|core| jobs.iter().map(|job| core.enqueue(job)).collect())
    }

    async fn replay(&self, tenant: &TenantId, idempotency: &Idempotency) -> Result<Option<Enqueued>, Error> {
        self.change(|core| core.replay(tenant, idempotency))
    }

    async fn claim(&self, worker: &WorkerId, room: Room) -> Result<Vec<Claimed>, Error> {
        self.change(|core| core.claim(worker, room))
    }

    async fn renew(&self, worker: &WorkerId, held: Vec<(JobId, Fence)>) -> Result<Vec<Revocation>, Error> {
        self.change(|core| core.renew(worker, &held))
    }

    async fn record(&self, records: Vec<Record>) -> Result<Vec<Result<Seq, Refused>>, Error> {
        self.change(|core| records.iter().map(|record| core.record(record)).collect())
    }

    async fn finish(&self, finishes: Vec<Finish>) -> Result<Vec<Result<JobStatus, Refused>>, Error> {
        self.change(|core| finishes.iter().map(|finish| core.finish(finish)).collect())
    }

    async fn answer(&self, tenant: &TenantId, answer: Answer) -> Result<Answered, Error> {
        self.change(|core| core.answer(tenant, &answer))
    }

    async fn cancel(&self, tenant: &TenantId, job: JobId) -> Result<Cancelled, Error> {
        self.change(|core| core.cancel(tenant, job))
    }

    async fn tick(&self, limit: usize) -> Result<Tick, Error> {
        self.change(|core| core.tick(limit))
    }

    async fn job(&self, tenant: &TenantId, job: JobId) -> Result<Option<Job>, Error> {
        let mut core = self.lock();
        let row = core.rows.find(tenant, job)?;
        row.map(|row| core.rows.load(row)).transpose()
    }

    async fn jobs(&self, tenant: &TenantId, query: JobQuery) -> Result<Page, Error> {
        Ok(self.lock().rows.page(tenant, &query))
    }

    async fn log(
        &self,
        tenant: &TenantId,
        job: JobId,
        after: Seq,
        limit: usize,
    ) -> Result<Option<Vec<Logged>>, Error> {
        let mut core = self.lock();
        let row = core.rows.find(tenant, job)?;
        row.map(|row| core.rows.log(row, after, limit)).transpose()
    }

    async fn stats(&self) -> Result<Stats, Error> {
        Ok(self.lock().stats())
    }

    async fn recent(&self) -> Result<Recent, Error> {
        let recent = self.lock().shared_recent();
        Ok(RecentHour::read(&recent, self.env.now()))
    }

    async fn recent_of(&self, tenant: &TenantId, crews: Vec<CrewName>) -> Result<Vec<CrewRecent>, Error> {
        Ok(self.lock().recent_of(tenant, &crews))
    }
}

#[async_trait]
impl Crews for MemoryBackend {
    async fn publish(&self, crew: NewCrew) -> Result<Published, Error> {
        self.change(|core| core.publish(&crew))
    }

    async fn crew(
        &self,
        tenant: &TenantId,
        name: &CrewName,
        version: Option<CrewVersion>,
    ) -> Result<Option<StoredCrew>, Error> {
        Ok(self.lock().rows.crews.one(tenant, name, version))
    }

    async fn crews(&self, tenant: &TenantId) -> Result<Vec<StoredCrew>, Error> {
        Ok(self.lock().rows.crews.newest(tenant))
    }
}

#[async_trait]
impl DeadLetters for MemoryBackend {
    async fn dead_groups(&self, tenant: &TenantId, query: DeadQuery) -> Result<Vec<DeadGroup>, Error> {
        Ok(self.lock().rows.dead_groups(tenant, &query))
    }

    async fn dead_count(&self, tenant: &TenantId, query: DeadQuery) -> Result<u64, Error> {
        Ok(self.lock().rows.dead(tenant, &query).count() as u64)
    }

    async fn dead_jobs(&self, tenant: &TenantId, query: DeadQuery, limit: usize) -> Result<Vec<Job>, Error> {
        Ok(self.lock().rows.dead_jobs(tenant, &query, limit))
    }

    async fn discard(&self, discard: Discard) -> Result<Vec<JobId>, Error> {
        self.change(|core| core.discard(&discard))
    }
}

#[async_trait]
impl Conversations for MemoryBackend {
    async fn conversation(
        &self,
        tenant: &TenantId,
        conversation: &ConversationId,
        limit: usize,
    ) -> Result<Option<StoredConversation>, Error> {
        let (ttl, now) = (self.limits.conversation_ttl, self.env.now());
        Ok(self.lock().rows.conversation(tenant, conversation, ttl, now, limit))
    }

    async fn forget(&self, tenant: &TenantId, conversation: &ConversationId) -> Result<bool, Error> {
        self.change(|core| core.forget(tenant, conversation))
    }
}

#[async_trait]
impl Cache for MemoryBackend {
    async fn cached(&self, tenant: &TenantId, key: &CacheKey) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.lock().rows.results.get(tenant, key, self.env.now()))
    }

    async fn cache(
        &self,
        tenant: &TenantId,
        key: &CacheKey,
        value: Vec<u8>,
        ttl: Duration,
    ) -> Result<(), Error> {
        let until = self.env.now().plus(ttl);
        self.lock().rows.results.put(tenant, key, value, until, self.limits.cache);
        Ok(())
    }
}

#[async_trait]
impl Outbox for MemoryBackend {
    async fn post_delivery(&self, delivery: Delivery) -> Result<(), Error> {
        self.change(|core| core.post(&delivery))
    }

    async fn take_deliveries(&self, ask: TakeDeliveries) -> Result<TakenDeliveries, Error> {
        self.change(|core| core.take_deliveries(&ask))
    }

    async fn settle_deliveries(&self, settlements: Vec<Settlement>) -> Result<(), Error> {
        self.change(|core| settlements.iter().try_for_each(|one| core.settle_delivery(one)))
    }

    async fn resend(&self, tenant: &TenantId, delivery: DeliveryId) -> Result<Option<Delivery>, Error> {
        self.change(|core| core.resend(tenant, delivery))
    }

    async fn delivery(&self, tenant: &TenantId, delivery: DeliveryId) -> Result<Option<Delivery>, Error> {
        Ok(self.lock().rows.outbox.delivery(tenant, delivery))
    }

    async fn deliveries(&self, tenant: &TenantId, query: DeliveryQuery) -> Result<DeliveryPage, Error> {
        Ok(self.lock().rows.outbox.page(tenant, &query))
    }

    async fn endpoints(&self, tenant: &TenantId) -> Result<Vec<EndpointState>, Error> {
        Ok(self.lock().rows.outbox.endpoints(tenant))
    }

    async fn set_endpoint(&self, tenant: &TenantId, state: EndpointState) -> Result<(), Error> {
        self.change(|core| core.set_endpoint(tenant, &state))
    }
}

#[async_trait]
impl Spend for MemoryBackend {
    async fn lease_slice(&self, ask: SliceAsk) -> Result<Slice, Error> {
        self.change(|core| core.lease_slice(&ask))
    }

    async fn return_slices(&self, left: Vec<SliceReturn>) -> Result<(), Error> {
        self.change(|core| core.return_slices(&left))
    }

    async fn scope_spend(&self, scope: SpendScope) -> Result<ScopeSpend, Error> {
        self.change(|core| core.scope_spend(&scope))
    }

    async fn usage(&self, tenant: &TenantId, query: UsageQuery) -> Result<Vec<DayUsage>, Error> {
        Ok(self.lock().rows.money.usage(tenant, &query))
    }
}

#[async_trait]
impl Access for MemoryBackend {
    async fn add_key(&self, key: NewKey, by: Actor) -> Result<KeyAdded, Error> {
        self.change(|core| core.add_key(&key, by))
    }

    async fn revoke_key(
        &self,
        tenant: Option<&TenantId>,
        id: KeyId,
        by: Actor,
    ) -> Result<Option<StoredKey>, Error> {
        self.change(|core| core.revoke_key(tenant, id, by))
    }

    async fn keys(&self) -> Result<(Vec<StoredKey>, AuditHead), Error> {
        let access = &self.lock().rows.access;
        Ok((access.keys(), access.head()))
    }

    async fn audit(&self, act: Act) -> Result<Audited, Error> {
        self.change(|core| core.audit(&act))
    }

    async fn audited(&self, after: u64, limit: usize) -> Result<Vec<Audited>, Error> {
        Ok(self.lock().rows.access.audited(after, limit))
    }

    async fn audit_head(&self) -> Result<AuditHead, Error> {
        Ok(self.lock().rows.access.head())
    }
}
