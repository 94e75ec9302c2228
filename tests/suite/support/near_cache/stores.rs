//! Stores whose caches are in use, for the tests of records in memory.

use std::time::{Duration, Instant};

use redis::Value;
use session_auth_tests::redis::TestRedis;
use tokio::time::sleep;
use tower_session_auth::{
    RedisStore, SessionId,
    session::SessionRecord,
    store::{
        CachedStore as _, CreateOutcome, NearCacheConfig, NearCacheStats, NewSession, RedisStoreConfig,
        SessionStore as _,
    },
};

use crate::fixtures::{NOW, agent, constraints, session};

pub const BOUND: Duration = Duration::from_millis(250);
/// What a busy machine may add between looking at a clock and asking the cache.
pub const SLACK: Duration = Duration::from_millis(250);
pub const DEADLINE: Duration = Duration::from_secs(5);
pub const SOON: Duration = Duration::from_secs(10);

pub async fn until(what: &str, mut done: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < SOON, "never {what}");
        sleep(Duration::from_micros(200)).await;
    }
    began.elapsed()
}

pub fn stats(store: &RedisStore) -> NearCacheStats {
    store.cache_stats().unwrap_or_default()
}

/// A store whose cache is in use.
pub async fn coherent(redis: &TestRedis) -> RedisStore {
    coherent_with(redis, |_| {}).await
}

/// The same with another cache than by default.
pub async fn coherent_with(redis: &TestRedis, change: impl FnOnce(&mut NearCacheConfig)) -> RedisStore {
    let mut config = RedisStoreConfig::new(redis.url());
    config.timeout = DEADLINE;
    change(&mut config.near_cache);
    let store = RedisStore::open(&config).unwrap();
    store.enable_cache().unwrap();
    until("coherent", || stats(&store).coherent).await;
    store
}

pub async fn add(store: &RedisStore, session: NewSession) -> SessionRecord {
    assert_eq!(store.create(&session).await.unwrap(), CreateOutcome::Done);
    session.record
}

/// Reads until the record is held: a push about another record of its shard may come in between.
pub async fn hold(store: &RedisStore, id: SessionId) {
    for _ in 0..1_000 {
        store.read_through(id).await.unwrap();
        if store.cached(id).is_some() {
            return;
        }
        sleep(Duration::from_millis(1)).await;
    }
    panic!("never held: {:?}", stats(store));
}

pub async fn held(store: &RedisStore) -> SessionRecord {
    let mut new = session(agent(), NOW);
    new.record.constraints = constraints(100);
    let record = add(store, new).await;
    hold(store, record.id).await;
    record
}

pub fn order(redis: &TestRedis, arguments: &[&str]) {
    redis.command::<Value>(arguments).unwrap();
}
