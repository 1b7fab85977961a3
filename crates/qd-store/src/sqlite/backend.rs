//! The ports over one SQLite file.

mod batches;
mod schedules;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use qd_env::Env;
use qd_types::{
    ConversationId, CrewName, CrewVersion, DeliveryId, Job, JobId, JobStatus, KeyId, Logged, Seq, TenantId,
    WorkerId,
};
use rusqlite::Connection;

use super::checkpoint::Checkpointer;
use super::file_lock::FileLock;
use super::reader::Readers;
use super::rows::SqliteRows;
use super::writer::Writer;
use super::{access, cache, dead, outbox, query, schema, spend};
use crate::embedded::{Core, Limits, RecentHour};
use crate::{
    Access, Act, Actor, Answer, Answered, AuditHead, Audited, Cache, CacheKey, CacheRoom, Cancelled, Claimed,
    Conversations, CrewRecent, Crews, DayUsage, DeadGroup, DeadLetters, DeadQuery, Delivery, DeliveryPage,
    DeliveryQuery, Discard, Durability, EndpointState, Enqueued, Error, Fence, Finish, Idempotency,
    Incarnation, JobQuery, Jobs, KeyAdded, Live, NewCrew, NewJob, NewKey, Outbox, Page, Published, Recent,
    Record, Refused, Revocation, Room, ScopeSpend, Settlement, Slice, SliceAsk, SliceReturn, Spend,
    SpendScope, Stats, StoredConversation, StoredCrew, StoredKey, TakeDeliveries, TakenDeliveries, Tick,
    UsageQuery,
};

/// The backend behind `sqlite:PATH`.
pub(crate) struct SqliteBackend {
    writer: Writer,
    readers: Readers,
    env: Env,
    conversation_ttl: Duration,
    room: CacheRoom,
    recent: Arc<Mutex<RecentHour>>,
    database: PathBuf,
}

impl SqliteBackend {
    /// Opens or creates the file, brings its schema up to date, takes over what a dead process left behind.
    pub(crate) fn open(
        database: &Path,
        env: Env,
        limits: Limits,
        durability: Durability,
        live: Arc<dyn Live>,
    ) -> Result<Self, Error> {
        let open_error = |reason: String| Error::Open { path: database.to_owned(), reason };
        make_folder(database).map_err(|e| open_error(e.to_string()))?;
        let lock = FileLock::take(database)?;
        let mut connection = open_writer(database).map_err(|e| open_error(e.to_string()))?;
        schema::migrate(&mut connection)?;
        let incarnation = Incarnation(schema::incarnation(&connection, env.draw())?);
        let next_row: i64 =
            connection.query_row("SELECT coalesce(max(row), 0) + 1 FROM jobs", [], |row| row.get(0))?;
        let (conversation_ttl, room) = (limits.conversation_ttl, limits.cache);
        let mut core = Core::new(SqliteRows::new(connection), env.clone(), limits, incarnation, next_row);
        take_over(&mut core)?;
        let recent = core.shared_recent();
        let readers = Readers::open(database)?;
        let checkpointer =
            Checkpointer::start(database, open_writer(database)?).map_err(|e| open_error(e.to_string()))?;
        let relaxed = durability == Durability::Relaxed;
        let writer = Writer::start(core, lock, checkpointer, live, env.clone(), relaxed)
            .map_err(|e| open_error(e.to_string()))?;
        if relaxed {
            keep_syncing(&env, &writer);
        }
        Ok(Self { writer, readers, env, conversation_ttl, room, recent, database: database.to_owned() })
    }
}

/// Makes the database's folder, and those that it lies in. SQLite syncs the folder; that the folder itself is there after
/// a power failure is for us to see to, in the one above.
fn make_folder(database: &Path) -> std::io::Result<()> {
    let Some(folder) = database.parent() else { return Ok(()) };
    let missing: Vec<_> = folder.ancestors().take_while(|folder| is_missing(folder)).collect();
    std::fs::create_dir_all(folder)?;
    for above in missing.into_iter().filter_map(Path::parent) {
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        std::fs::File::open(above)?.sync_all()?;
    }
    Ok(())
}

