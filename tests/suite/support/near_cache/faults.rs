//! Records in memory while connections, servers, names or runtimes fail.

use std::time::{Duration, Instant};

use session_auth_tests::{redis::TestRedis, relay::Relay};
use tokio::time::sleep;
use tower_session_auth::{
    RedisStore,
    store::{CachedStore as _, RedisStoreConfig, SessionStore as _},
};

use crate::{
    fixtures::{NOW, agent, open, session},
    stores::{BOUND, DEADLINE, SLACK, add, coherent, held, hold, order, stats, until},
};

/// The order in which a store connects over a relay.
const OWN: usize = 0;
const TRACKING: usize = 1;

/// A store that reaches Redis over a relay and has begun to connect its cache.
async fn relayed(relay: &Relay, deadline: Duration) -> RedisStore {
    let store = open(format!("redis://{}", relay.address), deadline);
    store.ping().await.unwrap();
    store.enable_cache().unwrap();
    store
}

#[tokio::test]
async fn a_lost_connection_takes_everything_along_and_heals() {
    let mut redis = TestRedis::start();
    let store = coherent(&redis).await;
    let record = held(&store).await;
    order(&redis, &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    until("forgotten", || store.cached(record.id).is_none()).await;
    until("coherent again", || stats(&store).coherent).await;
    assert_eq!(stats(&store).losses, 1);
    let record = held(&store).await;

    redis.kill();
    let after = until("forgotten", || store.cached(record.id).is_none()).await;
    assert!(after < BOUND + SLACK, "{after:?}");
    store.read_through(record.id).await.unwrap_err();
    redis.restart();
    until("coherent again", || stats(&store).coherent).await;
    held(&store).await;
}

#[tokio::test]
async fn a_server_that_says_nothing_is_believed_until_the_bound() {
    let mut redis = TestRedis::start();
    let store = coherent(&redis).await;
    let record = held(&store).await;
    redis.pause();
    let paused = Instant::now();
    until("without a lease", || store.cached(record.id).is_none()).await;
    assert!(paused.elapsed() < BOUND + SLACK, "{:?}", paused.elapsed());
    assert!(!stats(&store).coherent);
    redis.resume();
    until("coherent again", || stats(&store).coherent).await;
}

#[tokio::test]
async fn a_server_that_became_a_replica_is_not_believed() {
    let (redis, master) = (TestRedis::start(), TestRedis::start());
    let store = coherent(&redis).await;
    let record = held(&store).await;
    order(&redis, &["REPLICAOF", "127.0.0.1", &master.port().to_string()]);
    until("out of use", || store.cached(record.id).is_none()).await;
    sleep(BOUND + SLACK).await;
    assert!(!stats(&store).coherent);
    // Nothing was written, nor did anybody ask whether it is ready.
    let error = store.read_through(record.id).await.unwrap_err();
    assert!(error.to_string().contains("replica"), "{error}");
    order(&redis, &["REPLICAOF", "NO", "ONE"]);
    until("coherent again", || stats(&store).coherent).await;
}

/// What a strict layer reads over, where nothing is cached.
#[tokio::test]
async fn a_store_leaves_a_server_that_became_a_replica() {
    let (redis, master) = (TestRedis::start(), TestRedis::start());
    let store = open(redis.url(), DEADLINE);
    let record = add(&store, session(agent(), NOW)).await;
    order(&redis, &["REPLICAOF", "127.0.0.1", &master.port().to_string()]);
    let began = Instant::now();
    while store.read(record.id).await.is_ok() {
        assert!(began.elapsed() < Duration::from_secs(3), "still read");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Nothing is asked over it while everything is answered from memory.
#[tokio::test]
async fn an_idle_connection_that_hangs_is_replaced_before_it_is_needed() {
    let redis = TestRedis::start();
    let relay = Relay::start(redis.port()).await;
    let store = relayed(&relay, Duration::from_millis(500)).await;
    until("coherent", || stats(&store).coherent).await;
    let record = held(&store).await;
    relay.hang(OWN);
    until("replaced", || stats(&store).losses == 1).await;
    until("coherent again", || stats(&store).coherent).await;
    hold(&store, record.id).await;
}

/// A fork or a slow script, and nobody asks the store meanwhile: what is in memory is worth keeping.
#[tokio::test]
async fn a_server_that_is_slow_for_a_moment_is_not_left() {
    let mut redis = TestRedis::start();
    let store = open(redis.url(), Duration::from_millis(250));
    store.enable_cache().unwrap();
    until("coherent", || stats(&store).coherent).await;
    let record = held(&store).await;
    // A heartbeat falls into one of them, and waits for longer than callers would.
    for _ in 0..2 {
        redis.pause();
        sleep(Duration::from_millis(600)).await;
        redis.resume();
        until("used again", || store.cached(record.id).is_some()).await;
    }
    assert_eq!(stats(&store).losses, 0);
}

/// The name of the server moves while it serves, and the store's own connection follows alone.
#[tokio::test]
async fn records_of_another_server_than_the_stores_own_are_not_believed() {
    let (one, other) = (TestRedis::start(), TestRedis::start());
    let relay = Relay::start(one.port()).await;
    let (store, there) = (relayed(&relay, DEADLINE).await, open(other.url(), DEADLINE));
    until("coherent", || stats(&store).coherent).await;
    let session = session(agent(), NOW);
    let record = add(&store, session.clone()).await;
    add(&there, session).await;
    hold(&store, record.id).await;

    relay.lead_to(other.port());
    relay.cut(OWN);
    there.revoke(record.id, NOW).await.unwrap();
    until("forgotten", || store.cached(record.id).is_none()).await;
    until("coherent again", || stats(&store).coherent).await;
    let read = store.read_through(record.id).await.unwrap().unwrap();
    assert_eq!(read.revoked_at, Some(NOW));
}

/// The name moves and only the tracking connection breaks: the store asks the new server from then on.
#[tokio::test]
async fn a_store_follows_a_name_that_moves_while_both_servers_serve() {
    let (one, other) = (TestRedis::start(), TestRedis::start());
    let relay = Relay::start(one.port()).await;
    let (store, there) = (relayed(&relay, DEADLINE).await, open(other.url(), DEADLINE));
    until("coherent", || stats(&store).coherent).await;
    let session = session(agent(), NOW);
    let record = add(&store, session.clone()).await;
    add(&there, session).await;
    hold(&store, record.id).await;
    there.revoke(record.id, NOW).await.unwrap();

    relay.lead_to(other.port());
    relay.cut(TRACKING);
    until("forgotten", || store.cached(record.id).is_none()).await;
    let moved = until("coherent again", || stats(&store).coherent).await;
    assert!(moved < Duration::from_secs(1), "{moved:?}");
    let read = store.read_through(record.id).await.unwrap().unwrap();
    assert_eq!(read.revoked_at, Some(NOW));
}

/// A read under way keeps a connection that was given up alive, until it breaks: by then another one is in use.
#[tokio::test]
async fn a_connection_that_breaks_late_takes_nothing_along() {
    let redis = TestRedis::start();
    let relay = Relay::start(redis.port()).await;
    let store = relayed(&relay, DEADLINE).await;
    until("coherent", || stats(&store).coherent).await;
    let record = add(&store, session(agent(), NOW)).await;
    relay.hang(TRACKING);
    let reading = store.clone();
    let read = tokio::spawn(async move { reading.read_through(record.id).await });
    until("lost", || stats(&store).losses == 1).await;
    until("coherent again", || stats(&store).coherent).await;
    assert!(!read.is_finished());
    relay.cut(TRACKING);
    read.await.unwrap().unwrap();
    hold(&store, record.id).await;
    assert_eq!(stats(&store).losses, 1);
}

#[tokio::test]
async fn a_tracking_connection_that_hangs_costs_no_answer_and_little_time() {
    let redis = TestRedis::start();
    let relay = Relay::start(redis.port()).await;
    let mut config = RedisStoreConfig::new(format!("redis://{}", relay.address));
    config.timeout = Duration::from_millis(600);
    // No ping says so: it hangs for as long as the test lasts.
    config.near_cache.bound = Duration::from_secs(60);
    let store = RedisStore::open(&config).unwrap();
    let records = [
        add(&store, session(agent(), NOW)).await,
        add(&store, session(agent(), NOW)).await,
        add(&store, session(agent(), NOW)).await,
    ];
    store.enable_cache().unwrap();
    until("coherent", || stats(&store).coherent).await;
    hold(&store, records[0].id).await;
    relay.hang(TRACKING);
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

/// A user who may do everything but some commands.
fn user(redis: &TestRedis, but: &[&str]) -> RedisStore {
    let mut words = vec!["ACL", "SETUSER", "limited", "on", ">secret", "~*", "&*", "+@all"];
    words.extend(but);
    order(redis, &words);
    open(
        format!("redis://limited:secret@127.0.0.1:{}", redis.port()),
        DEADLINE,
    )
}

/// What `+@all -@dangerous` forbids: ROLE and INFO among others.
#[tokio::test]
async fn a_user_without_dangerous_commands_leaves_a_replica_too() {
    let (redis, master) = (TestRedis::start(), TestRedis::start());
    let store = user(&redis, &["-@dangerous"]);
    store.enable_cache().unwrap();
    until("coherent", || stats(&store).coherent).await;
    let record = held(&store).await;
    order(&redis, &["REPLICAOF", "127.0.0.1", &master.port().to_string()]);
    until("out of use", || store.cached(record.id).is_none()).await;
    let began = Instant::now();
    while store.read(record.id).await.is_ok() {
        assert!(began.elapsed() < Duration::from_secs(3), "still read");
        sleep(Duration::from_millis(10)).await;
    }
    assert!(!stats(&store).coherent);
}

/// The name moves while only the tracking connection breaks, and nobody may ask which server it is.
#[tokio::test]
async fn where_info_is_forbidden_both_connections_are_made_anew() {
    let (one, other) = (TestRedis::start(), TestRedis::start());
    let relay = Relay::start(one.port()).await;
    for redis in [&one, &other] {
        user(redis, &["-info"]);
    }
    let store = open(format!("redis://limited:secret@{}", relay.address), DEADLINE);
    store.enable_cache().unwrap();
    until("coherent", || stats(&store).coherent).await;
    let session = session(agent(), NOW);
    let record = add(&store, session.clone()).await;
    add(&open(other.url(), DEADLINE), session).await;
    hold(&store, record.id).await;
    // Until the store's own connection is no new one any more.
    sleep(Duration::from_millis(1_100)).await;
    relay.lead_to(other.port());
    relay.cut(TRACKING);
    until("forgotten", || store.cached(record.id).is_none()).await;
    until("coherent again", || stats(&store).coherent).await;
    assert!(store.revoke(record.id, NOW).await.unwrap());
    let read = store.read_through(record.id).await.unwrap().unwrap();
    assert_eq!(read.revoked_at, Some(NOW));
}

/// One that may not track what is cached.
#[tokio::test]
async fn a_server_that_does_not_track_is_not_connected_to_all_the_time() {
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

/// The tests' own runtime does nothing for a second: the cache has its own thread.
#[tokio::test]
async fn a_starved_runtime_does_not_delay_what_is_pushed() {
    let redis = TestRedis::start();
    let (store, other) = (coherent(&redis).await, open(redis.url(), DEADLINE));
    let record = held(&store).await;
    other.revoke(record.id, NOW).await.unwrap();
    std::thread::sleep(Duration::from_millis(250));
    assert_eq!(store.cached(record.id), None);
    assert_eq!(stats(&store).entries, 0, "not only for want of a lease");
    std::thread::sleep(4 * BOUND);
    let pings_go_on = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(5));
        stats(&store).coherent
    });
    assert!(pings_go_on);
    assert_eq!(stats(&store).losses, 0);
}
