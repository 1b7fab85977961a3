//! The port of schedules.

use async_trait::async_trait;
use qd_types::{ScheduleName, TenantId, Timestamp};

use super::super::schedules;
use super::SqliteBackend;
use crate::embedded::ScheduleRows;
use crate::{
    DueSchedules, Error, NewSchedule, Schedule, SchedulePage, SchedulePut, ScheduleQuery, ScheduleTick,
    Schedules, Ticked,
};

#[async_trait]
impl Schedules for SqliteBackend {
    async fn put_schedule(&self, new: NewSchedule, replaces: bool) -> Result<SchedulePut, Error> {
        self.writer.call(move |core| core.put_schedule(&new, replaces)).await
    }

    async fn pause_schedule(
        &self,
        tenant: &TenantId,
        name: &ScheduleName,
        next_at: Option<Timestamp>,
    ) -> Result<Option<Schedule>, Error> {
        let (tenant, name) = (tenant.clone(), name.clone());
        self.writer.call(move |core| core.pause_schedule(&tenant, &name, next_at)).await
    }

    async fn delete_schedule(&self, tenant: &TenantId, name: &ScheduleName) -> Result<bool, Error> {
        let (tenant, name) = (tenant.clone(), name.clone());
        self.writer.call(move |core| core.rows.delete_schedule(&tenant, &name)).await
    }

    async fn tick_schedule(&self, tick: ScheduleTick) -> Result<Ticked, Error> {
        self.writer.call(move |core| core.tick_schedule(&tick)).await
    }

    async fn due_schedules(&self, limit: usize) -> Result<DueSchedules, Error> {
        let now = self.env.now();
        self.readers.read(move |connection| schedules::due(connection, now, limit)).await
    }

    async fn schedule(&self, tenant: &TenantId, name: &ScheduleName) -> Result<Option<Schedule>, Error> {
        let (tenant, name) = (tenant.clone(), name.clone());
        self.readers.read(move |connection| schedules::get(connection, &tenant, &name)).await
    }

    async fn schedules(&self, tenant: &TenantId, query: ScheduleQuery) -> Result<SchedulePage, Error> {
        let tenant = tenant.clone();
        self.readers.read(move |connection| schedules::page(connection, &tenant, &query)).await
    }
}
