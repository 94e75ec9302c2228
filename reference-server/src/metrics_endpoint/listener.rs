//! The listener of `metrics_listen`: `/metrics` for a scraper, without credentials.
//!
//! Each connection serves one request, within [`CONNECTION_LIMIT`]. When all places are in use, the oldest connection is closed, so
//! connections that send or read nothing cannot keep a scraper out.

use std::{collections::VecDeque, convert::Infallible, io, net::SocketAddr, time::Duration};

use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinHandle},
    time::{sleep, timeout},
};
use tower_session_auth::ErrorKind;

use super::{PATH, refuse, respond};
use crate::metrics::Metrics;

/// The number of connections at once.
const CONNECTIONS: usize = 16;
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

/// The open connections, oldest first. They end when this is dropped.
#[derive(Default)]
struct Connections(VecDeque<AbortHandle>);

impl Connections {
    fn add(&mut self, connection: AbortHandle) {
        self.0.retain(|connection| !connection.is_finished());
        if self.0.len() >= CONNECTIONS
            && let Some(oldest) = self.0.pop_front()
        {
            oldest.abort();
        }
        self.0.push_back(connection);
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

async fn accept_all(listener: TcpListener, metrics: Metrics) {
    let mut connections = Connections::default();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let serving = tokio::spawn(serve(stream, metrics.clone()));
                connections.add(serving.abort_handle());
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection for /metrics");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, metrics: Metrics) {
    let service = service_fn(move |request: Request<Incoming>| {
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
    match timeout(CONNECTION_LIMIT, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "connection for /metrics ended"),
        Err(_) => tracing::debug!("connection for /metrics exceeded its time limit"),
    }
}
