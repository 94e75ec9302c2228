//! The settings: by flag, environment or file, in that order of precedence, with one name for each.

use std::{fmt, path::PathBuf};

use clap::Args;

use serde::{
    Deserialize,
    de::{DeserializeOwned, IntoDeserializer, value::Error as ValueError},
};
use tower_session_auth::{
    master_auth::IpNet,
    session::{OnReuse, OnSessionLimit},
    session_auth::Freshness,
};

use super::{ConfigErrors, ListenAddress, listen_address::one_or_more};

macro_rules! settings {
    ($($(#[$attr:meta])* $name:ident: $type:ty, $env:literal;)*) => {
        /// The settings. `None` means that a setting was not given.
        #[derive(Clone, Default, Args, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Settings {
            /// A TOML file with settings; flags and environment variables override it.
            #[arg(long, global = true, env = "SESSION_AUTH_CONFIG")]
            #[serde(skip)]
            pub config: Option<PathBuf>,
            $($(#[$attr])* #[arg(long, global = true, env = $env)] pub $name: Option<$type>,)*
        }

        impl Settings {
            /// Takes the settings that are `None` here from `other`.
            fn or(self, other: Self) -> Self {
                Self { config: self.config, $($name: self.$name.or(other.$name),)* }
            }
        }
    };
}

settings! {
    /// The addresses to listen on, separated by commas: HOST:PORT or unix:/PATH (default: 127.0.0.1:3100).
    #[arg(value_delimiter = ',')]
    #[serde(default, deserialize_with = "one_or_more")]
    listen: Vec<ListenAddress>, "SESSION_AUTH_LISTEN";
    /// A PEM file with the certificate chain for TLS on all TCP addresses (default: none).
    tls_cert_file: PathBuf, "SESSION_AUTH_TLS_CERT_FILE";
    /// A PEM file with the private key of that certificate (default: none).
    tls_key_file: PathBuf, "SESSION_AUTH_TLS_KEY_FILE";
    /// Redis that keeps the sessions: redis://HOST:PORT/DATABASE, with USER:PASSWORD@ before the host, or rediss:// for TLS (default: an embedded store).
    #[arg(hide_env_values = true)]
    redis_url: String, "SESSION_AUTH_REDIS_URL";
    /// The master password's Argon2id hash, as hash-password prints it.
    #[arg(hide_env_values = true)]
    master_password_hash: String, "SESSION_AUTH_MASTER_PASSWORD_HASH";
    /// A file with the master password's Argon2id hash.
    master_password_hash_file: PathBuf, "SESSION_AUTH_MASTER_PASSWORD_HASH_FILE";
    /// A file with PASERK keys, one per line: the signing secret first, then further accepted keys.
    key_file: PathBuf, "SESSION_AUTH_KEY_FILE";
    /// The lifetime of a token if the request names none, in seconds (default: 86400).
    session_ttl: u64, "SESSION_AUTH_SESSION_TTL";
    /// The shortest lifetime that a request may name, in seconds (default: 300).
    min_ttl: u64, "SESSION_AUTH_MIN_TTL";
    /// The longest lifetime that a request may name, in seconds (default: 604800).
    max_ttl: u64, "SESSION_AUTH_MAX_TTL";
    /// The maximum number of active sessions of an agent (default: 5).
    max_sessions_per_agent: u32, "SESSION_AUTH_MAX_SESSIONS_PER_AGENT";
    /// The reaction to a request for one session more: refuse, or evict_oldest, which revokes the least recently renewed or
    /// created session (default: refuse).
    #[arg(value_parser = word::<OnSessionLimit>)]
    on_session_limit: OnSessionLimit, "SESSION_AUTH_ON_SESSION_LIMIT";
    /// The maximum number of renewals of a session (default: 30).
    max_renewals: u32, "SESSION_AUTH_MAX_RENEWALS";
    /// The maximum lifetime of a session, in seconds from its creation (default: 2592000).
    absolute_lifetime: u64, "SESSION_AUTH_ABSOLUTE_LIFETIME";
    /// The time in which a renewal can be repeated with the same token and Idempotency-Key, in seconds; 0 turns it off
    /// (default: 60).
    renewal_retry_window: u64, "SESSION_AUTH_RENEWAL_RETRY_WINDOW";
    /// The time in which the previous token is still admitted to the API, in seconds (default: 0).
    previous_token_overlap: u64, "SESSION_AUTH_PREVIOUS_TOKEN_OVERLAP";
    /// The reaction to a replaced token that is presented after both times: reject, or revoke, which also revokes the session
    /// (default: reject).
    #[arg(value_parser = word::<OnReuse>)]
    on_reuse: OnReuse, "SESSION_AUTH_ON_REUSE";
    /// The time for which an expired session is listed, in seconds (default: 86400).
    expired_retention: u64, "SESSION_AUTH_EXPIRED_RETENTION";
    /// The prefix of tokens (default: wai_sess_).
    token_prefix: String, "SESSION_AUTH_TOKEN_PREFIX";
    /// The request header that carries the session token; any other than authorization may hold the bare token
    /// (default: authorization).
    token_header: String, "SESSION_AUTH_TOKEN_HEADER";
    /// The iss claim of tokens (default: tower-session-auth).
    issuer: String, "SESSION_AUTH_ISSUER";
    /// The aud claim of tokens (default: none).
    audience: String, "SESSION_AUTH_AUDIENCE";
    /// The deadline of a store call, in milliseconds (default: 250).
    store_timeout_ms: u64, "SESSION_AUTH_STORE_TIMEOUT_MS";
    /// The freshness of session records: strict reads Redis for every request; bounded admits requests by cached records that
    /// Redis invalidates (default: strict).
    #[arg(value_parser = word::<Freshness>)]
    freshness: Freshness, "SESSION_AUTH_FRESHNESS";
    /// With bounded: how long a revoked token may be admitted while Redis cannot be reached, in milliseconds, 50 to 60000
    /// (default: 250).
    freshness_bound_ms: u64, "SESSION_AUTH_FRESHNESS_BOUND_MS";
    /// The time limit of a request, its body included, in milliseconds (default: 10000).
    request_timeout_ms: u64, "SESSION_AUTH_REQUEST_TIMEOUT_MS";
    /// The time limit of a connection without a request, in milliseconds (default: 75000).
    idle_timeout_ms: u64, "SESSION_AUTH_IDLE_TIMEOUT_MS";
    /// The time limit for the head of a request, and for a TLS handshake, in milliseconds (default: 10000).
    header_timeout_ms: u64, "SESSION_AUTH_HEADER_TIMEOUT_MS";
    /// The time in which a client must read a part of a response, in milliseconds (default: 10000).
    write_timeout_ms: u64, "SESSION_AUTH_WRITE_TIMEOUT_MS";
    /// The time after which a connection ends with its next response, in milliseconds (default: 3600000).
    max_connection_age_ms: u64, "SESSION_AUTH_MAX_CONNECTION_AGE_MS";
    /// The time for which a stopping server serves, with a 503 for /readyz, before it closes its listeners, in milliseconds
    /// (default: 0).
    shutdown_delay_ms: u64, "SESSION_AUTH_SHUTDOWN_DELAY_MS";
    /// The time limit for draining connections when the server stops, in milliseconds (default: 10000).
    shutdown_timeout_ms: u64, "SESSION_AUTH_SHUTDOWN_TIMEOUT_MS";
    /// The number of connections at once (default: 1024).
    max_connections: usize, "SESSION_AUTH_MAX_CONNECTIONS";
    /// The number of connections of one client address at once; trusted proxies and Unix sockets have no such limit
    /// (default: half of max_connections).
    max_connections_per_client: usize, "SESSION_AUTH_MAX_CONNECTIONS_PER_CLIENT";
    /// The number of requests in flight at once (default: 256).
    max_requests: usize, "SESSION_AUTH_MAX_REQUESTS";
    /// The number of streams of an HTTP/2 connection at once (default: 100).
    max_http2_streams: u32, "SESSION_AUTH_MAX_HTTP2_STREAMS";
    /// Networks of proxies whose X-Forwarded-For is trusted, such as 10.0.0.0/8 (default: none).
    #[arg(value_delimiter = ',')]
    trusted_proxies: Vec<IpNet>, "SESSION_AUTH_TRUSTED_PROXIES";
    /// The log filter, in the form of RUST_LOG (default: info).
    log: String, "SESSION_AUTH_LOG";
}

/// Parses one of the words of a type.
fn word<T: DeserializeOwned>(text: &str) -> Result<T, ValueError> {
    T::deserialize(text.into_deserializer())
}

impl Settings {
    /// Adds the settings of the configuration file, if there is one.
    ///
    /// # Errors
    /// If the file cannot be read, or has an unknown setting.
    pub fn with_file(self) -> Result<Self, ConfigErrors> {
        let Some(path) = &self.config else {
            return Ok(self);
        };
        let wrong = |what: String| ConfigErrors(vec![format!("{}: {what}", path.display())]);
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        // `message` leaves out the line, which may contain a secret.
        let file = toml::from_str(&text).map_err(|error| {
            let line = error
                .span()
                .map_or(1, |span| text[..span.start].lines().count().max(1));
            wrong(format!("line {line}: {}", error.message()))
        })?;
        Ok(self.or(file))
    }
}

impl fmt::Debug for Settings {
    /// Leaves out the settings, since some are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
