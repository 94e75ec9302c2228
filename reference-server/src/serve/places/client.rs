//! The client and the network that a connection counts for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tower_session_auth::master_auth::ClientAddr;

/// The client that a connection counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Client {
    /// An IPv4 address, or the /64 network of an IPv6 address: one host usually has all addresses of such a network.
    Address(IpAddr),
    /// A Unix socket or a trusted proxy.
    Trusted,
}

/// The network of a client: the /24 network of an IPv4 address, or the /48 network of an IPv6 address. One owner often has all
/// addresses of such a network. It is stored as its first address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Network(IpAddr);

const IPV4_HOSTS: u32 = u32::MAX >> 24;
const IPV6_HOSTS: u128 = u128::MAX >> 48;

impl Client {
    /// The client of a connection from this address.
    pub(crate) const fn of(peer: IpAddr) -> Self {
        Self::Address(ClientAddr(peer).network())
    }

    /// The network of the client. Trusted peers have none.
    pub(super) const fn network(self) -> Option<Network> {
        match self {
            Self::Address(IpAddr::V4(address)) => {
                let first = address.to_bits() & !IPV4_HOSTS;
                Some(Network(IpAddr::V4(Ipv4Addr::from_bits(first))))
            }
            Self::Address(IpAddr::V6(address)) => {
                let first = address.to_bits() & !IPV6_HOSTS;
                Some(Network(IpAddr::V6(Ipv6Addr::from_bits(first))))
            }
            Self::Trusted => None,
        }
    }
}

impl Network {
    /// The first and the last client of the network.
    pub(super) const fn bounds(self) -> (Client, Client) {
        let last = match self.0 {
            IpAddr::V4(first) => IpAddr::V4(Ipv4Addr::from_bits(first.to_bits() | IPV4_HOSTS)),
            IpAddr::V6(first) => IpAddr::V6(Ipv6Addr::from_bits(first.to_bits() | IPV6_HOSTS)),
        };
        (Client::Address(self.0), Client::Address(last))
    }
}
