//! The places of connections: which connection gets a place, and which one is evicted for it.
//!
//! # Rules
//!
//! 1. Each connection belongs to a client: an IPv4 address, or the /64 network of an IPv6 address. Unix sockets and trusted
//!    proxies carry the connections of many clients. They form one group, which has no limit of its own.
//! 2. A client that has its maximum of connections gets another one only in exchange for one of its own.
//! 3. When all places are taken, a connection of the client with the most connections is evicted. A connection of another client
//!    is evicted only if that client has more connections than the new one's client. The group of rule 1 comes last.
//! 4. Among the connections of a client, the one that has been idle longest is evicted. If none is idle, it is the one that has
//!    been reading a request head longest. If there is none either, it is the one that has been waiting for its client longest.
//! 5. A connection whose request is being processed is never evicted. If no connection can be evicted, the new one is refused.
//!
//! The rules have no clock and no I/O.

mod client;
#[cfg(test)]
mod tests;

pub(super) use client::Client;

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

/// The number of connections that one admission examines at most. It bounds the cost of an admission when all places are taken.
const MAX_EXAMINED: usize = 4096;

/// The current activity of a connection. The order is that of eviction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// No request, since this time.
    Idle(Instant),
    /// A part of a request head was read, or a new connection has sent nothing yet.
    ReadingHead(Instant),
    /// The client does not send its body, or does not read the response.
    WaitingForClient(Instant),
    /// A request is being processed.
    Busy,
}

/// A connection that holds a place.
pub(super) trait Holder: Clone {
    /// The current activity of the connection.
    fn standing(&self) -> Standing;
}

/// A held place. It must be [released](Places::release).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    client: Client,
    number: u64,
}

/// The result of an admission.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission<C> {
    /// The connection has a place.
    Admitted(Place),
    /// The connection takes the place of this one, which must end.
    Replaces(Place, C),
    /// No connection can be evicted.
    Refused(Full),
}

/// The limit that refused a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
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
    next_number: u64,
    clients: BTreeMap<Client, BTreeMap<u64, C>>,
    /// The clients by their number of connections, without the group of trusted peers.
    by_count: BTreeMap<usize, BTreeSet<Client>>,
}

impl<C: Holder> Places<C> {
    pub(super) const fn new(max: usize, max_per_client: usize) -> Self {
        Self {
            max,
            max_per_client,
            held: 0,
            next_number: 0,
            clients: BTreeMap::new(),
            by_count: BTreeMap::new(),
        }
    }

    /// The number of held places.
    #[cfg(test)]
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    /// Admits a connection if there is a place for it, or if another one can be evicted.
    pub(super) fn admit(&mut self, client: Client, connection: C) -> Admission<C> {
        let chosen = if client != Client::Trusted && self.count(client) >= self.max_per_client {
            match self.first_to_evict([client]) {
                Some(chosen) => Some(chosen),
                None => return Admission::Refused(Full::Client),
            }
        } else if self.held >= self.max {
            match self.evicted_for(client) {
                Some(chosen) => Some(chosen),
                None => return Admission::Refused(Full::Server),
            }
        } else {
            None
        };
        let replaced = chosen.and_then(|place| self.remove(place));
        let place = self.insert(client, connection);
        match replaced {
            Some(replaced) => Admission::Replaces(place, replaced),
            None => Admission::Admitted(place),
        }
    }

    /// Frees a place. A connection that was replaced has none: then this has no effect.
    pub(super) fn release(&mut self, place: Place) {
        self.remove(place);
    }

    /// The connection that is evicted for a new one of this client, when all places are taken.
    fn evicted_for(&self, client: Client) -> Option<Place> {
        let own = if client == Client::Trusted {
            0
        } else {
            self.count(client)
        };
        let larger = self.by_count.range(own + 1..).rev();
        let mut candidates = larger.map(|(_, clients)| clients.iter().copied());
        candidates
            .find_map(|clients| self.first_to_evict(clients))
            .or_else(|| self.first_to_evict([client]))
            .or_else(|| self.first_to_evict([Client::Trusted]))
    }

    /// The connection of these clients that is evicted before all others of them.
    fn first_to_evict(&self, clients: impl IntoIterator<Item = Client>) -> Option<Place> {
        let connections = clients.into_iter().flat_map(|client| {
            let connections = self.clients.get(&client).into_iter().flatten();
            connections.map(move |(number, connection)| (client, *number, connection))
        });
        connections
            .take(MAX_EXAMINED)
            .map(|(client, number, connection)| (connection.standing(), Place { client, number }))
            .filter(|(standing, _)| *standing != Standing::Busy)
            .min_by_key(|(standing, _)| *standing)
            .map(|(_, place)| place)
    }

    fn count(&self, client: Client) -> usize {
        self.clients.get(&client).map_or(0, BTreeMap::len)
    }

    fn insert(&mut self, client: Client, connection: C) -> Place {
        let number = self.next_number;
        self.next_number += 1;
        let before = self.count(client);
        self.clients.entry(client).or_default().insert(number, connection);
        self.held += 1;
        self.recount(client, before, before + 1);
        Place { client, number }
    }

    fn remove(&mut self, place: Place) -> Option<C> {
        let connections = self.clients.get_mut(&place.client)?;
        let before = connections.len();
        let removed = connections.remove(&place.number)?;
        if connections.is_empty() {
            self.clients.remove(&place.client);
        }
        self.held -= 1;
        self.recount(place.client, before, before - 1);
        Some(removed)
    }

    /// Updates the index by count.
    fn recount(&mut self, client: Client, before: usize, now: usize) {
        if client == Client::Trusted {
            return;
        }
        if let Some(clients) = self.by_count.get_mut(&before) {
            clients.remove(&client);
            if clients.is_empty() {
                self.by_count.remove(&before);
            }
        }
        if now > 0 {
            self.by_count.entry(now).or_default().insert(client);
        }
    }
}
