//! The listener of `metrics_listen`: `/metrics` for a scraper, without credentials.
//!
//! Each connection serves one request, within [`CONNECTION_LIMIT`]. The rules of [places](SharedPlaces) apply: when all
//! places are in use, the oldest connection of the client with the most is closed. So connections that send or read nothing cannot
//! keep a scraper out, and a flood from one address closes only its own connections.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep, timeout},
};
use tower_session_auth::ErrorKind;

use super::{PATH, refuse, respond};
use crate::{
    metrics::Metrics,
    serve::{Client, HeldPlace, Holder, SharedPlaces, Standing},
};

/// The number of connections at once, and of those of one client.
const CONNECTIONS: usize = 16;
const CONNECTIONS_PER_CLIENT: usize = 8;
/// The time limit of a connection.
const CONNECTION_LIMIT: Duration = Duration::from_secs(10);
/// The largest head of a request, in bytes. hyper needs at least 8 KiB.
const MAX_HEAD: usize = 16 * 1024;
/// The pause after a failed accept, for example because of too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A running listener. It ends, with its connections, when it is dropped.
pub(crate) struct MetricsListener(JoinHandle<()>);

impl MetricsListener {
    /// Binds the address and serves the metrics.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub(crate) async fn start(address: SocketAddr, metrics: Metrics) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        tracing::info!(address = %listener.local_addr()?, "listening for /metrics");
        Ok(Self(tokio::spawn(accept_all(listener, metrics))))
    }
}

impl Drop for MetricsListener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// One connection.
struct Scrape {
    opened: Instant,
    /// True after its request was read.
    has_request: AtomicBool,
    /// Notified when the connection has lost its place.
    must_end: Notify,
}

impl Holder for Arc<Scrape> {
    fn standing(&self) -> Standing {
        if self.has_request.load(Relaxed) {
            Standing::WaitingForClient(self.opened)
        } else {
            Standing::ReadingHead(self.opened)
        }
    }
}

async fn accept_all(listener: TcpListener, metrics: Metrics) {
    let places = SharedPlaces::new(CONNECTIONS, CONNECTIONS_PER_CLIENT);
    // The connections end when this is dropped.
    let mut serving = JoinSet::new();
    loop {
        while serving.try_join_next().is_some() {}
        places.eviction_capacity().await;
        match listener.accept().await {
            Ok((stream, peer)) => {
                let scrape = Arc::new(Scrape {
                    opened: Instant::now(),
                    has_request: AtomicBool::new(false),
                    must_end: Notify::new(),
                });
                // None of these connections is ever busy, so one of them can always be evicted.
                if let Ok((place, evicted)) = places.admit(Client::of(peer.ip()), scrape.clone()) {
                    if let Some(evicted) = evicted {
                        evicted.connection.must_end.notify_one();
                    }
                    serving.spawn(serve(stream, scrape, metrics.clone(), place));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection for /metrics");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, scrape: Arc<Scrape>, metrics: Metrics, _place: HeldPlace<Arc<Scrape>>) {
    let service = service_fn(|request: Request<Incoming>| {
        scrape.has_request.store(true, Relaxed);
        let response = if request.uri().path() == PATH {
            respond(&metrics, &request)
        } else {
            refuse(ErrorKind::NotFound, &request)
        };
        async { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let ended = tokio::select! {
        ended = timeout(CONNECTION_LIMIT, connection) => ended,
        () = scrape.must_end.notified() => return,
    };
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "connection for /metrics ended"),
        Err(_) => tracing::debug!("connection for /metrics exceeded its time limit"),
    }
}
