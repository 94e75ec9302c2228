//! Checking settings: from settings to a configuration, or to all mistakes in them.

mod certificate;
mod credentials;
mod limits;
mod listeners;
mod policy;
mod store;
mod tokens;

use std::{path::PathBuf, time::Duration};

use tower_session_auth::{master_auth::TrustedProxies, session::SessionPolicy};

use super::{
    Config, ConfigErrors, Settings, Store, errors::Errors, generate::generate, log_filter, origin::Origins,
};

impl Store {
    /// Checks the settings about the store alone. `errors` has the mistakes so far.
    pub(super) fn check(settings: &Settings, errors: Errors) -> Result<Self, ConfigErrors> {
        let mut checks = Checks::new(settings, errors);
        let store = store::store(settings, &mut checks);
        checks.errors.check().map(|()| store)
    }
}

/// The settings of a rotation of the keys.
pub(crate) struct KeySettings {
    pub(crate) key_file: Option<PathBuf>,
    /// The limits of the sessions whose tokens the keys sign.
    pub(crate) policy: SessionPolicy,
}

impl KeySettings {
    /// Checks the settings about sessions alone. `errors` has the mistakes so far.
    pub(super) fn check(settings: &Settings, errors: Errors) -> Result<Self, ConfigErrors> {
        let mut checks = Checks::new(settings, errors);
        let policy = policy::policy(settings, &mut checks);
        checks.errors.check()?;
        Ok(Self {
            key_file: settings.key_file.clone(),
            policy,
        })
    }
}

impl Config {
    /// Checks settings as a whole. With Redis, keys and a master password hash must be set too. Without it, they are generated if
    /// they are missing.
    ///
    /// # Errors
    /// All mistakes.
    pub fn resolve(settings: Settings) -> Result<Self, ConfigErrors> {
        Self::check(&settings, Errors::default())
    }

    /// Checks settings as a whole. `errors` has the mistakes so far.
    pub(super) fn check(settings: &Settings, errors: Errors) -> Result<Self, ConfigErrors> {
        let mut checks = Checks::new(settings, errors);
        let policy = policy::policy(settings, &mut checks);
        let listen = listeners::listen(settings, &mut checks);
        let limits = limits::limits(settings, &mut checks);
        let store = store::store(settings, &mut checks);
        let depends_on_a_mistake = ["store_timeout_ms", "request_timeout_ms"]
            .iter()
            .any(|setting| checks.errors.is_wrong(setting));
        if !depends_on_a_mistake && limits.request <= store.timeout() {
            checks.wrong("store_timeout_ms", "must be less than request_timeout_ms");
        }
        if !depends_on_a_mistake && !checks.errors.is_wrong("ack_timeout_ms") {
            check_waiting(&store, limits.request, &mut checks);
        }
        let certificate = certificate::certificate(settings, &mut checks);
        let token_prefix = tokens::prefix(settings, &mut checks);
        let token_header = tokens::header(settings, &mut checks);
        let (issuer, audience) = tokens::claims(settings, &mut checks);
        let resource = tokens::resource(settings, &mut checks);
        let log = log(settings, &mut checks);

        let mut master_password = credentials::master_password(settings, &mut checks);
        let admin_keys = credentials::admin_keys(settings, &mut checks);
        // A file of admin keys with mistakes is not reported as missing too.
        let needs_password = master_password.is_none() && settings.admin_keys_file.is_none();
        let mut keys = credentials::keys(settings, &mut checks);
        let mut generated = None;
        if matches!(store, Store::Redis(_)) {
            if needs_password {
                let hint = "make one with: session-auth-server hash-password; or set admin_keys_file, made with: session-auth-server admin-key";
                checks.missing("master_password_hash", hint);
            }
            if keys.is_none() {
                checks.missing("key_file", "make one with: session-auth-server keygen");
            }
        } else if checks.errors.none() && (needs_password || keys.is_none()) {
            match generate(needs_password, keys.is_none()) {
                Ok(fresh) => {
                    master_password = master_password.or(fresh.master_password);
                    keys = keys.or(fresh.keys);
                    generated = Some(fresh.generated);
                }
                Err(error) => checks.errors.add(error),
            }
        }
        checks.errors.check()?;
        let Some(keys) = keys else {
            return Err(ConfigErrors(vec!["key_file: is missing".into()]));
        };
        Ok(Self {
            listen,
            certificate,
            store,
            master_password,
            admin_keys,
            keys,
            policy,
            freshness: settings.freshness.unwrap_or_default(),
            token_prefix,
            token_header,
            issuer,
            audience,
            resource,
            trusted_proxies: TrustedProxies::new(settings.trusted_proxies.clone().unwrap_or_default()),
            limits,
            log,
            log_format: settings.log_format.unwrap_or_default(),
            metrics_listen: settings.metrics_listen,
            unready_without_writes: settings.unready_without_writes.unwrap_or(false),
            generated,
        })
    }
}

/// A revocation that waits for acknowledgements must end before the request does.
fn check_waiting(store: &Store, request: Duration, checks: &mut Checks<'_>) {
    if let Store::Redis(redis) = store
        && redis.waits_for_acks()
        && request <= redis.longest_revocation()
    {
        let millis = redis.longest_revocation().as_millis();
        checks.wrong(
            "ack_timeout_ms",
            format_args!(
                "with store_timeout_ms and the time to connect, a revocation can take {millis} ms, which must be less than \
                 request_timeout_ms"
            ),
        );
    }
}

/// The log filter. With a mistake in it, the result is not used.
fn log(settings: &Settings, checks: &mut Checks<'_>) -> String {
    let filter = settings.log.as_deref().unwrap_or("info");
    log_filter::check(filter).unwrap_or_else(|mistakes| {
        for mistake in mistakes {
            checks.wrong("log", mistake);
        }
        String::new()
    })
}

/// Checks settings, and names them in messages as the user wrote them.
struct Checks<'a> {
    origins: &'a Origins,
    errors: Errors,
}

impl<'a> Checks<'a> {
    const fn new(settings: &'a Settings, errors: Errors) -> Self {
        Self {
            origins: &settings.origins,
            errors,
        }
    }

    fn wrong(&mut self, setting: &'static str, message: impl std::fmt::Display) {
        self.errors.wrong(self.origins, setting, message);
    }

    /// Adds a setting that Redis requires, unless the setting is already wrong.
    fn missing(&mut self, setting: &'static str, hint: &str) {
        if !self.errors.is_wrong(setting) {
            let redis = self.origins.name("redis_url");
            let missing = self.origins.name_beside(setting, "redis_url");
            self.errors
                .add(format!("{missing}: is missing; {redis} requires it ({hint})"));
        }
    }

    /// Checks the range of a value. A setting that is already wrong has its default here, which is not checked.
    fn within(&mut self, setting: &'static str, value: u64, min: u64, max: u64) -> u64 {
        if !self.errors.is_wrong(setting) && !(min..=max).contains(&value) {
            self.wrong(
                setting,
                format_args!("must be between {min} and {max}, not {value}"),
            );
        }
        value
    }
}
