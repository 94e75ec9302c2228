//! Sessions in Redis (7.0 or later) or Valkey.

mod acks;
mod address;
mod agent_epochs;
mod agents;
mod background;
mod call_error;
mod calls;
mod cluster;
mod config;
mod connect_backoff;
mod connection;
mod creation;
mod durability;
mod endpoint;
mod health_checks;
mod history;
mod keys;
mod late_creation;
mod lease;
mod link;
mod list;
mod near;
mod near_caches;
mod observer;
mod preconditions;
mod recent;
mod record;
mod recovery;
mod request;
mod retry;
mod role;
mod script;
mod server_info;
mod servers;
mod sessions;
mod skew_monitor;
mod supervisor;
#[cfg(test)]
mod tests;
#[cfg(feature = "tls")]
mod tls;
mod url;
mod write_probe;

pub use config::{InvalidRedisConfig, RedisConfigPart, RedisStoreConfig};
pub use near::NearCacheConfig;
pub use server_info::RedisServerInfo;
pub use sessions::RedisRead;

use std::{fmt, sync::Arc};

use self::{
    config::Location, keys::Keys, near_caches::NearCaches, recent::RecentRevocations, servers::Servers,
};
use crate::{id::SessionId, store::ClockSkew};

/// A store on one Redis or Valkey server, on the master that sentinels name, or on a cluster. Clones share one multiplexed connection to
/// each master.
///
/// Every call has a deadline and fails closed with a [`StoreError`](super::StoreError). A connection that fails is replaced in the
/// background.
///
#[doc = include_str!("LAYOUT.md")]
#[derive(Clone)]
pub struct RedisStore {
    shared: Arc<Shared>,
}

/// The state that clones share.
struct Shared {
    servers: Servers,
    keys: Keys,
    near: NearCaches,
    /// To be written again to a server that lost them.
    recent: Arc<RecentRevocations>,
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").finish_non_exhaustive()
    }
}

impl RedisStore {
    /// Opens the store and connects in the background. A server that does not answer yet is not an error.
    ///
    /// # Errors
    /// When the URL, the prefix or the certificates are not usable.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn open(config: &RedisStoreConfig) -> Result<Self, InvalidRedisConfig> {
        Ok(Self::connect(config, config.location()?))
    }

    fn connect(config: &RedisStoreConfig, location: Location) -> Self {
        let keys = Keys::new(&config.key_prefix);
        let recent = Arc::<RecentRevocations>::default();
        let servers = Servers::open(location, config, &keys, &recent);
        Self {
            shared: Arc::new(Shared {
                near: NearCaches::new(keys.clone(), config.near_cache),
                servers,
                keys,
                recent,
            }),
        }
    }

    /// The latest difference between the clocks of this process ([`RedisStoreConfig::clock`]) and of Redis, which is asked for its time
    /// once a second. `None` without a connection, and if the user may not call `TIME`.
    ///
    /// A skew that is not [tolerated](ClockSkew::is_tolerated) is logged once as a warning, and shown in `/readyz` of the feature
    /// `endpoints`.
    #[must_use]
    pub fn clock_skew(&self) -> Option<ClockSkew> {
        self.shared.servers.clock_skew()
    }

    /// The key of a session's record.
    #[must_use]
    pub fn session_key(&self, id: SessionId) -> String {
        self.keys().session(id)
    }

    fn keys(&self) -> &Keys {
        &self.shared.keys
    }
}
