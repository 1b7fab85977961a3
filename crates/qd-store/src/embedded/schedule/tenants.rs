//! The tenants and crews whose jobs are or were in the schedule: a short key for each, what it may take and what it has.

use std::collections::HashMap;

use qd_types::{CrewName, TenantId};

use super::{CrewKey, TenantKey};
use crate::{TenantShare, TenantShares};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Tenants {
    keys: HashMap<TenantId, TenantKey>,
    all: Vec<Tenant>,
    /// Jobs that are not over, by crew.
    open: Vec<usize>,
    shares: TenantShares,
}

#[derive(Debug)]
struct Tenant {
    name: TenantId,
    share: TenantShare,
    queued: usize,
    running: usize,
    /// As many as it has published, at most.
    crews: HashMap<CrewName, CrewKey>,
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
        self.all.push(Tenant {
            name: name.clone(),
            share: self.shares.of(name),
            queued: 0,
            running: 0,
            crews: HashMap::new(),
        });
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

    /// A crew has one job more that is not over; the key of the crew, a new one if it is new.
    pub(super) fn opened(&mut self, tenant: TenantKey, crew: &CrewName) -> CrewKey {
        let crews = &mut self.all[tenant as usize].crews;
        if let Some(key) = crews.get(crew) {
            self.open[*key as usize] += 1;
            return *key;
        }
        let key = CrewKey::try_from(self.open.len()).expect("fewer crews than 2^32");
        crews.insert(crew.clone(), key);
        self.open.push(1);
        key
    }

    /// A job of a crew is over.
    pub(super) fn closed(&mut self, crew: CrewKey) {
        self.open[crew as usize] -= 1;
    }

    /// How many jobs of a crew are not over.
    pub(super) fn open_of(&self, tenant: &TenantId, crew: &CrewName) -> usize {
        let Some(tenant) = self.keys.get(tenant) else { return 0 };
        let key = self.all[*tenant as usize].crews.get(crew);
        key.map_or(0, |key| self.open[*key as usize])
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

    /// How many of its jobs run.
    pub(super) fn running_of(&self, key: TenantKey) -> usize {
        self.all[key as usize].running
    }

    /// One of its jobs runs: how many do now, and whether its share of the workers is used up.
    pub(super) fn runs(&mut self, key: TenantKey) -> (usize, bool) {
        let tenant = &mut self.all[key as usize];
        tenant.running += 1;
        (tenant.running, tenant.share.max_running.is_some_and(|most| tenant.running >= most))
    }

    /// One of its jobs runs no longer: how many do now, and whether its share of the workers has room.
    pub(super) fn stops(&mut self, key: TenantKey) -> (usize, bool) {
        let tenant = &mut self.all[key as usize];
        tenant.running -= 1;
        (tenant.running, tenant.share.max_running.is_none_or(|most| tenant.running < most))
    }
}
