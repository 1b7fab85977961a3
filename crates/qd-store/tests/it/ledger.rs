//! What the store has acknowledged, step by step: kept beside the store, from its answers, to be compared with what is
//! left of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use qd_store::{AuditHead, JobQuery, Store, StoredConversation, StoredKey};
use qd_types::{BatchId, ConversationId, Job, JobId, JobStatus, LogItem, Logged, TenantId, Timestamp};

use crate::around::Around;

/// Tenants of the workload.
pub(crate) fn tenants() -> [TenantId; 2] {
    [TenantId::new("tenant-a"), TenantId::new("tenant-b")]
}

/// Conversations of the workload, of each tenant.
pub(crate) fn conversations() -> [ConversationId; 2] {
    [ConversationId::new("c1"), ConversationId::new("c2")]
}

/// A job with its log.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kept {
    pub(crate) job: Job,
    pub(crate) log: Vec<Logged>,
}

/// Everything that clients can see.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    pub(crate) jobs: BTreeMap<JobId, Arc<Kept>>,
    pub(crate) conversations: BTreeMap<(TenantId, ConversationId), StoredConversation>,
    /// Newest version by tenant and crew.
    pub(crate) crews: BTreeMap<(TenantId, String), (u32, String)>,
    /// API keys, and the end of the audit log.
    pub(crate) access: (Vec<StoredKey>, AuditHead),
    /// Jobs by tenant and idempotency key.
    pub(crate) keys: BTreeMap<(TenantId, String), JobId>,
    /// Batches, schedules and deliveries.
    pub(crate) around: Arc<Around>,
    /// Batches by tenant and idempotency key.
    pub(crate) batch_keys: BTreeMap<(TenantId, String), BatchId>,
}

/// What a step changed.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Job(JobId, Option<Arc<Kept>>),
    Conversation((TenantId, ConversationId), Option<StoredConversation>),
    Crew((TenantId, String), (u32, String)),
    Key((TenantId, String), JobId),
    Access((Vec<StoredKey>, AuditHead)),
    Around(Arc<Around>),
    BatchKey((TenantId, String), BatchId),
}

/// One operation.
#[derive(Debug)]
pub(crate) struct Step {
    /// Place in the record before it was asked for.
    pub(crate) asked: usize,
    /// Place in the record when its answer was here.
    pub(crate) acked: usize,
    /// The clock's time.
    pub(crate) at: Timestamp,
    pub(crate) changes: Vec<Change>,
}

impl View {
    pub(crate) fn apply(&mut self, step: &Step) {
        for change in step.changes.iter().cloned() {
            match change {
                Change::Job(id, Some(kept)) => drop(self.jobs.insert(id, kept)),
                Change::Job(id, None) => drop(self.jobs.remove(&id)),
                Change::Conversation(name, Some(kept)) => drop(self.conversations.insert(name, kept)),
                Change::Conversation(name, None) => drop(self.conversations.remove(&name)),
                Change::Crew(name, newest) => drop(self.crews.insert(name, newest)),
                Change::Key(key, job) => drop(self.keys.insert(key, job)),
                Change::Access(access) => self.access = access,
                Change::Around(around) => self.around = around,
                Change::BatchKey(key, batch) => drop(self.batch_keys.insert(key, batch)),
            }
        }
    }

    /// What a store shows. Idempotency keys cannot be listed; they are asked for one by one.
    pub(crate) async fn of(store: &Store) -> Result<Self, qd_store::Error> {
        let around = Arc::new(Around::of(store).await?);
        let mut view = Self { access: store.keys().await?, around, ..Self::default() };
        for tenant in tenants() {
            let mut cursor = None;
            loop {
                let page =
                    store.jobs(&tenant, JobQuery { cursor, limit: 500, ..JobQuery::default() }).await?;
                for job in page.jobs {
                    let log = store.log(&tenant, job.id, 0, 10_000).await?.unwrap_or_default();
                    view.jobs.insert(job.id, Arc::new(Kept { job, log }));
                }
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
            for name in conversations() {
                if let Some(kept) = store.conversation(&tenant, &name, 500).await? {
                    view.conversations.insert((tenant.clone(), name), kept);
                }
            }
            for crew in store.crews(&tenant).await? {
                view.crews.insert((tenant.clone(), crew.name.to_string()), (crew.version.0, crew.spec));
            }
        }
        Ok(view)
    }

    /// Whether a store that was opened again shows this, but for its idempotency keys. Answers the first difference.
    pub(crate) fn differs(&self, found: &Self) -> Option<String> {
        if self.jobs.len() != found.jobs.len() {
            return Some(format!("{} jobs instead of {}", found.jobs.len(), self.jobs.len()));
        }
        for (id, kept) in &self.jobs {
            let Some(now) = found.jobs.get(id) else { return Some(format!("job {id} is missing")) };
            if !is_taken_over(kept, now) {
                return Some(format!("job {id} is {now:#?} instead of {kept:#?}"));
            }
        }
        if self.conversations != found.conversations {
            return Some(format!(
                "conversations {:?} instead of {:?}",
                found.conversations, self.conversations
            ));
        }
        if self.access != found.access {
            return Some(format!("access {:?} instead of {:?}", found.access, self.access));
        }
        if self.crews != found.crews {
            return Some(format!("crews {:?} instead of {:?}", found.crews, self.crews));
        }
        self.around.differs(&found.around)
    }
}

/// A job as it was, or, if it was running, queued again with a crash counted and that in its log.
pub(crate) fn is_taken_over(before: &Kept, now: &Kept) -> bool {
    if before.job.status != JobStatus::Running {
        return before == now;
    }
    let job = Job { status: JobStatus::Queued, crashes: before.job.crashes + 1, ..before.job.clone() };
    let Some((last, log)) = now.log.split_last() else { return false };
    let queued = matches!(last.item, LogItem::Status { status: JobStatus::Queued, .. });
    now.job == job && log == before.log && queued && last.seq == before.log.len() as u64 + 1
}
