//! Money of a day: what was spent, what workers hold of a budget, and how a slice of it is asked for.
//!
//! Whoever makes calls takes a slice of each budget first and spends from it without asking again: so several processes
//! share a budget, and no call waits for a write. A slice that is not spent counts as reserved. Spending is recorded with
//! the entries that cause it ([`crate::Record`], [`crate::Finish`]), in their transaction, and comes off the slice there.

use qd_types::{CrewName, Day, NanoDollars, TenantId, Usage};

use crate::Incarnation;

/// Whose money, and of which day.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpendScope {
    /// Whose.
    pub tenant: TenantId,
    /// Of this crew; without one, of all the tenant's crews together.
    pub crew: Option<CrewName>,
    /// Of this day.
    pub day: Day,
}

/// How much of a scope's budget is gone. Their sum never exceeds the budget that slices were asked for with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScopeSpend {
    /// Recorded: what calls cost, what failed ones may have cost, and what got lost with a worker that held it.
    pub spent: NanoDollars,
    /// In the hands of workers and not recorded yet.
    pub reserved: NanoDollars,
}

/// A request for a slice of a budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceAsk {
    /// Of whose.
    pub scope: SpendScope,
    /// How much is wanted; what is left is granted if that is less.
    pub wanted: NanoDollars,
    /// The budget.
    pub budget: NanoDollars,
}

/// What was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// How much; zero if nothing is left.
    pub granted: NanoDollars,
    /// Life of the data in which it is good.
    pub incarnation: Incarnation,
    /// How the scope stands with it.
    pub after: ScopeSpend,
}

/// What is left of slices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceReturn {
    /// Of whose.
    pub scope: SpendScope,
    /// In which life of the data they were granted; those of another one are gone already.
    pub incarnation: Incarnation,
    /// Not spent: others may have it.
    pub unspent: NanoDollars,
    /// Held for calls that nobody could record: it may have been spent and counts as that.
    pub lost: NanoDollars,
}

/// Days to sum up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageQuery {
    /// Only this crew.
    pub crew: Option<CrewName>,
    /// The first day.
    pub from: Day,
    /// The last day.
    pub to: Day,
    /// At most this many rows.
    pub limit: usize,
}

/// What one crew used on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayUsage {
    /// The day.
    pub day: Day,
    /// The crew.
    pub crew: CrewName,
    /// Calls and tokens.
    pub usage: Usage,
    /// What they cost, where the price is known.
    pub cost: NanoDollars,
    /// What calls that failed may have cost besides, at most.
    pub possible: NanoDollars,
}
