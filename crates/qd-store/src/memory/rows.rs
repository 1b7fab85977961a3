//! Rows as maps.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use qd_types::{
    ConversationId, CrewName, Day, DeliveryId, Hooks, Input, Job, JobId, JobStatus, Logged, NanoDollars, Seq,
    TenantId, Timestamp, Waiting,
};

use super::access::MemoryAccess;
use super::batches::MemoryBatches;
use super::cache::KeptResults;
use super::crews::MemoryCrews;
use super::outbox::MemoryOutbox;
use super::schedules::MemorySchedules;
use super::spend::MemorySpend;
use crate::embedded::{
    Charge, KEPT_SPEND, KEPT_TURNS, PAGE_BYTES, Remembered, RowId, Rows, Settled, Spent, Started, Tries,
};
use crate::{
    Delivery, EndpointState, Error, Idempotency, JobQuery, Page, ScopeSpend, SpendScope, StoredConversation,
    StoredMessage, Turn,
};

#[derive(Default)]
struct Conversation {
    messages: Vec<StoredMessage>,
    last_at: Timestamp,
}

/// All rows.
#[derive(Default)]
pub(super) struct MemoryRows {
    pub(super) jobs: BTreeMap<RowId, Job>,
    /// Failed jobs that were run again or discarded.
    pub(super) dealt: BTreeSet<RowId>,
    pub(super) ids: HashMap<JobId, RowId>,
    logs: HashMap<RowId, Vec<Logged>>,
    keys: HashMap<(TenantId, String, String), Remembered>,
    conversations: HashMap<(TenantId, ConversationId), Conversation>,
    pub(super) results: KeptResults,
    pub(super) money: MemorySpend,
    pub(super) access: MemoryAccess,
    pub(super) crews: MemoryCrews,
    pub(super) outbox: MemoryOutbox,
    pub(super) batches: MemoryBatches,
    pub(super) schedules: MemorySchedules,
}

impl MemoryRows {
    /// A page of jobs, newest first.
    pub(super) fn page(&self, tenant: &TenantId, query: &JobQuery) -> Page {
        let below = query.cursor.map_or(RowId::MAX, |c| c.0);
        let matches = |job: &Job| {
            job.tenant == *tenant
                && query.status.is_none_or(|status| job.status == status)
                && query.crew.as_ref().is_none_or(|crew| job.crew == *crew)
                && query.created_after.is_none_or(|at| job.created_at > at)
                && query.created_before.is_none_or(|at| job.created_at < at)
        };
        let mut rows = self.jobs.range(..below).rev().filter(|(_, job)| matches(job));
        let (mut found, mut bytes) = (Vec::new(), 0);
        while found.len() < query.limit
            && bytes < PAGE_BYTES
            && let Some((row, job)) = rows.next()
        {
            bytes += text_bytes(job);
            found.push((row, job));
        }
        let next = found.last().map(|(row, _)| crate::Cursor(**row)).filter(|_| rows.next().is_some());
        Page { jobs: found.into_iter().map(|(_, job)| job.clone()).collect(), next }
    }

    /// A conversation that is not forgotten, with its newest messages.
    pub(super) fn conversation(
        &self,
        tenant: &TenantId,
        conversation: &ConversationId,
        ttl: Duration,
        now: Timestamp,
        limit: usize,
    ) -> Option<StoredConversation> {
        let kept = self.conversations.get(&(tenant.clone(), conversation.clone()))?;
        let expires_at = kept.last_at.plus(ttl);
        (expires_at >= now).then(|| StoredConversation {
            messages: kept.messages[kept.messages.len().saturating_sub(limit)..].to_vec(),
            last_at: kept.last_at,
            expires_at,
        })
    }

    fn job_mut(&mut self, row: RowId) -> Result<&mut Job, Error> {
        self.jobs.get_mut(&row).ok_or_else(|| missing(row))
    }
}

/// Roughly what a job's texts take in an answer.
pub(super) fn text_bytes(job: &Job) -> usize {
    let asked = job.waiting.as_ref().map_or(0, |waiting| waiting.ask.output.len());
    input_bytes(&job.input) + asked + job.output.as_ref().map_or(0, |output| output.raw.len())
}

