//! The extension with the client's address: set by its layer, and one warning when it is missing.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::extract::ConnectInfo;
use tracing::{Event, Level, Metadata, Subscriber, span};

use super::*;
use crate::test_support::pass;

fn forwarded_for(client: &str) -> Request<()> {
    let mut request = Request::new(());
    let client = HeaderValue::from_str(client).unwrap();
    request.headers_mut().insert("x-forwarded-for", client);
    request
}

/// The address that the inner service of `layer` gets.
async fn client_addr(layer: &ClientAddrLayer, request: Request<()>) -> Option<IpAddr> {
    use tower::{Layer, ServiceExt, service_fn};

    let inner = service_fn(async |request: Request<()>| {
        let client = request.extensions().get::<ClientAddr>();
        Ok::<_, std::convert::Infallible>(client.map(|client| client.0))
    });
    layer.layer(inner).oneshot(request).await.unwrap()
}

#[tokio::test]
async fn the_peer_of_the_connection_is_the_client() {
    let peer: IpAddr = "192.0.2.1".parse().unwrap();
    let layer = ClientAddrLayer::new(peer);
    assert_eq!(client_addr(&layer, Request::new(())).await, Some(peer));
    let forwarded = forwarded_for("198.51.100.1");
    assert_eq!(
        client_addr(&layer, forwarded).await,
        Some(peer),
        "no trusted proxy"
    );
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_forwarded_address_is_the_client() {
    let proxies = TrustedProxies::new(vec!["192.0.2.0/24".parse().unwrap()]);
    let layer = ClientAddrLayer::new("192.0.2.1".parse().unwrap()).trusted_proxies(proxies);
    let client = client_addr(&layer, forwarded_for("198.51.100.1")).await;
    assert_eq!(client, Some("198.51.100.1".parse().unwrap()));
}

#[tokio::test]
async fn the_peer_can_come_from_the_connect_info_of_axum() {
    let layer = ClientAddrLayer::from_request(|request| {
        let peer = request.extensions.get::<ConnectInfo<SocketAddr>>();
        peer.map(|ConnectInfo(peer)| peer.ip())
    });
    assert_eq!(client_addr(&layer, Request::new(())).await, None);
    let mut request = Request::new(());
    let peer: SocketAddr = "192.0.2.1:4711".parse().unwrap();
    request.extensions_mut().insert(ConnectInfo(peer));
    assert_eq!(client_addr(&layer, request).await, Some(peer.ip()));
}

#[tokio::test]
async fn a_missing_address_is_logged_once_for_all_clones_of_a_layer() {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let layer = layer();
    pass(&layer, request_from("192.0.2.1", RIGHT)).await.unwrap();
    assert_eq!(warnings.count(), 0, "the address is known");
    for layer in [&layer, &layer.clone(), &layer] {
        pass(layer, request(&[RIGHT])).await.unwrap();
        assert_eq!(warnings.count(), 1);
    }
    pass(&self::layer(), request(&[RIGHT])).await.unwrap();
    assert_eq!(warnings.count(), 2, "another layer");
}

/// A subscriber that counts warnings.
#[derive(Clone, Default)]
struct Warnings(Arc<AtomicUsize>);

impl Warnings {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        if *event.metadata().level() == Level::WARN {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