fn is_missing(folder: &Path) -> bool {
    !folder.as_os_str().is_empty() && !folder.exists()
}

/// Queues again what was running when the process before ended, in one transaction.
fn take_over(core: &mut Core<SqliteRows>) -> Result<(), Error> {
    core.rows.connection.execute_batch("BEGIN IMMEDIATE")?;
    let rescued = core.take_over()?;
    core.rows.connection.execute_batch("COMMIT")?;
    if rescued > 0 {
        tracing::warn!(jobs = rescued, "took over jobs of a process that ended without finishing them");
    }
    Ok(())
}

/// Relaxed mode promises at most a second of loss, also when nothing else commits.
fn keep_syncing(env: &Env, writer: &Writer) {
    let weak = writer.downgrade();
    env.spawn(async move {
        loop {
            tokio::time::sleep(super::writer::RELAXED_SYNC).await;
            let Some(writer) = weak.upgrade() else { break };
            let touched = writer.call(|core| {
                let sql = "INSERT OR REPLACE INTO meta (key, value) VALUES ('synced', '')";
                core.rows.connection.prepare_cached(sql)?.execute([])?;
                Ok(())
            });
            if touched.await.is_err() {
                break;
            }
        }
    });
}

/// The database and its write-ahead log. What cannot be looked at counts nothing.
fn bytes_of(database: &Path) -> u64 {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    let bytes = |file: &Path| std::fs::metadata(file).map_or(0, |found| found.len());
    bytes(database) + bytes(Path::new(&log))
}

fn open_writer(database: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open(database)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = 1; \
         PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16384; PRAGMA journal_size_limit = 67108864; \
         PRAGMA wal_autocheckpoint = 0; PRAGMA mmap_size = 0",
    )?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

#[async_trait]
impl Jobs for SqliteBackend {
    async fn enqueue(&self, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>, Error> {
        self.writer.call(move |core| jobs.iter().map(|job| core.enqueue(job)).collect()).await
    }

    async fn replay(&self, tenant: &TenantId, idempotency: &Idempotency) -> Result<Option<Enqueued>, Error> {
        let (tenant, idempotency) = (tenant.clone(), idempotency.clone());
        self.writer.call(move |core| core.replay(&tenant, &idempotency)).await
    }

    async fn claim(&self, worker: &WorkerId, room: Room) -> Result<Vec<Claimed>, Error> {
        let worker = worker.clone();
        self.writer.call(move |core| core.claim(&worker, room)).await
    }

    async fn renew(&self, worker: &WorkerId, held: Vec<(JobId, Fence)>) -> Result<Vec<Revocation>, Error> {
        let worker = worker.clone();
        self.writer.call(move |core| core.renew(&worker, &held)).await
    }

    async fn record(&self, records: Vec<Record>) -> Result<Vec<Result<Seq, Refused>>, Error> {
        self.writer.call(move |core| records.iter().map(|record| core.record(record)).collect()).await
    }

    async fn finish(&self, finishes: Vec<Finish>) -> Result<Vec<Result<JobStatus, Refused>>, Error> {
        self.writer.call(move |core| finishes.iter().map(|finish| core.finish(finish)).collect()).await
    }

    async fn answer(&self, tenant: &TenantId, answer: Answer) -> Result<Answered, Error> {
        let tenant = tenant.clone();
        self.writer.call(move |core| core.answer(&tenant, &answer)).await
    }

    async fn cancel(&self, tenant: &TenantId, job: JobId) -> Result<Cancelled, Error> {
        let tenant = tenant.clone();
        self.writer.call(move |core| core.cancel(&tenant, job)).await
    }

    async fn tick(&self, limit: usize) -> Result<Tick, Error> {
        self.writer.call(move |core| core.tick(limit)).await
    }

    async fn job(&self, tenant: &TenantId, job: JobId) -> Result<Option<Job>, Error> {
        let tenant = tenant.clone();
        self.readers.read(move |connection| query::job(connection, &tenant, job)).await
    }

    async fn jobs(&self, tenant: &TenantId, asked: JobQuery) -> Result<Page, Error> {
        let tenant = tenant.clone();
        self.readers.read(move |connection| query::page(connection, &tenant, &asked)).await
    }

    async fn log(
        &self,
        tenant: &TenantId,
        job: JobId,
        after: Seq,
        limit: usize,
    ) -> Result<Option<Vec<Logged>>, Error> {
        let tenant = tenant.clone();
        self.readers.read(move |connection| query::log(connection, &tenant, job, after, limit)).await
    }

    async fn stats(&self) -> Result<Stats, Error> {
        Ok(Stats { bytes: bytes_of(&self.database), ..self.writer.stats()? })
    }

    async fn recent(&self) -> Result<Recent, Error> {
        // A store that is not to be trusted tells nothing.
        self.writer.stats()?;
        Ok(RecentHour::read(&self.recent, self.env.now()))
    }

    async fn recent_of(&self, tenant: &TenantId, crews: Vec<CrewName>) -> Result<Vec<CrewRecent>, Error> {
        let tenant = tenant.clone();
        self.writer.call(move |core| Ok(core.recent_of(&tenant, &crews))).await
    }
}

#[async_trait]
impl Crews for SqliteBackend {
    async fn publish(&self, crew: NewCrew) -> Result<Published, Error> {
        self.writer.call(move |core| core.publish(&crew)).await
    }

