//! What calls were for: which of them served the same need, and how soon somebody came back after a 429. Bounded; what is
//! forgotten stays counted.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use super::page::{Bill, RateLimited, Summary};

/// Needs with more calls than this are counted together.
const CALLS_TOLD_APART: u32 = 10;
/// Pairs of key and model whose last 429 is remembered.
const CUSTOMERS_MAX: usize = 10_000;
/// Seconds with a 429 that are remembered.
const SECONDS_MAX: usize = 3600;

/// A map that forgets its oldest entry when it is full.
pub(super) struct Remembered<K, V> {
    capacity: usize,
    map: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K: Hash + Eq + Clone, V> Remembered<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), map: HashMap::new(), order: VecDeque::new() }
    }

    /// The entry of a key, and whether another one was forgotten for it.
    pub(super) fn entry(&mut self, key: &K, fresh: impl FnOnce() -> V) -> (&mut V, bool) {
        let mut has_forgotten = false;
        if !self.map.contains_key(key) {
            if self.map.len() >= self.capacity
                && let Some(oldest) = self.order.pop_front()
            {
                has_forgotten = self.map.remove(&oldest).is_some();
            }
            self.order.push_back(key.clone());
        }
        (self.map.entry(key.clone()).or_insert_with(fresh), has_forgotten)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.map.get_mut(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.map.iter()
    }

    pub(super) fn clear(&mut self) {
        self.map.clear();
        self.order.clear();
    }
}

/// The needs of one ledger.
pub(super) struct Needs {
    known: Remembered<u64, Need>,
    customers: Remembered<u64, Limited>,
    pub(super) summary: Summary,
    /// When this ledger began.
    began: Duration,
}

#[derive(Default)]
struct Need {
    calls: u32,
    answers: u32,
    bills: u32,
    limited_at: Option<Duration>,
}

/// The last 429 of somebody.
struct Limited {
    at: Duration,
    until: Duration,
}

impl Needs {
    pub(super) fn new(capacity: usize, now: Duration) -> Self {
        Self {
            known: Remembered::new(capacity),
            customers: Remembered::new(CUSTOMERS_MAX),
            summary: Summary::default(),
            began: now,
        }
    }

    pub(super) fn clear(&mut self, now: Duration) {
        self.known.clear();
        self.customers.clear();
        self.summary = Summary::default();
        self.began = now;
    }

    pub(super) fn arrived(&mut self, need: u64, customer: u64, now: Duration) {
        let summary = &mut self.summary;
        let (need, _) = self.known.entry(&need, Need::default);
        let by_calls = &mut summary.needs_by_calls;
        if need.calls > 0 {
            let before = by_calls.entry(need.calls.min(CALLS_TOLD_APART)).or_default();
            *before = before.saturating_sub(1);
            by_calls.retain(|_, count| *count > 0);
        } else {
            summary.needs += 1;
        }
        need.calls = need.calls.saturating_add(1);
        *by_calls.entry(need.calls.min(CALLS_TOLD_APART)).or_default() += 1;

        let limited = &mut summary.rate_limited;
        if let Some(at) = need.limited_at.take() {
            keep_shortest(&mut limited.shortest_retry_ms, now.saturating_sub(at));
        }
        if let Some(last) = self.customers.get_mut(&customer) {
            keep_shortest(&mut limited.shortest_spacing_ms, now.saturating_sub(last.at));
            limited.too_early += u64::from(now < last.until);
        }
    }

    pub(super) fn limited(&mut self, need: u64, customer: u64, wait: Option<Duration>, now: Duration) {
        if let Some(need) = self.known.get_mut(&need) {
            need.limited_at = Some(now);
        }
        let until = now.saturating_add(wait.unwrap_or_default());
        let (last, _) = self.customers.entry(&customer, || Limited { at: now, until });
        // An earlier refusal may have asked for more.
        *last = Limited { at: now, until: until.max(last.until) };
        let RateLimited { answers, by_second, .. } = &mut self.summary.rate_limited;
        *answers += 1;
        *by_second.entry(now.saturating_sub(self.began).as_secs()).or_default() += 1;
        while by_second.len() > SECONDS_MAX {
            by_second.pop_first();
        }
    }

    pub(super) fn answered(&mut self, need: u64) {
        if let Some(need) = self.known.get_mut(&need) {
            need.answers = need.answers.saturating_add(1);
            self.summary.paid_twice += u64::from(need.answers == 2);
        }
    }

    pub(super) fn billed(&mut self, need: u64, bill: Bill) {
        self.summary.billed.add(bill);
        if let Some(need) = self.known.get_mut(&need) {
            need.bills = need.bills.saturating_add(1);
            if need.bills > 1 {
                self.summary.billed_again.add(bill);
            }
        }
    }

    pub(super) fn status(&mut self, status: u16) {
        *self.summary.statuses.entry(status).or_default() += 1;
    }
}

fn keep_shortest(shortest: &mut Option<u64>, span: Duration) {
    let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    *shortest = Some(shortest.map_or(span, |shortest| shortest.min(span)));
}
