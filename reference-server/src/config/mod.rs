//! Configuration: what was set, checked as a whole.

mod checks;
mod settings;

pub use settings::Settings;

use std::{fmt, net::SocketAddr, time::Duration};

use tower_session_auth::{KeySet, master_auth::TrustedProxies, session::SessionPolicy, session_auth::Freshness, store::RedisStoreConfig};

use crate::first_run::Generated;

/// A configuration that can work.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where sessions are kept.
    pub store: Store,
    /// The Argon2id PHC string of the master password.
    pub master_password_hash: String,
    /// What signs and verifies tokens.
    pub keys: KeySet,
    /// What sessions are granted.
    pub policy: SessionPolicy,
    /// How sessions are asked about.
    pub freshness: Freshness,
    /// What tokens begin with.
    pub token_prefix: String,
    /// The `iss` claim.
    pub issuer: String,
    /// The `aud` claim, if any.
    pub audience: Option<String>,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: TrustedProxies,
    /// How much, and for how long.
    pub limits: Limits,
    /// What is logged: a filter in the form of `RUST_LOG`.
    pub log: String,
    /// What was made up for a first run.
    pub generated: Option<Generated>,
}

/// Where sessions are kept.
#[derive(Debug, Clone)]
pub enum Store {
    /// In the process's own memory.
    Memory,
    /// In Redis.
    Redis(RedisStoreConfig),
}

/// How much, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// The time for a request, its body included.
    pub request: Duration,
    /// The time in which a client sends the head of a request.
    pub head: Duration,
    /// The time that running requests get when the server stops.
    pub shutdown: Duration,
}

/// Everything that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<String>);

impl Store {
    /// The longest that a call of it takes.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        match self {
            Self::Memory => Duration::ZERO,
            Self::Redis(redis) => redis.timeout,
        }
    }

    /// Its name in logs.
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
            request: Duration::from_secs(10),
            head: Duration::from_secs(10),
            shutdown: Duration::from_secs(10),
        }
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "listen {}, store {}, ", self.listen, self.store.name())?;
        match (self.freshness, &self.store) {
            (Freshness::Bounded, Store::Redis(redis)) => {
                let bound = redis.near_cache.bound.as_millis();
                write!(f, "freshness bounded ({bound} ms)")?;
            }
            (Freshness::Bounded, Store::Memory) => {
                f.write_str("freshness bounded (no difference without redis_url)")?;
            }
            _ => f.write_str("freshness strict")?,
        }
        if self.generated.as_ref().is_some_and(|generated| generated.key) {
            return f.write_str("\nno key_file: each start makes up a key of its own");
        }
        // What services that verify need.
        self.keys
            .verifying_keys()
            .iter()
            .try_for_each(|key| write!(f, "\naccepted key {}: {}", key.id(), key.to_paserk()))
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration cannot work:")?;
        self.0.iter().try_for_each(|error| write!(f, "\n  - {error}"))
    }
}

impl std::error::Error for ConfigErrors {}
