//! The store of the sessions.

use std::time::Duration;

use tower_session_auth::store::RedisStoreConfig;

use super::Checks;
use crate::config::{Settings, Store};

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
    let mut config = RedisStoreConfig::new(url);
    config.timeout = Duration::from_millis(timeout);
    config.near_cache.bound = Duration::from_millis(bound);
    if let Err(error) = config.check() {
        checks.wrong("redis_url", error);
    }
    Store::Redis(config)
}
