//! The handle that everyone holds: it forwards to the backend and observes each call once, for all backends.

mod batches;
mod dead;
mod human;
mod outbox;
mod schedules;

use std::sync::Arc;
use std::time::Duration;

use qd_env::Env;
use qd_telemetry::Metrics;
use qd_types::{
    ConversationId, CrewName, CrewVersion, Delta, Job, JobId, JobStatus, KeyId, Logged, Seq, TenantId,
    WorkerId,
};

use crate::observe::{Observer, Op};
use crate::{
    Act, Actor, AuditHead, Audited, Backend, CacheKey, Cancelled, Claimed, CrewRecent, DayUsage, Enqueued,
    Error, Fence, Finish, Idempotency, JobQuery, KeyAdded, Live, NewCrew, NewJob, NewKey, Page, Published,
    Recent, Record, Refused, Revocation, Room, ScopeSpend, Slice, SliceAsk, SliceReturn, SpendScope, Stats,
    StoredConversation, StoredCrew, StoredKey, Tick, Turn, UsageQuery, Watch,
};

/// The store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    backend: Arc<dyn Backend>,
    live: Arc<dyn Live>,
    observer: Observer,
}

impl Store {
    /// A store over a backend and its live side; `qd_store::open` makes both.
    #[must_use]
    pub fn new(backend: Arc<dyn Backend>, live: Arc<dyn Live>) -> Self {
        Self { backend, live, observer: Observer::default() }
    }

    /// The same store with something around its backend, e.g. one that injects faults in a test.
    #[must_use]
    pub fn wrapped(self, wrap: impl FnOnce(Arc<dyn Backend>) -> Arc<dyn Backend>) -> Self {
        Self { backend: wrap(self.backend), ..self }
    }

    /// The same store, whose operations are counted.
    #[must_use]
    pub fn observed_by(self, metrics: &Arc<Metrics>, env: &Env) -> Self {
        Self { observer: Observer::new(metrics, env), ..self }
    }

    /// Accepts one job. It is durable when this returns.
    ///
    /// # Errors
    /// If the backend cannot carry it out; nothing was stored then.
    pub async fn enqueue(&self, job: NewJob) -> Result<Enqueued, Error> {
        let answers = self.observer.call(Op::Enqueue, self.backend.enqueue(vec![job])).await?;
        answers.into_iter().next().ok_or(Error::Closed)
    }

    /// Accepts many jobs, each for itself.
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn enqueue_all(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>, Error> {
        self.observer.call(Op::Enqueue, self.backend.enqueue(jobs)).await
    }

    /// See [`crate::Jobs::replay`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn replay(
        &self,
        tenant: &TenantId,
        idempotency: &Idempotency,
    ) -> Result<Option<Enqueued>, Error> {
        self.observer.call(Op::Replay, self.backend.replay(tenant, idempotency)).await
    }

