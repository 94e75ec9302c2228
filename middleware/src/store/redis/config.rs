//! The configuration of a store.

use std::{fmt, sync::Arc, time::Duration};

use redis::{Client, IntoConnectionInfo, ProtocolVersion};

use super::{NearCacheConfig, endpoint::Endpoint};
use crate::clock::{Clock, SystemClock};

/// The configuration of a [`RedisStore`](super::RedisStore): address, deadline and near cache.
#[derive(Clone)]
#[non_exhaustive]
pub struct RedisStoreConfig {
    url: String,
    /// The deadline of every call: 250 ms by default.
    pub timeout: Duration,
    /// The near cache, used by [bounded](crate::SessionAuthLayer::bounded) layers.
    pub near_cache: NearCacheConfig,
    /// The clock that is compared with the clock of Redis: the system's by default. See
    /// [`SessionStore::clock_skew`](crate::store::SessionStore::clock_skew).
    pub clock: Arc<dyn Clock>,
}

impl RedisStoreConfig {
    /// The server at `redis://[user:password@]host[:port][/database]`, with the default deadline.
    ///
    /// `rediss://` needs the feature `tls`. The server's certificate is verified with the system's root certificates, or with
    /// those in `SSL_CERT_FILE` and `SSL_CERT_DIR`. A root certificate that cannot be parsed is skipped.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            timeout: Duration::from_millis(250),
            near_cache: NearCacheConfig::default(),
            clock: Arc::new(SystemClock),
        }
    }

    /// Checks the URL. Nothing is sent.
    ///
    /// # Errors
    /// When the URL is not usable.
    pub fn check(&self) -> Result<(), InvalidRedisConfig> {
        self.endpoint().map(drop)
    }

    pub(super) fn endpoint(&self) -> Result<Endpoint, InvalidRedisConfig> {
        // The kind of the error adds nothing to the description of the fault, and its detail can be a part of the URL.
        let invalid = |error: redis::RedisError| {
            let text = error.to_string();
            let (fault, _) = text.split_once(" - ").unwrap_or((&text, ""));
            InvalidRedisConfig(fault.to_owned())
        };
        let info = self.url.as_str().into_connection_info().map_err(invalid)?;
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        // RESP3 has the disconnection push, so a lost connection is replaced before the next request needs it.
        let protocol = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let info = info.set_tcp_settings(tcp).set_redis_settings(protocol);
        let client = Client::open(info).map_err(invalid)?;
        Endpoint::new(client).map_err(InvalidRedisConfig)
    }
}

impl fmt::Debug for RedisStoreConfig {
    /// Leaves the URL out: it may contain a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStoreConfig")
            .field("timeout", &self.timeout)
            .field("near_cache", &self.near_cache)
            .finish_non_exhaustive()
    }
}

/// The configuration of a [`RedisStore`](super::RedisStore) is invalid.
#[derive(Debug, Clone, thiserror::Error)]
#[error("not a usable Redis URL: {0}")]
pub struct InvalidRedisConfig(String);