    async fn crew(
        &self,
        tenant: &TenantId,
        name: &CrewName,
        version: Option<CrewVersion>,
    ) -> Result<Option<StoredCrew>, Error> {
        let (tenant, name) = (tenant.clone(), name.clone());
        self.readers.read(move |connection| query::crew(connection, &tenant, &name, version)).await
    }

    async fn crews(&self, tenant: &TenantId) -> Result<Vec<StoredCrew>, Error> {
        let tenant = tenant.clone();
        self.readers.read(move |connection| query::crews(connection, &tenant)).await
    }
}

#[async_trait]
impl DeadLetters for SqliteBackend {
    async fn dead_groups(&self, tenant: &TenantId, query: DeadQuery) -> Result<Vec<DeadGroup>, Error> {
        let tenant = tenant.clone();
        self.readers.read(move |connection| dead::groups(connection, &tenant, &query)).await
    }

    async fn dead_count(&self, tenant: &TenantId, query: DeadQuery) -> Result<u64, Error> {
        let tenant = tenant.clone();
        self.readers.read(move |connection| dead::count(connection, &tenant, &query)).await
    }

    async fn dead_jobs(&self, tenant: &TenantId, query: DeadQuery, limit: usize) -> Result<Vec<Job>, Error> {
        let tenant = tenant.clone();
        self.readers.read(move |connection| dead::jobs(connection, &tenant, &query, limit)).await
    }

    async fn discard(&self, discard: Discard) -> Result<Vec<JobId>, Error> {
        self.writer.call(move |core| core.discard(&discard)).await
    }
}

#[async_trait]
impl Conversations for SqliteBackend {
    async fn conversation(
        &self,
        tenant: &TenantId,
        conversation: &ConversationId,
        limit: usize,
    ) -> Result<Option<StoredConversation>, Error> {
        let (tenant, conversation) = (tenant.clone(), conversation.clone());
        let (ttl, now) = (self.conversation_ttl, self.env.now());
        self.readers
            .read(move |connection| query::conversation(connection, &tenant, &conversation, ttl, now, limit))
            .await
    }

    async fn forget(&self, tenant: &TenantId, conversation: &ConversationId) -> Result<bool, Error> {
        let (tenant, conversation) = (tenant.clone(), conversation.clone());
        self.writer.call(move |core| core.forget(&tenant, &conversation)).await
    }
}

#[async_trait]
impl Cache for SqliteBackend {
    async fn cached(&self, tenant: &TenantId, key: &CacheKey) -> Result<Option<Vec<u8>>, Error> {
        let (tenant, key, now) = (tenant.clone(), *key, self.env.now());
        self.readers.read(move |connection| cache::get(connection, &tenant, &key, now)).await
    }

