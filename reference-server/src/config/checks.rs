//! Checking settings: from settings to a configuration, or to all mistakes in them.

use std::{net::Ipv4Addr, path::Path, time::Duration};

use http::{HeaderName, header};
use tower_session_auth::{
    KeySet, MasterAuthLayer,
    master_auth::TrustedProxies,
    session::SessionPolicy,
    store::RedisStoreConfig,
    token::{DEFAULT_ISSUER, DEFAULT_PREFIX},
};
use tracing_subscriber::EnvFilter;

use super::generate::generate;
use super::{Certificate, Config, ConfigErrors, Limits, ListenAddress, Settings, Store};

const DAY: u64 = 86_400;
const TEN_YEARS: u64 = 10 * 365 * DAY;

impl Store {
    /// Checks the settings about the store alone.
    pub(crate) fn resolve(settings: &Settings) -> Result<Self, ConfigErrors> {
        let mut errors = Errors::default();
        let store = store(settings, &mut errors);
        if errors.none() {
            Ok(store)
        } else {
            Err(errors.all())
        }
    }
}

impl Config {
    /// Checks settings as a whole. With Redis, keys and a master password hash must be set too. Without it, they are generated if
    /// they are missing.
    ///
    /// # Errors
    /// All mistakes.
    pub fn resolve(settings: Settings) -> Result<Self, ConfigErrors> {
        let mut errors = Errors::default();
        no_empty_text(&settings, &mut errors);
        let policy = policy(&settings, &mut errors);
        let limits = limits(&settings, &mut errors);
        let certificate = certificate(&settings, &mut errors);
        let store = store(&settings, &mut errors);
        if limits.request <= store.timeout() {
            errors.add("store_timeout_ms: must be less than request_timeout_ms");
        }
        let token_prefix = settings
            .token_prefix
            .clone()
            .unwrap_or_else(|| DEFAULT_PREFIX.into());
        if token_prefix.len() > 64 || !token_prefix.bytes().all(is_token_byte) {
            errors.add("token_prefix: at most 64 of the characters A-Z a-z 0-9 - . _ ~ + /");
        }
        let token_header = token_header(&settings, &mut errors);
        let issuer = settings.issuer.clone().unwrap_or_else(|| DEFAULT_ISSUER.into());
        let audience = settings.audience.clone();
        for (name, value) in [("issuer", Some(&issuer)), ("audience", audience.as_ref())] {
            if value.is_some_and(|v| v.is_empty() || v.len() > 255 || v.chars().any(char::is_control)) {
                errors.add(format!("{name}: 1 to 255 bytes without control characters"));
            }
        }
        let log = settings.log.clone().unwrap_or_else(|| "info".into());
        if EnvFilter::try_new(&log).is_err() {
            errors.add("log: not a filter in the form of RUST_LOG, such as info or warn,tower_http=debug");
        }

        let mut master_password_hash = master_password_hash(&settings, &mut errors);
        let mut keys = keys(&settings, &mut errors);
        let mut generated = None;
        if matches!(store, Store::Redis(_)) {
            if master_password_hash.is_none() {
                errors.missing("master_password_hash or master_password_hash_file (make one with: session-auth-server hash-password)");
            }
            if keys.is_none() {
                errors.missing("key_file (make one with: session-auth-server keygen)");
            }
        } else if errors.none() && (master_password_hash.is_none() || keys.is_none()) {
            match generate(master_password_hash.is_none(), keys.is_none()) {
                Ok(fresh) => {
                    master_password_hash = master_password_hash.or(fresh.hash);
                    keys = keys.or(fresh.keys);
                    generated = Some(fresh.generated);
                }
                Err(error) => errors.add(error),
            }
        }

        match (master_password_hash, keys) {
            (Some(master_password_hash), Some(keys)) if errors.none() => Ok(Self {
                listen: settings
                    .listen
                    .unwrap_or_else(|| vec![ListenAddress::Ip(Ipv4Addr::LOCALHOST.into(), 3100)]),
                certificate,
                store,
                master_password_hash,
                keys,
                policy,
                freshness: settings.freshness.unwrap_or_default(),
                token_prefix,
                token_header,
                issuer,
                audience,
                trusted_proxies: TrustedProxies::new(settings.trusted_proxies.unwrap_or_default()),
                limits,
                log,
                generated,
            }),
            _ => Err(errors.all()),
        }
    }
}

