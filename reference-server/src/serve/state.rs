//! The state that all connections of a server share: limits, places, counts, and the stage of its life.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;
use tower_session_auth::master_auth::TrustedProxies;

use super::{
    connection::Connection,
    counters::Counters,
    http_limits,
    listener::Peer,
    log_rate::LogRate,
    places::{Admission, Client, Full, Place, Places},
};
use crate::{config::Limits, tls::CurrentCertificate};

/// The number of connections above the maximum. They are for health checks and administrators.
pub(super) const RESERVE: usize = 64;
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
    pub(super) certificate: Option<CurrentCertificate>,
    proxies: TrustedProxies,
    places: Mutex<Places<Arc<Connection>>>,
    reserve: Mutex<Places<Arc<Connection>>>,
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
            places: Mutex::new(Places::new(limits.connections, limits.connections_per_client)),
            reserve: Mutex::new(Places::new(RESERVE, RESERVE)),
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

    /// Finds a place for a connection: among all, or in the reserve. `None` if there is none.
    pub(super) fn admit(self: &Arc<Self>, connection: &Arc<Connection>) -> Option<HeldPlace> {
        let client = self.client(connection.peer());
        let held = |in_reserve, place| HeldPlace {
            state: self.clone(),
            in_reserve,
            place,
        };
        let admission = lock(&self.places).admit(client, connection.clone());
        let full = match admission {
            Admission::Admitted(place) => return Some(held(false, place)),
            Admission::Replaces(place, replaced) => {
                self.evict(&replaced);
                return Some(held(false, place));
            }
            Admission::Refused(full) => full,
        };
        self.refused(full, connection.peer());
        connection.move_to_reserve();
        let admission = lock(&self.reserve).admit(client, connection.clone());
        match admission {
            Admission::Admitted(place) => Some(held(true, place)),
            Admission::Replaces(place, replaced) => {
                self.evict(&replaced);
                Some(held(true, place))
            }
            Admission::Refused(_) => {
                self.counters.refused_reserve_full.add();
                None
            }
        }
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
    fn evict(&self, connection: &Connection) {
        self.counters.evicted.add();
        connection.end();
        if let Some(evicted) = self.evictions.count() {
            tracing::warn!(
                evicted,
                peer = %connection.peer(),
                "a limit of connections is reached: the longest idle ones are evicted"
            );
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

/// A place of a connection. It is free again when this is dropped.
pub(super) struct HeldPlace {
    state: Arc<ServerState>,
    in_reserve: bool,
    place: Place,
}

impl Drop for HeldPlace {
    fn drop(&mut self) {
        let places = if self.in_reserve {
            &self.state.reserve
        } else {
            &self.state.places
        };
        lock(places).release(self.place);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for ServerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerState")
            .field("limits", &self.limits)
            .field("stage", &self.stage())
            .finish_non_exhaustive()
    }
}
