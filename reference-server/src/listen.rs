//! Connections (HTTP/1.1): accepting, limiting and draining them.

use std::{convert::Infallible, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tower::{BoxError, Layer, Service};
use tower_session_auth::master_auth::{ClientAddrLayer, TrustedProxies};

use crate::config::Limits;

/// The pause after a failed accept, for example because of too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves connections until `stop` resolves. Then it closes the listener and drains the open connections within their time limit.
pub(crate) async fn listen<S, ResBody>(
    listener: TcpListener,
    service: S,
    proxies: &TrustedProxies,
    limits: Limits,
    stop: impl Future<Output = ()>,
) where
    S: Service<Request<Incoming>, Response = Response<ResBody>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
    ResBody: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.head);
    let places = Arc::new(Semaphore::new(limits.connections));
    let running = GracefulShutdown::new();
    let mut stop = pin!(stop);

    loop {
        let (permit, (stream, peer)) = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &places) => match accepted {
                Some(accepted) => accepted,
                None => continue,
            },
        };
        let client_addr = ClientAddrLayer::new(peer.ip()).trusted_proxies(proxies.clone());
        let service = client_addr.layer(service.clone());
        let http = http.clone();
        let watcher = running.watcher();
        tokio::spawn(async move {
            let _permit = permit;
            let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
            if let Err(error) = watcher.watch(connection).await {
                tracing::debug!(%error, %peer, "connection ended");
            }
        });
    }

    drop(listener);
    if timeout(limits.shutdown, running.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
}

type Accepted = (OwnedSemaphorePermit, (TcpStream, SocketAddr));

/// Accepts the next connection after a place is free.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<Accepted> {
    let permit = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            // Answers are small: the kernel must not delay them (Nagle's algorithm).
            let _ = stream.set_nodelay(true);
            Some((permit, (stream, peer)))
        }
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}
