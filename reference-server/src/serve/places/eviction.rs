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

/// One search for a connection to evict.
struct Search {
    now: Instant,
    /// The number of connections that it can still examine.
    left: usize,
    /// The client of the last one.
    last: Option<Client>,
}

impl<C: Holder> Places<C> {
    /// The connection that is evicted for a new one of this client, when all places are taken.
    pub(super) fn evicted_for(&mut self, client: Client, now: Instant) -> Option<Place> {
        let mut search = Search {
            now,
            left: MAX_EXAMINED,
            last: None,
        };
        let share = (self.max / SHARES).clamp(1, MAX_SHARE);
        let share_of_network = share * SHARES_OF_NETWORK;
        let network = client.network();
        // Trusted peers have no count.
        let own = self.by_client.of(client);
        let of_network = network.map_or(0, |network| self.by_network.of(network));

        let mut of_clients = self.by_client.above(own.max(share));
        let found = of_clients.find_map(|clients| self.first_of_clients(clients, &mut search));
        drop(of_clients);
        if found.is_some() {
            return found;
        }
        let mut of_networks = self.by_network.above(of_network.max(share_of_network));
        let found = of_networks.find_map(|networks| self.first_of_networks(networks, &mut search));
        drop(of_networks);
        if found.is_some() {
            return found;
        }
        let next = if own >= share {
            self.first_of_clients([client], &mut search)
        } else if of_network >= share_of_network {
            self.first_of_networks(network, &mut search)
        } else {
            self.first_of_all(&mut search)
        };
        next.or_else(|| self.first_of_clients([Client::Trusted], &mut search))
    }

    /// The connection of this client that is evicted first: rule 7.
    pub(super) fn first_of(&self, client: Client, now: Instant) -> Option<Place> {
        let mut search = Search {
            now,
            left: MAX_EXAMINED,
            last: None,
        };
        self.first_of_clients([client], &mut search)
    }

    /// The connection of these clients that is evicted first: rule 7.
    fn first_of_clients(
        &self,
        clients: impl IntoIterator<Item = Client>,
        search: &mut Search,
    ) -> Option<Place> {
        let clients = clients.into_iter();
        let connections = clients.flat_map(|client| self.clients.get_key_value(&client).into_iter());
        search.first(connections, |standing| {
            (standing != Standing::Busy).then_some(standing)
        })
    }

    /// The connection of these networks that is evicted first: rule 8.
    fn first_of_networks(
        &self,
        networks: impl IntoIterator<Item = Network>,
        search: &mut Search,
    ) -> Option<Place> {
        let connections = networks.into_iter().flat_map(|network| {
            let (first, last) = network.bounds();
            self.clients.range(first..=last)
        });
        let now = search.now;
        search.first(connections, |standing| standing.silence(now))
    }

    /// The connection of all clients that is evicted first, without the group of trusted peers: rule 8. A search begins where the
    /// last one ended, so that no client is left out because of its address.
    fn first_of_all(&mut self, search: &mut Search) -> Option<Place> {
        let trusted = Bound::Excluded(Client::Trusted);
        let begin = self.examined.take();
        let rest = begin.map_or(Bound::Unbounded, Bound::Excluded);
        let connections = self.clients.range((rest, trusted));
        let before = begin.into_iter().flat_map(|begin| self.clients.range(..=begin));
        let now = search.now;
        let found = search.first(connections.chain(before), |standing| standing.silence(now));
        self.examined = search.last.filter(|last| *last != Client::Trusted);
        found
    }
}

impl Search {
    /// The connection with the smallest rank. Connections without a rank are not evicted.
    fn first<'a, C: Holder + 'a, R: Ord>(
        &mut self,
        clients: impl Iterator<Item = (&'a Client, &'a BTreeMap<u64, C>)>,
        rank: impl Fn(Standing) -> Option<R>,
    ) -> Option<Place> {
        let mut best: Option<(R, Place)> = None;
        let connections = clients.flat_map(|(client, connections)| {
            connections
                .iter()
                .map(move |(number, connection)| (*client, *number, connection))
        });
        for (client, number, connection) in connections.take(self.left) {
            self.left -= 1;
            self.last = Some(client);
            if let Some(rank) = rank(connection.standing())
                && best.as_ref().is_none_or(|(least, _)| rank < *least)
            {
                best = Some((rank, Place { client, number }));
            }
        }
        best.map(|(_, place)| place)
    }
}
