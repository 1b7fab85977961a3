//! Places for what takes long: uploads, event streams, waiting requests. There are so many and no more, and where callers are
//! told apart, no tenant takes them all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use qd_types::TenantId;

/// So many places.
pub(crate) struct Places {
    total: usize,
    /// What tenants leave free for those who hold less than this much themselves.
    kept_back: usize,
    // Held for one look and one count.
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    of: HashMap<TenantId, usize>,
}

impl Places {
    /// Places that anybody may take, or with a quarter of them kept back for tenants that hold less than a quarter.
    pub(crate) fn new(total: usize, are_tenants_apart: bool) -> Arc<Self> {
        let kept_back = if are_tenants_apart { total / 4 } else { 0 };
        Arc::new(Self { total, kept_back, taken: Mutex::default() })
    }

    /// Takes so many places for a tenant, if they are free for it; more than there are, are all of them. They are given
    /// back by the guard.
    pub(crate) fn take(self: &Arc<Self>, tenant: &TenantId, count: usize) -> Option<Place> {
        let count = count.min(self.total);
        let mut taken = self.taken();
        let own = taken.of.get(tenant).copied().unwrap_or(0) + count;
        let is_modest = own <= self.kept_back || taken.all == 0;
        let kept_back = if is_modest { 0 } else { self.kept_back };
        if taken.all + count + kept_back > self.total {
            return None;
        }
        taken.all += count;
        taken.of.insert(tenant.clone(), own);
        Some(Place { places: Arc::clone(self), tenant: tenant.clone(), count })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was taken; dropped, it is free again.
pub(crate) struct Place {
    places: Arc<Places>,
    tenant: TenantId,
    count: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= self.count;
        if let Some(own) = taken.of.get_mut(&self.tenant) {
            *own -= self.count;
            if *own == 0 {
                taken.of.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use qd_types::TenantId;

    use super::{Place, Places};

    fn all_of(places: &Arc<Places>, tenant: &TenantId) -> Vec<Place> {
        std::iter::from_fn(|| places.take(tenant, 1)).collect()
    }

    #[test]
    fn a_tenant_that_takes_what_it_can_leaves_places_to_others() {
        let places = Places::new(16, true);
        let (greedy, modest) = (TenantId::new("greedy"), TenantId::new("modest"));
        let held = all_of(&places, &greedy);
        assert_eq!(held.len(), 12);
        let others = all_of(&places, &modest);
        assert_eq!(others.len(), 4);
        assert!(places.take(&TenantId::new("late"), 1).is_none(), "all of them are taken");
        drop(held);
        assert_eq!(all_of(&places, &greedy).len(), 8, "four are held, four are kept back");
        drop(others);
        assert!(places.taken().of.is_empty() && places.taken().all == 0, "nothing is left behind");
    }

    #[test]
    fn where_all_callers_are_one_it_has_every_place() {
        let places = Places::new(3, false);
        let one = TenantId::default();
        let held = all_of(&places, &one);
        assert_eq!(held.len(), 3);
        drop(held);
        let all = places.take(&one, 4);
        assert!(all.is_some() && places.take(&one, 1).is_none(), "four of three are all three");
    }

    #[test]
    fn what_needs_nearly_all_places_passes_when_all_are_free() {
        let places = Places::new(4, true);
        let (one, other) = (TenantId::default(), TenantId::new("other"));
        let held = places.take(&other, 1);
        assert!(places.take(&one, 4).is_none());
        drop(held);
        assert!(places.take(&one, 4).is_some());
    }
}
