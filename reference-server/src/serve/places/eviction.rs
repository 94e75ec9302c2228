//! Which connection is evicted: rules 3 to 9.

use std::{collections::BTreeMap, ops::Bound, time::Duration};

use tokio::time::Instant;

use super::{Client, Holder, Place, Places, client::Network};

/// The number of connections that one admission examines at most. It bounds the cost of an admission when all places are taken.
const MAX_EXAMINED: usize = 4096;
/// The number of places that a client keeps while others want them, as a part of all places, and its maximum.
const SHARES: usize = 64;
const MAX_SHARE: usize = 16;
/// The number of shares of a network.
const SHARES_OF_NETWORK: usize = 4;
/// The time in which a head, or the next part of a request, is expected. Until then, a connection of a client within its share is
/// evicted last.
const FRESH: Duration = Duration::from_secs(1);

/// The current activity of a connection. The order is that of eviction among the connections of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// No request, since this time.
    Idle(Instant),
    /// A part of a request head was read, or a new connection has sent nothing yet.
    ReadingHead(Instant),
    /// The client does not send its body, or does not read the response.
    WaitingForClient(Instant),
    /// A request is being processed.
    Busy,
}

impl Standing {
    /// The order of eviction among several clients: rule 8. `None`: the connection is not evicted.
    fn silence(self, now: Instant) -> Option<(bool, Instant)> {
        match self {
            Self::Idle(since) => Some((false, since)),
            Self::ReadingHead(since) | Self::WaitingForClient(since) => Some((now < since + FRESH, since)),
            Self::Busy => None,
        }
    }
}

impl<C: Holder> Places<C> {
    /// The connection that is evicted for a new one of this client, when all places are taken.
    pub(super) fn evicted_for(&self, client: Client, now: Instant) -> Option<Place> {
        let share = (self.max / SHARES).clamp(1, MAX_SHARE);
        let share_of_network = share * SHARES_OF_NETWORK;
        let network = client.network();
        // Trusted peers have no count.
        let own = self.by_client.of(client);
        let of_network = network.map_or(0, |network| self.by_network.of(network));

        let mut larger_clients = self.by_client.above(own.max(share));
        if let Some(place) = larger_clients.find_map(|clients| self.first_of_clients(clients)) {
            return Some(place);
        }
        let mut larger_networks = self.by_network.above(of_network.max(share_of_network));
        if let Some(place) = larger_networks.find_map(|networks| self.first_of_networks(networks, now)) {
            return Some(place);
        }
        let next = if own >= share {
            self.first_of_clients([client])
        } else if of_network >= share_of_network {
            self.first_of_networks(network, now)
        } else {
            self.first_of_all(now)
        };
        next.or_else(|| self.first_of_clients([Client::Trusted]))
    }

    /// The connection of these clients that is evicted first: rule 7.
    pub(super) fn first_of_clients(&self, clients: impl IntoIterator<Item = Client>) -> Option<Place> {
        let clients = clients.into_iter();
        let connections = clients.flat_map(|client| self.clients.get_key_value(&client).into_iter());
        let standing = |standing: Standing| (standing != Standing::Busy).then_some(standing);
        first(connections, standing)
    }

    /// The connection of these networks that is evicted first: rule 8.
    fn first_of_networks(&self, networks: impl IntoIterator<Item = Network>, now: Instant) -> Option<Place> {
        let connections = networks.into_iter().flat_map(|network| {
            let (first, last) = network.bounds();
            self.clients.range(first..=last)
        });
        first(connections, |standing| standing.silence(now))
    }

    /// The connection of all clients that is evicted first, without the group of trusted peers: rule 8.
    fn first_of_all(&self, now: Instant) -> Option<Place> {
        let connections = self
            .clients
            .range((Bound::Unbounded, Bound::Excluded(Client::Trusted)));
        first(connections, |standing| standing.silence(now))
    }
}

/// The connection with the smallest rank. Connections without a rank are not evicted.
fn first<'a, C: Holder + 'a, R: Ord>(
    clients: impl Iterator<Item = (&'a Client, &'a BTreeMap<u64, C>)>,
    rank: impl Fn(Standing) -> Option<R>,
) -> Option<Place> {
    let connections = clients.flat_map(|(client, connections)| {
        connections
            .iter()
            .map(move |(number, connection)| (*client, *number, connection))
    });
    connections
        .take(MAX_EXAMINED)
        .filter_map(|(client, number, connection)| {
            Some((rank(connection.standing())?, Place { client, number }))
        })
        .min_by(|(one, _), (other, _)| one.cmp(other))
        .map(|(_, place)| place)
}
