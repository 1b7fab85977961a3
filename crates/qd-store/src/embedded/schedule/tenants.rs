//! The tenants whose jobs are or were in the schedule: a short key for each, what it may take and what it has.

use std::collections::HashMap;

use qd_types::TenantId;

use super::TenantKey;
use crate::{TenantShare, TenantShares};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Tenants {
    keys: HashMap<TenantId, TenantKey>,
    all: Vec<Tenant>,
    shares: TenantShares,
}

#[derive(Debug)]
struct Tenant {
    name: TenantId,
    share: TenantShare,
    queued: usize,
    running: usize,
}

impl Tenants {
    pub(super) fn new(shares: TenantShares) -> Self {
        Self { shares, ..Self::default() }
    }

    /// The key of a tenant, a new one if it is new.
    pub(super) fn key(&mut self, name: &TenantId) -> TenantKey {
        if let Some(key) = self.keys.get(name) {
            return *key;
        }
        let key = TenantKey::try_from(self.all.len()).expect("fewer tenants than 2^32");
        self.keys.insert(name.clone(), key);
        self.all.push(Tenant { name: name.clone(), share: self.shares.of(name), queued: 0, running: 0 });
        key
    }

    pub(super) fn name(&self, key: TenantKey) -> &TenantId {
        &self.all[key as usize].name
    }

    /// How many jobs a tenant has queued, if those are as many as it may have.
    pub(super) fn full(&self, name: &TenantId) -> Option<usize> {
        let tenant = &self.all[*self.keys.get(name)? as usize];
        tenant.share.max_queued.filter(|most| tenant.queued >= *most).map(|_| tenant.queued)
    }

    /// How many jobs a tenant has queued, and how many it may have.
    pub(super) fn queued_of(&self, name: &TenantId) -> (usize, Option<usize>) {
        match self.keys.get(name) {
            Some(key) => {
                let tenant = &self.all[*key as usize];
                (tenant.queued, tenant.share.max_queued)
            }
            None => (0, self.shares.of(name).max_queued),
        }
    }

    pub(super) fn queued(&mut self, key: TenantKey) {
        self.all[key as usize].queued += 1;
    }

    pub(super) fn not_queued(&mut self, key: TenantKey) {
        self.all[key as usize].queued -= 1;
    }

    /// One of its jobs runs; whether its share of the workers is used up now.
    pub(super) fn runs(&mut self, key: TenantKey) -> bool {
        let tenant = &mut self.all[key as usize];
        tenant.running += 1;
        tenant.share.max_running.is_some_and(|most| tenant.running >= most)
    }

    /// One of its jobs runs no longer; whether its share of the workers has room now.
    pub(super) fn stops(&mut self, key: TenantKey) -> bool {
        let tenant = &mut self.all[key as usize];
        tenant.running -= 1;
        tenant.share.max_running.is_none_or(|most| tenant.running < most)
    }
}
