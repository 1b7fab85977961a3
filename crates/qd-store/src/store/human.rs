//! The handle's side of answers.

use qd_types::TenantId;

use super::Store;
use crate::observe::Op;
use crate::{Answer, Answered, Error};

impl Store {
    /// See [`crate::Jobs::answer`].
    ///
    /// # Errors
    /// If the backend cannot carry it out; nothing was stored then.
    pub async fn answer(&self, tenant: &TenantId, answer: Answer) -> Result<Answered, Error> {
        let answered = self.observer.call(Op::Answer, self.backend.answer(tenant, answer)).await?;
        self.observer.answered(&answered);
        Ok(answered)
    }
}
