//! What workers do: claim, renew, record, finish. Every write is checked against its fence first.

use qd_types::{JobId, JobStatus, LogItem, Logged, Progress, Seq, Timestamp, Waiting, WorkerId};

use super::super::rows::{RowId, Rows, Settled, Spent, Started};
use super::super::schedule::Hold;
use super::outbox::About;
use super::spend::Charges;
use super::{Core, Notice};
use crate::{Claimed, Error, Fence, Finish, Lease, Outcome, Record, Refused, Revocation, Revoked, Room};

impl<R: Rows> Core<R> {
    /// Hands out the jobs whose turn it is.
    pub(crate) fn claim(&mut self, worker: &WorkerId, room: Room) -> Result<Vec<Claimed>, Error> {
        let (mut claimed, mut spare) = (Vec::new(), room.spare);
        while claimed.len() < room.any {
            let Some(row) = self.schedule.take_next() else { break };
            let Some(job) = self.hand_out(row, worker)? else { break };
            claimed.push(job);
        }
        while spare > 0 {
            let Some(row) = self.schedule.take_spare(spare) else { break };
            let Some(job) = self.hand_out(row, worker)? else { break };
            claimed.push(job);
            spare -= 1;
        }
        self.schedule.left_spare(spare);
        Ok(claimed)
    }

    /// Puts a job that is in no place in a worker's hands.
    fn hand_out(&mut self, row: RowId, worker: &WorkerId) -> Result<Option<Claimed>, Error> {
        let now = self.env.now();
        let Some(entry) = self.schedule.get(row) else { return Ok(None) };
        let started = Started { attempt: entry.attempt + 1, epoch: entry.epoch() + 1, started_at: now };
        let (seq, in_doubt) = (entry.last_seq() + 1, entry.in_doubt);
        let logged = self.status_item(seq, started.attempt, JobStatus::Running);
        self.rows.append(row, &logged)?;
        self.rows.start(row, started)?;
        let job = self.rows.load(row)?;
        // A fresh job has no history to read.
        let log = if seq == 1 { vec![logged] } else { self.rows.log(row, 0, usize::MAX)? };
        let until = self.lease_end(now);
        if let Some(entry) = self.schedule.get_mut(row) {
            entry.attempt = started.attempt;
            entry.set_epoch(started.epoch);
            entry.set_last_seq(seq);
        }
        let accepted = job.first_ready_at();
        self.announce(&About::of(&job), JobStatus::Running, now)?;
        self.schedule.place_held(row, Hold::of(job.clone(), until));
        if started.attempt == 1 {
            self.recent().note_wait(now, now.since(accepted));
        }
        self.notices.push(Notice::Changed(job.id));
        let lease = Lease { fence: self.fence(started.epoch), worker: worker.clone(), until };
        Ok(Some(Claimed { job, lease, log, in_doubt }))
    }

    /// Keeps a worker's leases alive and answers those it has lost.
    pub(crate) fn renew(
        &mut self,
        worker: &WorkerId,
        held: &[(JobId, Fence)],
    ) -> Result<Vec<Revocation>, Error> {
        let mut revoked = Vec::new();
        for (job, fence) in held {
            match self.holds(*job, *fence)? {
                Ok(row) => {
                    if let Some(until) = self.lease_end(self.env.now()) {
                        self.schedule.extend(row, until);
                    }
                }
                Err(Refused::Terminal) => revoked.push(Revocation { job: *job, why: Revoked::Cancelled }),
                Err(Refused::Stale) => revoked.push(Revocation { job: *job, why: Revoked::Lost }),
            }
        }
        tracing::trace!(%worker, jobs = held.len(), revoked = revoked.len(), "leases renewed");
        Ok(revoked)
    }

    /// Appends to a job's log.
    pub(crate) fn record(&mut self, record: &Record) -> Result<Result<Seq, Refused>, Error> {
        let row = match self.holds(record.job, record.fence)? {
            Ok(row) => row,
            Err(refused) => return Ok(Err(refused)),
        };
        let (seq, spent) = self.append(row, &record.items, &record.progress)?;
        self.rows.spend(row, &spent)?;
        if let Some(entry) = self.schedule.get_mut(row) {
            entry.set_last_seq(seq);
        }
        if spent.crashes == 0 && self.schedule.clear_suspicion(row) {
            self.note_work();
        }
        if let Some(hold) = self.schedule.hold(row) {
            hold.spent = spent;
        }
        self.notices.push(Notice::Changed(record.job));
        Ok(Ok(seq))
    }

    /// Ends an attempt.
    pub(crate) fn finish(&mut self, finish: &Finish) -> Result<Result<JobStatus, Refused>, Error> {
        let row = match self.holds(finish.job, finish.fence)? {
            Ok(row) => row,
            Err(refused) => return Ok(Err(refused)),
        };
        let now = self.env.now();
        let (seq, spent) = self.append(row, &finish.items, &finish.progress)?;
        if !finish.items.is_empty() {
            self.rows.spend(row, &spent)?;
        }
        let mut settled = settled(&finish.outcome, now);
        let seq = seq + 1;
        let (attempt, crashes, in_doubt) = self
            .schedule
            .get(row)
            .map_or((0, 0, false), |entry| (entry.attempt, entry.crashes(), entry.in_doubt));
        if in_doubt && !finish.doubt_settled && !settled.status.is_terminal() {
            (settled.in_doubt, settled.crashes) = (true, crashes);
        }
        let item = LogItem::Status {
            status: settled.status,
            at: settled.retry_at,
            failure: settled.error.clone(),
            ask: settled.waiting.as_ref().map(|waiting| Box::new(waiting.ask.clone())),
        };
        let logged = Logged { seq, at: now, attempt, item };
        self.rows.append(row, &logged)?;
        self.rows.settle(row, &settled)?;
        self.remember_conversation(row, finish, now)?;
        let hold = self.schedule.hold(row).cloned();
        if let Some(hold) = &hold {
            let about = About::held(finish.job, hold);
            self.announce(&about, settled.status, now)?;
            self.tell(&about, &logged)?;
        }
        let place = self.schedule.hold(row).and_then(|hold| hold.batch);
        if let Some(place) = place.filter(|_| settled.status.is_terminal()) {
            self.leave_batch(place, settled.status, spent.usage, spent.cost, now)?;
        }
        self.move_on(row, seq, &settled, now);
        if let Some(hold) = hold.filter(|_| settled.status.is_terminal()) {
            let took = now.since(hold.accepted);
            self.recent().note_end(now, &hold.account, settled.status, Some(took));
        }
        self.notices.push(Notice::Changed(finish.job));
        Ok(Ok(settled.status))
    }

