//! What happens as time passes: delayed jobs become due, leases lapse, jobs expire, the old is deleted.

use std::time::Duration;

use qd_types::{Class, Code, CrewName, Failure, JobStatus};

use super::super::rows::{RowId, Rows, Settled};
use super::super::schedule::POISON_CRASHES;
use super::attempt::before;
use super::{Core, Notice};
use crate::{Error, Tick};

/// How long taking a batch in may last. One that takes longer was given up by a process that could not say so.
const TAKEN_IN_MAX: Duration = Duration::from_secs(3_600);

impl<R: Rows> Core<R> {
    /// One bounded round.
    pub(crate) fn tick(&mut self, limit: usize) -> Result<Tick, Error> {
        let now = self.env.now();
        let mut tick = Tick::default();
        while tick.expired < limit
            && let Some(row) = self.schedule.first_expired(now)
        {
            tick.failed.push(self.expire(row)?);
            tick.expired += 1;
        }
        while tick.promoted < limit
            && let Some(row) = self.schedule.first_due(now)
        {
            self.requeue(row, false)?;
            tick.promoted += 1;
        }
        while tick.reminded + tick.given_up < limit
            && let Some(row) = self.schedule.first_woken(now)
        {
            self.lose_patience(row, now, &mut tick)?;
        }
        while tick.rescued < limit
            && let Some(row) = self.schedule.first_lapsed(now)
        {
            let revocation = self.revocation(row);
            tick.failed.extend(self.lost_worker(row)?);
            self.notices.extend(revocation);
            tick.rescued += 1;
        }
        tick.pruned = self.rows.prune(
            now,
            before(now, self.limits.retention),
            before(now, self.limits.conversation_ttl),
            limit,
        )?;
        tick.pruned +=
            self.rows.prune_batches(before(now, self.limits.retention), before(now, TAKEN_IN_MAX), limit)?;
        tick.next_due = self.schedule.next_due();
        tick.more = tick.pruned >= limit || tick.next_due.is_some_and(|at| at <= now);
        Ok(tick)
    }

    fn expire(&mut self, row: RowId) -> Result<(CrewName, Code), Error> {
        let failure = Failure::new(
            Code::JobExpired,
            Class::Exhausted,
            "the job was not finished before its expires_at",
        );
        let revocation = self.revocation(row);
        let job = self.end(row, JobStatus::Failed, failure)?;
        self.notices.extend(revocation);
        Ok((job.crew, Code::JobExpired))
    }

    /// The worker of a running job is gone. The job is queued again, unless it is the one that kills its workers: then
    /// it is over, which is answered with its crew and the code.
    pub(super) fn lost_worker(&mut self, row: RowId) -> Result<Option<(CrewName, Code)>, Error> {
        let crashes = self.schedule.get(row).map_or(0, |entry| entry.crashes() + 1);
        if crashes < POISON_CRASHES {
            self.requeue(row, true)?;
            return Ok(None);
        }
        let message = format!(
            "its worker crashed {crashes} times in a row while it executed this job, the last time with no other job \
             beside it, and nothing new was journaled in between"
        );
        let failure = Failure::new(Code::WorkerCrashed, Class::Exhausted, message);
        if let Some(entry) = self.schedule.get_mut(row) {
            entry.set_crashes(crashes);
        }
        let job = self.end(row, JobStatus::Failed, failure)?;
        tracing::error!(job = %job.id, crew = %job.crew, crashes, "a job crashed its worker too often; it fails");
        Ok(Some((job.crew, Code::WorkerCrashed)))
    }

    /// A delayed job is due, a waiting one has its answer, or a running one lost its worker.
    pub(super) fn requeue(&mut self, row: RowId, crashed: bool) -> Result<(), Error> {
        let Some(entry) = self.schedule.get(row) else { return Ok(()) };
        let (id, seq) = (entry.id, entry.last_seq() + 1);
        let crashes = entry.crashes() + u32::from(crashed);
        let in_doubt = entry.in_doubt || crashed;
        let logged = self.status_item(seq, 0, JobStatus::Queued);
        self.rows.append(row, &logged)?;
        self.rows.settle(row, &Settled { crashes, in_doubt, ..Settled::queued() })?;
        self.schedule.unplace(row);
        if let Some(entry) = self.schedule.get_mut(row) {
            entry.set_last_seq(seq);
            entry.set_crashes(crashes);
            entry.in_doubt = in_doubt;
        }
        self.schedule.place_queued(row, self.env.now());
        self.notices.push(Notice::Changed(id));
        self.note_work();
        tracing::debug!(job = %id, crashed, "job queued again");
        Ok(())
    }
}
