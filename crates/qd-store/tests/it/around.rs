//! What stands around jobs: batches, schedules and deliveries, as they are seen from outside.

use std::collections::{BTreeMap, BTreeSet};

use qd_store::{
    Batch, BatchQuery, BatchStatus, Delivery, DeliveryQuery, Error, ItemQuery, ItemStatus, Schedule,
    ScheduleQuery, Store,
};
use qd_types::{BatchId, DeliveryId, Job, JobId, JobStatus, ScheduleName, TenantId};

use crate::ledger::tenants;

/// All of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Around {
    pub(crate) batches: BTreeMap<BatchId, KeptBatch>,
    pub(crate) schedules: BTreeMap<(TenantId, ScheduleName), Schedule>,
    pub(crate) deliveries: BTreeMap<DeliveryId, Delivery>,
}

/// A batch with its inputs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KeptBatch {
    /// Without the statuses of its open jobs, which a restart changes.
    pub(crate) batch: Batch,
    /// In their order.
    pub(crate) items: Vec<(Stands, Option<JobId>)>,
}

/// Where an input stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stands {
    Pending,
    Invalid,
    /// Its job is not over.
    Open,
    Over(JobStatus),
}

impl From<ItemStatus> for Stands {
    fn from(status: ItemStatus) -> Self {
        match status {
            ItemStatus::Pending => Self::Pending,
            ItemStatus::Invalid => Self::Invalid,
            ItemStatus::Of(status) if status.is_terminal() => Self::Over(status),
            ItemStatus::Of(_) => Self::Open,
        }
    }
}

impl Around {
    /// What a store shows.
    pub(crate) async fn of(store: &Store) -> Result<Self, Error> {
        let mut around = Self::default();
        for tenant in tenants() {
            let query = BatchQuery { limit: 500, ..BatchQuery::default() };
            for batch in store.batches(&tenant, query).await?.batches {
                let query = ItemQuery { limit: 500, ..ItemQuery::default() };
                let page = store.batch_items(&tenant, batch.id, query).await?.unwrap_or_default();
                let items = page.items.into_iter().map(|item| (Stands::from(item.status), item.job));
                let (id, batch) = (batch.id, Batch { open: Vec::new(), ..batch });
                around.batches.insert(id, KeptBatch { batch, items: items.collect() });
            }
            let query = ScheduleQuery { after: None, limit: 500 };
            for schedule in store.schedules(&tenant, query).await?.schedules {
                around.schedules.insert((tenant.clone(), schedule.name.clone()), schedule);
            }
            let mut cursor = None;
            loop {
                let query = DeliveryQuery { cursor, limit: 500, ..DeliveryQuery::default() };
                let page = store.deliveries(&tenant, query).await?;
                around.deliveries.extend(page.deliveries.into_iter().map(|one| (one.id, one)));
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
        }
        Ok(around)
    }

    /// The first difference from what a store shows that was opened again.
    pub(crate) fn differs(&self, found: &Self) -> Option<String> {
        first("batches", &self.batches, &found.batches)
            .or_else(|| first("schedules", &self.schedules, &found.schedules))
            .or_else(|| first("deliveries", &self.deliveries, &found.deliveries))
    }

    /// Whether batches agree with the jobs that are there: no input has two, none has lost its own, and what is counted
    /// is what they are.
    pub(crate) fn agrees<'a>(&self, jobs: impl Iterator<Item = &'a Job>) -> Result<(), String> {
        let mut made = BTreeMap::new();
        for job in jobs {
            let Some(place) = job.batch else { continue };
            if let Some(other) = made.insert((place.batch, place.index), job) {
                return Err(format!("{} and {} are of one input", other.id, job.id));
            }
        }
        for (id, kept) in &self.batches {
            for (index, (stands, job)) in (0..).zip(&kept.items) {
                let found = made.remove(&(*id, index));
                if found.map(|found| found.id) != *job {
                    return Err(format!("input {index} of {id} names {job:?} and has {found:?}"));
                }
                if found.is_some_and(|found| Stands::from(ItemStatus::Of(found.status)) != *stands) {
                    return Err(format!("input {index} of {id} is {stands:?} and has {found:?}"));
                }
            }
            kept.adds_up()?;
        }
        // What is over may outlive its batch for a while.
        match made.iter().find(|(_, job)| !job.status.is_terminal()) {
            Some((place, job)) => Err(format!("{} is of {place:?}, which nobody knows", job.id)),
            None => Ok(()),
        }
    }
}

impl KeptBatch {
    fn adds_up(&self) -> Result<(), String> {
        let of = |wanted: &[Stands]| self.items.iter().filter(|(stands, _)| wanted.contains(stands)).count();
        let over = |status| of(&[Stands::Over(status)]);
        let Batch { counts, status, finished_at, .. } = &self.batch;
        let counted = [
            (counts.total, self.items.len()),
            (counts.pending, of(&[Stands::Pending])),
            (counts.open, of(&[Stands::Open])),
            (counts.invalid, of(&[Stands::Invalid])),
            (counts.succeeded, over(JobStatus::Succeeded)),
            (counts.failed, over(JobStatus::Failed)),
            (counts.cancelled, over(JobStatus::Cancelled)),
        ];
        if counted.iter().any(|(counted, found)| usize::try_from(*counted) != Ok(*found)) {
            return Err(format!("the counts of {self:?} are not those of its inputs"));
        }
        let is_over = counts.pending == 0 && counts.open == 0;
        if is_over != finished_at.is_some() || is_over == (*status == BatchStatus::Running) {
            return Err(format!("the end of {self:?} is not that of its inputs"));
        }
        Ok(())
    }
}

fn first<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    what: &str,
    wanted: &BTreeMap<K, V>,
    found: &BTreeMap<K, V>,
) -> Option<String> {
    let names: BTreeSet<_> = wanted.keys().chain(found.keys()).collect();
    let other = names.into_iter().find(|name| wanted.get(name) != found.get(name))?;
    Some(format!("{what}: {other:?} is {:?} instead of {:?}", found.get(other), wanted.get(other)))
}
