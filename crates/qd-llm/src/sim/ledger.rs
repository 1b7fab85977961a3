//! What the simulator was asked and what it gave: the proof of which call was paid how often.
//!
//! Bounded: the oldest calls are forgotten first, and the number of forgotten ones is told.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use qd_types::NanoDollars;
use serde::Serialize;

/// A shared ledger. Clones show the same one.
#[derive(Clone)]
pub struct Ledger {
    // One short lock: every hold is a few map operations, and no await happens under it.
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    capacity: usize,
    calls: HashMap<Arc<str>, Counts>,
    order: VecDeque<Arc<str>>,
    totals: Counts,
    forgotten: u64,
    billed: NanoDollars,
    in_flight: u64,
    max_in_flight: u64,
}

/// How often something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Requests that arrived.
    pub started: u64,
    /// Answers that were sent completely.
    pub answered: u64,
    /// Requests that met a fault.
    pub faulted: u64,
}

/// The ledger at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LedgerPage {
    /// Over all calls, forgotten ones included.
    pub totals: Counts,
    /// Calls under way.
    pub in_flight: u64,
    /// Most calls under way at once.
    pub max_in_flight: u64,
    /// What the calls cost that were not refused, answered or not, in nano-dollars.
    pub billed: NanoDollars,
    /// Calls that no longer fit.
    pub forgotten: u64,
    /// `job/step` of every step that was answered more than once, over all its tries: paid twice.
    pub answered_twice: Vec<String>,
    /// By `job/step/try`, in order of that text.
    pub calls: BTreeMap<String, Counts>,
}

impl Ledger {
    /// An empty ledger of at most `capacity` calls.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let inner = Inner {
            capacity: capacity.max(1),
            calls: HashMap::new(),
            order: VecDeque::new(),
            totals: Counts::default(),
            forgotten: 0,
            billed: NanoDollars::default(),
            in_flight: 0,
            max_in_flight: 0,
        };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    /// Everything in it.
    #[must_use]
    pub fn page(&self) -> LedgerPage {
        // Under the lock only what must be: calls go on while a large page is put in order.
        let (calls, mut page) = {
            let inner = self.lock();
            let calls: Vec<(Arc<str>, Counts)> =
                inner.calls.iter().map(|(k, c)| (Arc::clone(k), *c)).collect();
            (calls, inner.totals_page())
        };
        let mut answers: BTreeMap<&str, u64> = BTreeMap::new();
        for (call, counts) in &calls {
            let step = call.rsplit_once('/').map_or(&**call, |(step, _)| step);
            *answers.entry(step).or_default() += counts.answered;
        }
        page.answered_twice =
            answers.into_iter().filter(|(_, n)| *n > 1).map(|(step, _)| step.to_owned()).collect();
        page.calls = calls.iter().map(|(call, counts)| (call.to_string(), *counts)).collect();
        page
    }

    /// Forgets everything but the calls under way.
    pub fn clear(&self) {
        let mut inner = self.lock();
        inner.calls.clear();
        inner.order.clear();
        inner.totals = Counts::default();
        inner.forgotten = 0;
        inner.billed = NanoDollars::default();
        inner.max_in_flight = inner.in_flight;
    }

    /// Notes that a call arrived. `call` is `job/step/try`; calls without it count in the totals only.
    pub(crate) fn start(&self, call: Option<&str>) -> OpenCall {
        let call = {
            let mut inner = self.lock();
            inner.in_flight += 1;
            inner.max_in_flight = inner.max_in_flight.max(inner.in_flight);
            inner.totals.started += 1;
            call.map(|call| inner.open(call))
        };
        OpenCall { ledger: self.clone(), call }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Counters cannot be left half-changed by a panic, so a poisoned lock is still good.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn totals_page(&self) -> LedgerPage {
        LedgerPage {
            totals: self.totals,
            in_flight: self.in_flight,
            max_in_flight: self.max_in_flight,
            forgotten: self.forgotten,
            billed: self.billed,
            answered_twice: Vec::new(),
            calls: BTreeMap::new(),
        }
    }

    fn open(&mut self, call: &str) -> Arc<str> {
        if let Some((key, counts)) = self.calls.get_key_value(call).map(|(k, c)| (Arc::clone(k), *c)) {
            self.calls.insert(Arc::clone(&key), Counts { started: counts.started + 1, ..counts });
            return key;
        }
        if self.calls.len() >= self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.calls.remove(&oldest);
            self.forgotten += 1;
        }
        let key: Arc<str> = Arc::from(call);
        self.order.push_back(Arc::clone(&key));
        self.calls.insert(Arc::clone(&key), Counts { started: 1, ..Counts::default() });
        key
    }
}

/// A call under way; dropped without a verdict it was abandoned by the caller.
pub(crate) struct OpenCall {
    ledger: Ledger,
    call: Option<Arc<str>>,
}

impl OpenCall {
    /// The call is taken on: it is on the bill, whatever becomes of its answer.
    pub(crate) fn bill(&self, cost: NanoDollars) {
        self.ledger.lock().billed += cost;
    }

    /// The answer is out completely.
    pub(crate) fn answered(&self) {
        self.count(|counts| counts.answered += 1);
    }

    /// The call meets a fault.
    pub(crate) fn faulted(&self) {
        self.count(|counts| counts.faulted += 1);
    }

    fn count(&self, change: impl Fn(&mut Counts)) {
        let mut inner = self.ledger.lock();
        change(&mut inner.totals);
        if let Some(counts) = self.call.as_ref().and_then(|call| inner.calls.get_mut(call)) {
            change(counts);
        }
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        let mut inner = self.ledger.lock();
        inner.in_flight = inner.in_flight.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, Ledger};

    #[test]
    fn a_step_answered_in_two_tries_was_paid_twice() {
        let ledger = Ledger::new(10);
        for (call, answered) in [("j/a/1", true), ("j/a/2", true), ("j/b/1", false), ("j/b/2", true)] {
            let open = ledger.start(Some(call));
            if answered { open.answered() } else { open.faulted() }
        }
        let page = ledger.page();
        assert_eq!(page.answered_twice, ["j/a"]);
        assert_eq!(page.totals, Counts { started: 4, answered: 3, faulted: 1 });
        assert_eq!(page.calls["j/b/1"], Counts { started: 1, answered: 0, faulted: 1 });
        assert_eq!((page.in_flight, page.max_in_flight), (0, 1));
    }

    #[test]
    fn the_same_call_answered_again_is_seen() {
        let ledger = Ledger::new(10);
        ledger.start(Some("j/a/1")).answered();
        ledger.start(Some("j/a/1")).answered();
        assert_eq!(ledger.page().answered_twice, ["j/a"]);
    }

    #[test]
    fn the_oldest_calls_are_forgotten_and_told_of() {
        let ledger = Ledger::new(2);
        for call in ["j/a/1", "j/b/1", "j/c/1"] {
            ledger.start(Some(call)).answered();
        }
        ledger.start(None).answered();
        let page = ledger.page();
        assert_eq!((page.calls.len(), page.forgotten, page.totals.answered), (2, 1, 4));
        assert!(!page.calls.contains_key("j/a/1"));
        ledger.clear();
        assert_eq!(ledger.page().totals, Counts::default());
    }
}
