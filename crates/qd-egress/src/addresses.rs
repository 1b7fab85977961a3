//! Addresses that are nobody's business: everything that is not public, by the registries of special-purpose addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[cfg(test)]
mod tests;

/// Blocks of IPv4 that are not public, each with its prefix length.
const V4: &[([u8; 4], u8)] = &[
    ([0, 0, 0, 0], 8),        // this network
    ([10, 0, 0, 0], 8),       // private
    ([100, 64, 0, 0], 10),    // shared by a carrier; metadata of Alibaba Cloud
    ([127, 0, 0, 0], 8),      // loopback
    ([168, 63, 129, 16], 32), // metadata of Azure, an address that looks public
    ([169, 254, 0, 0], 16),   // link-local; metadata of most clouds
    ([172, 16, 0, 0], 12),    // private
    ([192, 0, 0, 0], 24),     // protocol assignments; metadata of Oracle's cloud
    ([192, 0, 2, 0], 24),     // documentation
    ([192, 88, 99, 0], 24),   // 6to4 relays, deprecated
    ([192, 168, 0, 0], 16),   // private
    ([198, 18, 0, 0], 15),    // benchmarks
    ([198, 51, 100, 0], 24),  // documentation
    ([203, 0, 113, 0], 24),   // documentation
    ([224, 0, 0, 0], 4),      // multicast
    ([240, 0, 0, 0], 4),      // reserved, broadcast
];

/// Blocks inside of the public part of IPv6 that are not public, or that carry an address of IPv4 which may not be.
const V6: &[([u16; 8], u8)] = &[
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), // protocol assignments; Teredo, ORCHID
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), // documentation
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), // 6to4
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), // documentation
];

/// The one part of IPv6 that is handed out to the public. What lies outside of it, NAT64 and mapped addresses among them,
/// is not.
const V6_PUBLIC: ([u16; 8], u8) = ([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// Whether an address is one of the public Internet.
pub(crate) fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => V4.iter().all(|(block, length)| !in_v4(ip, Ipv4Addr::from(*block), *length)),
        IpAddr::V6(ip) => {
            let inside = |(block, length): &([u16; 8], u8)| in_v6(ip, Ipv6Addr::from(*block), *length);
            inside(&V6_PUBLIC) && !V6.iter().any(inside)
        }
    }
}

fn in_v4(ip: Ipv4Addr, block: Ipv4Addr, length: u8) -> bool {
    let shift = 32 - u32::from(length);
    ip.to_bits() >> shift == block.to_bits() >> shift
}

fn in_v6(ip: Ipv6Addr, block: Ipv6Addr, length: u8) -> bool {
    let shift = 128 - u32::from(length);
    ip.to_bits() >> shift == block.to_bits() >> shift
}
