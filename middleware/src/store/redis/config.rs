//! The configuration of a store.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    NearCacheConfig,
    address::Address,
    endpoint::Login,
    url::{RedisUrl, Topology},
};
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
    /// The prefix of every key, so that several deployments can share a server. Empty by default. Braces are not allowed,
    /// since they choose the hash slot of a key.
    pub key_prefix: String,
    /// The user of the sentinels themselves, with a `redis+sentinel` URL. The user of the URL is that of the master.
    pub sentinel_user: Option<String>,
    /// The password of the sentinels themselves.
    pub sentinel_password: Option<String>,
    /// With a `redis+sentinel` URL: the time for which the master is used after a majority of the sentinels has confirmed it. 3 s by default;
    /// zero turns it off.
    ///
    /// A process that is cut off from the sentinels so stops using a master that they may have replaced. Without a majority of the sentinels in
    /// the URL, each call fails after this time, even if the master works. A process that is cut off together with the master uses it after its
    /// replacement for at most this time minus `down-after-milliseconds` of the sentinels.
    pub master_lease: Duration,
    /// True if a server that may lose sessions or revocations counts as not ready: an evicting policy, no append-only file, or neither known
    /// since the user may not call `INFO`. False by default.
    pub require_durable_store: bool,
    /// With TLS: certificates of authorities in PEM. `None`: those of the system.
    #[cfg(feature = "tls")]
    pub ca_certificates: Option<Vec<u8>>,
    /// With TLS: the certificate of this client and its key, in PEM.
    #[cfg(feature = "tls")]
    pub client_certificate: Option<(Vec<u8>, Vec<u8>)>,
}

impl RedisStoreConfig {
    /// The store at a URL, with the default deadline:
    ///
    /// | URL | meaning |
    /// |---|---|
    /// | `redis://[user:password@]host[:port][/database]` | one server; `valkey://` is the same |
    /// | `unix:///path[?db=…&user=…&pass=…]` | one server on this machine |
    /// | `redis+sentinel://[user:password@]host[:port],…/master[/database]` | the master that the sentinels name |
    ///
    /// User name and password are percent-encoded (RFC 3986, section 2.1): `/` is `%2F`, and `@` is `%40`.
    ///
    /// `rediss`, `valkeys` and `rediss+sentinel` need the feature `tls`. The server's certificate is verified with the system's root
    /// certificates, or with those in `SSL_CERT_FILE` and `SSL_CERT_DIR`. A root certificate that cannot be parsed is skipped.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            timeout: Duration::from_millis(250),
            near_cache: NearCacheConfig::default(),
            clock: Arc::new(SystemClock),
            key_prefix: String::new(),
            sentinel_user: None,
            sentinel_password: None,
            master_lease: Duration::from_secs(3),
            require_durable_store: false,
            #[cfg(feature = "tls")]
            ca_certificates: None,
            #[cfg(feature = "tls")]
            client_certificate: None,
        }
    }

    /// Checks the URL, the prefix and the certificates. Nothing is sent.
    ///
    /// # Errors
    /// When one of them is not usable.
    pub fn check(&self) -> Result<(), InvalidRedisConfig> {
        self.address().map(drop)
    }

    pub(super) fn address(&self) -> Result<Address, InvalidRedisConfig> {
        if self.key_prefix.contains(['{', '}']) {
            return Err(InvalidRedisConfig {
                part: RedisConfigPart::KeyPrefix,
                reason: "the prefix of keys must not contain { or }".into(),
            });
        }
        let invalid = |reason: String| InvalidRedisConfig {
            part: RedisConfigPart::Url,
            reason: format!("not a usable Redis URL: {reason}"),
        };
        let url = RedisUrl::parse(&self.url).map_err(invalid)?;
        #[cfg(feature = "tls")]
        if !url.tls && (self.ca_certificates.is_some() || self.client_certificate.is_some()) {
            return Err(invalid("certificates need TLS: write rediss".into()));
        }
        #[cfg(feature = "tls")]
        self.check_certificates()?;
        let login = self.login(url.username, url.password, url.database, url.tls);
        let address = match url.topology {
            Topology::Single(server) => Address::fixed(&server, &login),
            Topology::Sentinel { sentinels, master } => {
                let (user, password) = (self.sentinel_user.clone(), self.sentinel_password.clone());
                let of_sentinels = self.login(user, password, 0, url.tls);
                Address::sentinel(&sentinels, &of_sentinels, &master, login, self.master_lease)
            }
            Topology::Cluster(_) => Err("this version does not support a cluster".into()),
        };
        address.map_err(invalid)
    }

    #[cfg(feature = "tls")]
    fn check_certificates(&self) -> Result<(), InvalidRedisConfig> {
        let files = self.login(None, None, 0, true).tls_files;
        let of = |part| move |reason| InvalidRedisConfig { part, reason };
        files
            .check_authorities()
            .map_err(of(RedisConfigPart::CaCertificates))?;
        files
            .check_client()
            .map_err(of(RedisConfigPart::ClientCertificate))
    }

    fn login(&self, username: Option<String>, password: Option<String>, database: u32, tls: bool) -> Login {
        Login {
            username,
            password,
            database,
            tls,
            #[cfg(feature = "tls")]
            tls_files: super::tls::TlsFiles {
                authorities: self.ca_certificates.as_deref().map(Arc::from),
                client: self
                    .client_certificate
                    .as_ref()
                    .map(|(certificates, key)| super::tls::ClientPem {
                        certificates: certificates.as_slice().into(),
                        key: key.as_slice().into(),
                    }),
            },
        }
    }
}

impl fmt::Debug for RedisStoreConfig {
    /// Leaves out the URL and the sentinels' password: they are secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStoreConfig")
            .field("timeout", &self.timeout)
            .field("near_cache", &self.near_cache)
            .field("key_prefix", &self.key_prefix)
            .field("master_lease", &self.master_lease)
            .field("require_durable_store", &self.require_durable_store)
            .finish_non_exhaustive()
    }
}

/// The configuration of a [`RedisStore`](super::RedisStore) is invalid.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
pub struct InvalidRedisConfig {
    part: RedisConfigPart,
    reason: String,
}

impl InvalidRedisConfig {
    /// The part that is wrong.
    #[must_use]
    pub const fn part(&self) -> RedisConfigPart {
        self.part
    }
}

/// A part of a [`RedisStoreConfig`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedisConfigPart {
    /// The URL.
    Url,
    /// [`key_prefix`](RedisStoreConfig::key_prefix).
    KeyPrefix,
    /// The certificates of authorities.
    CaCertificates,
    /// The certificate of this client, or its key.
    ClientCertificate,
}