/// The mistakes so far. A setting that is wrong is not reported as missing too.
#[derive(Default)]
struct Errors {
    wrong: Vec<String>,
    missing: Vec<String>,
}

impl Errors {
    fn add(&mut self, error: impl Into<String>) {
        self.wrong.push(error.into());
    }

    fn missing(&mut self, what: &str) {
        let setting = what.split(' ').next().unwrap_or_default();
        if !self.wrong.iter().any(|error| error.starts_with(setting)) {
            self.missing
                .push(format!("with redis_url, this must be set too: {what}"));
        }
    }

    fn none(&self) -> bool {
        self.wrong.is_empty() && self.missing.is_empty()
    }

    fn all(mut self) -> ConfigErrors {
        self.wrong.append(&mut self.missing);
        ConfigErrors(self.wrong)
    }

    fn within(&mut self, name: &str, value: u64, min: u64, max: u64) -> u64 {
        if !(min..=max).contains(&value) {
            self.add(format!("{name}: {value} does not lie in {min}..={max}"));
        }
        value
    }
}

fn policy(settings: &Settings, errors: &mut Errors) -> SessionPolicy {
    let mut policy = SessionPolicy::default();
    let min_ttl = settings.min_ttl.unwrap_or(policy.min_ttl);
    let max_ttl = settings.max_ttl.unwrap_or(policy.max_ttl);
    policy.max_ttl = errors.within("max_ttl", max_ttl, 1, TEN_YEARS);
    policy.min_ttl = errors.within("min_ttl", min_ttl, 1, max_ttl.max(1));
    let ttl = settings
        .session_ttl
        .unwrap_or_else(|| policy.ttl.clamp(min_ttl.min(max_ttl), max_ttl));
    policy.ttl = errors.within("session_ttl", ttl, min_ttl, max_ttl);
    let lifetime = settings.absolute_lifetime.unwrap_or(policy.absolute_lifetime);
    policy.absolute_lifetime = errors.within("absolute_lifetime", lifetime, 1, TEN_YEARS);
    let retention = settings.expired_retention.unwrap_or(policy.retention);
    policy.retention = errors.within("expired_retention", retention, 0, TEN_YEARS);
    policy.max_renewals = settings.max_renewals.unwrap_or(policy.max_renewals);
    errors.within("max_renewals", policy.max_renewals.into(), 0, 1_000_000);
    policy.max_sessions_per_agent = settings
        .max_sessions_per_agent
        .unwrap_or(policy.max_sessions_per_agent);
    errors.within(
        "max_sessions_per_agent",
        policy.max_sessions_per_agent.into(),
        1,
        1000,
    );
    policy.on_session_limit = settings.on_session_limit.unwrap_or_default();
    let replaced = &mut policy.replaced_tokens;
    replaced.on_reuse = settings.on_reuse.unwrap_or_default();
    let window = settings.renewal_retry_window.unwrap_or(replaced.retry_window);
    replaced.retry_window = errors.within("renewal_retry_window", window, 0, DAY);
    let overlap = settings.previous_token_overlap;
    let overlap = overlap.unwrap_or(replaced.previous_token_overlap);
    replaced.previous_token_overlap = errors.within("previous_token_overlap", overlap, 0, DAY);
    policy
}

fn limits(settings: &Settings, errors: &mut Errors) -> Limits {
    let defaults = Limits::default();
    let mut millis = |name, value: Option<u64>, default: Duration, min| {
        value.map_or(default, |value| {
            Duration::from_millis(errors.within(name, value, min, DAY * 1000))
        })
    };
    let limits = Limits {
        request: millis(
            "request_timeout_ms",
            settings.request_timeout_ms,
            defaults.request,
            1,
        ),
        shutdown: millis(
            "shutdown_timeout_ms",
            settings.shutdown_timeout_ms,
            defaults.shutdown,
            0,
        ),
        shutdown_delay: millis(
            "shutdown_delay_ms",
            settings.shutdown_delay_ms,
            defaults.shutdown_delay,
            0,
        ),
        idle: millis("idle_timeout_ms", settings.idle_timeout_ms, defaults.idle, 1),
        head: millis("header_timeout_ms", settings.header_timeout_ms, defaults.head, 1),
        write: millis("write_timeout_ms", settings.write_timeout_ms, defaults.write, 1),
        max_age: millis(
            "max_connection_age_ms",
            settings.max_connection_age_ms,
            defaults.max_age,
            1,
        ),
        ..defaults
    };
    numbers(settings, limits, errors)
}