    async fn cache(
        &self,
        tenant: &TenantId,
        key: &CacheKey,
        value: Vec<u8>,
        ttl: Duration,
    ) -> Result<(), Error> {
        let (tenant, key, until, room) = (tenant.clone(), *key, self.env.now().plus(ttl), self.room);
        self.writer
            .call(move |core| cache::put(&core.rows.connection, &tenant, &key, &value, until, room))
            .await
    }
}

#[async_trait]
impl Outbox for SqliteBackend {
    async fn post_delivery(&self, delivery: Delivery) -> Result<(), Error> {
        self.writer.call(move |core| core.post(&delivery)).await
    }

    async fn take_deliveries(&self, ask: TakeDeliveries) -> Result<TakenDeliveries, Error> {
        self.writer.call(move |core| core.take_deliveries(&ask)).await
    }

    async fn settle_deliveries(&self, settlements: Vec<Settlement>) -> Result<(), Error> {
        self.writer.call(move |core| settlements.iter().try_for_each(|one| core.settle_delivery(one))).await
    }

    async fn resend(&self, tenant: &TenantId, delivery: DeliveryId) -> Result<Option<Delivery>, Error> {
        let tenant = tenant.clone();
        self.writer.call(move |core| core.resend(&tenant, delivery)).await
    }

    async fn delivery(&self, tenant: &TenantId, delivery: DeliveryId) -> Result<Option<Delivery>, Error> {
        let tenant = tenant.clone();
        self.readers.read(move |connection| outbox::delivery(connection, &tenant, delivery)).await
    }

    async fn deliveries(&self, tenant: &TenantId, query: DeliveryQuery) -> Result<DeliveryPage, Error> {
        let tenant = tenant.clone();
        self.readers.read(move |connection| outbox::page(connection, &tenant, &query)).await
    }

    async fn endpoints(&self, tenant: &TenantId) -> Result<Vec<EndpointState>, Error> {
        let tenant = tenant.clone();
        self.readers.read(move |connection| outbox::endpoints(connection, &tenant)).await
    }

    async fn set_endpoint(&self, tenant: &TenantId, state: EndpointState) -> Result<(), Error> {
        let tenant = tenant.clone();
        self.writer.call(move |core| core.set_endpoint(&tenant, &state)).await
    }
}

#[async_trait]
impl Spend for SqliteBackend {
    async fn lease_slice(&self, ask: SliceAsk) -> Result<Slice, Error> {
        self.writer.call(move |core| core.lease_slice(&ask)).await
    }

    async fn return_slices(&self, left: Vec<SliceReturn>) -> Result<(), Error> {
        self.writer.call(move |core| core.return_slices(&left)).await
    }

    async fn scope_spend(&self, scope: SpendScope) -> Result<ScopeSpend, Error> {
        self.readers.read(move |connection| spend::scope_spend(connection, &scope)).await
    }

    async fn usage(&self, tenant: &TenantId, query: UsageQuery) -> Result<Vec<DayUsage>, Error> {
        let tenant = tenant.clone();
        self.readers.read(move |connection| spend::usage(connection, &tenant, &query)).await
    }
}

#[async_trait]
impl Access for SqliteBackend {
    async fn add_key(&self, key: NewKey, by: Actor) -> Result<KeyAdded, Error> {
        self.writer.call(move |core| core.add_key(&key, by)).await
    }

    async fn revoke_key(
        &self,
        tenant: Option<&TenantId>,
        id: KeyId,
        by: Actor,
    ) -> Result<Option<StoredKey>, Error> {
        let tenant = tenant.cloned();
        self.writer.call(move |core| core.revoke_key(tenant.as_ref(), id, by)).await
    }

    async fn keys(&self) -> Result<(Vec<StoredKey>, AuditHead), Error> {
        self.readers.read(access::keys).await
    }

    async fn audit(&self, act: Act) -> Result<Audited, Error> {
        self.writer.call(move |core| core.audit(&act)).await
    }

    async fn audited(&self, after: u64, limit: usize) -> Result<Vec<Audited>, Error> {
        self.readers.read(move |connection| access::audited(connection, after, limit)).await
    }

    async fn audit_head(&self) -> Result<AuditHead, Error> {
        self.readers.read(access::head).await
    }
}
