//! Records in memory: what they may still answer once Redis knows better, and for how long.

#[path = "support/near_cache/faults.rs"]
mod faults;
#[path = "support/fixtures.rs"]
mod fixtures;
#[path = "support/near_cache/load.rs"]
mod load;
#[path = "support/near_cache/stores.rs"]
mod stores;

use std::time::{Duration, Instant};

use fixtures::{NOW, agent, key, open, renewal, session};
use session_auth_tests::redis::TestRedis;
use stores::{DEADLINE, SLACK, add, coherent, coherent_with, held, hold, order, stats, until};
use tower_session_auth::{
    session::OnSessionLimit,
    store::{CachedStore as _, CreateOutcome, SessionStore as _},
};

#[tokio::test]
async fn a_record_that_was_read_is_held_and_answers_without_a_command() {
    let redis = TestRedis::start();
    let store = coherent(&redis).await;
    let record = held(&store).await;
    let mut monitor = redis.monitor();
    for _ in 0..1_000 {
        assert_eq!(store.cached(record.id).as_deref(), Some(&record));
    }
    assert_eq!(monitor.lines(), [""; 0]);
    assert!(stats(&store).hits >= 1_000);
}

#[tokio::test]
async fn what_another_process_changes_is_forgotten_within_a_push() {
    let redis = TestRedis::start();
    let (store, other) = (coherent(&redis).await, open(redis.url(), DEADLINE));
    for _ in 0..20 {
        let record = held(&store).await;
        other.revoke(record.id, NOW).await.unwrap();
        until("forgotten", || store.cached(record.id).is_none()).await;
        let revoked = store.read_through(record.id).await.unwrap().unwrap();
        assert_eq!(revoked.revoked_at, Some(NOW));
        assert_eq!(store.cached(record.id), None, "what is revoked is not held");

        let record = held(&store).await;
        let swap = renewal(&record, "1", NOW);
        other.replace_token(&swap).await.unwrap();
        until("forgotten", || store.cached(record.id).is_none()).await;
        hold(&store, record.id).await;
        assert_eq!(store.cached(record.id).as_deref(), Some(&swap.next));
    }
}

#[tokio::test]
async fn what_the_process_itself_changes_is_forgotten_at_once() {
    let redis = TestRedis::start();
    let store = coherent(&redis).await;
    for _ in 0..50 {
        let record = held(&store).await;
        store.revoke(record.id, NOW).await.unwrap();
        assert_eq!(store.cached(record.id), None, "revoked");

        let record = held(&store).await;
        store.replace_token(&renewal(&record, "1", NOW)).await.unwrap();
        assert_ne!(store.cached(record.id).as_deref(), Some(&record), "renewed");

        let record = held(&store).await;
        let mut instead = session(record.agent_id, NOW);
        instead.limit = 1;
        instead.on_limit = OnSessionLimit::EvictOldest;
        assert_eq!(
            store.create(&instead).await.unwrap(),
            CreateOutcome::InPlaceOf(vec![record.id])
        );
        assert_eq!(store.cached(record.id), None, "evicted");

        let record = held(&store).await;
        assert_eq!(store.revoke_agent(record.agent_id, NOW).await.unwrap(), 1);
        assert_eq!(store.cached(record.id), None, "revoked with its agent");
    }
}

#[tokio::test]
async fn what_vanishes_from_redis_is_forgotten() {
    let redis = TestRedis::start();
    let store = coherent(&redis).await;
    for vanish in [&["DEL"][..], &["FLUSHALL"], &["FLUSHDB", "ASYNC"]] {
        let record = held(&store).await;
        let name = key(record.id);
        let flush = vanish[0].starts_with("FLUSH");
        let mut words = vanish.to_vec();
        if !flush {
            words.insert(1, &name);
        }
        order(&redis, &words);
        until("forgotten", || store.cached(record.id).is_none()).await;
        assert_eq!(store.read_through(record.id).await.unwrap(), None, "{vanish:?}");
        assert_eq!(store.cached(record.id), None, "what is not there is not held");
        until("coherent again", || stats(&store).coherent).await;
    }
}

#[tokio::test]
async fn what_expires_in_redis_is_forgotten() {
    let redis = TestRedis::start();
    let store = coherent(&redis).await;
    let record = held(&store).await;
    order(&redis, &["PEXPIRE", &key(record.id), "500"]);
    until("forgotten, since it was changed", || {
        store.cached(record.id).is_none()
    })
    .await;
    hold(&store, record.id).await;
    until("expired", || store.cached(record.id).is_none()).await;
    assert_eq!(store.read_through(record.id).await.unwrap(), None);
    assert!(stats(&store).coherent);
}

/// Redis evicts it, since it is told to need less memory than it does.
#[tokio::test]
async fn what_redis_evicts_is_forgotten() {
    let redis = TestRedis::start();
    let store = coherent(&redis).await;
    let record = held(&store).await;
    order(&redis, &["CONFIG", "SET", "maxmemory-policy", "allkeys-random"]);
    order(&redis, &["CONFIG", "SET", "maxmemory", "1"]);
    until("forgotten", || store.cached(record.id).is_none()).await;
}

#[tokio::test]
async fn as_many_records_are_held_as_there_is_room_for_and_not_for_longer_than_they_may() {
    let redis = TestRedis::start();
    let store = coherent_with(&redis, |near| {
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
    hold(&store, record.id).await;
    let since = Instant::now();
    until("too old", || store.cached(record.id).is_none()).await;
    assert!(since.elapsed() < Duration::from_millis(300) + SLACK);
    until("in use all the same", || stats(&store).coherent).await;
}

#[tokio::test]
async fn however_few_records_are_held_any_of_them_can_be() {
    let redis = TestRedis::start();
    let store = coherent_with(&redis, |near| near.capacity = 1).await;
    for _ in 0..20 {
        held(&store).await;
    }
}
