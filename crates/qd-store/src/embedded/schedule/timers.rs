//! Moments of those few jobs that have one.

use std::collections::{BTreeSet, HashMap};

use qd_types::Timestamp;

use crate::embedded::rows::RowId;

/// At most one moment for each job.
#[derive(Debug, Default)]
pub(super) struct Timers {
    order: BTreeSet<(Timestamp, RowId)>,
    of: HashMap<RowId, Timestamp>,
}

impl Timers {
    pub(super) fn set(&mut self, row: RowId, at: Timestamp) {
        self.clear(row);
        self.order.insert((at, row));
        self.of.insert(row, at);
    }

    pub(super) fn clear(&mut self, row: RowId) {
        if let Some(at) = self.of.remove(&row) {
            self.order.remove(&(at, row));
        }
    }

    /// The first job, if its moment has come.
    pub(super) fn first_until(&self, now: Timestamp) -> Option<RowId> {
        super::first_until(&self.order, now)
    }

    /// The first moment.
    pub(super) fn next(&self) -> Option<Timestamp> {
        Some(self.order.first()?.0)
    }
}
