//! Servers that accept connections and send no response.

use std::time::{Duration, Instant};

use session_auth_tests::{
    fixtures::{NOW, agent, open, session},
    redis::{Replicated, TestRedis},
};
use tower_session_auth::{
    RedisStore,
    store::{CachedStore as _, RedisStoreConfig, SessionStore as _},
};

use super::{
    execute,
    fault_proxy::{FaultProxy, Mode},
    timed_store::{DEADLINE, TimedStore},
};

#[tokio::test]
async fn calls_to_a_silent_server_fail_at_the_deadline_and_later_calls_at_once() {
    let mut redis = TestRedis::start();
    let subject = TimedStore::new("hanging server", redis.url());
    let record = subject.add().await;
    redis.pause();
    subject.fails(&record).await;
    let last = subject.fails_for(record.id, Duration::from_secs(2)).await;
    assert!(
        last < DEADLINE / 2,
        "the store knows that the server is silent: {last:?}"
    );

    redis.resume();
    assert_eq!(subject.recovers(record.id).await, Some(record));
}

#[tokio::test]
async fn store_reconnects_when_a_silent_address_answers_again() {
    let redis = TestRedis::start();
    let proxy = FaultProxy::start(redis.port(), Mode::Silent).await;
    let subject = TimedStore::new("silent address", proxy.url());
    let record = session(agent(), NOW).record;
    // Long enough for a connection attempt to time out. Each outage ends at a different point of a connection attempt.
    for millis in [700, 1_500, 2_300] {
        subject.fails(&record).await;
        subject.fails_for(record.id, Duration::from_millis(millis)).await;
        proxy.set(Mode::Open);
        assert_eq!(subject.recovers(record.id).await, None);
        subject.add().await;

        proxy.set(Mode::Silent);
        execute(&redis, &["CLIENT", "KILL", "TYPE", "normal"]);
        // Until the store notices the loss.
        while subject.read(record.id).await.is_ok() {}
    }
}

#[tokio::test]
async fn store_connects_to_a_server_whose_replies_take_most_of_the_deadline() {
    let redis = TestRedis::start();
    let proxy = FaultProxy::start(redis.port(), Mode::Slow(Duration::from_millis(200))).await;
    for bounded in [false, true] {
        let store = open(proxy.url(), Duration::from_millis(250));
        if bounded {
            store.enable_cache().unwrap();
        }
        let began = Instant::now();
        while store.ping().await.is_err() {
            assert!(began.elapsed() < Duration::from_secs(20), "no connection");
        }
    }
}

/// One round trip takes most of the deadline, and a new connection takes several.
#[tokio::test]
async fn first_revocation_that_waits_for_a_replica_has_time_to_open_its_connection() {
    let redis = Replicated::start();
    let new = session(agent(), NOW);
    let near: RedisStore = open(redis.master.url(), Duration::from_secs(10));
    near.create(&new).await.unwrap();
    // The server has cached the script: loading it takes more round trips than the deadline allows.
    let other = session(agent(), NOW);
    near.create(&other).await.unwrap();
    near.revoke(other.record.id, NOW).await.unwrap();
    let proxy = FaultProxy::start(redis.master.port(), Mode::Slow(Duration::from_millis(150))).await;
    let mut config = RedisStoreConfig::new(proxy.url());
    config.timeout = Duration::from_millis(250);
    config.min_replicas_ack = 1;
    config.ack_timeout = Duration::from_secs(10);
    let far = RedisStore::open(&config).unwrap();
    let began = Instant::now();
    while far.ping().await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(20), "no connection");
    }
    let revoked = far.revoke(new.record.id, NOW).await.unwrap();
    assert_eq!(revoked.unwrap().durable, Some(true));
}
