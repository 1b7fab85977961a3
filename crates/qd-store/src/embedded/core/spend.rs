//! Money: slices of a day's budgets, and what entries charge to them.

use qd_types::{Day, Entry, NanoDollars, Timestamp};

use super::super::rows::{Charge, RowId, Rows};
use super::Core;
use crate::{Error, Slice, SliceAsk, SliceReturn, SpendScope};

/// What the entries of one write charge, by day: nearly always one.
#[derive(Default)]
pub(super) struct Charges(Vec<(Day, Charge)>);

impl Charges {
    /// Adds what an entry costs: to the day on which money was set aside for it, or to the day of `now`.
    pub(super) fn add(&mut self, entry: &Entry, now: Timestamp) {
        let (usage, cost) = entry.spend();
        let possible = entry.possible_cost();
        let reserved = entry.call().and_then(|call| call.reserved);
        let added = Charge {
            usage,
            cost,
            possible,
            from_slices: if reserved.is_some() { cost + possible } else { NanoDollars::default() },
        };
        if added == Charge::default() {
            return;
        }
        let day = reserved.map_or_else(|| now.day(), |reserved| reserved.day);
        let place = self.0.iter().position(|(known, _)| *known == day).unwrap_or_else(|| {
            self.0.push((day, Charge::default()));
            self.0.len() - 1
        });
        let sum = &mut self.0[place].1;
        sum.usage += added.usage;
        sum.cost += added.cost;
        sum.possible += added.possible;
        sum.from_slices += added.from_slices;
    }
}

impl<R: Rows> Core<R> {
    /// Charges a job's tenant and crew.
    pub(super) fn charge(&mut self, row: RowId, charges: &Charges) -> Result<(), Error> {
        if charges.0.is_empty() {
            return Ok(());
        }
        let Some((tenant, crew)) = self.schedule.hold(row).map(|hold| hold.account.clone()) else {
            return Ok(());
        };
        charges.0.iter().try_for_each(|(day, charge)| self.rows.charge(&tenant, &crew, *day, charge))
    }

    /// Grants what is wanted of a budget, or what is left of it.
    pub(crate) fn lease_slice(&mut self, ask: &SliceAsk) -> Result<Slice, Error> {
        let nothing = NanoDollars::default();
        let mut after = self.rows.scope_spend(&ask.scope)?;
        let left = ask.budget - after.spent - after.reserved;
        let granted = ask.wanted.min(left).max(nothing);
        if granted > nothing {
            self.rows.hold_slice(&ask.scope, granted, nothing)?;
            after.reserved += granted;
        }
        Ok(Slice { granted, incarnation: self.incarnation, after })
    }

    /// Takes back what is left of slices.
    pub(crate) fn return_slices(&mut self, left: &[SliceReturn]) -> Result<(), Error> {
        // What was granted in another life of the data went with it.
        for left in left.iter().filter(|left| left.incarnation == self.incarnation) {
            let nothing = NanoDollars::default();
            let (unspent, lost) = (left.unspent.max(nothing), left.lost.max(nothing));
            self.rows.hold_slice(&left.scope, nothing - unspent - lost, lost)?;
        }
        Ok(())
    }

    /// How a scope stands.
    pub(crate) fn scope_spend(&mut self, scope: &SpendScope) -> Result<crate::ScopeSpend, Error> {
        self.rows.scope_spend(scope)
    }
}
