//! The address of a request's client.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, request::Parts};
use tower::{Layer, Service};

use super::TrustedProxies;

/// The address of a request's client, a request extension. [`MasterAuthLayer`](super::MasterAuthLayer) counts failures by it.
///
/// [`ClientAddrLayer`] sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddr(pub IpAddr);

impl ClientAddr {
    /// The unit in which clients are counted: an IPv4 address, or the /64 network of an IPv6 address. The owner of an IPv6 address
    /// usually controls its whole /64 network. An IPv4-mapped IPv6 address counts as its IPv4 address.
    ///
    /// ```
    /// use std::net::IpAddr;
    ///
    /// use tower_session_auth::master_auth::ClientAddr;
    ///
    /// # fn main() -> Result<(), std::net::AddrParseError> {
    /// let client = ClientAddr("2001:db8::1".parse()?);
    /// assert_eq!(client.network(), "2001:db8::".parse::<IpAddr>()?);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn network(self) -> IpAddr {
        const HOSTS: u128 = u128::MAX >> 64;
        match self.0.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !HOSTS)),
        }
    }
}

/// Sets the [`ClientAddr`] of each request. Place it outside of [`MasterAuthLayer`](super::MasterAuthLayer).
///
/// # hyper
///
/// Create one layer per accepted connection:
///
/// ```
/// use std::net::SocketAddr;
///
/// use tower::Layer;
/// use tower_session_auth::master_auth::ClientAddrLayer;
///
/// # let (service, peer) = ((), SocketAddr::from(([192, 0, 2, 1], 4711)));
/// // let (stream, peer) = listener.accept().await?;
/// let service = ClientAddrLayer::new(peer.ip()).layer(service);
/// # let _ = service;
/// ```
///
/// # axum
///
/// Serve the router with connect info, and read the address from it:
///
/// ```
/// use std::net::SocketAddr;
///
/// use axum::{Router, extract::ConnectInfo, routing::get};
/// use tower_session_auth::master_auth::ClientAddrLayer;
///
/// let client_addr = ClientAddrLayer::from_request(|request| {
///     let peer = request.extensions.get::<ConnectInfo<SocketAddr>>();
///     peer.map(|ConnectInfo(peer)| peer.ip())
/// });
/// let app = Router::<()>::new()
///     .route("/admin", get(|| async { "admin" }))
///     // .route_layer(MasterAuthLayer::new(&hash)?)
///     .layer(client_addr);
/// let make_service = app.into_make_service_with_connect_info::<SocketAddr>();
/// // axum::serve(listener, make_service).await?;
/// # let _ = make_service;
/// ```
///
/// # Behind a proxy
///
/// The peer of the connection is then the proxy. [`trusted_proxies`](Self::trusted_proxies) takes the client's address from
/// `X-Forwarded-For`. Otherwise all clients share the proxy's address, and wrong passwords from one client lock out all
/// clients.
#[derive(Clone)]
pub struct ClientAddrLayer {
    peer: Peer,
    proxies: TrustedProxies,
}

#[derive(Clone)]
enum Peer {
    Fixed(IpAddr),
    FromRequest(Arc<PeerOfRequest>),
}

type PeerOfRequest = dyn Fn(&Parts) -> Option<IpAddr> + Send + Sync;

impl ClientAddrLayer {
    /// Creates a layer for the requests of one connection. `peer` is the remote address of that connection.
    #[must_use]
    pub fn new(peer: IpAddr) -> Self {
        Self {
            peer: Peer::Fixed(peer),
            proxies: TrustedProxies::none(),
        }
    }

    /// Creates a layer that finds the remote address in the request, for example in its extensions.
    ///
    /// When `peer` returns `None`, the request gets no [`ClientAddr`] from this layer.
    #[must_use]
    pub fn from_request(peer: impl Fn(&Parts) -> Option<IpAddr> + Send + Sync + 'static) -> Self {
        Self {
            peer: Peer::FromRequest(Arc::new(peer)),
            proxies: TrustedProxies::none(),
        }
    }

    /// Sets the proxies whose `X-Forwarded-For` is read. Default: none.
    #[must_use]
    pub fn trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.proxies = proxies;
        self
    }

    fn client(&self, request: &Parts) -> Option<ClientAddr> {
        let peer = match &self.peer {
            Peer::Fixed(peer) => *peer,
            Peer::FromRequest(peer) => peer(request)?,
        };
        Some(ClientAddr(self.proxies.client(peer, &request.headers)))
    }
}

impl<S> Layer<S> for ClientAddrLayer {
    type Service = SetClientAddr<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SetClientAddr {
            layer: self.clone(),
            inner,
        }
    }
}

/// The service of [`ClientAddrLayer`].
#[derive(Clone)]
pub struct SetClientAddr<S> {
    layer: ClientAddrLayer,
    inner: S,
}

impl<S, B> Service<Request<B>> for SetClientAddr<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        if let Some(client) = self.layer.client(&parts) {
            parts.extensions.insert(client);
        }
        self.inner.call(Request::from_parts(parts, body))
    }
}

impl fmt::Debug for ClientAddrLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peer = match &self.peer {
            Peer::Fixed(peer) => Some(peer),
            Peer::FromRequest(_) => None,
        };
        f.debug_struct("ClientAddrLayer")
            .field("peer", &peer)
            .field("proxies", &self.proxies)
            .finish()
    }
}

impl<S> fmt::Debug for SetClientAddr<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetClientAddr").finish_non_exhaustive()
    }
}
