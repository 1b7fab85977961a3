//! Money set aside for one call, from before it is made until it is known what it cost.

use std::sync::{Arc, Mutex, PoisonError};

use qd_llm::{Answer, CallError};
use qd_types::{Billed, NanoDollars, Reserved};

use super::Book;
use super::accounts::{Key, Want};

/// Where a call that is dropped leaves what was set aside for it, for whoever journals the drop.
#[derive(Clone, Default)]
pub(crate) struct Slip(Arc<Mutex<Option<Dropped>>>);

struct Dropped {
    book: Arc<Book>,
    wants: Vec<Want>,
    reserved: Reserved,
}

impl Slip {
    /// What the dropped call may have cost; it will be recorded.
    pub(crate) fn take(&self) -> Option<Reserved> {
        let dropped = self.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let mut accounts = dropped.book.accounts();
        dropped.wants.iter().for_each(|want| accounts.find(want));
        Some(dropped.reserved)
    }
}

/// See the module. Dropping it unsettled keeps the money: the call may be on the bill.
pub(crate) struct Reservation {
    book: Arc<Book>,
    wants: Vec<Want>,
    reserved: Reserved,
    /// What calls of a dead worker for the same step may have cost its job.
    doubt: NanoDollars,
    slip: Slip,
    is_settled: bool,
}

impl Reservation {
    pub(super) fn new(
        book: Arc<Book>,
        wants: Vec<Want>,
        reserved: Reserved,
        doubt: NanoDollars,
        slip: Slip,
    ) -> Self {
        Self { book, wants, reserved, doubt, slip, is_settled: false }
    }

    pub(crate) fn reserved(&self) -> Reserved {
        self.reserved
    }

    /// The call is over.
    pub(crate) fn settle(mut self, answer: &Result<Answer, CallError>) {
        self.is_settled = true;
        let nothing = NanoDollars::default();
        let (spent, doubt) = match answer {
            Ok(answer) => (answer.cost, self.doubt),
            // What may have been sent before is accounted for by the call that will be made.
            Err(error) if !error.was_made() => (nothing, nothing),
            Err(CallError { billed: Billed::No, .. }) => (nothing, self.doubt),
            Err(CallError { billed: Billed::Possibly | Billed::Yes, .. }) => {
                (self.reserved.amount, self.doubt)
            }
        };
        let mut accounts = self.book.accounts();
        for want in &self.wants {
            let doubt = if matches!(want.key, Key::Job(..)) { doubt } else { nothing };
            accounts.settle(want, spent + doubt);
        }
        drop(accounts);
        self.book.freed.notify_waiters();
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        let mut accounts = self.book.accounts();
        self.wants.iter().for_each(|want| accounts.lose(want));
        drop(accounts);
        let dropped = Dropped {
            book: Arc::clone(&self.book),
            wants: std::mem::take(&mut self.wants),
            reserved: self.reserved,
        };
        *self.slip.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(dropped);
        self.book.freed.notify_waiters();
    }
}
