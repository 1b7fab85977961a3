//! How often an address may come with a key that is none. A good key is never refused for what others at the same address
//! do, so this keeps noise down and not somebody out: secrets are too long to be guessed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::pace::{Bucket, Pace, Taken};
use crate::serve::client;

/// Addresses that are told apart; those beyond share one pace.
const ADDRESSES_MAX: usize = 10_000;

/// Failures by address.
pub(super) struct Guesses {
    pace: Pace,
    // Held for one look-up, or, when it is full and once a second at most, for throwing out those who have been quiet.
    seen: Mutex<Seen>,
    others: Bucket,
}

#[derive(Default)]
struct Seen {
    addresses: HashMap<IpAddr, Bucket>,
    swept_at: Duration,
}

const SWEEP: Duration = Duration::from_secs(1);

impl Guesses {
    /// So many a minute, as many at once.
    pub(super) fn new(per_minute: u32) -> Self {
        let pace = Pace::new(f64::from(per_minute.max(1)) / 60.0, per_minute);
        Self { pace, seen: Mutex::default(), others: Bucket::default() }
    }

    /// Counts one failure; how long to stay away if there were too many.
    pub(super) fn count(&self, peer: IpAddr, now: Duration) -> Result<(), Duration> {
        let address = client(peer);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = seen.addresses.len() >= ADDRESSES_MAX && !seen.addresses.contains_key(&address);
        if is_full && now.saturating_sub(seen.swept_at) >= SWEEP {
            seen.swept_at = now;
            seen.addresses.retain(|_, bucket| !bucket.is_full(now));
        }
        let taken = if seen.addresses.len() < ADDRESSES_MAX || seen.addresses.contains_key(&address) {
            seen.addresses.entry(address).or_default().take(self.pace, now)
        } else {
            self.others.take(self.pace, now)
        };
        match taken {
            Taken::Yes { .. } => Ok(()),
            Taken::No { retry_after } => Err(retry_after),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_a_minute_and_each_address_for_itself() {
        let guesses = Guesses::new(10);
        let (one, two): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let now = Duration::from_secs(100);
        assert!((0..10).all(|_| guesses.count(one, now).is_ok()));
        assert_eq!(guesses.count(one, now), Err(Duration::from_secs(6)));
        assert!(guesses.count(two, now).is_ok());
        assert!(guesses.count(one, now + Duration::from_secs(6)).is_ok());
    }

    #[test]
    fn addresses_are_bounded_and_quiet_ones_make_room() {
        let guesses = Guesses::new(10);
        let address = |n: u32| IpAddr::from(n.to_be_bytes());
        let count = u32::try_from(ADDRESSES_MAX).unwrap();
        let now = Duration::from_secs(100);
        assert!((0..count).all(|n| guesses.count(address(n), now).is_ok()));
        let shared = (0..20).filter(|n| guesses.count(address(count + n), now).is_ok()).count();
        assert_eq!(shared, 10, "those beyond share one pace");
        assert_eq!(guesses.seen.lock().unwrap().addresses.len(), ADDRESSES_MAX);
        assert!(guesses.count(address(5), now).is_ok(), "who is known keeps its own");
        assert!(guesses.count(address(count + 50), now + Duration::from_secs(60)).is_ok());
        assert!(guesses.seen.lock().unwrap().addresses.len() <= 2);
    }
}
