//! What the simulator was asked and what it gave: the proof of which call was paid how often.
//!
//! Bounded: the oldest calls are forgotten first, and the number of forgotten ones is told. What the page shows stands in
//! `ledger/page.rs`, which calls belong together is found out in `ledger/needs.rs`.

mod needs;
mod page;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use qd_env::Env;
use qd_types::Usage;

use self::needs::{Needs, Remembered};
pub use self::page::{Bill, Counts, LedgerCall, LedgerPage, Outcome, RateLimited, Summary};
use super::FaultKind;
use crate::prices;

/// A shared ledger. Clones show the same one.
#[derive(Clone)]
pub struct Ledger {
    // One short lock: every hold is a few map operations, and no await happens under it.
    inner: Arc<Mutex<Inner>>,
    env: Env,
}

struct Inner {
    calls: Remembered<Arc<str>, Record>,
    totals: Counts,
    forgotten: u64,
    in_flight: u64,
    max_in_flight: u64,
    needs: Needs,
}

/// One call as it is kept.
#[derive(Debug, Clone, Copy)]
struct Record {
    counts: Counts,
    hash: u64,
    outcome: Outcome,
    bill: Bill,
}

/// A call that arrives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival<'a> {
    /// `job/step/try`; calls without it are not listed.
    pub(crate) call: Option<&'a str>,
    /// The hash of what is asked.
    pub(crate) content: u64,
    /// The hash of key and model.
    pub(crate) customer: u64,
}

impl Ledger {
    /// An empty ledger of at most `capacity` calls.
    #[must_use]
    pub fn new(capacity: usize, env: Env) -> Self {
        let inner = Inner {
            calls: Remembered::new(capacity),
            totals: Counts::default(),
            forgotten: 0,
            in_flight: 0,
            max_in_flight: 0,
            needs: Needs::new(capacity, env.monotonic()),
        };
        Self { inner: Arc::new(Mutex::new(inner)), env }
    }

    /// Everything in it.
    #[must_use]
    pub fn page(&self) -> LedgerPage {
        // Under the lock only what must be: calls go on while a large page is put in order.
        let (calls, mut page) = {
            let inner = self.lock();
            let calls: Vec<(Arc<str>, Record)> =
                inner.calls.iter().map(|(key, record)| (Arc::clone(key), *record)).collect();
            (calls, inner.page())
        };
        let mut answers: BTreeMap<&str, u64> = BTreeMap::new();
        for (call, record) in &calls {
            *answers.entry(step_of(call)).or_default() += record.counts.answered;
        }
        page.answered_twice =
            answers.into_iter().filter(|(_, n)| *n > 1).map(|(step, _)| step.to_owned()).collect();
        page.calls = calls.iter().map(|(call, record)| (call.to_string(), record.shown())).collect();
        page
    }

