//! Sessions in Redis (7.0 or later) or Valkey.

mod address;
mod agents;
mod background;
mod config;
mod connection;
mod creation;
mod durability;
mod endpoint;
mod keys;
mod late_creation;
mod lease;
mod list;
mod near;
mod observer;
mod preconditions;
mod record;
mod retry;
mod role;
mod script;
mod server_info;
mod sessions;
mod skew_monitor;
mod supervisor;
#[cfg(test)]
mod tests;
#[cfg(feature = "tls")]
mod tls;
mod url;
mod writes;

pub use config::{InvalidRedisConfig, RedisConfigPart, RedisStoreConfig};
pub use near::NearCacheConfig;
pub use server_info::RedisServerInfo;
pub use sessions::RedisRead;

use std::{
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use self::{address::Address, connection::Connection, keys::Keys, near::NearCache, observer::Observer};
use crate::{
    id::SessionId,
    store::{ClockSkew, StoreError},
};

/// A store on a single Redis or Valkey server. Clones share one multiplexed connection.
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
    connection: Connection,
    keys: Keys,
    near: Near,
}

/// The near cache, once it is enabled.
struct Near {
    /// The store's own connection.
    own: Observer,
    keys: Keys,
    config: NearCacheConfig,
    cache: OnceLock<NearCache>,
    /// Held during a start, so that concurrent calls start one cache.
    start: Mutex<()>,
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
    /// When the URL is not usable.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn open(config: &RedisStoreConfig) -> Result<Self, InvalidRedisConfig> {
        Ok(Self::connect(config, config.address()?))
    }

    fn connect(config: &RedisStoreConfig, address: Address) -> Self {
        let keys = Keys::new(&config.key_prefix);
        let connection = Connection::open(
            address,
            config.timeout,
            keys.clone(),
            config.clock.clone(),
            config.require_durable_store,
        );
        Self {
            shared: Arc::new(Shared {
                near: Near {
                    own: connection.observer(),
                    keys: keys.clone(),
                    config: config.near_cache,
                    cache: OnceLock::new(),
                    start: Mutex::new(()),
                },
                connection,
                keys,
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
        self.shared.connection.skew.latest()
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

impl Near {
    /// Returns the cache if it is enabled.
    fn cache(&self) -> Option<&NearCache> {
        self.cache.get()
    }

    /// Starts the cache unless it runs. A failed start leaves nothing behind.
    fn enable(&self) -> Result<(), StoreError> {
        let _starting = self.start.lock().unwrap_or_else(PoisonError::into_inner);
        if self.cache.get().is_some() {
            return Ok(());
        }
        let cache = NearCache::start(self.own.clone(), self.keys.clone(), self.config)
            .map_err(|error| StoreError::Unavailable(format!("cannot start the near cache: {error}")))?;
        self.cache.get_or_init(|| cache);
        Ok(())
    }

    /// Drops the cached records of these sessions when the returned guard is dropped: after the reply to a change, or when its
    /// caller stops waiting.
    fn invalidate_on_drop(&self, ids: Vec<SessionId>) -> InvalidateOnDrop<'_> {
        InvalidateOnDrop { near: self, ids }
    }
}

struct InvalidateOnDrop<'a> {
    near: &'a Near,
    ids: Vec<SessionId>,
}

impl Drop for InvalidateOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(cache) = self.near.cache() {
            self.ids.iter().for_each(|id| cache.invalidate(*id));
        }
    }
}
