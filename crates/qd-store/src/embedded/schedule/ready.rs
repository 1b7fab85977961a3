//! The jobs that a worker may take up, by level and tenant. Those of a tenant whose share of the workers is used up stand
//! aside, where the turns do not see them: a whole queue is moved there and back, whatever its length.
//!
//! How many jobs of a tenant run is told with each call that changes its place among the others.

use std::collections::{BTreeSet, HashMap};

use qd_types::Priority;

use super::TenantKey;
use super::fewest::Fewest;
use crate::embedded::rows::RowId;
use crate::policy::{Level, Turns};

type Queues = [BTreeSet<RowId>; Priority::LEVELS];

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ready {
    levels: [Level<TenantKey, BTreeSet<RowId>>; Priority::LEVELS],
    fewest: Fewest,
    aside: HashMap<TenantKey, Queues>,
}

impl Ready {
    /// Answers whether the job may be taken up: it may not while its tenant stands aside.
    pub(super) fn insert(&mut self, level: usize, (tenant, running): (TenantKey, usize), row: RowId) -> bool {
        if let Some(queues) = self.aside.get_mut(&tenant) {
            queues[level].insert(row);
            return false;
        }
        self.levels[level].entry(tenant).or_default().insert(row);
        self.fewest.enter(tenant, running);
        true
    }

    pub(super) fn remove(&mut self, level: usize, (tenant, running): (TenantKey, usize), row: RowId) {
        if let Some(queues) = self.aside.get_mut(&tenant) {
            queues[level].remove(&row);
            return;
        }
        if let Some(rows) = self.levels[level].get_mut(&tenant) {
            rows.remove(&row);
            if !rows.is_empty() {
                return;
            }
            self.levels[level].remove(&tenant);
            if self.levels.iter().all(|tenants| !tenants.contains_key(&tenant)) {
                self.fewest.leave(tenant, running);
            }
        }
    }

    /// The job whose turn it is.
    pub(super) fn next(&self, turns: &mut Turns<TenantKey>) -> Option<RowId> {
        let (level, tenant) = turns.next(&self.levels)?;
        self.levels[level].get(&tenant)?.first().copied()
    }

    /// The most urgent job of the tenant of which the fewest run, if those are fewer than `below`.
    pub(super) fn next_of_fewest(&mut self, below: usize) -> Option<RowId> {
        let tenant = self.fewest.next(below)?;
        self.levels.iter().rev().find_map(|tenants| tenants.get(&tenant))?.first().copied()
    }

    /// Another number of a tenant's jobs run now.
    pub(super) fn moved(&mut self, tenant: TenantKey, from: usize, to: usize) {
        self.fewest.moved(tenant, from, to);
    }

    /// A tenant has all that it may have: its jobs stand aside until [`Ready::let_in`].
    pub(super) fn set_aside(&mut self, (tenant, running): (TenantKey, usize)) {
        self.fewest.leave(tenant, running);
        if !self.aside.contains_key(&tenant) {
            let queues = std::array::from_fn(|level| self.levels[level].remove(&tenant).unwrap_or_default());
            self.aside.insert(tenant, queues);
        }
    }

    /// A tenant may have more again.
    pub(super) fn let_in(&mut self, (tenant, running): (TenantKey, usize)) {
        let Some(queues) = self.aside.remove(&tenant) else { return };
        for (level, rows) in queues.into_iter().enumerate().filter(|(_, rows)| !rows.is_empty()) {
            self.levels[level].insert(tenant, rows);
            self.fewest.enter(tenant, running);
        }
    }

    /// The next job of up to `most` tenants of a level, and of those that stand aside.
    pub(super) fn firsts(&self, level: usize, most: usize) -> impl Iterator<Item = RowId> {
        let aside = self.aside.values().map(move |queues| &queues[level]);
        self.levels[level]
            .values()
            .take(most)
            .chain(aside.take(most))
            .filter_map(|rows| rows.first().copied())
    }

    /// How many jobs there are, by level.
    pub(super) fn counts(&self) -> [usize; Priority::LEVELS] {
        std::array::from_fn(|level| {
            let aside = self.aside.values().map(|queues| queues[level].len());
            self.levels[level].values().map(BTreeSet::len).chain(aside).sum()
        })
    }
}
