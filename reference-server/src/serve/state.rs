//! The state that all connections of a server share: limits, places, counts, and the stage of its life.

use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::watch;
use tower_session_auth::master_auth::TrustedProxies;

use super::{
    connection::Connection,
    counters::{Closed, Counters},
    http_limits,
    listener::Peer,
    log_rate::LogRate,
    places::{Client, Evicted, Full, HeldPlace, SharedPlaces},
};
use crate::{config::Limits, tls::CurrentCertificate};

/// The number of connections above the maximum. They are for health checks and administrators.
pub(super) const RESERVE: usize = 64;
/// The number of them that one client can have.
const RESERVE_PER_CLIENT: usize = 8;
/// The time for the head of a request on a connection of the reserve.
const RESERVE_HEAD: Duration = Duration::from_secs(1);

/// The stage of a server's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// The server serves.
    Serving,
    /// The server serves, and announces that it will stop.
    Stopping,
    /// The listeners are closed, and connections end after their requests.
    Closing,
    /// All connections end at once.
    Ended,
}

/// The state of one server.
pub(crate) struct ServerState {
    pub(super) limits: Limits,
    pub(super) counters: Arc<Counters>,
    pub(super) stage: watch::Sender<Stage>,
    pub(super) http: http_limits::Builder,
    certificate: Option<CurrentCertificate>,
    proxies: TrustedProxies,
    places: Arc<SharedPlaces<Arc<Connection>>>,
    reserve: Arc<SharedPlaces<Arc<Connection>>>,
    refusals: LogRate,
    evictions: LogRate,
}

impl ServerState {
    /// The networks of `proxies` can be replaced while the server runs.
    pub(crate) fn new(
        limits: Limits,
        proxies: TrustedProxies,
        certificate: Option<CurrentCertificate>,
    ) -> Arc<Self> {
        Arc::new(Self {
            limits,
            counters: Arc::default(),
            stage: watch::Sender::new(Stage::Serving),
            http: http_limits::builder(&limits),
            certificate,
            proxies,
            places: SharedPlaces::new(limits.connections, limits.connections_per_client),
            reserve: SharedPlaces::new(RESERVE, RESERVE_PER_CLIENT),
            refusals: LogRate::default(),
            evictions: LogRate::default(),
        })
    }

    /// The counts of connections and refused requests.
    pub(crate) fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    pub(super) const fn proxies(&self) -> &TrustedProxies {
        &self.proxies
    }

    pub(super) fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// Waits while too many evicted connections are not closed yet.
    pub(super) async fn eviction_capacity(&self) {
        self.places.eviction_capacity().await;
        self.reserve.eviction_capacity().await;
    }

    /// Finds a place for a connection: among all, or in the reserve. `None` if there is none.
    pub(super) fn admit(&self, connection: &Arc<Connection>) -> Option<HeldPlace<Arc<Connection>>> {
        let client = self.client(connection.peer());
        let (place, evicted) = match self.places.admit(client, connection.clone()) {
            Ok(admitted) => admitted,
            Err(full) => {
                self.refused(full, connection.peer());
                connection.move_to_reserve();
                let admitted = self.reserve.admit(client, connection.clone());
                if admitted.is_err() {
                    self.counters.refused_reserve_full.add();
                }
                admitted.ok()?
            }
        };
        if let Some(evicted) = evicted {
            self.evict(&evicted);
        }
        Some(place)
    }

    fn refused(&self, full: Full, peer: Peer) {
        let (count, limit) = match full {
            Full::Server => (&self.counters.refused_server_full, "max_connections"),
            Full::Client => (&self.counters.refused_client_full, "max_connections_per_client"),
        };
        count.add();
        if let Some(refused) = self.refusals.count() {
            tracing::warn!(refused, limit, %peer, "connections are refused: no other one can be evicted");
        }
    }

    /// Ends a connection that has lost its place to another one.
    fn evict(
        &self,
        Evicted {
            connection,
            has_grace,
        }: &Evicted<Arc<Connection>>,
    ) {
        connection.end(Closed::Evicted, *has_grace);
        if let Some(evicted) = self.evictions.count() {
            tracing::warn!(
                evicted,
                peer = %connection.peer(),
                "a limit of connections is reached: the longest idle ones are evicted"
            );
        }
    }

    /// The certificate for connections of this peer. A Unix socket has no TLS.
    pub(super) const fn certificate_for(&self, peer: Peer) -> Option<&CurrentCertificate> {
        match peer {
            Peer::Tcp(_) => self.certificate.as_ref(),
            Peer::Unix => None,
        }
    }

    fn client(&self, peer: Peer) -> Client {
        match peer {
            Peer::Unix => Client::Trusted,
            Peer::Tcp(address) if self.proxies.contains(address.ip()) => Client::Trusted,
            Peer::Tcp(address) => Client::of(address.ip()),
        }
    }

    /// The limits of a connection of the reserve.
    pub(super) fn reserve_limits(&self) -> Limits {
        Limits {
            head: self.limits.head.min(RESERVE_HEAD),
            idle: self.limits.idle.min(RESERVE_HEAD),
            ..self.limits
        }
    }
}

impl fmt::Debug for ServerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerState")
            .field("limits", &self.limits)
            .field("stage", &self.stage())
            .finish_non_exhaustive()
    }
}
