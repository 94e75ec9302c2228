//! The configuration of a store.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    NearCacheConfig,
    address::Address,
    cluster::ClusterAddress,
    endpoint::Login,
    supervisor::connect_timeout,
    url::{RedisUrl, Topology},
};
use crate::clock::{Clock, SystemClock};

/// A longer lease counts as this one: about 100 years.
const LONGEST_LEASE: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Where the data is.
pub(super) enum Location {
    /// On one server at a time.
    One(Address),
    Cluster(ClusterAddress),
}

/// The configuration of a [`RedisStore`](super::RedisStore): address, deadline, near cache, durable revocations and lease.
#[derive(Clone)]
#[non_exhaustive]
pub struct RedisStoreConfig {
    url: String,
    /// The deadline of every call: 250 ms by default. A revocation that waits for acknowledgements has more: see
    /// [`longest_revocation`](Self::longest_revocation).
    pub timeout: Duration,
    /// The number of replicas that must have a revocation before it counts as [durable](crate::store::Revoked::durable): 0 by default,
    /// which waits for none.
    pub min_replicas_ack: u32,
    /// True if a revocation must also be in the append-only file of the master, on disk (`WAITAOF`, Redis 7.2 or Valkey). `false` by
    /// default. On a server without that command or file, no revocation is durable.
    pub ack_local_disk: bool,
    /// How long a revocation waits for replicas and disk, after it was written: 1 s by default. The limit of the whole call is
    /// [`longest_revocation`](Self::longest_revocation).
    pub ack_timeout: Duration,
    /// True if a server that may have lost writes is not used before this process has written its recent revocations again, and 5 seconds
    /// have passed in which other processes can do so. `false` by default: the store then waits for its own revocations only.
    ///
    /// A server that may lose sessions or revocations then also counts as not ready ([`StoreHealth::NotDurable`]): an evicting policy, no
    /// append-only file, or neither known since the user may not call `INFO`.
    ///
    /// [`StoreHealth::NotDurable`]: crate::store::StoreHealth::NotDurable
    pub require_durable_store: bool,
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
    /// The time for which a master is used after a majority of the sentinels in a `redis+sentinel` URL, or of the masters of a cluster, has
    /// confirmed it. 3 s by default; zero turns it off.
    ///
    /// Therefore, a process that loses contact with them stops using a master that may have been replaced. Without a majority, each call fails after
    /// this time, even if the master works. A process that is cut off together with the master uses it after its replacement for at most
    /// this time minus `down-after-milliseconds` of the sentinels, or `cluster-node-timeout`.
    pub master_lease: Duration,
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
    /// | `redis+cluster://[user:password@]host[:port],…` | a cluster, which is found from any of these nodes |
    ///
    /// User name and password are percent-encoded (RFC 3986, section 2.1): `/` is `%2F`, and `@` is `%40`.
    ///
    /// `rediss`, `valkeys`, `rediss+sentinel` and `rediss+cluster` need the feature `tls`. The server's certificate is verified with the system's root
    /// certificates, or with those in `SSL_CERT_FILE` and `SSL_CERT_DIR`. A root certificate that cannot be parsed is skipped.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            timeout: Duration::from_millis(250),
            min_replicas_ack: 0,
            ack_local_disk: false,
            ack_timeout: Duration::from_secs(1),
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

    /// True if revocations wait for replicas or for the disk.
    #[must_use]
    pub const fn waits_for_acks(&self) -> bool {
        self.min_replicas_ack > 0 || self.ack_local_disk
    }

    /// The limit of a revocation. It is [`timeout`](Self::timeout), unless revocations wait for replicas or for the disk. Then
    /// [`ack_timeout`](Self::ack_timeout) is added, and the time limit of an attempt to connect, since such a revocation may need a
    /// connection of its own. That limit is eight times `timeout`, and between 1 and 10 s.
    ///
    /// A request that revokes needs a time limit that is longer.
    #[must_use]
    pub fn longest_revocation(&self) -> Duration {
        if !self.waits_for_acks() {
            return self.timeout;
        }
        self.timeout
            .saturating_add(self.ack_timeout)
            .saturating_add(connect_timeout(self.timeout))
    }

    /// Checks the URL, the prefix and the certificates. Nothing is sent.
    ///
    /// # Errors
    /// When one of them is not usable.
    pub fn check(&self) -> Result<(), InvalidRedisConfig> {
        self.location().map(drop)
    }

    pub(super) fn location(&self) -> Result<Location, InvalidRedisConfig> {
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
        let lease = self.master_lease.min(LONGEST_LEASE);
        let address = match url.topology {
            Topology::Cluster(seeds) => {
                return Ok(Location::Cluster(ClusterAddress { seeds, login, lease }));
            }
            Topology::Single(server) => Address::fixed(&server, &login),
            Topology::Sentinel { sentinels, master } => {
                let (user, password) = (self.sentinel_user.clone(), self.sentinel_password.clone());
                let of_sentinels = self.login(user, password, 0, url.tls);
                Address::sentinel(&sentinels, &of_sentinels, &master, login, lease)
            }
        };
        address.map(Location::One).map_err(invalid)
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
            .field("min_replicas_ack", &self.min_replicas_ack)
            .field("ack_local_disk", &self.ack_local_disk)
            .field("ack_timeout", &self.ack_timeout)
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
