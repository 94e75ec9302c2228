//! The configuration of the server: the settings, checked as a whole.

mod admin_keys;
mod checks;
mod effective;
mod errors;
mod example;
mod file;
mod file_modes;
mod flags;
mod generate;
mod listen_address;
mod log_filter;
mod log_format;
mod origin;
mod places;
mod redis_url;
mod setting;
mod settings;
mod similar;
mod sources;
mod value;
mod value_file;
mod variables;

#[cfg(test)]
mod tests;

pub(crate) use checks::KeySettings;
pub use errors::ConfigErrors;
pub use example::example;
pub use flags::Flags;
pub use generate::Generated;
pub use listen_address::{InvalidListenAddress, ListenAddress};
pub use log_format::LogFormat;
pub use origin::{Given, Origin, Origins};
pub(crate) use redis_url::RedisAddress;
pub use setting::Setting;
pub use settings::{SETTINGS, Settings};
pub use sources::{Loaded, Sources};

use std::{fmt, net::SocketAddr, time::Duration};

use http::HeaderName;
use tower_session_auth::protected_resource::ProtectedResource;
use tower_session_auth::{
    KeySet,
    clock::Timestamp,
    master_auth::{AdminKeys, Credentials, TrustedProxies},
    session::SessionPolicy,
    session_auth::Freshness,
    store::RedisStoreConfig,
};

use crate::{keys::date, tls::Certificate};

/// The realm of challenges (RFC 9110, section 11.5).
pub(crate) const REALM: &str = "session";

/// A configuration that can work.
#[derive(Clone)]
pub struct Config {
    /// The addresses to listen on.
    pub listen: Vec<ListenAddress>,
    /// The certificate of TCP listeners. Without it, they have no TLS.
    pub certificate: Option<Certificate>,
    /// The store of the sessions.
    pub store: Store,
    /// The master password. `None` if there are only admin keys.
    pub master_password: Option<Credentials>,
    /// The named keys of administrators.
    pub admin_keys: AdminKeys,
    /// The keys that sign and verify tokens.
    pub keys: KeySet,
    /// The limits of sessions.
    pub policy: SessionPolicy,
    /// The freshness of session records.
    pub freshness: Freshness,
    /// The prefix of tokens.
    pub token_prefix: String,
    /// The request header that carries the token.
    pub token_header: HeaderName,
    /// The `iss` claim.
    pub issuer: String,
    /// The `aud` claim, if any.
    pub audience: Option<String>,
    /// The API that the sessions are for, if its metadata is published.
    pub resource: Option<ProtectedResource>,
    /// The proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: TrustedProxies,
    /// The limits of connections and requests.
    pub limits: Limits,
    /// The log filter, in the form of `RUST_LOG`.
    pub log: String,
    /// The format of log lines.
    pub log_format: LogFormat,
    /// The address of the listener for `/metrics` alone, without credentials.
    pub metrics_listen: Option<SocketAddr>,
    /// True if `/readyz` is a 503 while Redis refuses writes.
    pub unready_without_writes: bool,
    /// The parts that were generated for a first run.
    pub generated: Option<Generated>,
}

/// The store of the sessions.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a process has one of it")]
pub enum Store {
    /// The memory of the process.
    Memory,
    /// Redis.
    Redis(RedisStoreConfig),
}

/// The limits of connections and requests.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The number of connections at once.
    pub connections: usize,
    /// The number of connections of one client at once: an IPv4 address, or the /64 network of an IPv6 address.
    pub connections_per_client: usize,
    /// The number of requests in flight at once. Those that wait for their body are not counted.
    pub requests: usize,
    /// The number of streams of an HTTP/2 connection at once.
    pub http2_streams: u32,
    /// The time limit of a connection without a request.
    pub idle: Duration,
    /// The time in which a client must read a part of a response.
    pub write: Duration,
    /// The time after which a connection ends with its next response.
    pub max_age: Duration,
    /// The time for which a stopping server serves before it closes its listeners.
    pub shutdown_delay: Duration,
    /// The time limit of a request, its body included.
    pub request: Duration,
    /// The time limit for the head of a request.
    pub head: Duration,
    /// The time limit for draining connections when the server stops.
    pub shutdown: Duration,
}

impl Config {
    /// The credentials of administrators, for [`MasterAuthLayer`](tower_session_auth::MasterAuthLayer).
    #[must_use]
    pub fn admin_credentials(&self) -> Credentials {
        let credentials = self.master_password.clone().unwrap_or_default();
        credentials.with_keys(self.admin_keys.clone())
    }

    /// Warns about admin keys that have expired.
    pub(crate) fn expired_admin_keys(&self, settings: &Settings, now: Timestamp) -> Vec<String> {
        let setting = settings.origins.name("admin_keys_file");
        let expired = self.admin_keys.expired(now).map(|(name, end)| {
            let end = date(end);
            format!("{setting}: admin key {name} has expired at {end}: its requests are rejected")
        });
        expired.collect()
    }
}

impl Store {
    /// The deadline of a call.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        match self {
            Self::Memory => Duration::ZERO,
            Self::Redis(redis) => redis.timeout,
        }
    }

    /// The name of the store in logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis(_) => "redis",
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_client: 512,
            requests: 256,
            http2_streams: 100,
            idle: Duration::from_secs(75),
            write: Duration::from_secs(10),
            max_age: Duration::from_secs(3600),
            shutdown_delay: Duration::ZERO,
            request: Duration::from_secs(10),
            head: Duration::from_secs(10),
            shutdown: Duration::from_secs(10),
        }
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listen: Vec<_> = self.listen.iter().map(ToString::to_string).collect();
        write!(
            f,
            "listen {}, store {}, ",
            listen.join(" and "),
            self.store.name()
        )?;
        match (self.freshness, &self.store) {
            (Freshness::Bounded, Store::Redis(redis)) => {
                let bound = redis.near_cache.bound.as_millis();
                write!(f, "freshness bounded ({bound} ms)")?;
            }
            (Freshness::Bounded, Store::Memory) => {
                f.write_str("freshness bounded (no effect without redis_url)")?;
            }
            _ => f.write_str("freshness strict")?,
        }
        if !self.admin_keys.is_empty() {
            let names: Vec<_> = self.admin_keys.names().collect();
            write!(f, "\nadmin keys: {}", names.join(", "))?;
        }
        if self.generated.as_ref().is_some_and(|generated| generated.key) {
            return f.write_str("\nno key_file: each start generates a new key");
        }
        // Services that verify need these keys.
        self.keys
            .verifying_keys()
            .iter()
            .try_for_each(|key| write!(f, "\naccepted key {}: {}", key.id(), key.to_paserk()))
    }
}

impl fmt::Debug for Config {
    /// Leaves out the settings, since some are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").finish_non_exhaustive()
    }
}
