//! The port of schedules.

use async_trait::async_trait;
use qd_types::{ScheduleName, TenantId, Timestamp};

use super::MemoryBackend;
use crate::embedded::ScheduleRows;
use crate::{
    DueSchedules, Error, NewSchedule, Schedule, SchedulePage, SchedulePut, ScheduleQuery, ScheduleTick,
    Schedules, Ticked,
};

#[async_trait]
impl Schedules for MemoryBackend {
    async fn put_schedule(&self, new: NewSchedule, replaces: bool) -> Result<SchedulePut, Error> {
        self.change(|core| core.put_schedule(&new, replaces))
    }

    async fn pause_schedule(
        &self,
        tenant: &TenantId,
        name: &ScheduleName,
        next_at: Option<Timestamp>,
    ) -> Result<Option<Schedule>, Error> {
        self.change(|core| core.pause_schedule(tenant, name, next_at))
    }

    async fn delete_schedule(&self, tenant: &TenantId, name: &ScheduleName) -> Result<bool, Error> {
        self.change(|core| core.rows.delete_schedule(tenant, name))
    }

    async fn tick_schedule(&self, tick: ScheduleTick) -> Result<Ticked, Error> {
        self.change(|core| core.tick_schedule(&tick))
    }

    async fn due_schedules(&self, limit: usize) -> Result<DueSchedules, Error> {
        Ok(self.lock().rows.schedules.due(self.env.now(), limit))
    }

    async fn schedule(&self, tenant: &TenantId, name: &ScheduleName) -> Result<Option<Schedule>, Error> {
        Ok(self.lock().rows.schedules.get(tenant, name))
    }

    async fn schedules(&self, tenant: &TenantId, query: ScheduleQuery) -> Result<SchedulePage, Error> {
        Ok(self.lock().rows.schedules.page(tenant, &query))
    }
}
