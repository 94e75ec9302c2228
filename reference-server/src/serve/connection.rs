//! One connection, from its acceptance to its end.

use std::{
    convert::Infallible,
    future::poll_fn,
    net::IpAddr,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Body;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, sleep_until, timeout},
};
use tower::{BoxError, Service};
use tower_session_auth::master_auth::ClientAddr;

use super::{
    activity::{Activity, Timeout},
    io::{Io, ObservedIo},
    listener::Peer,
    places::{Holder, Standing},
    requests::{ObservedService, RequestBody},
    state::{HeldPlace, ServerState, Stage},
};
use crate::config::Limits;

/// The time in which an idle connection must end after it was told to. An HTTP/2 client answers a ping in it.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// One connection. Its driver, its I/O, its requests and the places share it.
pub(crate) struct Connection {
    state: Arc<ServerState>,
    peer: Peer,
    activity: Mutex<Activity>,
    in_reserve: AtomicBool,
    /// Notified when the connection has lost its place, or when its client misbehaves.
    must_end: Notify,
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
            must_end: Notify::new(),
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
        let peer: IpAddr = self.peer.ip();
        ClientAddr(self.state.proxies().client(peer, headers))
    }

    pub(super) fn move_to_reserve(&self) {
        self.in_reserve.store(true, Relaxed);
    }

    /// True if the connection has only a place in the reserve.
    pub(super) fn is_in_reserve(&self) -> bool {
        self.in_reserve.load(Relaxed)
    }

    /// True if the connection ends after the response that is sent now.
    pub(super) fn ends_soon(&self) -> bool {
        self.is_in_reserve() || self.activity().is_aged() || self.state.stage() != Stage::Serving
    }

    /// The connection has lost its place to another one.
    pub(super) fn evict(&self) {
        self.state.counters.evicted.add();
        self.end();
    }

    /// Tells the driver to end the connection.
    pub(super) fn end(&self) {
        self.must_end.notify_one();
    }

    fn limits(&self) -> Limits {
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
    }
}

/// Serves a connection until its end. `_running` is dropped at its end.
pub(super) async fn drive<S, ResBody>(
    connection: Arc<Connection>,
    io: Box<dyn Io>,
    service: S,
    _place: HeldPlace,
    _running: mpsc::Sender<()>,
) where
    S: Service<
            Request<RequestBody>,
            Response = Response<ResBody>,
            Error = Infallible,
            Future: Send + 'static,
        > + Clone
        + Send
        + 'static,
    ResBody: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let peer = connection.peer;
    let Some(io) = handshake(&connection, io).await else {
        return;
    };
    let io = TokioIo::new(ObservedIo::new(io, connection.clone()));
    let service = TowerToHyperService::new(ObservedService::new(service, connection.clone()));
    let limits = connection.limits();
    let state = connection.state.clone();
    let mut http = pin!(state.http.serve_connection(io, service));
    let mut alarm = pin!(sleep_until(Instant::now() + limits.head));
    let mut stage = state.stage.subscribe();
    let mut reached = Stage::Serving;
    let mut ending = false;
    let mut ending_http2 = false;

    loop {
        let event = tokio::select! {
            biased;
            event = poll_fn(|cx| {
                if let Poll::Ready(result) = http.as_mut().poll(cx) {
                    return Poll::Ready(Event::Ended(result));
                }
                let activity = connection.activity();
                // HTTP/1.1 is told by a header of the response.
                if !ending_http2 && activity.is_http2() && connection.is_in_reserve() {
                    return Poll::Ready(Event::LastRequest);
                }
                let (deadline, timeout) = activity.deadline(&limits);
                drop(activity);
                if alarm.deadline() != deadline {
                    alarm.as_mut().reset(deadline);
                }
                alarm.as_mut().poll(cx).map(|()| Event::Due(timeout))
            }) => event,
            () = connection.must_end.notified(), if !ending => Event::MustEnd,
            next = stage.wait_for(|stage| *stage > reached) => Event::Stage(next.map_or(Stage::Ended, |stage| *stage)),
        };
        let now = Instant::now();
        match event {
            Event::Ended(result) => {
                if let Err(error) = result {
                    tracing::debug!(error, %peer, "connection ended");
                }
                return;
            }
            Event::Due(timeout) => {
                state.counters.timed_out(timeout);
                tracing::debug!(?timeout, %peer, "connection timed out");
                match timeout {
                    Timeout::Idle => {
                        connection.activity().end_after_requests(now + CLOSE_GRACE);
                        http.as_mut().graceful_shutdown();
                    }
                    Timeout::Age => {
                        connection.activity().age();
                        if connection.activity().is_http2() {
                            http.as_mut().graceful_shutdown();
                        }
                    }
                    Timeout::Header | Timeout::Write | Timeout::Linger | Timeout::End => return,
                }
            }
            Event::MustEnd => {
                ending = true;
                let mut activity = connection.activity();
                if activity.resets_rapidly() {
                    state.counters.rapid_resets.add();
                    return;
                }
                match activity.standing() {
                    Standing::Idle(_) => activity.end_at(now + CLOSE_GRACE),
                    // A request has come in the meantime: it is answered.
                    Standing::Busy => {
                        activity.age();
                        activity.end_at(now + limits.request);
                    }
                    Standing::ReadingHead(_) | Standing::WaitingForClient(_) => return,
                }
                drop(activity);
                http.as_mut().graceful_shutdown();
            }
            Event::LastRequest => {
                ending_http2 = true;
                http.as_mut().graceful_shutdown();
            }
            Event::Stage(Stage::Ended) => return,
            Event::Stage(next) => {
                reached = next;
                if next == Stage::Closing {
                    let standing = connection.activity().standing();
                    match standing {
                        // A request is on its way: it is answered if it arrives soon.
                        Standing::ReadingHead(_) => {
                            connection.activity().end_after_requests(now + CLOSE_GRACE)
                        }
                        Standing::Idle(_) | Standing::Busy | Standing::WaitingForClient(_) => {
                            http.as_mut().graceful_shutdown();
                        }
                    }
                }
            }
        }
    }
}

enum Event {
    Ended(Result<(), BoxError>),
    Due(Timeout),
    MustEnd,
    LastRequest,
    Stage(Stage),
}

/// Performs the TLS handshake, if there is a certificate. A Unix socket has no TLS.
async fn handshake(connection: &Connection, io: Box<dyn Io>) -> Option<Box<dyn Io>> {
    let state = &connection.state;
    let certificate = match connection.peer {
        Peer::Tcp(_) => state.certificate.as_ref(),
        Peer::Unix => None,
    };
    let Some(certificate) = certificate else {
        return Some(io);
    };
    let mut stage = state.stage.subscribe();
    let accepted = tokio::select! {
        accepted = timeout(connection.limits().head, certificate.acceptor().accept(io)) => accepted,
        () = connection.must_end.notified() => return None,
        _ = stage.wait_for(|stage| *stage == Stage::Ended) => return None,
    };
    match accepted {
        Ok(Ok(io)) => {
            connection.activity().handshake_done(Instant::now());
            Some(Box::new(io))
        }
        Ok(Err(error)) => {
            state.counters.tls_failures.add();
            tracing::debug!(%error, peer = %connection.peer, "TLS handshake failed");
            None
        }
        Err(_) => {
            state.counters.timed_out(Timeout::Header);
            None
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