/// Roughly what an input's texts take in an answer.
pub(super) fn input_bytes(input: &Input) -> usize {
    input.values().map(|value| value.as_str().map_or(64, str::len)).sum()
}

fn missing(row: RowId) -> Error {
    Error::Unreadable { what: format!("row {row} of the jobs is missing") }
}

impl Rows for MemoryRows {
    fn insert(&mut self, row: RowId, job: &Job) -> Result<(), Error> {
        self.ids.insert(job.id, row);
        self.jobs.insert(row, job.clone());
        Ok(())
    }

    fn load(&mut self, row: RowId) -> Result<Job, Error> {
        self.jobs.get(&row).cloned().ok_or_else(|| missing(row))
    }

    fn find(&mut self, tenant: &TenantId, id: JobId) -> Result<Option<RowId>, Error> {
        Ok(self
            .ids
            .get(&id)
            .copied()
            .filter(|row| self.jobs.get(row).is_some_and(|job| job.tenant == *tenant)))
    }

    fn status_of(&mut self, id: JobId) -> Result<Option<JobStatus>, Error> {
        Ok(self.ids.get(&id).and_then(|row| self.jobs.get(row)).map(|job| job.status))
    }

    fn start(&mut self, row: RowId, started: Started) -> Result<(), Error> {
        let job = self.job_mut(row)?;
        job.status = JobStatus::Running;
        job.attempt = started.attempt;
        job.started_at.get_or_insert(started.started_at);
        job.retry_at = None;
        job.error = None;
        Ok(())
    }

    fn spend(&mut self, row: RowId, spent: &Spent) -> Result<(), Error> {
        let job = self.job_mut(row)?;
        job.usage = spent.usage;
        job.cost = spent.cost;
        job.progress = spent.progress.clone();
        job.crashes = spent.crashes;
        Ok(())
    }

    fn settle(&mut self, row: RowId, settled: &Settled) -> Result<(), Error> {
        let job = self.job_mut(row)?;
        job.status = settled.status;
        job.retry_at = settled.retry_at;
        job.waiting.clone_from(&settled.waiting);
        job.finished_at = settled.finished_at;
        job.output.clone_from(&settled.output);
        job.error.clone_from(&settled.error);
        job.crashes = settled.crashes;
        Ok(())
    }

    fn wait(&mut self, row: RowId, waiting: &Waiting) -> Result<(), Error> {
        self.job_mut(row)?.waiting = Some(Box::new(waiting.clone()));
        Ok(())
    }

    fn set_hooks(&mut self, row: RowId, hooks: &Hooks) -> Result<(), Error> {
        self.job_mut(row)?.hooks = Some(Arc::new(hooks.clone()));
        Ok(())
    }

    fn append(&mut self, row: RowId, logged: &Logged) -> Result<(), Error> {
        self.logs.entry(row).or_default().push(logged.clone());
        Ok(())
    }

    fn log(&mut self, row: RowId, after: Seq, limit: usize) -> Result<Vec<Logged>, Error> {
        let log = self.logs.get(&row).map(Vec::as_slice).unwrap_or_default();
        Ok(log.iter().filter(|logged| logged.seq > after).take(limit).cloned().collect())
    }

    fn key(&mut self, tenant: &TenantId, idempotency: &Idempotency) -> Result<Option<Remembered>, Error> {
        Ok(self.keys.get(&(tenant.clone(), idempotency.scope.clone(), idempotency.key.clone())).copied())
    }

    fn remember(
        &mut self,
        tenant: &TenantId,
        idempotency: &Idempotency,
        stored: Remembered,
    ) -> Result<bool, Error> {
        let key = (tenant.clone(), idempotency.scope.clone(), idempotency.key.clone());
        match self.keys.entry(key) {
            Entry::Occupied(_) => Ok(false),
            Entry::Vacant(place) => {
                place.insert(stored);
                Ok(true)
            }
        }
    }

    fn forget_key(&mut self, tenant: &TenantId, idempotency: &Idempotency) -> Result<(), Error> {
        self.keys.remove(&(tenant.clone(), idempotency.scope.clone(), idempotency.key.clone()));
        Ok(())
    }

