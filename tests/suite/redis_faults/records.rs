//! Damaged records: an error, never a session, and never a missing session.

use session_auth_tests::{
    fixtures::{NOW, agent, constraints, key, session},
    redis::TestRedis,
};
use tower_session_auth::{
    session::SessionRecord,
    store::{PageRequest, SessionStore as _, StoreError},
};

use super::{execute, timed_store::TimedStore};

/// Reading the record fails, and the agent's other sessions are still listed.
async fn reads_are_unexpected(subject: &TimedStore, record: &SessionRecord, what: &str) {
    let read = subject.read(record.id).await;
    assert!(matches!(read, Err(StoreError::Unexpected(_))), "{what}: {read:?}");
    let mut other = session(record.agent_id, NOW);
    other.limit = u32::MAX;
    subject.create(&other).await.unwrap();
    let request = PageRequest {
        after: None,
        limit: 10,
    };
    let agent = Some(record.agent_id);
    let listed = subject.call(subject.store.list(agent, request)).await.unwrap();
    assert!(listed.items.contains(&other.record), "{what}");
    assert!(listed.items.iter().all(|listed| listed.id != record.id), "{what}");
}

#[tokio::test]
async fn undecodable_record_is_an_error() {
    let redis = TestRedis::start();
    let subject = TimedStore::new("garbage in records", redis.url());
    // Flag bits of a later version, and invalid numbers.
    for (place, value) in [
        ("0", "\u{20}"),
        ("0", "\u{8}"),
        ("49", "zzzzzzzzzz"),
        (
            "50",
            "\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}",
        ),
    ] {
        let record = subject.add().await;
        execute(&redis, &["SETRANGE", &key(record.id), place, value]);
        reads_are_unexpected(&subject, &record, &format!("{value:?} at {place}")).await;
    }
    for text in ["", "active", "{\"h\":1}"] {
        let record = subject.add().await;
        execute(&redis, &["SET", &key(record.id), text]);
        reads_are_unexpected(&subject, &record, text).await;
        // A revocation does not make it a session either.
        let _ = subject.call(subject.store.revoke(record.id, NOW)).await;
        subject.read(record.id).await.unwrap_err();
    }
}

#[tokio::test]
async fn truncated_record_is_an_error() {
    let redis = TestRedis::start();
    let subject = TimedStore::new("short records", redis.url());
    let cut = "redis.call('SET', KEYS[1], redis.call('GET', KEYS[1]):sub(1, -1 - ARGV[1]))";
    for bytes in ["1", "3", "6", "30", "50"] {
        let record = subject.add().await;
        execute(&redis, &["EVAL", cut, "1", &key(record.id), bytes]);
        reads_are_unexpected(&subject, &record, &format!("{bytes} bytes cut off")).await;
    }
}

#[tokio::test]
async fn record_of_another_redis_type_fails_reads_and_writes() {
    let redis = TestRedis::start();
    let subject = TimedStore::new("record of another type", redis.url());
    let record = subject.add().await;
    execute(&redis, &["DEL", &key(record.id)]);
    execute(&redis, &["HSET", &key(record.id), "h", "active"]);
    subject.fails_to_write(&record).await;
    subject.read(record.id).await.unwrap_err();
    subject.call(subject.store.ping()).await.unwrap();
}

#[tokio::test]
async fn record_of_another_redis_type_is_an_unexpected_answer() {
    let redis = TestRedis::start();
    let subject = TimedStore::new("record of another type", redis.url());
    let record = subject.add().await;
    execute(&redis, &["DEL", &key(record.id)]);
    execute(&redis, &["HSET", &key(record.id), "h", "active"]);
    let read = subject.read(record.id).await;
    assert!(matches!(read, Err(StoreError::Unexpected(_))), "{read:?}");
}

/// A session without its constraints would have more rights than it was granted.
#[tokio::test]
async fn truncated_constraints_are_an_error() {
    let redis = TestRedis::start();
    let subject = TimedStore::new("lost constraints", redis.url());
    let mut long = session(agent(), NOW);
    long.record.constraints = constraints(65);
    subject.create(&long).await.unwrap();
    let record = &long.record;
    assert_eq!(subject.read(record.id).await.unwrap().as_ref(), Some(record));
    let cut = "redis.call('SET', KEYS[1], redis.call('GET', KEYS[1]):sub(1, -1 - ARGV[1]))";
    for bytes in ["1", "64"] {
        execute(&redis, &["EVAL", cut, "1", &key(record.id), bytes]);
        reads_are_unexpected(&subject, record, "constraints").await;
    }
    // The session can still be revoked.
    let revoked = subject.call(subject.store.revoke(record.id, NOW)).await;
    assert!(revoked.unwrap().is_some());
}
