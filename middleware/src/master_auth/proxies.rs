//! Client addresses behind trusted proxies.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use arc_swap::ArcSwap;
use http::HeaderMap;
pub use ipnet::IpNet;

/// The networks of the proxies that are trusted to set `X-Forwarded-For`.
///
/// ```
/// use tower_session_auth::master_auth::{IpNet, TrustedProxies};
///
/// let network: IpNet = "10.0.0.0/8".parse()?;
/// let proxies = TrustedProxies::new(vec![network]);
/// # let _ = proxies;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Clones share their networks, so [`set`](Self::set) applies to all layers that use a clone.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Arc<ArcSwap<Vec<IpNet>>>);

impl TrustedProxies {
    /// Trusts the proxies in these networks.
    #[must_use]
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(networks)))
    }

    /// Trusts no proxy: the client is the peer of the connection.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Replaces the networks of this value and of all its clones. Open connections use the new ones from their next request on.
    pub fn set(&self, networks: Vec<IpNet>) {
        self.0.store(Arc::new(networks));
    }

    /// The trusted networks.
    #[must_use]
    pub fn networks(&self) -> Arc<Vec<IpNet>> {
        self.0.load_full()
    }

    /// True if this is the address of a trusted proxy.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.load().iter().any(|network| network.contains(&address))
    }

    /// The client's address: the last address on the request's path that is not a trusted proxy.
    ///
    /// `peer` is the remote address of the connection. An untrusted peer is the client, and its `X-Forwarded-For` is ignored.
    /// For a trusted peer, `X-Forwarded-For` is read from its end. At a missing or malformed entry, the result is the trusted
    /// proxy that was reached last.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut nearest = peer.to_canonical();
        let lines: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
        let mut hops = lines
            .iter()
            .rev()
            .flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        while self.contains(nearest) {
            match hops.next().and_then(parse_hop) {
                Some(hop) => nearest = hop,
                None => break,
            }
        }
        nearest
    }
}

/// Parses one entry of `X-Forwarded-For`. Some proxies add brackets or the port.
fn parse_hop(hop: &[u8]) -> Option<IpAddr> {
    let hop = std::str::from_utf8(hop).ok()?.trim();
    let bare = hop
        .strip_prefix('[')
        .and_then(|hop| hop.strip_suffix(']'))
        .unwrap_or(hop);
    let with_port = || hop.parse::<SocketAddr>().map(|address| address.ip());
    let address: IpAddr = bare.parse().or_else(|_| with_port()).ok()?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaced_networks_apply_to_all_clones() {
        let proxies = TrustedProxies::none();
        let clone = proxies.clone();
        let proxy = "10.0.0.1".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", http::HeaderValue::from_static("198.51.100.1"));
        assert_eq!(clone.client(proxy, &headers), proxy);
        proxies.set(vec!["10.0.0.0/8".parse().unwrap()]);
        assert_eq!(clone.client(proxy, &headers).to_string(), "198.51.100.1");
    }

    #[test]
    fn the_client_is_the_last_address_that_is_not_a_trusted_proxy() {
        let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
        for (peer, forwarded, client) in [
            ("192.0.2.1", &[][..], "192.0.2.1"),
            ("192.0.2.1", &["198.51.100.1"], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("10.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("10.0.0.1", &["[2001:db8::1]"], "2001:db8::1"),
            ("::ffff:10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["203.0.113.9, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["\u{e9}, 198.51.100.1"], "198.51.100.1"),
            (
                "10.0.0.1",
                &["203.0.113.9", "198.51.100.1, 10.0.0.2"],
                "198.51.100.1",
            ),
            ("10.0.0.1", &["198.51.100.1, garbage"], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["198.51.100.1,"], "10.0.0.1"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ] {
            let mut headers = HeaderMap::new();
            for value in forwarded {
                let value = http::HeaderValue::from_bytes(value.as_bytes()).unwrap();
                headers.append("x-forwarded-for", value);
            }
            let client: IpAddr = client.parse().unwrap();
            assert_eq!(
                proxies.client(peer.parse().unwrap(), &headers),
                client,
                "{peer} {forwarded:?}"
            );
        }
    }
}
