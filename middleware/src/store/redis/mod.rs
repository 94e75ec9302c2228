//! Sessions in Redis (7.0 or later) or Valkey.

mod agents;
mod config;
mod connection;
mod keys;
mod list;
mod near;
mod observer;
mod record;
mod role;
mod script;
mod sessions;
mod supervisor;

pub use config::{RedisStoreConfig, RedisStoreError};
pub use near::NearCacheConfig;
pub use sessions::RedisRead;

use std::{
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use redis::Client;

use self::{connection::Connection, near::NearCache, observer::Observer};
use crate::{id::SessionId, store::StoreError};

/// A store on a single Redis or Valkey server. Clones share one multiplexed connection.
///
/// Every call has a deadline and fails closed with a [`StoreError`](super::StoreError). The connection heals by itself, from whatever failure.
///
#[doc = include_str!("LAYOUT.md")]
#[derive(Clone)]
pub struct RedisStore {
    shared: Arc<Shared>,
}

/// What the clones share.
struct Shared {
    connection: Connection,
    near: Near,
}

/// The near cache, once it is enabled.
struct Near {
    client: Client,
    own: Observer,
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
    /// Opens the store and starts to connect in the background; a server that does not answer yet is no error.
    ///
    /// # Errors
    /// When the URL is not usable.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn open(config: &RedisStoreConfig) -> Result<Self, RedisStoreError> {
        let client = config.client()?;
        let connection = Connection::open(client.clone(), config.timeout);
        Ok(Self {
            shared: Arc::new(Shared {
                near: Near {
                    client,
                    own: connection.observer(),
                    config: config.near_cache,
                    cache: OnceLock::new(),
                    start: Mutex::new(()),
                },
                connection,
            }),
        })
    }

    /// The key of a session's record.
    #[must_use]
    pub fn session_key(id: SessionId) -> String {
        keys::session_key(id)
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
        let cache = NearCache::start(self.client.clone(), self.own.clone(), self.config)
            .map_err(|error| StoreError::Unavailable(format!("cannot start the near cache: {error}")))?;
        self.cache.get_or_init(|| cache);
        Ok(())
    }

    /// Forgets what this process changes, or may have changed.
    fn forget(&self, ids: impl IntoIterator<Item = SessionId>) {
        if let Some(cache) = self.cache() {
            ids.into_iter().for_each(|id| cache.invalidate(id));
        }
    }

    /// Forgets sessions when it is dropped: once a change is answered, and also when its answer is not waited for.
    fn forgetting(&self, ids: Vec<SessionId>) -> Forgetting<'_> {
        Forgetting { near: self, ids }
    }
}

struct Forgetting<'a> {
    near: &'a Near,
    ids: Vec<SessionId>,
}

impl Drop for Forgetting<'_> {
    fn drop(&mut self) {
        self.near.forget(self.ids.drain(..));
    }
}
