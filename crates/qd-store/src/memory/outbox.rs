//! Deliveries as maps.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use qd_types::{BatchId, DeliveryId, JobId, TenantId, Timestamp};

use crate::embedded::Tries;
use crate::{Cursor, Delivery, DeliveryPage, DeliveryQuery, DeliveryStatus, Destination, EndpointState};

type Row = i64;

/// Deliveries in the order in which they were made, and those that are pending by lane and time.
#[derive(Default)]
pub(super) struct MemoryOutbox {
    rows: BTreeMap<Row, Delivery>,
    ids: HashMap<DeliveryId, Row>,
    pending: BTreeMap<String, BTreeSet<(Timestamp, Row)>>,
    endpoints: BTreeMap<(TenantId, String), EndpointState>,
}

impl MemoryOutbox {
    pub(super) fn post(&mut self, delivery: &Delivery) {
        let row = self.rows.last_key_value().map_or(1, |(row, _)| row + 1);
        self.ids.insert(delivery.id, row);
        self.rows.insert(row, delivery.clone());
        self.place(row);
    }

    /// Puts a row among the pending ones, if it is one.
    fn place(&mut self, row: Row) {
        let Some(delivery) = self.rows.get(&row) else { return };
        if let Some(at) = delivery.next_at {
            self.pending.entry(delivery.destination.lane()).or_default().insert((at, row));
        }
    }

    fn unplace(&mut self, row: Row) {
        let Some(delivery) = self.rows.get(&row) else { return };
        let lane = delivery.destination.lane();
        if let (Some(at), Some(of_lane)) = (delivery.next_at, self.pending.get_mut(&lane)) {
            of_lane.remove(&(at, row));
            if of_lane.is_empty() {
                self.pending.remove(&lane);
            }
        }
    }

    pub(super) fn pending_lanes(&self, after: &str, limit: usize) -> Vec<String> {
        let behind = (std::ops::Bound::Excluded(after.to_owned()), std::ops::Bound::Unbounded);
        self.pending.range(behind).take(limit).map(|(lane, _)| lane.clone()).collect()
    }

    pub(super) fn due(&self, lane: &str, now: Timestamp, limit: usize) -> Vec<Delivery> {
        let of_lane = self.pending.get(lane).into_iter().flatten();
        let due = of_lane.take_while(|(at, _)| *at <= now).take(limit);
        due.filter_map(|(_, row)| self.rows.get(row).cloned()).collect()
    }

    pub(super) fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let later = |lane: &BTreeSet<(Timestamp, Row)>| lane.iter().map(|(at, _)| *at).find(|at| *at > now);
        self.pending.values().filter_map(later).min()
    }

    pub(super) fn delivery(&self, tenant: &TenantId, id: DeliveryId) -> Option<Delivery> {
        let delivery = self.ids.get(&id).and_then(|row| self.rows.get(row))?;
        (delivery.tenant == *tenant).then(|| delivery.clone())
    }

    pub(super) fn settle(&mut self, id: DeliveryId, tries: &Tries) {
        let Some(row) = self.ids.get(&id).copied() else { return };
        self.unplace(row);
        if let Some(delivery) = self.rows.get_mut(&row) {
            delivery.status = tries.status;
            delivery.tries = tries.tries;
            delivery.next_at = tries.next_at;
            delivery.last.clone_from(&tries.last);
            delivery.ended_at = tries.ended_at;
        }
        self.place(row);
    }

    pub(super) fn page(&self, tenant: &TenantId, query: &DeliveryQuery) -> DeliveryPage {
        let below = query.cursor.map_or(Row::MAX, |cursor| cursor.0);
        let to = |delivery: &Delivery| match &delivery.destination {
            Destination::Endpoint(name) => Some(name.clone()),
            Destination::Url(_) => None,
        };
        let matches = |delivery: &Delivery| {
            delivery.tenant == *tenant
                && query.status.is_none_or(|status| delivery.status == status)
                && query.job.is_none_or(|job| delivery.job == Some(job))
                && query.endpoint.as_ref().is_none_or(|name| to(delivery).as_ref() == Some(name))
                && query.event.is_none_or(|event| delivery.event == event)
        };
        let mut rows = self.rows.range(..below).rev().filter(|(_, delivery)| matches(delivery));
        let found: Vec<_> = rows.by_ref().take(query.limit).collect();
        let next = found.last().map(|(row, _)| Cursor(**row)).filter(|_| rows.next().is_some());
        DeliveryPage { deliveries: found.into_iter().map(|(_, delivery)| delivery.clone()).collect(), next }
    }

    /// Whether a job is still needed for something that is pending.
    pub(super) fn needs(&self, job: JobId) -> bool {
        self.rows.values().any(|one| one.job == Some(job) && one.status == DeliveryStatus::Pending)
    }

    /// The same for a batch.
    pub(super) fn needs_batch(&self, batch: BatchId) -> bool {
        self.rows.values().any(|one| one.batch == Some(batch) && one.status == DeliveryStatus::Pending)
    }

    pub(super) fn prune(&mut self, ended_before: Timestamp, limit: usize) -> usize {
        let over = |delivery: &Delivery| delivery.ended_at.is_some_and(|at| at < ended_before);
        let old: Vec<Row> =
            self.rows.iter().filter(|(_, one)| over(one)).map(|(row, _)| *row).take(limit).collect();
        for row in &old {
            if let Some(delivery) = self.rows.remove(row) {
                self.ids.remove(&delivery.id);
            }
        }
        old.len()
    }

    pub(super) fn endpoints(&self, tenant: &TenantId) -> Vec<EndpointState> {
        let of_tenant = self.endpoints.iter().filter(|((owner, _), _)| owner == tenant);
        of_tenant.map(|(_, state)| state.clone()).collect()
    }

    pub(super) fn set_endpoint(&mut self, tenant: &TenantId, state: &EndpointState) {
        self.endpoints.insert((tenant.clone(), state.name.clone()), state.clone());
    }
}
