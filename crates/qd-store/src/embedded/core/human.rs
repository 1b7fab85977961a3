//! Jobs that wait for people: their answers, the reminders, and the end of patience.

use qd_types::{
    AnsweredBy, Class, Code, CrewName, Entry, Failure, Job, JobStatus, LogItem, Logged, OnExpiry, TenantId,
    Timestamp, Verdict, Waiting,
};

use super::super::rows::{RowId, Rows};
use super::outbox::About;
use super::{Core, Notice};
use crate::{Answer, Answered, Enqueued, Error, Tick};

impl<R: Rows> Core<R> {
    /// Takes an answer: it is journaled and the job queued, or it is told why not. Whether the same was said before, to a
    /// job that does not wait with this question, is for readers to find out.
    pub(crate) fn answer(&mut self, tenant: &TenantId, answer: &Answer) -> Result<Answered, Error> {
        let Some(row) = self.rows.find(tenant, answer.job)? else { return Ok(Answered::Unknown) };
        if let Some(idempotency) = &answer.idempotency {
            match self.replay(tenant, idempotency)? {
                Some(Enqueued::Conflict { job }) => return Ok(Answered::Conflict { job }),
                Some(_) => return Ok(Answered::Replayed(Box::new(self.rows.load(row)?))),
                None => {}
            }
        }
        let job = self.rows.load(row)?;
        let is_meant = |waiting: &Waiting| answer.step.as_ref().is_none_or(|step| *step == waiting.ask.step);
        let Some(waiting) = job.waiting.as_deref().filter(|waiting| is_meant(waiting)) else {
            return Ok(Answered::NotWaiting(Box::new(job)));
        };
        // One that comes after the time is up and before anybody has noticed is in time.
        let now = self.env.now();
        if let Some(newer) = &answer.hooks {
            let before = job.hooks.as_deref().cloned().unwrap_or_default();
            self.rows.set_hooks(row, &before.replaced_by(newer))?;
        }
        self.take_in(row, waiting, &answer.verdict, answer.by.clone(), now)?;
        if let Some(idempotency) = &answer.idempotency {
            // It is not known: that was looked for above.
            self.take_key(tenant, idempotency, row)?;
        }
        Ok(Answered::Taken(Box::new(self.rows.load(row)?)))
    }

    /// Journals what was said. The job goes on, or fails if it was sent back once too often.
    fn take_in(
        &mut self,
        row: RowId,
        waiting: &Waiting,
        verdict: &Verdict,
        by: AnsweredBy,
        now: Timestamp,
    ) -> Result<(), Error> {
        let ask = &waiting.ask;
        let waited_ms = u64::try_from(now.since(waiting.since).as_millis()).unwrap_or(u64::MAX);
        let entry = Entry::Human { step: ask.step.clone(), verdict: verdict.clone(), by, waited_ms };
        self.log_of_nobody(row, LogItem::Entry { entry: Box::new(entry) }, now)?;
        if !verdict.is_approval() && ask.feedback_left() == 0 {
            let message = format!(
                "a person sent its answer back once more than it takes feedback (max_rounds is {})",
                ask.rules.max_rounds
            );
            let failure = Failure::new(Code::HumanInputRejected, Class::Exhausted, message);
            self.end(row, JobStatus::Failed, failure.in_task(ask.task.clone()))?;
            return Ok(());
        }
        self.requeue(row, false)
    }

    /// Appends what no attempt wrote.
    fn log_of_nobody(&mut self, row: RowId, item: LogItem, now: Timestamp) -> Result<Logged, Error> {
        let seq = self.schedule.get(row).map_or(1, |entry| entry.last_seq() + 1);
        let logged = Logged { seq, at: now, attempt: 0, item };
        self.rows.append(row, &logged)?;
        if let Some(entry) = self.schedule.get_mut(row) {
            entry.set_last_seq(seq);
        }
        Ok(logged)
    }

    /// Something is to be done about a question that nobody has answered.
    pub(super) fn lose_patience(&mut self, row: RowId, now: Timestamp, tick: &mut Tick) -> Result<(), Error> {
        let job = self.rows.load(row)?;
        match job.waiting.as_deref() {
            Some(waiting) if waiting.is_over(now) => {
                tick.failed.extend(self.give_up(row, waiting, now)?);
                tick.given_up += 1;
            }
            Some(waiting) => {
                self.remind(row, &job, waiting.clone(), now)?;
                tick.reminded += 1;
            }
            None => return Err(Error::Unreadable { what: format!("job {} waits with no question", job.id) }),
        }
        Ok(())
    }

    /// Nobody is waited for any more.
    fn give_up(
        &mut self,
        row: RowId,
        waiting: &Waiting,
        now: Timestamp,
    ) -> Result<Option<(CrewName, Code)>, Error> {
        let rules = waiting.ask.rules;
        match rules.on_expiry {
            OnExpiry::Approve => {
                let approval = Verdict::Approve { remark: None };
                self.take_in(row, waiting, &approval, AnsweredBy::Nobody, now)?;
                Ok(None)
            }
            OnExpiry::Fail => {
                let message = format!(
                    "nobody looked at its answer within {} s (expires_seconds)",
                    rules.expires_seconds
                );
                let code = Code::HumanInputExpired;
                let failure = Failure::new(code, Class::Exhausted, message).in_task(waiting.ask.task.clone());
                let job = self.end(row, JobStatus::Failed, failure)?;
                Ok(Some((job.crew, code)))
            }
        }
    }

    fn remind(&mut self, row: RowId, job: &Job, waiting: Waiting, now: Timestamp) -> Result<(), Error> {
        let waiting = waiting.reminded(now);
        let item = LogItem::Reminded { step: waiting.ask.step.clone(), number: waiting.reminded };
        let logged = self.log_of_nobody(row, item, now)?;
        self.rows.wait(row, &waiting)?;
        let about = About::of(job);
        self.announce(&about, JobStatus::Waiting, now)?;
        self.tell(&about, &logged)?;
        self.schedule.unplace(row);
        self.schedule.place_waiting(row, waiting.wake_at());
        self.notices.push(Notice::Changed(job.id));
        Ok(())
    }
}
