//! How to reach Redis.

use std::{fmt, time::Duration};

use super::NearCacheConfig;
use redis::{Client, IntoConnectionInfo, ProtocolVersion};

/// How to reach Redis.
#[derive(Clone)]
#[non_exhaustive]
pub struct RedisStoreConfig {
    url: String,
    /// The deadline of every call: 250 ms by default.
    pub timeout: Duration,
    /// What is held in memory for layers with [`Freshness::Bounded`](crate::session_auth::Freshness).
    pub near_cache: NearCacheConfig,
}

impl RedisStoreConfig {
    /// The server at `redis://[user:password@]host[:port][/database]`, or `rediss://` with the feature `tls`, with the
    /// default deadline.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            timeout: Duration::from_millis(250),
            near_cache: NearCacheConfig::default(),
        }
    }

    /// Whether the URL is usable. Nothing is sent.
    ///
    /// # Errors
    /// When it is not.
    pub fn check(&self) -> Result<(), RedisStoreError> {
        self.client().map(drop)
    }

    pub(super) fn client(&self) -> Result<Client, RedisStoreError> {
        // The library's messages name what is wrong with a URL, never the URL.
        let invalid = |error: redis::RedisError| RedisStoreError(error.to_string());
        let info = self.url.as_str().into_connection_info().map_err(invalid)?;
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        // The disconnection push, which lets the connection heal before the next request, needs RESP3.
        let protocol = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let info = info.set_tcp_settings(tcp).set_redis_settings(protocol);
        Client::open(info).map_err(invalid)
    }
}

impl fmt::Debug for RedisStoreConfig {
    /// The URL may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStoreConfig")
            .field("timeout", &self.timeout)
            .field("near_cache", &self.near_cache)
            .finish_non_exhaustive()
    }
}

/// A configuration that cannot work.
#[derive(Debug, Clone, thiserror::Error)]
#[error("not a usable Redis URL: {0}")]
pub struct RedisStoreError(String);
