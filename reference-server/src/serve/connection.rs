//! The state of one connection.

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use http::HeaderMap;
use tokio::{sync::Notify, time::Instant};
use tower_session_auth::master_auth::ClientAddr;

use super::{
    activity::Activity,
    counters::Closed,
    in_flight::InFlight,
    listener::Peer,
    places::{Holder, Standing},
    state::{ServerState, Stage},
};
use crate::config::Limits;

/// One connection. Its driver, its I/O, its requests and the places share it.
pub(crate) struct Connection {
    state: Arc<ServerState>,
    peer: Peer,
    activity: Mutex<Activity>,
    in_reserve: AtomicBool,
    /// Requests with a master password. They are counted in the reserve only.
    with_password: Arc<InFlight>,
    /// Notified when the connection has lost its place, or when its client misbehaves.
    must_end: Notify,
    /// True if it must then be closed at once.
    ends_at_once: AtomicBool,
    /// The first reason to close the connection. It is counted at the end, so that each connection is counted once.
    closed: OnceLock<Closed>,
}

impl Connection {
    pub(super) fn new(state: Arc<ServerState>, peer: Peer) -> Arc<Self> {
        state.counters.accepted.add();
        state.counters.open.add();
        Arc::new(Self {
            state,
            peer,
            activity: Mutex::new(Activity::new(Instant::now())),
            in_reserve: AtomicBool::new(false),
            with_password: Arc::default(),
            must_end: Notify::new(),
            ends_at_once: AtomicBool::new(false),
            closed: OnceLock::new(),
        })
    }

    pub(super) const fn peer(&self) -> Peer {
        self.peer
    }

    pub(super) fn activity(&self) -> MutexGuard<'_, Activity> {
        self.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client of a request with these headers.
    pub(super) fn client_of(&self, headers: &HeaderMap) -> ClientAddr {
        ClientAddr(self.state.proxies().client(self.peer.ip(), headers))
    }

    pub(super) fn move_to_reserve(&self) {
        self.in_reserve.store(true, Relaxed);
    }

    /// True if the connection has only a place in the reserve.
    pub(super) fn is_in_reserve(&self) -> bool {
        self.in_reserve.load(Relaxed)
    }

    pub(super) const fn with_password(&self) -> &Arc<InFlight> {
        &self.with_password
    }

    /// True if the connection ends after the response that is sent now.
    pub(super) fn ends_soon(&self) -> bool {
        self.is_in_reserve() || self.activity().is_aged() || self.state.stage() != Stage::Serving
    }

    /// Tells the driver to end the connection. Without grace, it is closed at once.
    pub(super) fn end(&self, reason: Closed, has_grace: bool) {
        self.set_close_reason(reason);
        if !has_grace {
            self.ends_at_once.store(true, Relaxed);
        }
        self.must_end.notify_one();
    }

    /// True if the connection has no time to end.
    pub(super) fn ends_at_once(&self) -> bool {
        self.ends_at_once.load(Relaxed)
    }

    /// Sets the reason for which the connection is closed. A later one is a consequence of the first.
    pub(super) fn set_close_reason(&self, reason: Closed) {
        let _ = self.closed.set(reason);
    }

    /// Resolves after a call of [`end`](Self::end).
    pub(super) async fn told_to_end(&self) {
        self.must_end.notified().await;
    }

    pub(super) const fn state(&self) -> &Arc<ServerState> {
        &self.state
    }

    /// The limits of this connection.
    pub(super) fn limits(&self) -> Limits {
        if self.is_in_reserve() {
            self.state.reserve_limits()
        } else {
            self.state.limits
        }
    }
}

impl Holder for Arc<Connection> {
    fn standing(&self) -> Standing {
        self.activity().standing()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.state.counters.open.subtract();
        if let Some(reason) = self.closed.get() {
            self.state.counters.closed(*reason);
        }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
