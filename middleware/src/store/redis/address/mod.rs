//! Where the server of a store is: always the same, or the master that sentinels name.

mod confirmed;
mod moved;
mod sentinel;
mod watch;

use std::{future::pending, net::IpAddr, sync::Arc, time::Duration};

use super::{
    endpoint::{Endpoint, Login},
    lease::Lease,
    url::{Host, Server},
};

use self::sentinel::Sentinels;

/// The time after the end of a lease in which the sentinels can still confirm the master for the connection in use.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(1);

/// Finds the server.
#[derive(Clone)]
pub(super) enum Address {
    Fixed(Arc<Endpoint>),
    Sentinel(Sentinels),
}

impl Address {
    pub(super) fn fixed(server: &Server, login: &Login) -> Result<Self, String> {
        Ok(Self::Fixed(Arc::new(Endpoint::new(server, login)?)))
    }

    /// A server that may be used while the lease holds.
    pub(super) fn leased(server: &Server, login: &Login, lease: Lease) -> Result<Self, String> {
        Ok(Self::Fixed(Arc::new(
            Endpoint::new(server, login)?.named_in(0, lease),
        )))
    }

    /// The master of this name. It is used for the time of `lease` after a majority of the sentinels has confirmed it; zero turns that off.
    pub(super) fn sentinel(
        sentinels: &[Host],
        of_sentinels: &Login,
        master: &str,
        of_master: Login,
        lease: Duration,
    ) -> Result<Self, String> {
        Sentinels::new(sentinels, of_sentinels, master, of_master, lease).map(Self::Sentinel)
    }

    /// The server to connect to now.
    pub(super) async fn find(&self) -> Result<Arc<Endpoint>, String> {
        match self {
            Self::Fixed(endpoint) => Ok(endpoint.clone()),
            Self::Sentinel(sentinels) => sentinels.find().await,
        }
    }

    /// Resolves when the address names another server: by a failover, or because the host name has moved.
    pub(super) async fn superseded(&self, used: &Endpoint) {
        match self {
            Self::Fixed(_) => match used.server() {
                Server::Tcp(host) if host.name.parse::<IpAddr>().is_err() => moved::moved(host).await,
                Server::Tcp(_) | Server::Unix(_) => pending().await,
            },
            Self::Sentinel(sentinels) => sentinels.superseded(used).await,
        }
    }

    /// Resolves when the sentinels no longer confirm the server. Sentinels that have lost their epochs, as after a restart with their first
    /// configuration, confirm it only for a new connection.
    pub(super) async fn unconfirmed(&self, used: &Endpoint) {
        match self {
            Self::Fixed(_) => pending().await,
            Self::Sentinel(_) => used.lease().over_for(CONFIRMED_WITHIN).await,
        }
    }
}
