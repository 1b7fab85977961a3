//! Which job is next: one pure decision for every backend.
//!
//! Priority levels share claims 1:2:4:8:16 and an idle level's share goes to the others, so nothing starves; inside a
//! level tenants take turns; inside a tenant the caller takes the oldest. The promise holds per dispatcher.

mod shares;

use std::collections::BTreeMap;
use std::ops::Bound;

use qd_types::Priority;

pub use shares::{TenantShare, TenantShares};

/// How priority levels share the claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// 1:2:4:8:16.
    #[default]
    Weighted,
    /// The highest level first, always.
    Strict,
}

/// What is waiting at one level: a non-empty queue of type `Q` for each tenant `K`.
pub type Level<K, Q> = BTreeMap<K, Q>;

/// Whose turn it is. The state of one dispatcher.
#[derive(Debug, Clone)]
pub struct Turns<K> {
    sharing: Sharing,
    credits: [u32; Priority::LEVELS],
    last: [Option<K>; Priority::LEVELS],
}

impl<K: Ord + Copy> Turns<K> {
    /// Nobody had a turn yet.
    #[must_use]
    pub fn new(sharing: Sharing) -> Self {
        Self { sharing, credits: [0; Priority::LEVELS], last: [None; Priority::LEVELS] }
    }

    /// The level and tenant whose oldest job is next; `None` if nothing waits. Calling it takes the turn.
    pub fn next<Q>(&mut self, levels: &[Level<K, Q>; Priority::LEVELS]) -> Option<(usize, K)> {
        let level = self.next_level(|l| !levels[l].is_empty())?;
        let tenant = self.next_tenant(level, &levels[level])?;
        self.last[level] = Some(tenant);
        Some((level, tenant))
    }

    fn next_level(&mut self, waits: impl Fn(usize) -> bool) -> Option<usize> {
        let highest = (0..Priority::LEVELS).rev().find(|l| waits(*l))?;
        if self.sharing == Sharing::Strict {
            return Some(highest);
        }
        let with_credit = |credits: &[u32; Priority::LEVELS]| {
            (0..Priority::LEVELS).rev().find(|l| waits(*l) && credits[*l] > 0)
        };
        let level = with_credit(&self.credits).unwrap_or_else(|| {
            // A round is over when no waiting level has credit left; credit of idle levels is not saved up.
            self.credits = std::array::from_fn(|l| 1 << l);
            highest
        });
        self.credits[level] -= 1;
        Some(level)
    }

    fn next_tenant<Q>(&self, level: usize, waiting: &Level<K, Q>) -> Option<K> {
        let after_last = match self.last[level] {
            Some(last) => waiting.range((Bound::Excluded(last), Bound::Unbounded)).next(),
            None => None,
        };
        after_last.or_else(|| waiting.iter().next()).map(|(tenant, _)| *tenant)
    }
}

#[cfg(test)]
mod tests {
    use super::{Level, Priority, Sharing, Turns};

    fn levels(waiting: &[(usize, u32)]) -> [Level<u32, ()>; Priority::LEVELS] {
        let mut levels: [Level<u32, ()>; Priority::LEVELS] = Default::default();
        for (level, tenant) in waiting {
            levels[*level].insert(*tenant, ());
        }
        levels
    }

    #[test]
    fn levels_share_one_two_four_eight_sixteen() {
        let all = levels(&[(0, 1), (1, 1), (2, 1), (3, 1), (4, 1)]);
        let mut turns = Turns::new(Sharing::Weighted);
        let mut counts = [0; Priority::LEVELS];
        for _ in 0..31 * 10 {
            counts[turns.next(&all).unwrap().0] += 1;
        }
        assert_eq!(counts, [10, 20, 40, 80, 160]);
    }

    #[test]
    fn an_idle_levels_share_goes_to_the_others() {
        let two = levels(&[(0, 1), (2, 1)]);
        let mut turns = Turns::new(Sharing::Weighted);
        let lows = (0..50).filter(|_| turns.next(&two).unwrap().0 == 0).count();
        assert_eq!(lows, 10);
        assert_eq!(turns.next(&levels(&[(0, 9)])), Some((0, 9)));
    }

    #[test]
    fn strict_sharing_serves_the_highest_level_only() {
        let two = levels(&[(0, 1), (4, 1)]);
        let mut turns = Turns::new(Sharing::Strict);
        assert!((0..100).all(|_| turns.next(&two).unwrap().0 == 4));
    }

    #[test]
    fn tenants_take_turns_inside_a_level() {
        let three = levels(&[(1, 10), (1, 20), (1, 30)]);
        let mut turns = Turns::new(Sharing::Weighted);
        let served: Vec<u32> = (0..7).map(|_| turns.next(&three).unwrap().1).collect();
        assert_eq!(served, [10, 20, 30, 10, 20, 30, 10]);
    }

    #[test]
    fn nothing_waiting_means_no_turn() {
        assert_eq!(Turns::<u32>::new(Sharing::Weighted).next(&levels(&[])), None);
    }
}
