//! The handle's side of answers.

use qd_types::{Entry, Job, LogItem, Logged, StepId, TenantId, Verdict};

use super::Store;
use crate::observe::Op;
use crate::{Answer, Answered, Error};

/// Items of a log that are read at once.
const PAGE: usize = 200;

impl Store {
    /// See [`crate::Jobs::answer`].
    ///
    /// # Errors
    /// If the backend cannot carry it out; nothing was stored then.
    pub async fn answer(&self, tenant: &TenantId, answer: Answer) -> Result<Answered, Error> {
        let (step, verdict) = (answer.step.clone(), answer.verdict.clone());
        let mut answered = self.observer.call(Op::Answer, self.backend.answer(tenant, answer)).await?;
        if let Answered::NotWaiting(job) = answered {
            answered = self.said_before(tenant, job, step.as_ref(), &verdict).await?;
        }
        self.observer.answered(&answered);
        Ok(answered)
    }

    /// The answer to one that comes too late, or too early. Logs only grow, so it may be read after the fact, and page by
    /// page: nobody waits meanwhile.
    async fn said_before(
        &self,
        tenant: &TenantId,
        job: Box<Job>,
        step: Option<&StepId>,
        verdict: &Verdict,
    ) -> Result<Answered, Error> {
        let (mut after, mut last) = (0, None);
        while let Some(page) = self.log(tenant, job.id, after, PAGE).await?
            && let Some(end) = page.last().map(|logged| logged.seq)
        {
            after = end;
            last = page.iter().rev().find_map(|logged| verdict_on(logged, step)).or(last);
        }
        Ok(match last {
            Some((_, said)) if said == *verdict => Answered::Replayed(job),
            Some((step, _)) => Answered::Otherwise { step },
            None => Answered::NotWaiting(job),
        })
    }
}

/// What an item says of a question; of any without a step.
fn verdict_on(logged: &Logged, step: Option<&StepId>) -> Option<(StepId, Verdict)> {
    let LogItem::Entry { entry } = &logged.item else { return None };
    match &**entry {
        Entry::Human { step: of, verdict, .. } if step.is_none_or(|step| step == of) => {
            Some((of.clone(), verdict.clone()))
        }
        _ => None,
    }
}
