//! The client that a connection counts for.

use std::net::{IpAddr, Ipv6Addr};

/// The client that a connection counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::serve) enum Client {
    /// An IPv4 address, or the /64 network of an IPv6 address: one host usually has all addresses of such a network.
    Address(IpAddr),
    /// A Unix socket or a trusted proxy.
    Trusted,
}

impl Client {
    /// The client of a connection from this address.
    pub(in crate::serve) fn of(peer: IpAddr) -> Self {
        const NETWORK: u128 = !0 << 64;
        Self::Address(match peer.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & NETWORK)),
        })
    }
}
