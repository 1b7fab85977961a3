//! The handle's side of schedules.

use qd_types::{ScheduleName, TenantId, Timestamp};

use super::Store;
use crate::observe::Op;
use crate::{
    DueSchedules, Error, NewSchedule, Schedule, SchedulePage, SchedulePut, ScheduleQuery, ScheduleTick,
    Ticked,
};

impl Store {
    /// See [`crate::Schedules::put_schedule`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn put_schedule(&self, new: NewSchedule, replaces: bool) -> Result<SchedulePut, Error> {
        self.observer.call(Op::PutSchedule, self.backend.put_schedule(new, replaces)).await
    }

    /// See [`crate::Schedules::pause_schedule`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn pause_schedule(
        &self,
        tenant: &TenantId,
        name: &ScheduleName,
        next_at: Option<Timestamp>,
    ) -> Result<Option<Schedule>, Error> {
        self.observer.call(Op::PauseSchedule, self.backend.pause_schedule(tenant, name, next_at)).await
    }

    /// See [`crate::Schedules::delete_schedule`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn delete_schedule(&self, tenant: &TenantId, name: &ScheduleName) -> Result<bool, Error> {
        self.observer.call(Op::DeleteSchedule, self.backend.delete_schedule(tenant, name)).await
    }

    /// See [`crate::Schedules::tick_schedule`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn tick_schedule(&self, tick: ScheduleTick) -> Result<Ticked, Error> {
        let ticked = self.observer.call(Op::TickSchedule, self.backend.tick_schedule(tick)).await?;
        self.observer.schedule_ticked(&ticked);
        Ok(ticked)
    }

    /// See [`crate::Schedules::due_schedules`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn due_schedules(&self, limit: usize) -> Result<DueSchedules, Error> {
        self.observer.call(Op::DueSchedules, self.backend.due_schedules(limit)).await
    }

    /// See [`crate::Schedules::schedule`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn schedule(&self, tenant: &TenantId, name: &ScheduleName) -> Result<Option<Schedule>, Error> {
        self.observer.call(Op::Schedule, self.backend.schedule(tenant, name)).await
    }

    /// See [`crate::Schedules::schedules`].
    ///
    /// # Errors
    /// If the backend cannot carry it out.
    pub async fn schedules(&self, tenant: &TenantId, query: ScheduleQuery) -> Result<SchedulePage, Error> {
        self.observer.call(Op::Schedules, self.backend.schedules(tenant, query)).await
    }
}
