//! Servers that accept connections and do not answer.

use std::time::Duration;

use session_auth_tests::{
    fixtures::{NOW, agent, session},
    redis::TestRedis,
};

use super::{
    execute,
    gate::{Gate, Mode},
    timed_store::{DEADLINE, TimedStore},
};

#[tokio::test]
async fn hanging_server_fails_calls_at_their_deadline_and_then_immediately() {
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
async fn store_leaves_a_silent_address_when_the_server_answers() {
    let redis = TestRedis::start();
    let gate = Gate::before(redis.port(), Mode::Silent).await;
    let subject = TimedStore::new("silent address", gate.url());
    let record = session(agent(), NOW).record;
    // Long enough for a connection attempt to time out, each time at another moment of an attempt.
    for millis in [700, 1_500, 2_300] {
        subject.fails(&record).await;
        subject.fails_for(record.id, Duration::from_millis(millis)).await;
        gate.set(Mode::Open);
        assert_eq!(subject.recovers(record.id).await, None);
        subject.add().await;

        gate.set(Mode::Silent);
        execute(&redis, &["CLIENT", "KILL", "TYPE", "normal"]);
        // Until the store notices the loss.
        while subject.read(record.id).await.is_ok() {}
    }
}
