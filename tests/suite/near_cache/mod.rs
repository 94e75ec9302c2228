//! The near cache: when records are invalidated, and how long a stale record can be returned.

mod faults;

use std::time::{Duration, Instant};

use session_auth_tests::{
    fixtures::{
        NOW, agent,
        cached::{
            DEADLINE, SLACK, add, cache, cached_session, coherent_store, coherent_store_with, execute, stats,
            wait_until,
        },
        key, open, renewal, session,
    },
    redis::TestRedis,
};

use tower_session_auth::{
    session::OnSessionLimit,
    store::{CachedStore as _, CreateOutcome, SessionStore as _},
};

#[tokio::test]
async fn cached_record_is_returned_without_a_command() {
    let redis = TestRedis::start();
    let store = coherent_store(&redis).await;
    let record = cached_session(&store).await;
    let mut monitor = redis.monitor();
    for _ in 0..1_000 {
        assert_eq!(store.cached(record.id).as_deref(), Some(&record));
    }
    assert_eq!(monitor.lines(), [""; 0]);
    assert!(stats(&store).hits >= 1_000);
}

#[tokio::test]
async fn change_by_another_process_invalidates_the_record() {
    let redis = TestRedis::start();
    let (store, other) = (coherent_store(&redis).await, open(redis.url(), DEADLINE));
    for _ in 0..20 {
        let record = cached_session(&store).await;
        other.revoke(record.id, NOW).await.unwrap();
        wait_until("invalidated", || store.cached(record.id).is_none()).await;
        let revoked = store.read_through(record.id).await.unwrap().unwrap();
        assert_eq!(revoked.revoked_at, Some(NOW));
        assert_eq!(store.cached(record.id), None, "a revoked record is not cached");

        let record = cached_session(&store).await;
        let swap = renewal(&record, "1", NOW);
        other.replace_token(&swap).await.unwrap();
        wait_until("invalidated", || store.cached(record.id).is_none()).await;
        cache(&store, record.id).await;
        assert_eq!(store.cached(record.id).as_deref(), Some(&swap.next));
    }
}

#[tokio::test]
async fn own_change_invalidates_the_record_immediately() {
    let redis = TestRedis::start();
    let store = coherent_store(&redis).await;
    for _ in 0..50 {
        let record = cached_session(&store).await;
        store.revoke(record.id, NOW).await.unwrap();
        assert_eq!(store.cached(record.id), None, "revoked");

        let record = cached_session(&store).await;
        store.replace_token(&renewal(&record, "1", NOW)).await.unwrap();
        assert_ne!(store.cached(record.id).as_deref(), Some(&record), "renewed");

        let record = cached_session(&store).await;
        let mut instead = session(record.agent_id, NOW);
        instead.limit = 1;
        instead.on_limit = OnSessionLimit::EvictOldest;
        assert_eq!(
            store.create(&instead).await.unwrap(),
            CreateOutcome::Created {
                evicted: vec![record.id]
            }
        );
        assert_eq!(store.cached(record.id), None, "evicted");

        let record = cached_session(&store).await;
        assert_eq!(store.revoke_agent(record.agent_id, NOW).await.unwrap().active, 1);
        assert_eq!(store.cached(record.id), None, "revoked with its agent");
    }
}

#[tokio::test]
async fn deleted_key_invalidates_the_record() {
    let redis = TestRedis::start();
    let store = coherent_store(&redis).await;
    for vanish in [&["DEL"][..], &["FLUSHALL"], &["FLUSHDB", "ASYNC"]] {
        let record = cached_session(&store).await;
        let name = key(record.id);
        let flush = vanish[0].starts_with("FLUSH");
        let mut words = vanish.to_vec();
        if !flush {
            words.insert(1, &name);
        }
        execute(&redis, &words);
        wait_until("invalidated", || store.cached(record.id).is_none()).await;
        assert_eq!(store.read_through(record.id).await.unwrap(), None, "{vanish:?}");
        assert_eq!(store.cached(record.id), None, "a missing record is not cached");
        wait_until("coherent again", || stats(&store).coherent).await;
    }
}

#[tokio::test]
async fn expired_key_invalidates_the_record() {
    let redis = TestRedis::start();
    let store = coherent_store(&redis).await;
    let record = cached_session(&store).await;
    execute(&redis, &["PEXPIRE", &key(record.id), "500"]);
    wait_until("invalidated by the new ttl", || store.cached(record.id).is_none()).await;
    cache(&store, record.id).await;
    wait_until("expired", || store.cached(record.id).is_none()).await;
    assert_eq!(store.read_through(record.id).await.unwrap(), None);
    assert!(stats(&store).coherent);
}

/// Redis evicts the key because its memory limit is below its current use.
#[tokio::test]
async fn key_evicted_by_redis_invalidates_the_record() {
    let redis = TestRedis::start();
    let store = coherent_store(&redis).await;
    let record = cached_session(&store).await;
    execute(&redis, &["CONFIG", "SET", "maxmemory-policy", "allkeys-random"]);
    execute(&redis, &["CONFIG", "SET", "maxmemory", "1"]);
    wait_until("invalidated", || store.cached(record.id).is_none()).await;
}

#[tokio::test]
async fn cache_respects_its_capacity_and_the_maximum_age() {
    let redis = TestRedis::start();
    let store = coherent_store_with(&redis, |near| {
        near.capacity = 256;
        near.max_age = Duration::from_millis(300);
    })
    .await;
    let record = add(&store, session(agent(), NOW)).await;
    for _ in 0..800 {
        let record = add(&store, session(agent(), NOW)).await;
        store.read_through(record.id).await.unwrap();
    }
    let entries = stats(&store).entries;
    assert!((100..=256).contains(&entries), "{entries}");
    cache(&store, record.id).await;
    let since = Instant::now();
    wait_until("too old", || store.cached(record.id).is_none()).await;
    assert!(since.elapsed() < Duration::from_millis(300) + SLACK);
    wait_until("still coherent", || stats(&store).coherent).await;
}

#[tokio::test]
async fn any_session_can_be_cached_with_a_capacity_of_1() {
    let redis = TestRedis::start();
    let store = coherent_store_with(&redis, |near| near.capacity = 1).await;
    for _ in 0..20 {
        cached_session(&store).await;
    }
}