    fn say(
        &mut self,
        tenant: &TenantId,
        conversation: &ConversationId,
        job: JobId,
        turns: &[Turn],
        now: Timestamp,
        forgotten_before: Timestamp,
    ) -> Result<(), Error> {
        let kept = self.conversations.entry((tenant.clone(), conversation.clone())).or_default();
        if kept.last_at < forgotten_before {
            kept.messages.clear();
        }
        let said = |turn: &Turn| StoredMessage { turn: turn.clone(), at: Some(now), job: Some(job) };
        kept.messages.extend(turns.iter().map(said));
        let surplus = kept.messages.len().saturating_sub(KEPT_TURNS);
        kept.messages.drain(..surplus);
        kept.last_at = now;
        Ok(())
    }

    fn forget(
        &mut self,
        tenant: &TenantId,
        conversation: &ConversationId,
        forgotten_before: Timestamp,
    ) -> Result<bool, Error> {
        let gone = self.conversations.remove(&(tenant.clone(), conversation.clone()));
        Ok(gone.is_some_and(|kept| kept.last_at >= forgotten_before))
    }

    fn charge(&mut self, tenant: &TenantId, crew: &CrewName, day: Day, charge: &Charge) -> Result<(), Error> {
        self.money.charge(tenant, crew, day, charge);
        Ok(())
    }

    fn scope_spend(&mut self, scope: &SpendScope) -> Result<ScopeSpend, Error> {
        Ok(self.money.scope_spend(scope))
    }

    fn hold_slice(&mut self, scope: &SpendScope, held: NanoDollars, lost: NanoDollars) -> Result<(), Error> {
        self.money.hold_slice(scope, held, lost);
        Ok(())
    }

    fn post(&mut self, delivery: &Delivery) -> Result<(), Error> {
        self.outbox.post(delivery);
        Ok(())
    }

    fn pending_lanes(&mut self, after: &str, limit: usize) -> Result<Vec<String>, Error> {
        Ok(self.outbox.pending_lanes(after, limit))
    }

    fn due_deliveries(&mut self, lane: &str, now: Timestamp, limit: usize) -> Result<Vec<Delivery>, Error> {
        Ok(self.outbox.due(lane, now, limit))
    }

    fn next_delivery(&mut self, now: Timestamp) -> Result<Option<Timestamp>, Error> {
        Ok(self.outbox.next(now))
    }

    fn delivery(&mut self, tenant: &TenantId, id: DeliveryId) -> Result<Option<Delivery>, Error> {
        Ok(self.outbox.delivery(tenant, id))
    }

    fn settle_delivery(&mut self, id: DeliveryId, tries: &Tries) -> Result<(), Error> {
        self.outbox.settle(id, tries);
        Ok(())
    }

    fn set_endpoint(&mut self, tenant: &TenantId, state: &EndpointState) -> Result<(), Error> {
        self.outbox.set_endpoint(tenant, state);
        Ok(())
    }

    fn prune(
        &mut self,
        now: Timestamp,
        finished_before: Timestamp,
        silent_before: Timestamp,
        limit: usize,
    ) -> Result<usize, Error> {
        let old = |job: &Job| {
            job.finished_at.is_some_and(|at| at < finished_before)
                && !self.outbox.needs(job.id)
                && job.batch.is_none_or(|place| !self.batches.needs(place.batch))
        };
        let rows: Vec<RowId> =
            self.jobs.iter().filter(|(_, job)| old(job)).map(|(row, _)| *row).take(limit).collect();
        for row in &rows {
            self.logs.remove(row);
            self.dealt.remove(row);
            if let Some(job) = self.jobs.remove(row) {
                self.ids.remove(&job.id);
            }
        }
        let jobs = &self.jobs;
        let open = |row: &RowId| jobs.get(row).is_some_and(|job| !job.status.is_terminal());
        self.keys.retain(|_, stored| {
            jobs.contains_key(&stored.row) && (stored.expires_at > now || open(&stored.row))
        });
        let before = self.conversations.len();
        self.conversations.retain(|_, kept| kept.last_at >= silent_before);
        self.money.prune(Day(now.day().0 - KEPT_SPEND));
        let results = self.results.prune(now, limit);
        let deliveries = self.outbox.prune(finished_before, limit);
        Ok(rows.len() + before - self.conversations.len() + results + deliveries)
    }
}
