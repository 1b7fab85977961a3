//! Money as maps.

use std::collections::BTreeMap;

use qd_types::{CrewName, Day, NanoDollars, TenantId};

use crate::embedded::Charge;
use crate::{DayUsage, ScopeSpend, SpendScope, UsageQuery};

/// What was spent, and what workers hold.
#[derive(Default)]
pub(super) struct MemorySpend {
    spend: BTreeMap<(Day, TenantId, CrewName), Charge>,
    slices: BTreeMap<SpendScope, Held>,
}

#[derive(Default)]
struct Held {
    reserved: NanoDollars,
    lost: NanoDollars,
}

impl MemorySpend {
    pub(super) fn charge(&mut self, tenant: &TenantId, crew: &CrewName, day: Day, charge: &Charge) {
        let sum = self.spend.entry((day, tenant.clone(), crew.clone())).or_default();
        sum.usage += charge.usage;
        sum.cost += charge.cost;
        sum.possible += charge.possible;
        for crew in [None, Some(crew.clone())] {
            if let Some(held) = self.slices.get_mut(&SpendScope { tenant: tenant.clone(), crew, day }) {
                held.reserved -= charge.from_slices.min(held.reserved);
            }
        }
    }

    pub(super) fn scope_spend(&self, scope: &SpendScope) -> ScopeSpend {
        let is_of = |(day, tenant, crew): &(Day, TenantId, CrewName)| {
            *day == scope.day && *tenant == scope.tenant && scope.crew.as_ref().is_none_or(|of| of == crew)
        };
        let charges = self.spend.iter().filter(|(key, _)| is_of(key)).map(|(_, charge)| charge);
        let recorded: NanoDollars = charges.map(|charge| charge.cost + charge.possible).sum();
        let held = self.slices.get(scope);
        ScopeSpend {
            spent: recorded + held.map(|held| held.lost).unwrap_or_default(),
            reserved: held.map(|held| held.reserved).unwrap_or_default(),
        }
    }

    pub(super) fn hold_slice(&mut self, scope: &SpendScope, held: NanoDollars, lost: NanoDollars) {
        let slice = self.slices.entry(scope.clone()).or_default();
        slice.reserved = (slice.reserved + held).max(NanoDollars::default());
        slice.lost += lost;
    }

    pub(super) fn usage(&self, tenant: &TenantId, query: &UsageQuery) -> Vec<DayUsage> {
        let is_asked = |(day, of, crew): &(Day, TenantId, CrewName)| {
            (query.from..=query.to).contains(day)
                && of == tenant
                && query.crew.as_ref().is_none_or(|asked| asked == crew)
        };
        let mut found: Vec<_> = self.spend.iter().filter(|(key, _)| is_asked(key)).collect();
        found.sort_by_key(|((day, _, crew), _)| (std::cmp::Reverse(*day), crew.clone()));
        let shown = found.into_iter().take(query.limit).map(|((day, _, crew), charge)| DayUsage {
            day: *day,
            crew: crew.clone(),
            usage: charge.usage,
            cost: charge.cost,
            possible: charge.possible,
        });
        shown.collect()
    }

    /// Forgets days before one.
    pub(super) fn prune(&mut self, before: Day) {
        self.spend.retain(|(day, _, _), _| *day >= before);
        self.slices.retain(|scope, _| scope.day >= before);
    }
}
