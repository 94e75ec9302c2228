//! The places of connections: which connection gets a place, and which one is evicted for it.
//!
//! # Rules
//!
//! 1. Each connection belongs to a client: an IPv4 address, or the /64 network of an IPv6 address. Unix sockets and trusted
//!    proxies carry the connections of many clients. They form one group, which has no limit of its own.
//! 2. A client that has its maximum of connections gets another one only in exchange for one of its own.
//! 3. When all places are taken, a connection of the client with the most connections is evicted, if that client has more than its
//!    share, and more than the new one's client. The share is a 64th of all places, between 1 and 16.
//! 4. If there is none, a connection of the network with the most connections (IPv4 /24, IPv6 /48) is evicted, if that network has
//!    more than four shares, and more than the new one's network.
//! 5. Otherwise, a client at its share replaces its own connection, and a network at its share one of its own. All others replace
//!    the connection with the longest silence.
//! 6. The group of rule 1 comes last.
//! 7. Among the connections of one client (rules 2 and 5), or of the clients with the most connections (rule 3), the one that has been idle longest is evicted. If none is idle, it is the one that has
//!    been reading a request head longest. If there is none either, it is the one that has been waiting for its client longest.
//! 8. Among all connections, or those of a network (rules 4 and 5), the time alone decides, so that an idle connection is not evicted before one that has
//!    been sending a head for longer. Connections that wait for a head or for their client for less than a second come last.
//! 9. A connection whose request is being processed is never evicted. If no connection can be evicted, the new one is refused.
//! 10. An evicted connection counts as an ending one until it is closed. Above [`MAX_GRACEFUL`] of them, the next one is closed
//!     at once. At [`MAX_ENDING`], no connection is accepted until one of them is closed. So the number of open connections is
//!     bounded.
//!
//! The rules have no I/O, and their clock is an argument.

mod client;
mod counts;
mod eviction;
mod shared;
#[cfg(test)]
mod tests;

pub(crate) use client::Client;
pub(crate) use eviction::Standing;
pub(crate) use shared::{HeldPlace, SharedPlaces};

use std::collections::BTreeMap;

use tokio::time::Instant;

use self::{client::Network, counts::Counts};

/// The number of evicted connections that have time to end.
const MAX_GRACEFUL: usize = 32;
/// The number of evicted connections at which no other one is accepted.
pub(crate) const MAX_ENDING: usize = 64;

/// A connection that holds a place.
pub(crate) trait Holder: Clone {
    /// The current activity of the connection.
    fn standing(&self) -> Standing;
}

/// A held place. It must be [released](Places::release).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    client: Client,
    number: u64,
}

/// The result of an admission.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission<C> {
    /// The connection has a place.
    Admitted(Place),
    /// The connection takes the place of another one, which must end.
    Replaces(Place, Evicted<C>),
    /// No connection can be evicted.
    Refused(Full),
}

/// A connection that has lost its place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Evicted<C> {
    pub(crate) connection: C,
    /// False if it must be closed at once: rule 10.
    pub(crate) has_grace: bool,
}

/// The limit that refused a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// All places are taken.
    Server,
    /// The client has its maximum of connections.
    Client,
}

/// The connections that hold a place.
#[derive(Debug)]
pub(super) struct Places<C> {
    max: usize,
    max_per_client: usize,
    held: usize,
    /// Connections that have lost their place and are not closed yet.
    ending: usize,
    next_number: u64,
    clients: BTreeMap<Client, BTreeMap<u64, C>>,
    /// The number of connections of each client and network, without the group of trusted peers.
    by_client: Counts<Client>,
    by_network: Counts<Network>,
    /// The client that the last search among all connections examined last.
    examined: Option<Client>,
}

impl<C: Holder> Places<C> {
    pub(super) const fn new(max: usize, max_per_client: usize) -> Self {
        Self {
            max,
            max_per_client,
            held: 0,
            ending: 0,
            next_number: 0,
            clients: BTreeMap::new(),
            by_client: Counts::new(),
            by_network: Counts::new(),
            examined: None,
        }
    }

    /// The number of held places.
    #[cfg(test)]
    const fn held(&self) -> usize {
        self.held
    }

    /// True if another connection can be accepted: rule 10.
    pub(super) const fn has_eviction_capacity(&self) -> bool {
        self.ending < MAX_ENDING
    }

    /// Admits a connection if there is a place for it, or if another one can be evicted.
    pub(super) fn admit(&mut self, client: Client, connection: C, now: Instant) -> Admission<C> {
        let chosen = if client != Client::Trusted && self.by_client.of(client) >= self.max_per_client {
            match self.first_of(client, now) {
                Some(chosen) => Some(chosen),
                None => return Admission::Refused(Full::Client),
            }
        } else if self.held >= self.max {
            match self.evicted_for(client, now) {
                Some(chosen) => Some(chosen),
                None => return Admission::Refused(Full::Server),
            }
        } else {
            None
        };
        let replaced = chosen.and_then(|place| self.remove(place));
        let place = self.insert(client, connection);
        let Some(connection) = replaced else {
            return Admission::Admitted(place);
        };
        self.ending += 1;
        let has_grace = self.ending <= MAX_GRACEFUL;
        let evicted = Evicted {
            connection,
            has_grace,
        };
        Admission::Replaces(place, evicted)
    }

    /// The connection is closed: frees its place, if it has not lost it before. Every place is released once.
    pub(super) fn release(&mut self, place: Place) {
        if self.remove(place).is_none() {
            self.ending = self.ending.saturating_sub(1);
        }
    }

    fn insert(&mut self, client: Client, connection: C) -> Place {
        let number = self.next_number;
        self.next_number += 1;
        self.clients.entry(client).or_default().insert(number, connection);
        self.held += 1;
        if let Some(network) = client.network() {
            self.by_client.add(client);
            self.by_network.add(network);
        }
        Place { client, number }
    }

    fn remove(&mut self, place: Place) -> Option<C> {
        let connections = self.clients.get_mut(&place.client)?;
        let removed = connections.remove(&place.number)?;
        if connections.is_empty() {
            self.clients.remove(&place.client);
        }
        self.held -= 1;
        if let Some(network) = place.client.network() {
            self.by_client.subtract(place.client);
            self.by_network.subtract(network);
        }
        Some(removed)
    }
}