    fn remember_conversation(&mut self, row: RowId, finish: &Finish, now: Timestamp) -> Result<(), Error> {
        let Some(entry) = self.schedule.get(row) else { return Ok(()) };
        let Some(conversation) = entry.conversation().cloned() else { return Ok(()) };
        if finish.history.is_empty() {
            return Ok(());
        }
        let tenant = self.schedule.tenant_name(entry.tenant).clone();
        let forgotten_before = before(now, self.limits.conversation_ttl);
        self.rows.say(&tenant, &conversation, finish.job, &finish.history, now, forgotten_before)
    }

    /// The schedule's side of an end of an attempt.
    fn move_on(&mut self, row: RowId, seq: Seq, settled: &Settled, now: Timestamp) {
        if settled.status.is_terminal() {
            self.schedule.remove(row);
            // Another job of the conversation may be ready now.
            self.note_work();
            return;
        }
        self.schedule.unplace(row);
        // A suspect that left makes room for the others.
        self.note_work();
        if let Some(entry) = self.schedule.get_mut(row) {
            entry.set_last_seq(seq);
            entry.set_crashes(settled.crashes);
            entry.in_doubt = settled.in_doubt;
        }
        match (&settled.waiting, settled.retry_at) {
            (Some(waiting), _) => self.schedule.place_waiting(row, waiting.wake_at()),
            (None, Some(at)) => self.schedule.place_delayed(row, at),
            (None, None) => self.schedule.place_queued(row, now),
        }
    }

    fn append(&mut self, row: RowId, items: &[LogItem], progress: &Progress) -> Result<(Seq, Spent), Error> {
        let now = self.env.now();
        let (attempt, mut seq) =
            self.schedule.get(row).map_or((0, 0), |entry| (entry.attempt, entry.last_seq()));
        let mut spent = self.schedule.hold(row).map(|hold| hold.spent.clone()).unwrap_or_default();
        let mut charges = Charges::default();
        // Jobs without such URLs pay nothing for those that have some.
        let job = self.schedule.get(row).map(|entry| entry.id);
        let hooked = self.schedule.hold(row).filter(|hold| hold.hooks.is_some()).cloned();
        for item in items {
            seq += 1;
            if let LogItem::Entry { entry } = item {
                let (usage, cost) = entry.spend();
                spent.usage += usage;
                spent.cost += cost;
                self.recent().note_spend(now, &usage, cost);
                charges.add(entry, now);
                // News such as "the task starts" is no progress: a job that crashes its workers repeats it for ever.
                spent.crashes = 0;
            }
            let logged = Logged { seq, at: now, attempt, item: item.clone() };
            self.rows.append(row, &logged)?;
            if let (Some(hooked), Some(job)) = (&hooked, job) {
                self.tell(&About::held(job, hooked), &logged)?;
            }
        }
        self.charge(row, &charges)?;
        spent.progress = progress.clone();
        Ok((seq, spent))
    }

    /// The row of a job whose lease is as the fence says.
    fn holds(&mut self, job: JobId, fence: Fence) -> Result<Result<RowId, Refused>, Error> {
        if let Some(row) = self.schedule.held_row(job) {
            let epoch = self.schedule.get(row).map_or(0, |entry| entry.epoch());
            return Ok(if fence == self.fence(epoch) { Ok(row) } else { Err(Refused::Stale) });
        }
        let over = self.rows.status_of(job)?.is_some_and(JobStatus::is_terminal);
        Ok(Err(if over { Refused::Terminal } else { Refused::Stale }))
    }
}

fn settled(outcome: &Outcome, now: Timestamp) -> Settled {
    match outcome {
        Outcome::Succeeded(output) => {
            Settled { output: Some(output.clone()), ..Settled::over(JobStatus::Succeeded, now, None) }
        }
        Outcome::Retry { after, failure } => Settled {
            status: JobStatus::Retrying,
            retry_at: Some(now.plus(*after)),
            error: Some(failure.clone()),
            ..Settled::queued()
        },
        Outcome::Wait(ask) => Settled {
            status: JobStatus::Waiting,
            waiting: Some(Box::new(Waiting::new((**ask).clone(), now))),
            ..Settled::queued()
        },
        Outcome::Release => Settled::queued(),
        Outcome::Failed(failure) => Settled::over(JobStatus::Failed, now, Some(failure.clone())),
        Outcome::Cancelled => Settled::over(JobStatus::Cancelled, now, None),
    }
}

/// The moment a span ago.
pub(crate) fn before(now: Timestamp, span: std::time::Duration) -> Timestamp {
    Timestamp(now.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
}
