//! Servers that accept connections and send no response.

use std::time::{Duration, Instant};

use session_auth_tests::{
    fixtures::{NOW, agent, open, session},
    redis::TestRedis,
};
use tower_session_auth::store::{CachedStore as _, SessionStore as _};

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
