//! Sessions in Redis (7.0 or later) or Valkey.

mod agents;
mod config;
mod connection;
mod keys;
mod list;
mod record;
mod script;
mod sessions;
mod supervisor;

pub use config::{RedisStoreConfig, RedisStoreError};
pub use sessions::RedisRead;

use std::fmt;

use self::connection::Connection;

/// A store on a single Redis or Valkey server. Clones share one multiplexed connection.
///
/// Every call has a deadline and fails closed with a [`StoreError`](super::StoreError). The connection heals by itself, from whatever failure.
///
#[doc = include_str!("LAYOUT.md")]
#[derive(Clone)]
pub struct RedisStore {
    connection: Connection,
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
        Ok(Self {
            connection: Connection::open(config.client()?, config.timeout),
        })
    }
}
