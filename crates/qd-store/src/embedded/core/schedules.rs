//! Schedules: a tick and its job are one transaction, and a tick is carried out once, whoever else tries.

use qd_types::{ScheduleName, TenantId, Timestamp};

use super::super::rows::Rows;
use super::Core;
use crate::{
    Enqueued, Error, Idempotency, NewJob, NewSchedule, OtherBody, Schedule, SchedulePut, ScheduleTick,
    TickAct, Ticked,
};

impl<R: Rows> Core<R> {
    /// Keeps a schedule.
    pub(crate) fn put_schedule(&mut self, new: &NewSchedule, replaces: bool) -> Result<SchedulePut, Error> {
        let now = self.env.now();
        let known = self.rows.schedule(&new.tenant, &new.name)?;
        if known.is_some() && !replaces {
            return Ok(SchedulePut::Taken);
        }
        let kept = self.rows.count_schedules(&new.tenant)?;
        if known.is_none() && kept >= self.limits.schedules {
            return Ok(SchedulePut::Full { kept });
        }
        let is_new = known.is_none();
        let before = known.unwrap_or_else(|| Schedule {
            tenant: new.tenant.clone(),
            name: new.name.clone(),
            revision: 0,
            spec: new.spec.clone(),
            paused: false,
            created_at: now,
            updated_at: now,
            next_at: None,
            due_at: None,
            last_at: None,
            last_job: None,
            missed: 0,
            tries: 0,
            error: None,
        });
        let schedule = Schedule {
            revision: before.revision + 1,
            spec: new.spec.clone(),
            paused: new.paused,
            updated_at: now,
            next_at: new.next_at,
            due_at: new.next_at,
            tries: 0,
            error: None,
            ..before
        };
        self.rows.put_schedule(&schedule)?;
        let put = Box::new(schedule);
        Ok(if is_new { SchedulePut::Created(put) } else { SchedulePut::Replaced(put) })
    }

    /// Leaves a schedule alone, or begins again; ticks in between are none. `None` if there is no such one.
    pub(crate) fn pause_schedule(
        &mut self,
        tenant: &TenantId,
        name: &ScheduleName,
        next_at: Option<Timestamp>,
    ) -> Result<Option<Schedule>, Error> {
        let Some(mut schedule) = self.rows.schedule(tenant, name)? else { return Ok(None) };
        // Repeating it changes nothing: a tick that is due must not be put off by whoever asks again.
        if schedule.paused != next_at.is_none() {
            schedule.paused = next_at.is_none();
            schedule.revision += 1;
            schedule.updated_at = self.env.now();
            (schedule.next_at, schedule.due_at) = (next_at, next_at);
            (schedule.tries, schedule.error) = (0, None);
            self.rows.put_schedule(&schedule)?;
        }
        Ok(Some(schedule))
    }

    /// Carries a tick out, if its schedule is still as it was seen.
    pub(crate) fn tick_schedule(&mut self, tick: &ScheduleTick) -> Result<Ticked, Error> {
        let as_seen = |schedule: &Schedule| {
            schedule.revision == tick.revision && schedule.next_at == Some(tick.seen) && !schedule.paused
        };
        let found = self.rows.schedule(&tick.tenant, &tick.name)?;
        let Some(mut schedule) = found.filter(as_seen) else { return Ok(Ticked::Stale) };
        let mut ticked = Ticked::Noted;
        match &tick.act {
            TickAct::Run { at, job, next_at, leaves_out } => {
                let key = format!("{}@{}", tick.name, at.0);
                let idempotency = Idempotency {
                    scope: "schedules".to_owned(),
                    key,
                    body_hash: [0; 32],
                    on_other_body: OtherBody::Replay,
                };
                let job = NewJob { idempotency: Some(idempotency), ..(**job).clone() };
                let made = match self.enqueue(&job)? {
                    Enqueued::Created(made) | Enqueued::Replayed(made) => made,
                    Enqueued::OverQuota { .. } => return Ok(Ticked::NoRoom { is_quota: true }),
                    Enqueued::Full { .. } | Enqueued::Conflict { .. } => {
                        return Ok(Ticked::NoRoom { is_quota: false });
                    }
                };
                (schedule.last_at, schedule.last_job) = (Some(*at), Some(made.id));
                (schedule.tries, schedule.error) = (0, None);
                schedule.missed += u64::from(*leaves_out);
                (schedule.next_at, schedule.due_at) = (*next_at, *next_at);
                ticked = Ticked::Made(made);
            }
            TickAct::LeaveOut { next_at, error } => {
                schedule.missed += 1;
                schedule.tries = 0;
                if error.is_some() {
                    schedule.error.clone_from(error);
                }
                (schedule.next_at, schedule.due_at) = (*next_at, *next_at);
            }
            TickAct::TryAgain { after, error } => {
                schedule.tries += 1;
                schedule.error = Some(error.clone());
                schedule.due_at = Some(self.env.now().plus(*after));
            }
        }
        self.rows.put_schedule(&schedule)?;
        Ok(ticked)
    }
}
