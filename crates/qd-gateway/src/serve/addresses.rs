//! How many connections each address has, so that one client cannot take them all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts connections by address. Holds the addresses that have one, so it is bounded by the connections.
#[derive(Clone)]
pub(crate) struct Addresses {
    most: usize,
    // Held for one lookup.
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One connection of an address; gives its place back when dropped.
pub(crate) struct Place {
    address: IpAddr,
    addresses: Addresses,
}

impl Addresses {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, counts: Arc::default() }
    }

    /// A place for one more connection, if the address has one left.
    pub(crate) fn take(&self, peer: IpAddr) -> Option<Place> {
        let address = client(peer);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_insert(0);
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Place { address, addresses: self.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.addresses.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// Who a peer counts as: an IPv6 client owns a whole /64 network.
pub(crate) fn client(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gets_its_places_back_and_others_are_not_affected() {
        let addresses = Addresses::new(2);
        let (one, two): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let first = addresses.take(one).unwrap();
        let _second = addresses.take(one).unwrap();
        assert!(addresses.take(one).is_none());
        let third = addresses.take(two).unwrap();
        drop((first, third));
        assert!(addresses.take("::ffff:10.0.0.1".parse().unwrap()).is_some());
        assert_eq!(addresses.counts.lock().unwrap().len(), 1);
    }

    #[test]
    fn an_ipv6_network_counts_as_one_client() {
        let addresses = Addresses::new(1);
        let _first = addresses.take("2001:db8::1".parse().unwrap()).unwrap();
        assert!(addresses.take("2001:db8::ffff:2".parse().unwrap()).is_none());
        assert!(addresses.take("2001:db8:0:1::1".parse().unwrap()).is_some());
    }
}
