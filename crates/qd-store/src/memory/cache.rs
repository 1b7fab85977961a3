//! Kept results as maps.

use std::collections::{BTreeSet, HashMap};

use qd_types::{TenantId, Timestamp};

use crate::{CacheKey, CacheRoom};

type Place = (TenantId, CacheKey);

/// Results, and the order in which they go.
#[derive(Default)]
pub(super) struct KeptResults {
    kept: HashMap<Place, (Timestamp, Vec<u8>)>,
    order: BTreeSet<(Timestamp, Place)>,
    bytes: u64,
}

impl KeptResults {
    pub(super) fn get(&self, tenant: &TenantId, key: &CacheKey, now: Timestamp) -> Option<Vec<u8>> {
        let (until, value) = self.kept.get(&(tenant.clone(), *key))?;
        (*until > now).then(|| value.clone())
    }

    pub(super) fn put(
        &mut self,
        tenant: &TenantId,
        key: &CacheKey,
        value: Vec<u8>,
        until: Timestamp,
        room: CacheRoom,
    ) {
        let place = (tenant.clone(), *key);
        self.remove(&place);
        let size = value.len() as u64;
        if size > room.bytes || room.entries == 0 {
            return;
        }
        while self.kept.len() as u64 >= room.entries || self.bytes + size > room.bytes {
            self.remove_first();
        }
        self.bytes += size;
        self.order.insert((until, place.clone()));
        self.kept.insert(place, (until, value));
    }

    /// Drops at most `limit` results whose time is up, and answers how many those were.
    pub(super) fn prune(&mut self, now: Timestamp, limit: usize) -> usize {
        let mut pruned = 0;
        while pruned < limit && self.order.first().is_some_and(|(until, _)| *until <= now) {
            self.remove_first();
            pruned += 1;
        }
        pruned
    }

    fn remove_first(&mut self) {
        if let Some((_, place)) = self.order.first().cloned() {
            self.remove(&place);
        }
    }

    fn remove(&mut self, place: &Place) {
        if let Some((until, value)) = self.kept.remove(place) {
            self.bytes -= value.len() as u64;
            self.order.remove(&(until, place.clone()));
        }
    }
}
