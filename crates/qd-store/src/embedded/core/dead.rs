//! Dealing with failed jobs: one that is run again or discarded is no dead letter any more.

use qd_types::JobId;

use super::super::rows::{AccessRows, Rows};
use super::Core;
use crate::{Act, Discard, Error};

impl<R: Rows + AccessRows> Core<R> {
    /// Takes jobs off the dead letters; answers those that were some.
    pub(crate) fn discard(&mut self, discard: &Discard) -> Result<Vec<JobId>, Error> {
        let mut done = Vec::new();
        for id in &discard.jobs {
            let Some(row) = self.rows.find(&discard.tenant, *id)? else { continue };
            if self.rows.is_dead(row)? {
                self.rows.deal_with(row)?;
                done.push(*id);
            }
        }
        if let [first, rest @ ..] = done.as_slice() {
            let subject = if rest.is_empty() {
                first.to_string()
            } else {
                format!("{} jobs, {first} and others", done.len())
            };
            let act = Act::new(discard.tenant.clone(), discard.by, "jobs.discarded", subject);
            self.audit(&act.with("reason", &discard.reason).with("count", done.len().to_string()))?;
        }
        Ok(done)
    }
}
