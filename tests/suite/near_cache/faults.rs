//! The near cache while connections, servers, host names or runtimes fail.

use std::time::{Duration, Instant};

use session_auth_tests::{
    fixtures::{
        NOW, agent,
        cached::{
            BOUND, DEADLINE, SLACK, add, cache, cached_session, coherent_store, execute, stats, wait_until,
        },
        open, session,
    },
    redis::TestRedis,
    relay::Relay,
};
use tokio::time::sleep;
use tower_session_auth::{
    RedisStore,
    store::{CachedStore as _, RedisStoreConfig, SessionStore as _},
};

/// The relay numbers connections in the order in which the store makes them.
const STORE_CONNECTION: usize = 0;
const TRACKING_CONNECTION: usize = 1;

/// Opens a store over a relay and enables its cache.
async fn relayed(relay: &Relay, deadline: Duration) -> RedisStore {
    let store = open(format!("redis://{}", relay.address), deadline);
    store.ping().await.unwrap();
    store.enable_cache().unwrap();
    store
}

#[tokio::test]
async fn lost_connection_clears_the_cache_until_it_is_replaced() {
    let mut redis = TestRedis::start();
    let store = coherent_store(&redis).await;
    let record = cached_session(&store).await;
    execute(&redis, &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    wait_until("invalidated", || store.cached(record.id).is_none()).await;
    wait_until("coherent again", || stats(&store).coherent).await;
    assert_eq!(stats(&store).losses, 1);
    let record = cached_session(&store).await;

    redis.kill();
    let after = wait_until("invalidated", || store.cached(record.id).is_none()).await;
    assert!(after < BOUND + SLACK, "{after:?}");
    store.read_through(record.id).await.unwrap_err();
    redis.restart();
    wait_until("coherent again", || stats(&store).coherent).await;
    cached_session(&store).await;
}

#[tokio::test]
async fn silent_server_ends_the_lease_within_the_bound() {
    let mut redis = TestRedis::start();
    let store = coherent_store(&redis).await;
    let record = cached_session(&store).await;
    redis.pause();
    let paused = Instant::now();
    wait_until("without a lease", || store.cached(record.id).is_none()).await;
    assert!(paused.elapsed() < BOUND + SLACK, "{:?}", paused.elapsed());
    assert!(!stats(&store).coherent);
    redis.resume();
    wait_until("coherent again", || stats(&store).coherent).await;
}

#[tokio::test]
async fn cache_is_not_used_on_a_server_that_became_a_replica() {
    let (redis, master) = (TestRedis::start(), TestRedis::start());
    let store = coherent_store(&redis).await;
    let record = cached_session(&store).await;
    execute(&redis, &["REPLICAOF", "127.0.0.1", &master.port().to_string()]);
    wait_until("invalidated", || store.cached(record.id).is_none()).await;
    sleep(BOUND + SLACK).await;
    assert!(!stats(&store).coherent);
    // No write and no health check has revealed the replica.
    let error = store.read_through(record.id).await.unwrap_err();
    assert!(error.to_string().contains("replica"), "{error}");
    execute(&redis, &["REPLICAOF", "NO", "ONE"]);
    wait_until("coherent again", || stats(&store).coherent).await;
}

/// A strict layer uses the store's own connection and no cache.
#[tokio::test]
async fn strict_reads_stop_on_a_server_that_became_a_replica() {
    let (redis, master) = (TestRedis::start(), TestRedis::start());
    let store = open(redis.url(), DEADLINE);
    let record = add(&store, session(agent(), NOW)).await;
    execute(&redis, &["REPLICAOF", "127.0.0.1", &master.port().to_string()]);
    let began = Instant::now();
    while store.read(record.id).await.is_ok() {
        assert!(began.elapsed() < Duration::from_secs(3), "still read");
        sleep(Duration::from_millis(10)).await;
    }
}

/// The store's own connection is idle while the cache answers every read.
#[tokio::test]
async fn hanging_idle_connection_is_replaced_before_it_is_needed() {
    let redis = TestRedis::start();
    let relay = Relay::start(redis.port()).await;
    let store = relayed(&relay, Duration::from_millis(500)).await;
    wait_until("coherent", || stats(&store).coherent).await;
    let record = cached_session(&store).await;
    relay.hang(STORE_CONNECTION);
    wait_until("replaced", || stats(&store).losses == 1).await;
    wait_until("coherent again", || stats(&store).coherent).await;
    cache(&store, record.id).await;
}

/// A fork or a slow script pauses the server. The cache can be used again afterwards, so the store keeps its connection.
#[tokio::test]
async fn short_pause_of_the_server_keeps_the_connection() {
    let mut redis = TestRedis::start();
    let store = open(redis.url(), Duration::from_millis(250));
    store.enable_cache().unwrap();
    wait_until("coherent", || stats(&store).coherent).await;
    let record = cached_session(&store).await;
    // One pause delays a health check for longer than the deadline of a call.
    for _ in 0..2 {
        redis.pause();
        sleep(Duration::from_millis(600)).await;
        redis.resume();
        wait_until("usable again", || store.cached(record.id).is_some()).await;
    }
    assert_eq!(stats(&store).losses, 0);
}

/// The host name moves to another server, and only the store's own connection follows.
#[tokio::test]
async fn cache_is_cleared_when_its_server_is_not_the_stores_server() {
    let (old_server, new_server) = (TestRedis::start(), TestRedis::start());
    let relay = Relay::start(old_server.port()).await;
    let (store, other_store) = (relayed(&relay, DEADLINE).await, open(new_server.url(), DEADLINE));
    wait_until("coherent", || stats(&store).coherent).await;
    let session = session(agent(), NOW);
    let record = add(&store, session.clone()).await;
    add(&other_store, session).await;
    cache(&store, record.id).await;

    relay.redirect_to(new_server.port());
    relay.cut(STORE_CONNECTION);
    other_store.revoke(record.id, NOW).await.unwrap();
    wait_until("invalidated", || store.cached(record.id).is_none()).await;
    wait_until("coherent again", || stats(&store).coherent).await;
    let read = store.read_through(record.id).await.unwrap().unwrap();
    assert_eq!(read.revoked_at, Some(NOW));
}

/// The host name moves, and only the tracking connection breaks: the store then reads from the new server.
#[tokio::test]
async fn store_follows_a_host_name_that_moves_to_another_server() {
    let (old_server, new_server) = (TestRedis::start(), TestRedis::start());
    let relay = Relay::start(old_server.port()).await;
    let (store, other_store) = (relayed(&relay, DEADLINE).await, open(new_server.url(), DEADLINE));
    wait_until("coherent", || stats(&store).coherent).await;
    let session = session(agent(), NOW);
    let record = add(&store, session.clone()).await;
    add(&other_store, session).await;
    cache(&store, record.id).await;
    other_store.revoke(record.id, NOW).await.unwrap();

    relay.redirect_to(new_server.port());
    relay.cut(TRACKING_CONNECTION);
    wait_until("invalidated", || store.cached(record.id).is_none()).await;
    let moved = wait_until("coherent again", || stats(&store).coherent).await;
    assert!(moved < Duration::from_secs(1), "{moved:?}");
    let read = store.read_through(record.id).await.unwrap().unwrap();
    assert_eq!(read.revoked_at, Some(NOW));
}

/// A pending read holds the replaced connection open. When that connection breaks, the cache already uses a new one.
#[tokio::test]
async fn late_failure_of_a_replaced_connection_keeps_the_cache() {
    let redis = TestRedis::start();
    let relay = Relay::start(redis.port()).await;
    let store = relayed(&relay, DEADLINE).await;
    wait_until("coherent", || stats(&store).coherent).await;
    let record = add(&store, session(agent(), NOW)).await;
    relay.hang(TRACKING_CONNECTION);
    let reading = store.clone();
    let read = tokio::spawn(async move { reading.read_through(record.id).await });
    wait_until("lost", || stats(&store).losses == 1).await;
    wait_until("coherent again", || stats(&store).coherent).await;
    assert!(!read.is_finished());
    relay.cut(TRACKING_CONNECTION);
    read.await.unwrap().unwrap();
    cache(&store, record.id).await;
    assert_eq!(stats(&store).losses, 1);
}

#[tokio::test]
async fn hanging_tracking_connection_does_not_fail_reads() {
    let redis = TestRedis::start();
    let relay = Relay::start(redis.port()).await;
    let mut config = RedisStoreConfig::new(format!("redis://{}", relay.address));
    config.timeout = Duration::from_millis(600);
    // Longer than the test, so that no missed ping reveals the hanging connection.
    config.near_cache.bound = Duration::from_secs(60);
    let store = RedisStore::open(&config).unwrap();
    let records = [
        add(&store, session(agent(), NOW)).await,
        add(&store, session(agent(), NOW)).await,
        add(&store, session(agent(), NOW)).await,
    ];
    store.enable_cache().unwrap();
    wait_until("coherent", || stats(&store).coherent).await;
    cache(&store, records[0].id).await;
    relay.hang(TRACKING_CONNECTION);
    let began = Instant::now();
    for record in &records[1..] {
        let read = store.read_through(record.id).await.unwrap();
        assert_eq!(read.as_ref(), Some(record));
    }
    assert!(began.elapsed() < config.timeout, "{:?}", began.elapsed());
    assert_eq!(
        store.cached(records[0].id).as_ref(),
        Some(&records[0].clone().into()),
        "within the bound"
    );
}

/// Opens a store as a user who may run all commands except `except`.
fn user(redis: &TestRedis, except: &[&str]) -> RedisStore {
    let mut words = vec!["ACL", "SETUSER", "limited", "on", ">secret", "~*", "&*", "+@all"];
    words.extend(except);
    execute(redis, &words);
    open(
        format!("redis://limited:secret@127.0.0.1:{}", redis.port()),
        DEADLINE,
    )
}

/// `-@dangerous` forbids ROLE and INFO, among others.
#[tokio::test]
async fn replica_is_detected_without_dangerous_commands() {
    let (redis, master) = (TestRedis::start(), TestRedis::start());
    let store = user(&redis, &["-@dangerous"]);
    store.enable_cache().unwrap();
    wait_until("coherent", || stats(&store).coherent).await;
    let record = cached_session(&store).await;
    execute(&redis, &["REPLICAOF", "127.0.0.1", &master.port().to_string()]);
    wait_until("invalidated", || store.cached(record.id).is_none()).await;
    let began = Instant::now();
    while store.read(record.id).await.is_ok() {
        assert!(began.elapsed() < Duration::from_secs(3), "still read");
        sleep(Duration::from_millis(10)).await;
    }
    assert!(!stats(&store).coherent);
}

/// The host name moves, only the tracking connection breaks, and the ACL forbids `INFO`.
#[tokio::test]
async fn both_connections_are_replaced_if_info_is_forbidden() {
    let (old_server, new_server) = (TestRedis::start(), TestRedis::start());
    let relay = Relay::start(old_server.port()).await;
    for redis in [&old_server, &new_server] {
        user(redis, &["-info"]);
    }
    let store = open(format!("redis://limited:secret@{}", relay.address), DEADLINE);
    store.enable_cache().unwrap();
    wait_until("coherent", || stats(&store).coherent).await;
    let session = session(agent(), NOW);
    let record = add(&store, session.clone()).await;
    add(&open(new_server.url(), DEADLINE), session).await;
    cache(&store, record.id).await;
    // Until the store's own connection counts as established.
    sleep(Duration::from_millis(1_100)).await;
    relay.redirect_to(new_server.port());
    relay.cut(TRACKING_CONNECTION);
    wait_until("invalidated", || store.cached(record.id).is_none()).await;
    wait_until("coherent again", || stats(&store).coherent).await;
    assert!(store.revoke(record.id, NOW).await.unwrap().is_some());
    let read = store.read_through(record.id).await.unwrap().unwrap();
    assert_eq!(read.revoked_at, Some(NOW));
}

/// The user may not enable tracking.
#[tokio::test]
async fn reconnects_are_limited_if_tracking_is_forbidden() {
    let redis = TestRedis::start();
    let store = user(&redis, &["-client|tracking"]);
    let record = add(&store, session(agent(), NOW)).await;
    let connections = || {
        let info: redis::InfoDict = redis.command(&["INFO", "stats"]).unwrap();
        info.get::<u64>("total_connections_received").unwrap()
    };
    store.enable_cache().unwrap();
    let before = connections();
    sleep(Duration::from_millis(1_500)).await;
    let made = connections() - before;
    assert!((1..=12).contains(&made), "{made} connections");
    assert!(!stats(&store).coherent);
    assert_eq!(
        store.read_through(record.id).await.unwrap().as_ref(),
        Some(&record)
    );
}

/// The test blocks its own runtime for a second: the cache has its own thread.
#[tokio::test]
async fn starved_runtime_does_not_delay_invalidations() {
    let redis = TestRedis::start();
    let (store, other) = (coherent_store(&redis).await, open(redis.url(), DEADLINE));
    let record = cached_session(&store).await;
    other.revoke(record.id, NOW).await.unwrap();
    std::thread::sleep(Duration::from_millis(250));
    assert_eq!(store.cached(record.id), None);
    assert_eq!(
        stats(&store).entries,
        0,
        "the entry is removed, not only the lease"
    );
    std::thread::sleep(4 * BOUND);
    let lease_is_renewed = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(5));
        stats(&store).coherent
    });
    assert!(lease_is_renewed);
    assert_eq!(stats(&store).losses, 0);
}