/// The limits that are numbers of connections, requests or streams.
fn numbers(settings: &Settings, limits: Limits, errors: &mut Errors) -> Limits {
    const MAX: u64 = 1_000_000;
    let connections = settings.max_connections.unwrap_or(limits.connections);
    errors.within("max_connections", connections as u64, 1, MAX);
    let half = (connections / 2).max(1);
    let connections_per_client = settings.max_connections_per_client.unwrap_or(half);
    errors.within(
        "max_connections_per_client",
        connections_per_client as u64,
        1,
        MAX,
    );
    let requests = settings.max_requests.unwrap_or(limits.requests);
    errors.within("max_requests", requests as u64, 1, MAX);
    let http2_streams = settings.max_http2_streams.unwrap_or(limits.http2_streams);
    errors.within("max_http2_streams", http2_streams.into(), 1, 10_000);
    Limits {
        connections,
        connections_per_client,
        requests,
        http2_streams,
        ..limits
    }
}

fn certificate(settings: &Settings, errors: &mut Errors) -> Option<Certificate> {
    match (&settings.tls_cert_file, &settings.tls_key_file) {
        (Some(cert), Some(key)) => Certificate::read(cert, key)
            .map_err(|error| errors.add(format!("tls_cert_file and tls_key_file: {error}")))
            .ok(),
        (None, None) => None,
        _ => {
            errors.add("tls_cert_file and tls_key_file: set both of them, or none");
            None
        }
    }
}

fn store(settings: &Settings, errors: &mut Errors) -> Store {
    let timeout = errors.within(
        "store_timeout_ms",
        settings.store_timeout_ms.unwrap_or(250),
        1,
        60_000,
    );
    let bound = errors.within(
        "freshness_bound_ms",
        settings.freshness_bound_ms.unwrap_or(250),
        50,
        60_000,
    );
    let Some(url) = settings.redis_url.clone().filter(|url| !url.is_empty()) else {
        return Store::Memory;
    };
    let mut config = RedisStoreConfig::new(url);
    config.timeout = Duration::from_millis(timeout);
    config.near_cache.bound = Duration::from_millis(bound);
    if let Err(error) = config.check() {
        errors.add(format!("redis_url: {error}"));
    }
    Store::Redis(config)
}

fn master_password_hash(settings: &Settings, errors: &mut Errors) -> Option<String> {
    let (name, hash) = match (
        settings.master_password_hash.clone(),
        &settings.master_password_hash_file,
    ) {
        (Some(_), Some(_)) => {
            errors.add("master_password_hash and master_password_hash_file: set one of them");
            return None;
        }
        (Some(hash), None) => ("master_password_hash", hash),
        (None, Some(path)) => {
            let name = "master_password_hash_file";
            (name, read(name, path, errors)?)
        }
        (None, None) => return None,
    };
    if let Err(error) = MasterAuthLayer::new(&hash) {
        errors.add(format!("{name}: {error}"));
    }
    Some(hash)
}

fn keys(settings: &Settings, errors: &mut Errors) -> Option<KeySet> {
    let path = settings.key_file.as_deref()?;
    KeySet::from_file(path)
        .map_err(|error| errors.add(format!("key_file: {error}")))
        .ok()
}

fn read(name: &str, path: &Path, errors: &mut Errors) -> Option<String> {
    std::fs::read_to_string(path)
        .map_err(|error| errors.add(format!("{name}: {}: {error}", path.display())))
        .ok()
}

fn token_header(settings: &Settings, errors: &mut Errors) -> HeaderName {
    let name = settings.token_header.as_deref().unwrap_or("authorization");
    name.parse().unwrap_or_else(|_| {
        errors.add("token_header: not the name of a header, such as x-session-token");
        header::AUTHORIZATION
    })
}

/// Reports settings that are set but empty. Otherwise an empty `redis_url` would silently mean the embedded store.
fn no_empty_text(settings: &Settings, errors: &mut Errors) {
    for (name, value) in [
        ("redis_url", &settings.redis_url),
        ("master_password_hash", &settings.master_password_hash),
        ("token_prefix", &settings.token_prefix),
        ("issuer", &settings.issuer),
        ("audience", &settings.audience),
        ("log", &settings.log),
    ] {
        if value.as_deref() == Some("") {
            errors.add(format!("{name}: is set, but empty"));
        }
    }
}

/// True if a bearer token can have this byte (RFC 6750, section 2.1).
const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
}
