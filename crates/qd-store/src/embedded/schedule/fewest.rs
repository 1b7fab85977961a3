//! The tenants that have ready jobs, in order of how few of their jobs run: whose turn it is at the spare slots.
//!
//! Who runs what is counted elsewhere and told here; a tenant without a ready job, or one that stands aside, is not here.

use std::collections::BTreeSet;

use super::TenantKey;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Fewest {
    /// What runs, the last turn, and whose they are: among equals whoever had none for longest is next.
    order: BTreeSet<(usize, u64, TenantKey)>,
    /// The last turn of each tenant, by its key, as far as any had one.
    turns: Vec<u64>,
    turn: u64,
}

impl Fewest {
    /// A tenant of which this many jobs run has a ready one; said again, it changes nothing.
    pub(super) fn enter(&mut self, tenant: TenantKey, running: usize) {
        self.order.insert((running, self.last_turn(tenant), tenant));
    }

    /// A tenant has no ready job any more.
    pub(super) fn leave(&mut self, tenant: TenantKey, running: usize) {
        self.order.remove(&(running, self.last_turn(tenant), tenant));
    }

    /// Another number of a tenant's jobs run now.
    pub(super) fn moved(&mut self, tenant: TenantKey, from: usize, to: usize) {
        let turn = self.last_turn(tenant);
        if self.order.remove(&(from, turn, tenant)) {
            self.order.insert((to, turn, tenant));
        }
    }

    /// The tenant whose turn it is, if fewer than `below` of its jobs run. Calling it takes the turn.
    pub(super) fn next(&mut self, below: usize) -> Option<TenantKey> {
        let (running, turn, tenant) = self.order.first().copied().filter(|(running, ..)| *running < below)?;
        self.order.remove(&(running, turn, tenant));
        self.turn += 1;
        let place = tenant as usize;
        self.turns.resize(self.turns.len().max(place + 1), 0);
        self.turns[place] = self.turn;
        self.order.insert((running, self.turn, tenant));
        Some(tenant)
    }

    fn last_turn(&self, tenant: TenantKey) -> u64 {
        self.turns.get(tenant as usize).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::Fewest;

    #[test]
    fn fewest_running_come_first_and_equals_take_turns() {
        let mut fewest = Fewest::default();
        for (tenant, running) in [(1, 9), (2, 1), (3, 1), (4, 1)] {
            fewest.enter(tenant, running);
        }
        let turns: Vec<_> = (0..4).map(|_| fewest.next(2).unwrap()).collect();
        assert_eq!(turns, [2, 3, 4, 2]);
        fewest.moved(4, 1, 0);
        assert_eq!((fewest.next(2), fewest.next(2)), (Some(4), Some(4)));
        assert_eq!((fewest.next(1), fewest.next(0)), (Some(4), None));
    }

    #[test]
    fn whoever_comes_first_again_and_again_takes_no_turn_from_those_behind() {
        let mut fewest = Fewest::default();
        fewest.enter(1, 1);
        fewest.enter(2, 1);
        let mut turns = Vec::new();
        for _ in 0..4 {
            fewest.enter(9, 0);
            assert_eq!(fewest.next(2), Some(9));
            fewest.leave(9, 0);
            turns.push(fewest.next(2).unwrap());
        }
        assert_eq!(turns, [1, 2, 1, 2]);
    }

    #[test]
    fn whoever_left_has_no_turn_and_is_not_brought_back_by_what_it_runs() {
        let mut fewest = Fewest::default();
        fewest.enter(7, 0);
        fewest.leave(7, 0);
        fewest.moved(7, 0, 1);
        assert_eq!(fewest.next(9), None);
    }
}