    /// The figures alone, which cost the same however many calls there were.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.lock().summary()
    }

    /// Forgets everything but the calls under way.
    pub fn clear(&self) {
        let now = self.env.monotonic();
        let mut inner = self.lock();
        inner.calls.clear();
        inner.needs.clear(now);
        inner.totals = Counts::default();
        inner.forgotten = 0;
        inner.max_in_flight = inner.in_flight;
    }

    /// Notes that a call arrived.
    pub(crate) fn start(&self, arrival: Arrival<'_>) -> OpenCall {
        let Arrival { call, content, customer } = arrival;
        let need = call.map_or(content, |call| hash(step_of(call)));
        let now = self.env.monotonic();
        let call = {
            let mut inner = self.lock();
            inner.in_flight += 1;
            inner.max_in_flight = inner.max_in_flight.max(inner.in_flight);
            inner.totals.started += 1;
            inner.needs.arrived(need, customer, now);
            call.map(|call| inner.open(call, content))
        };
        OpenCall { ledger: self.clone(), call, need, customer, has_outcome: false }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Counters cannot be left half-changed by a panic, so a poisoned lock is still good.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call's id without its try.
fn step_of(call: &str) -> &str {
    call.rsplit_once('/').map_or(call, |(step, _)| step)
}

/// Only for telling things apart within this process.
pub(crate) fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl Inner {
    fn page(&self) -> LedgerPage {
        LedgerPage {
            totals: self.totals,
            in_flight: self.in_flight,
            max_in_flight: self.max_in_flight,
            forgotten: self.forgotten,
            summary: self.summary(),
            answered_twice: Vec::new(),
            calls: BTreeMap::new(),
        }
    }

    #[allow(clippy::cast_precision_loss)]
    fn summary(&self) -> Summary {
        let mut summary = self.needs.summary.clone();
        summary.calls = self.totals.started;
        summary.calls_per_need =
            if summary.needs == 0 { 0.0 } else { summary.calls as f64 / summary.needs as f64 };
        summary.max_in_flight = self.max_in_flight;
        summary
    }

    fn open(&mut self, call: &str, content: u64) -> Arc<str> {
        let key: Arc<str> = Arc::from(call);
        let fresh = || Record {
            counts: Counts::default(),
            hash: content,
            outcome: Outcome::UnderWay,
            bill: Bill::default(),
        };
        let (record, has_forgotten) = self.calls.entry(&key, fresh);
        record.counts.started += 1;
        (record.hash, record.outcome) = (content, Outcome::UnderWay);
        self.forgotten += u64::from(has_forgotten);
        key
    }
}

impl Record {
    fn shown(&self) -> LedgerCall {
        LedgerCall {
            started: self.counts.started,
            answered: self.counts.answered,
            faulted: self.counts.faulted,
            hash: format!("{:016x}", self.hash),
            outcome: self.outcome,
            input_tokens: self.bill.input_tokens,
            output_tokens: self.bill.output_tokens,
            cost: self.bill.cost,
        }
    }
}

/// A call under way; dropped without an outcome it was abandoned by the caller.
pub(crate) struct OpenCall {
    ledger: Ledger,
    call: Option<Arc<str>>,
    need: u64,
    customer: u64,
    has_outcome: bool,
}

impl OpenCall {
    /// The call meets a fault, which may leave it an answer all the same.
    pub(crate) fn faulted(&mut self, kind: FaultKind) {
        self.fail(Outcome::Fault(kind));
    }

    /// An answer of another status than 200 goes out.
    pub(crate) fn refused(&mut self, status: u16, wait: Option<Duration>) {
        if !self.has_outcome {
            self.fail(Outcome::Refused(status));
        }
        let now = self.ledger.env.monotonic();
        let mut inner = self.ledger.lock();
        inner.needs.status(status);
        if status == 429 {
            inner.needs.limited(self.need, self.customer, wait, now);
        }
    }

    /// An answer begins, and is charged for from now on.
    pub(crate) fn begun(&mut self, usage: &Usage) {
        let bill = Bill {
            calls: 1,
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cost: prices::of_sim(usage),
        };
        let mut inner = self.ledger.lock();
        inner.needs.status(200);
        inner.needs.billed(self.need, bill);
        if let Some(record) = self.call.as_ref().and_then(|call| inner.calls.get_mut(call)) {
            record.bill.add(bill);
        }
    }

    /// The answer is out completely.
    pub(crate) fn answered(&mut self) {
        let mut inner = self.ledger.lock();
        inner.totals.answered += 1;
        inner.needs.answered(self.need);
        if let Some(record) = self.call.as_ref().and_then(|call| inner.calls.get_mut(call)) {
            record.counts.answered += 1;
            if !self.has_outcome {
                record.outcome = Outcome::Answered;
            }
        }
        self.has_outcome = true;
    }

    fn fail(&mut self, outcome: Outcome) {
        let mut inner = self.ledger.lock();
        inner.totals.faulted += 1;
        if let Some(record) = self.call.as_ref().and_then(|call| inner.calls.get_mut(call)) {
            record.counts.faulted += 1;
            record.outcome = outcome;
        }
        self.has_outcome = true;
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        let mut inner = self.ledger.lock();
        inner.in_flight = inner.in_flight.saturating_sub(1);
        if !self.has_outcome {
            inner.needs.summary.abandoned += 1;
            if let Some(record) = self.call.as_ref().and_then(|call| inner.calls.get_mut(call)) {
                record.outcome = Outcome::Abandoned;
            }
        }
    }
}

#[cfg(test)]
mod tests;