    /// See [`crate::Jobs::claim`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn claim(&self, worker: &WorkerId, room: impl Into<Room>) -> Result<Vec<Claimed>, Error> {
        self.observer.call(Op::Claim, self.backend.claim(worker, room.into())).await
    }

    /// See [`crate::Jobs::renew`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn renew(
        &self,
        worker: &WorkerId,
        held: Vec<(JobId, Fence)>,
    ) -> Result<Vec<Revocation>, Error> {
        self.observer.call(Op::Renew, self.backend.renew(worker, held)).await
    }

    /// Appends to one job's log.
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn record(&self, record: Record) -> Result<Result<Seq, Refused>, Error> {
        let answers = self.observer.call(Op::Record, self.backend.record(vec![record])).await?;
        answers.into_iter().next().ok_or(Error::Closed)
    }

    /// Ends one attempt.
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn finish(&self, finish: Finish) -> Result<Result<JobStatus, Refused>, Error> {
        let answers = self.observer.call(Op::Finish, self.backend.finish(vec![finish])).await?;
        answers.into_iter().next().ok_or(Error::Closed)
    }

    /// See [`crate::Jobs::cancel`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn cancel(&self, tenant: &TenantId, job: JobId) -> Result<Cancelled, Error> {
        let cancelled = self.observer.call(Op::Cancel, self.backend.cancel(tenant, job)).await?;
        self.observer.cancelled(&cancelled);
        Ok(cancelled)
    }

    /// See [`crate::Jobs::tick`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn tick(&self, limit: usize) -> Result<Tick, Error> {
        let tick = self.observer.call(Op::Tick, self.backend.tick(limit)).await?;
        self.observer.ticked(&tick);
        Ok(tick)
    }

    /// One job.
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn job(&self, tenant: &TenantId, job: JobId) -> Result<Option<Job>, Error> {
        self.observer.call(Op::Job, self.backend.job(tenant, job)).await
    }

    /// A page of jobs, newest first.
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn jobs(&self, tenant: &TenantId, query: JobQuery) -> Result<Page, Error> {
        self.observer.call(Op::Jobs, self.backend.jobs(tenant, query)).await
    }

    /// See [`crate::Jobs::log`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn log(
        &self,
        tenant: &TenantId,
        job: JobId,
        after: Seq,
        limit: usize,
    ) -> Result<Option<Vec<Logged>>, Error> {
        self.observer.call(Op::Log, self.backend.log(tenant, job, after, limit)).await
    }

    /// Counts of jobs.
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn stats(&self) -> Result<Stats, Error> {
        self.observer.call(Op::Stats, self.backend.stats()).await
    }

    /// What happened in the last hour.
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn recent(&self) -> Result<Recent, Error> {
        self.observer.call(Op::Recent, self.backend.recent()).await
    }

    /// See [`crate::Jobs::recent_of`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn recent_of(&self, tenant: &TenantId, crews: Vec<CrewName>) -> Result<Vec<CrewRecent>, Error> {
        self.observer.call(Op::RecentOf, self.backend.recent_of(tenant, crews)).await
    }

    /// See [`crate::Crews::publish`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn publish(&self, crew: NewCrew) -> Result<Published, Error> {
        self.observer.call(Op::Publish, self.backend.publish(crew)).await
    }

    /// See [`crate::Crews::crew`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn crew(
        &self,
        tenant: &TenantId,
        name: &CrewName,
        version: Option<CrewVersion>,
    ) -> Result<Option<StoredCrew>, Error> {
        self.observer.call(Op::Crew, self.backend.crew(tenant, name, version)).await
    }

    /// The newest version of each crew, by name.
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn crews(&self, tenant: &TenantId) -> Result<Vec<StoredCrew>, Error> {
        self.observer.call(Op::Crews, self.backend.crews(tenant)).await
    }

    /// See [`crate::Conversations::conversation`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn conversation(
        &self,
        tenant: &TenantId,
        conversation: &ConversationId,
        limit: usize,
    ) -> Result<Option<StoredConversation>, Error> {
        self.observer.call(Op::Conversation, self.backend.conversation(tenant, conversation, limit)).await
    }

    /// What was said last in a conversation, at most `limit` messages, oldest of them first.
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn history(
        &self,
        tenant: &TenantId,
        conversation: &ConversationId,
        limit: usize,
    ) -> Result<Vec<Turn>, Error> {
        let kept = self.conversation(tenant, conversation, limit).await?;
        Ok(kept.into_iter().flat_map(|kept| kept.messages).map(|message| message.turn).collect())
    }

    /// See [`crate::Conversations::forget`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn forget(&self, tenant: &TenantId, conversation: &ConversationId) -> Result<bool, Error> {
        self.observer.call(Op::Forget, self.backend.forget(tenant, conversation)).await
    }

    /// See [`crate::Spend::lease_slice`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn lease_slice(&self, ask: SliceAsk) -> Result<Slice, Error> {
        self.observer.call(Op::LeaseSlice, self.backend.lease_slice(ask)).await
    }

    /// See [`crate::Spend::return_slices`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn return_slices(&self, left: Vec<SliceReturn>) -> Result<(), Error> {
        self.observer.call(Op::ReturnSlices, self.backend.return_slices(left)).await
    }

    /// How much of a scope's money is gone.
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn scope_spend(&self, scope: SpendScope) -> Result<ScopeSpend, Error> {
        self.observer.call(Op::ScopeSpend, self.backend.scope_spend(scope)).await
    }

    /// See [`crate::Spend::usage`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn usage(&self, tenant: &TenantId, query: UsageQuery) -> Result<Vec<DayUsage>, Error> {
        self.observer.call(Op::Usage, self.backend.usage(tenant, query)).await
    }

    /// See [`crate::Cache::cached`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn cached(&self, tenant: &TenantId, key: &CacheKey) -> Result<Option<Vec<u8>>, Error> {
        self.observer.call(Op::Cached, self.backend.cached(tenant, key)).await
    }

    /// See [`crate::Cache::cache`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn cache(
        &self,
        tenant: &TenantId,
        key: &CacheKey,
        value: Vec<u8>,
        ttl: Duration,
    ) -> Result<(), Error> {
        self.observer.call(Op::Cache, self.backend.cache(tenant, key, value, ttl)).await
    }

    /// See [`crate::Access::add_key`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn add_key(&self, key: NewKey, by: Actor) -> Result<KeyAdded, Error> {
        self.observer.call(Op::AddKey, self.backend.add_key(key, by)).await
    }

    /// See [`crate::Access::revoke_key`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn revoke_key(
        &self,
        tenant: Option<&TenantId>,
        id: KeyId,
        by: Actor,
    ) -> Result<Option<StoredKey>, Error> {
        self.observer.call(Op::RevokeKey, self.backend.revoke_key(tenant, id, by)).await
    }

    /// See [`crate::Access::keys`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn keys(&self) -> Result<(Vec<StoredKey>, AuditHead), Error> {
        self.observer.call(Op::Keys, self.backend.keys()).await
    }

    /// Writes a privileged act down.
    ///
    /// # Errors
    /// If the backend cannot carry it out; the act should not be done then.
    pub async fn audit(&self, act: Act) -> Result<Audited, Error> {
        self.observer.call(Op::Audit, self.backend.audit(act)).await
    }

    /// See [`crate::Access::audited`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn audited(&self, after: u64, limit: usize) -> Result<Vec<Audited>, Error> {
        self.observer.call(Op::Audited, self.backend.audited(after, limit)).await
    }

    /// See [`crate::Access::audit_head`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn audit_head(&self) -> Result<AuditHead, Error> {
        self.observer.call(Op::AuditHead, self.backend.audit_head()).await
    }

    /// Listens to a job. Watch first, then read: whatever is committed later is heard.
    #[must_use]
    pub fn watch(&self, job: JobId) -> Watch {
        self.live.watch(job)
    }

    /// Whether somebody listens to a job.
    #[must_use]
    pub fn is_watched(&self, job: JobId) -> bool {
        self.live.is_watched(job)
    }

    /// Passes a piece of an answer on to whoever listens.
    pub fn emit(&self, delta: Delta) {
        self.live.emit(delta);
    }

    /// Waits for a hint that a job became ready.
    pub async fn work(&self) {
        self.live.work().await;
    }

    /// Waits for a hint that a job became ready for one of the spare slots that the last claim left free.
    pub async fn spare_work(&self) {
        self.live.spare_work().await;
    }

    /// Whether a lease is known to be revoked: to be asked before each call. `false` may be late, except where the
    /// revoker and the worker are one process.
    #[must_use]
    pub fn is_revoked(&self, job: JobId, fence: Fence) -> bool {
        self.live.is_revoked(job, fence)
    }

    /// Forgets a lease whose attempt has ended.
    pub fn let_go(&self, job: JobId, fence: Fence) {
        self.live.let_go(job, fence);
    }

    /// Waits for a hint that a lease was revoked.
    pub async fn revocation(&self) {
        self.live.revocation().await;
    }
}
