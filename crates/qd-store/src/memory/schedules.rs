//! Schedules as a map.

use std::collections::BTreeMap;

use qd_types::{ScheduleName, TenantId, Timestamp};

use super::rows::{MemoryRows, input_bytes};
use crate::embedded::{PAGE_BYTES, ScheduleRows};
use crate::{DueSchedules, Error, Schedule, SchedulePage, ScheduleQuery};

/// Schedules by tenant and name.
#[derive(Default)]
pub(super) struct MemorySchedules(BTreeMap<(TenantId, ScheduleName), Schedule>);

impl MemorySchedules {
    pub(super) fn page(&self, tenant: &TenantId, query: &ScheduleQuery) -> SchedulePage {
        let is_after = |one: &Schedule| query.after.as_ref().is_none_or(|after| one.name > *after);
        let mut of = self.0.values().filter(|one| one.tenant == *tenant && is_after(one));
        let (mut page, mut bytes) = (SchedulePage::default(), 0);
        for one in of.by_ref() {
            if page.schedules.len() == query.limit || bytes >= PAGE_BYTES {
                page.next = page.schedules.last().map(|last| last.name.clone());
                break;
            }
            bytes += input_bytes(&one.spec.input);
            page.schedules.push(one.clone());
        }
        page
    }

    pub(super) fn get(&self, tenant: &TenantId, name: &ScheduleName) -> Option<Schedule> {
        self.0.get(&(tenant.clone(), name.clone())).cloned()
    }

    pub(super) fn due(&self, now: Timestamp, limit: usize) -> DueSchedules {
        let mut open: Vec<_> = self.0.values().filter(|one| one.due_at.is_some()).collect();
        open.sort_by_key(|one| one.due_at);
        let next_due = open.iter().filter_map(|one| one.due_at).find(|at| *at > now);
        let due = open.into_iter().filter(|one| one.due_at.is_some_and(|at| at <= now));
        DueSchedules { schedules: due.take(limit).cloned().collect(), next_due }
    }
}

impl ScheduleRows for MemoryRows {
    fn schedule(&mut self, tenant: &TenantId, name: &ScheduleName) -> Result<Option<Schedule>, Error> {
        Ok(self.schedules.get(tenant, name))
    }

    fn count_schedules(&mut self, tenant: &TenantId) -> Result<usize, Error> {
        Ok(self.schedules.0.keys().filter(|(owner, _)| owner == tenant).count())
    }

    fn put_schedule(&mut self, schedule: &Schedule) -> Result<(), Error> {
        self.schedules.0.insert((schedule.tenant.clone(), schedule.name.clone()), schedule.clone());
        Ok(())
    }

    fn delete_schedule(&mut self, tenant: &TenantId, name: &ScheduleName) -> Result<bool, Error> {
        Ok(self.schedules.0.remove(&(tenant.clone(), name.clone())).is_some())
    }
}
