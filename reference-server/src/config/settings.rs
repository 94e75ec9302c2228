//! The settings. Each one is described once, here: the help text, the example file and the checks of the documentation use it.

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf};

use tower_session_auth::{
    master_auth::IpNet,
    session::{OnReuse, OnSessionLimit},
    session_auth::Freshness,
};

use super::{
    ListenAddress, LogFormat,
    errors::Errors,
    origin::Origins,
    setting::Setting,
    sources::{self, Texts},
    value::Value,
};

/// The rows are: help, name and type, default, example in TOML. `secret` marks a secret or a URL that can contain one.
macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty, $default:literal, $example:literal $(, $secret:ident)?;)*) => {
        /// The settings. `None` means that a setting was not given.
        #[derive(Clone, Default)]
        pub struct Settings {
            $($(#[doc = $doc])+ pub $name: Option<$type>,)*
            /// The places where settings were given, for messages.
            pub origins: Origins,
        }

        /// The descriptions of all settings.
        pub const SETTINGS: &[Setting] = &[$(Setting {
            name: stringify!($name),
            help: concat!($($doc),+).trim_ascii(),
            default: $default,
            example: $example,
            expected: <$type as Value>::EXPECTED,
            secret: settings!(@secret $($secret)?),
        },)*];

        impl Settings {
            /// Parses the texts of the settings.
            pub(super) fn parse(mut texts: BTreeMap<&'static str, Texts>, errors: &mut Errors) -> Self {
                let mut origins = Origins::default();
                let mut settings = SETTINGS.iter();
                Self {
                    $($name: settings.next().and_then(|setting| {
                        sources::parse(setting, texts.remove(setting.name), &mut origins, errors)
                    }),)*
                    origins,
                }
            }
        }
    };
    (@secret) => { false };
    (@secret secret) => { true };
}

settings! {
    /// The [addresses](#addresses) to listen on: `HOST:PORT` or `unix:/PATH`.
    listen: Vec<ListenAddress>, "127.0.0.1:3100", r#"["127.0.0.1:3100", "unix:/run/session-auth/http.sock"]"#;
    /// A PEM file with the certificate chain for [TLS](#tls) on all TCP addresses.
    tls_cert_file: PathBuf, "none", r#""/etc/session-auth/tls.crt""#;
    /// A PEM file with the private key of that certificate.
    tls_key_file: PathBuf, "none", r#""/etc/session-auth/tls.key""#;
    /// The [Redis](redis.md#addresses) that keeps the sessions: `redis://[user:password@]host[:port][/database]`, `rediss://` for TLS,
    /// `unix:///path`, `redis+sentinel://host[:port],…/master`, or `redis+cluster://host[:port],…`. Characters such as / ? # in the password are percent-encoded. Without it,
    /// sessions are kept in memory and end with the process.
    redis_url: String, "an embedded store", r#""redis://127.0.0.1:6379/0""#, secret;
    /// A prefix of every key in Redis, so that several deployments can share a server. It must not contain braces.
    redis_key_prefix: String, "none", r#""app1:""#;
    /// A PEM file with the certificates of the authorities that may have signed the certificate of Redis. Without it, those of the system.
    redis_ca_file: PathBuf, "none", r#""/etc/session-auth/redis-ca.crt""#;
    /// A PEM file with the certificate with which this server authenticates to Redis. It needs `redis_client_key_file`.
    redis_client_cert_file: PathBuf, "none", r#""/etc/session-auth/redis-client.crt""#;
    /// A PEM file with the private key of that certificate.
    redis_client_key_file: PathBuf, "none", r#""/etc/session-auth/redis-client.key""#;
    /// The user of the sentinels themselves. The user in `redis_url` is that of the master.
    sentinel_user: String, "none", r#""session-auth""#;
    /// The password of the sentinels themselves.
    sentinel_password: String, "none", r#""secret""#, secret;
    /// With `redis+sentinel://` and `redis+cluster://`: the time for which a master is used after a majority of the sentinels in the URL, or of
    /// the masters of the cluster, has [confirmed](redis-topologies.md#guarantees) it, in milliseconds, 300 to 60000. 0 turns it off.
    master_lease_ms: u64, "3000", "3000";
    /// True if `/readyz` is a 503 while Redis answers and refuses writes. Otherwise it is a 200 with the status `degraded`.
    unready_without_writes: bool, "false", "false";
    /// The number of replicas of Redis that must have a revocation: see [durable revocations](redis.md#durable-revocations). If fewer
    /// confirm it in time, the response is 202. 0 waits for none.
    min_replicas_ack: u32, "0", "1";
    /// True if a revocation must also be in the append-only file of the master, on its disk. It needs Redis 7.2 or Valkey.
    ack_local_disk: bool, "false", "false";
    /// How long a revocation waits for replicas and disk, in milliseconds: 10 to 60000. The limit of the whole revocation is longer, by
    /// `store_timeout_ms` and by the [time to connect](redis.md#addresses). With `min_replicas_ack` or `ack_local_disk`, the sum of the three
    /// must be less than `request_timeout_ms`.
    ack_timeout_ms: u64, "1000", "1000";
    /// True if a Redis that may have lost writes is not used before this server has written its recent revocations again, and 5 seconds
    /// have passed for the other servers to do so: see [after a failover](redis.md#after-a-failover). `/readyz` is then also a 503 while Redis
    /// may lose sessions or revocations: an evicting policy, no append-only file, or neither known since `INFO` is forbidden. Requests
    /// are still served then. Without this setting, these are warnings.
    require_durable_store: bool, "false", "false";
    /// The Argon2id hash of the master password, as `hash-password` prints it. It may be left out with
    /// `admin_keys_file`.
    master_password_hash: String, "generated", r#""$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$WFXMnDdAUAWzKxjo4CUJEHe8hdlxZHJGIjAqAQFSRrE""#, secret;
    /// A file with the named keys of [administrators](administrators.md), in TOML. `admin-key` prints its tables.
    admin_keys_file: PathBuf, "none", r#""/etc/session-auth/admin-keys.toml""#;
    /// A file with PASERK keys, one per line: the signing secret first, then further accepted keys.
    key_file: PathBuf, "generated", r#""/etc/session-auth/keys""#;
    /// The lifetime of a token if the request names none, in seconds. If 86400 is not between `min_ttl` and `max_ttl`, the default
    /// is the nearer of the two.
    session_ttl: u64, "86400", "86400";
    /// The shortest lifetime that a request may name, in seconds.
    min_ttl: u64, "300", "300";
    /// The longest lifetime that a request may name, in seconds.
    max_ttl: u64, "604800", "604800";
    /// The maximum number of active sessions of an agent, 1 to 1000.
    max_sessions_per_agent: u32, "5", "5";
    /// The action when an agent at its maximum requests a session: `refuse`, or `evict_oldest`, which revokes the least recently
    /// renewed or created session.
    on_session_limit: OnSessionLimit, "refuse", r#""refuse""#;
    /// The maximum number of renewals of a session. A request may name fewer.
    max_renewals: u32, "30", "30";
    /// The maximum lifetime of a session, in seconds from its creation. A request may name less.
    absolute_lifetime: u64, "2592000", "2592000";
    /// The time in which a [renewal](renewal.md) or a [creation](http-api.md#repeating-a-creation) can be repeated with its
    /// `Idempotency-Key`, in seconds, up to one day. 0 turns it off.
    renewal_retry_window: u64, "60", "60";
    /// The time in which the previous token is still admitted to the API after a renewal, in seconds, up to one day.
    previous_token_overlap: u64, "0", "0";
    /// The reaction to a replaced token that is presented after the retry window and the overlap: `reject` it, or `revoke` the
    /// session too.
    on_reuse: OnReuse, "reject", r#""reject""#;
    /// The time for which an expired session is listed, in seconds.
    expired_retention: u64, "86400", "86400";
    /// The prefix of tokens: at most 64 of the characters A-Z a-z 0-9 - . _ ~ + /
    token_prefix: String, "wai_sess_", r#""wai_sess_""#;
    /// The request header that carries the session token. Any header other than `authorization` may hold the bare token.
    token_header: String, "authorization", r#""authorization""#;
    /// The `iss` claim of tokens.
    issuer: String, "tower-session-auth", r#""tower-session-auth""#;
    /// The `aud` claim of tokens.
    audience: String, "none", r#""https://api.example""#;
    /// The URL of the API that the sessions are for: a protected resource of [OAuth](oauth.md#resource-metadata). Its metadata is published, and the
    /// challenges name it.
    resource_url: String, "none", r#""https://api.example""#, secret;
    /// The deadline of a store call, in milliseconds. It must be less than `request_timeout_ms`.
    store_timeout_ms: u64, "250", "250";
    /// The freshness of session records: `strict` reads Redis for every request. `bounded` also admits requests from cached records,
    /// which Redis invalidates.
    freshness: Freshness, "strict", r#""strict""#;
    /// With `bounded`: how long a revoked token may be admitted while Redis cannot be reached, in milliseconds, 50 to 60000.
    freshness_bound_ms: u64, "250", "250";
    /// The time limit of a request, its body included, in milliseconds.
    request_timeout_ms: u64, "10000", "10000";
    /// The time limit of a connection without a request, in milliseconds. Set it above the
    /// idle timeout of the load balancer.
    idle_timeout_ms: u64, "75000", "75000";
    /// The time limit for the head of a request, and for a TLS handshake, in milliseconds.
    header_timeout_ms: u64, "10000", "10000";
    /// The time in which a client must read a part of a response, in milliseconds.
    write_timeout_ms: u64, "10000", "10000";
    /// The maximum age of a connection, in milliseconds. An older connection closes after its next response.
    max_connection_age_ms: u64, "3600000", "3600000";
    /// The time for which a [stopping](#stopping) server still serves, with a 503 for `/readyz`, before it closes its listeners, in
    /// milliseconds.
    shutdown_delay_ms: u64, "0", "0";
    /// The time limit for requests in flight when the server stops, in milliseconds.
    shutdown_timeout_ms: u64, "10000", "10000";
    /// The maximum number of connections at once: see [limits](#limits).
    max_connections: usize, "1024", "1024";
    /// The maximum number of connections of one client address at once.
    max_connections_per_client: usize, "half of max_connections", "512";
    /// The maximum number of requests in flight at once: see [limits](#limits).
    max_requests: usize, "256", "256";
    /// The maximum number of streams of an HTTP/2 connection at once.
    max_http2_streams: u32, "100", "100";
    /// The addresses or networks of proxies whose `X-Forwarded-For` is trusted. A Unix socket counts as 127.0.0.1.
    trusted_proxies: Vec<IpNet>, "none", r#"["10.0.0.7", "192.168.0.0/16"]"#;
    /// The log filter, in the form of `RUST_LOG`: a level, or `TARGET=LEVEL` in a list. At `info`, there is one [line](#log-lines) for
    /// each request. A word that is no level and no target of this program is an error.
    log: String, "info", r#""info""#;
    /// The format of log lines: `text` for people, or `json` with one object for each line.
    log_format: LogFormat, "text", r#""text""#;
    /// The address of a listener that serves `/metrics` alone, without credentials: see [metrics](metrics.md).
    metrics_listen: SocketAddr, "none", r#""127.0.0.1:9464""#;
}

impl Settings {
    /// The files that settings name.
    pub(super) fn named_files(&self) -> impl Iterator<Item = PathBuf> {
        let files = [
            &self.key_file,
            &self.admin_keys_file,
            &self.tls_cert_file,
            &self.tls_key_file,
        ];
        files.into_iter().flatten().cloned()
    }
}

impl fmt::Debug for Settings {
    /// Leaves out the settings, since some are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").finish_non_exhaustive()
    }
}
