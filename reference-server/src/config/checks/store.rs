//! The store of the sessions.

use std::time::Duration;

use tower_session_auth::store::RedisStoreConfig;

use super::Checks;
use crate::config::{Settings, Store, redis_url::has_reserved_character};

pub(super) fn store(settings: &Settings, checks: &mut Checks<'_>) -> Store {
    let timeout = checks.within(
        "store_timeout_ms",
        settings.store_timeout_ms.unwrap_or(250),
        1,
        60_000,
    );
    let bound = checks.within(
        "freshness_bound_ms",
        settings.freshness_bound_ms.unwrap_or(250),
        50,
        60_000,
    );
    let Some(url) = settings.redis_url.clone() else {
        return Store::Memory;
    };
    let encoding = has_reserved_character(&url).then_some(
        "not a usable Redis URL: characters such as / ? # in the user or the password must be percent-encoded \
         (/ is %2F, ? is %3F, # is %23)",
    );
    let mut config = RedisStoreConfig::new(url);
    config.timeout = Duration::from_millis(timeout);
    config.near_cache.bound = Duration::from_millis(bound);
    // A part of the password may be a valid host.
    match (encoding, config.check()) {
        (Some(encoding), _) => checks.wrong("redis_url", encoding),
        (None, Err(error)) => checks.wrong("redis_url", error),
        (None, Ok(())) => {}
    }
    Store::Redis(config)
}
