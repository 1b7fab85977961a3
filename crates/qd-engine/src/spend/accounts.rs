//! Accounts in memory: how much of each budget can be reserved right now, and what calls under way hold of it.
//!
//! A job's account holds all of its budget: the job is in one worker's hands. A day's account holds the slices that the
//! store has granted to this process. An amount is either room, in flight, or spent; nothing here waits or writes.

use std::collections::HashMap;

use qd_store::{Incarnation, ScopeSpend, Slice, SliceReturn, SpendScope};
use qd_types::{Day, Job, JobId, NanoDollars};

/// Whose money.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// One job's, over its life, in the hands of its attempt with this number.
    Job(JobId, u32),
    /// A tenant's or crew's, of a day.
    Day(SpendScope),
}

/// An amount of an account's money.
#[derive(Debug, Clone)]
pub(super) struct Want {
    pub(super) key: Key,
    pub(super) limit: NanoDollars,
    pub(super) amount: NanoDollars,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) limit: NanoDollars,
    /// What can be reserved; below zero where a call cost more than was thought possible.
    pub(super) room: NanoDollars,
    /// What calls under way may cost.
    pub(super) in_flight: NanoDollars,
    /// What dropped calls may have cost, which the store does not know of yet.
    lost: NanoDollars,
    /// Spent by this process since the store was last asked.
    pub(super) since: NanoDollars,
    /// How the store said it stood.
    pub(super) seen: ScopeSpend,
    incarnation: Option<Incarnation>,
    /// Nothing was reserved since it was last looked at.
    is_idle: bool,
}

impl Account {
    /// What is spent of it, as far as is known here.
    pub(super) fn spent(&self) -> NanoDollars {
        self.seen.spent + self.since
    }
}

/// All accounts.
#[derive(Debug, Default)]
pub(super) struct Accounts(HashMap<Key, Account>);

/// Why an amount cannot be reserved now.
#[derive(Debug, Clone)]
pub(super) struct Short {
    pub(super) want: Want,
    /// What is missing.
    pub(super) missing: NanoDollars,
    /// Whether calls under way may give some back.
    pub(super) may_free: bool,
}

impl Accounts {
    /// Opens a job's account, unless it is open.
    pub(super) fn open_job(&mut self, job: &Job, limit: NanoDollars, spent: impl FnOnce() -> NanoDollars) {
        self.0.entry(Key::Job(job.id, job.attempt)).or_insert_with(|| {
            let spent = spent();
            let seen = ScopeSpend { spent, ..ScopeSpend::default() };
            Account { limit, room: limit - spent, seen, ..Account::default() }
        });
    }

    /// Closes a job's account: it is in this worker's hands no more.
    pub(super) fn close_job(&mut self, job: &Job) {
        self.0.remove(&Key::Job(job.id, job.attempt));
    }

    /// Whether there is room for every amount; answers the first that is short.
    pub(super) fn lacks(&mut self, wants: &[Want]) -> Result<(), Short> {
        for want in wants {
            let account = self.0.entry(want.key.clone()).or_default();
            account.limit = want.limit;
            if account.room < want.amount {
                let missing = want.amount - account.room;
                let may_free = account.in_flight > NanoDollars::default();
                return Err(Short { want: want.clone(), missing, may_free });
            }
        }
        Ok(())
    }

    /// Reserves every amount, or none and answers the first that is short.
    pub(super) fn take(&mut self, wants: &[Want]) -> Result<(), Short> {
        self.lacks(wants)?;
        for want in wants {
            let account = self.account(&want.key);
            account.room -= want.amount;
            account.in_flight += want.amount;
            account.is_idle = false;
        }
        Ok(())
    }

    /// A call is over: of what was reserved, this much is spent and the rest is room again.
    pub(super) fn settle(&mut self, want: &Want, spent: NanoDollars) {
        // A job's account may be closed by now.
        let Some(account) = self.0.get_mut(&want.key) else { return };
        account.in_flight -= want.amount;
        account.room += want.amount - spent;
        account.since += spent;
    }

    /// What was reserved may have been spent, and nobody can record it so far.
    pub(super) fn lose(&mut self, want: &Want) {
        self.settle(want, want.amount);
        if let Some(account) = self.0.get_mut(&want.key) {
            account.lost += want.amount;
        }
    }

    /// Somebody does record it.
    pub(super) fn find(&mut self, want: &Want) {
        if let Some(account) = self.0.get_mut(&want.key) {
            account.lost -= want.amount.min(account.lost);
        }
    }

    /// The store granted a slice.
    pub(super) fn grant(&mut self, scope: &SpendScope, slice: &Slice) {
        let account = self.account(&Key::Day(scope.clone()));
        account.room += slice.granted;
        account.seen = slice.after;
        account.since = NanoDollars::default();
        account.incarnation = Some(slice.incarnation);
    }

    /// Takes out what can go back to the store: of days that are over and, where `all` is not asked for, of accounts that
    /// nobody used since the last look. Accounts of days that are over are forgotten.
    pub(super) fn take_back(&mut self, today: Day, all: bool) -> Vec<SliceReturn> {
        let nothing = NanoDollars::default();
        let mut left = Vec::new();
        for (key, account) in &mut self.0 {
            let (Key::Day(scope), Some(incarnation)) = (key, account.incarnation) else { continue };
            let is_over = scope.day < today;
            let is_unused = account.in_flight == nothing && (all || is_over || account.is_idle);
            account.is_idle = true;
            let unspent = if is_unused { account.room.max(nothing) } else { nothing };
            let lost = account.lost;
            if unspent == nothing && lost == nothing {
                continue;
            }
            account.room -= unspent;
            account.lost = nothing;
            left.push(SliceReturn { scope: scope.clone(), incarnation, unspent, lost });
        }
        self.0.retain(|key, account| match key {
            Key::Day(scope) => scope.day >= today || account.in_flight > nothing,
            Key::Job(..) => true,
        });
        left
    }

    /// Puts in again what the store did not take.
    pub(super) fn put_again(&mut self, left: Vec<SliceReturn>) {
        for left in left {
            if let Some(account) = self.0.get_mut(&Key::Day(left.scope)) {
                account.room += left.unspent;
                account.lost += left.lost;
            }
        }
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Account> {
        self.0.get(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &Account)> {
        self.0.iter()
    }

    fn account(&mut self, key: &Key) -> &mut Account {
        self.0.entry(key.clone()).or_default()
    }
}
