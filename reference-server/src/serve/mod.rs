//! Connections: accepting, limiting, serving and draining them.
//!
//! | module | content |
//! |---|---|
//! | `listener` | TCP and Unix sockets, host names, socket activation |
//! | `state` | what all connections share |
//! | `places` | rules: which connection gets a place, and which one is evicted |
//! | `connection` | the state of one connection |
//! | `driver` | drives one connection: handshake, HTTP, deadlines, drain |
//! | `activity` | rules: what a connection does, and when its time is over |
//! | `io`, `requests` | report the events of a connection to its activity |
//! | `discard` | reads the rest of a refused HTTP/2 request |
//! | `http_limits` | the limits that hyper enforces |
//! | `admission`, `in_flight` | which requests are served |
//! | `file_limit` | the limit of open files |
//! | `refuse`, `log_rate`, `counters` | refused connections: answers, log, counts |

mod activity;
mod admission;
mod connection;
mod counters;
mod discard;
mod driver;
mod file_limit;
mod http_limits;
mod in_flight;
mod io;
mod listener;
mod log_rate;
mod places;
mod refuse;
mod requests;
mod state;

pub(crate) use admission::{Admit, Refuse};
pub use counters::Counters;
pub use file_limit::raise_file_limit;
pub use listener::{Inherited, Listener, inherited};
pub(crate) use places::{Client, HeldPlace, Holder, SharedPlaces, Standing};
pub(crate) use requests::RequestBody;
pub(crate) use state::ServerState;

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{sleep, timeout},
};
use tower::{BoxError, Service};
use tower_session_auth::ErrorKind;

use self::{connection::Connection, io::Io, listener::Accepted, state::Stage};

/// The pause after a failed accept, for example because of too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves connections until `stop` resolves. Then it drains them:
///
/// 1. For `shutdown_delay_ms`, everything is served as before, but `/readyz` is a 503, and HTTP/1.1 responses have
///    `Connection: close`.
/// 2. The listeners close, after they have accepted the connections that wait. HTTP/2 clients get `GOAWAY`. Idle connections
///    close.
/// 3. Requests in flight have `shutdown_timeout_ms` to finish.
pub(crate) async fn serve<S, ResBody>(
    listeners: Vec<Listener>,
    service: S,
    state: Arc<ServerState>,
    stop: impl Future<Output = ()>,
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
    let _end = EndOnDrop(state.clone());
    let refusal: Arc<[u8]> = refuse::response(ErrorKind::Overloaded).await.into();
    // Every connection holds a clone of `running`.
    let (running, mut all_ended) = mpsc::channel(1);
    let mut accepting = JoinSet::new();
    for listener in listeners {
        let connections = Connections {
            service: service.clone(),
            state: state.clone(),
            refusal: refusal.clone(),
            running: running.clone(),
        };
        accepting.spawn(connections.accept_from(listener));
    }
    drop((running, service));
    stop.await;

    if !state.limits.shutdown_delay.is_zero() {
        state.stage.send_replace(Stage::Stopping);
        sleep(state.limits.shutdown_delay).await;
    }
    state.stage.send_replace(Stage::Closing);
    while accepting.join_next().await.is_some() {}
    if timeout(state.limits.shutdown, all_ended.recv()).await.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
}

/// Ends all connections when the server ends, also when its future is dropped.
struct EndOnDrop(Arc<ServerState>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.stage.send_replace(Stage::Ended);
    }
}

/// Accepts the next connection, as soon as the limit of open files allows it.
async fn next(state: &ServerState, listener: &Listener) -> std::io::Result<Accepted> {
    state.eviction_capacity().await;
    listener.accept().await
}

/// Starts the connections of one listener.
struct Connections<S> {
    service: S,
    state: Arc<ServerState>,
    /// The response for connections without a place.
    refusal: Arc<[u8]>,
    running: mpsc::Sender<()>,
}

impl<S, ResBody> Connections<S>
where
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
    async fn accept_from(self, listener: Listener) {
        let mut stage = self.state.stage.subscribe();
        loop {
            let accepted = tokio::select! {
                biased;
                _ = stage.wait_for(|stage| *stage >= Stage::Closing) => break,
                accepted = next(&self.state, &listener) => accepted,
            };
            match accepted {
                Ok(accepted) => {
                    if let Some(io) = self.start(accepted) {
                        refuse::refuse(io, &self.refusal).await;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // The kernel has accepted these connections already. If the listener were closed before, they would be reset.
        while let Ok(Ok(accepted)) = timeout(Duration::ZERO, next(&self.state, &listener)).await {
            if let Some(io) = self.start(accepted) {
                refuse::refuse(io, &self.refusal).await;
            }
        }
    }

    /// Starts a connection. Without a place for it, returns it for a response in plain text.
    fn start(&self, Accepted { io, peer }: Accepted) -> Option<Box<dyn Io>> {
        let connection = Connection::new(self.state.clone(), peer);
        match self.state.admit(&connection) {
            Some(place) => {
                let (service, running) = (self.service.clone(), self.running.clone());
                tokio::spawn(driver::drive(connection, io, service, place, running));
                None
            }
            // A TLS client would not understand the response.
            None if self.state.certificate_for(peer).is_some() => None,
            None => Some(io),
        }
    }
}
