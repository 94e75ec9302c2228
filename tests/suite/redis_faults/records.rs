//! Records that nobody understands: an error, never a session, and never a missing one.

use session_auth_tests::{
    fixtures::{NOW, agent, constraints, key, session},
    redis::TestRedis,
};
use tower_session_auth::{PageRequest, SessionRecord, SessionStore as _, StoreError};

use super::{order, subject::Subject};

/// And it hides no other session of its agent.
async fn reads_are_unexpected(subject: &Subject, record: &SessionRecord, what: &str) {
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
async fn a_record_that_is_not_understood_is_an_error() {
    let redis = TestRedis::start();
    let subject = Subject::new("garbage in records", redis.url());
    // Bits of a later version, a number without end, an empty string, and text.
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
        order(&redis, &["SETRANGE", &key(record.id), place, value]);
        reads_are_unexpected(&subject, &record, &format!("{value:?} at {place}")).await;
    }
    for text in ["", "active", "{\"h\":1}"] {
        let record = subject.add().await;
        order(&redis, &["SET", &key(record.id), text]);
        reads_are_unexpected(&subject, &record, text).await;
        // It can still be revoked, and is no session after it either.
        let _ = subject.call(subject.store.revoke(record.id, NOW)).await;
        subject.read(record.id).await.unwrap_err();
    }
}

#[tokio::test]
async fn a_record_that_is_cut_off_is_an_error() {
    let redis = TestRedis::start();
    let subject = Subject::new("short records", redis.url());
    let cut = "redis.call('SET', KEYS[1], redis.call('GET', KEYS[1]):sub(1, -1 - ARGV[1]))";
    for bytes in ["1", "3", "6", "30", "50"] {
        let record = subject.add().await;
        order(&redis, &["EVAL", cut, "1", &key(record.id), bytes]);
        reads_are_unexpected(&subject, &record, &format!("{bytes} bytes cut off")).await;
    }
}

#[tokio::test]
async fn a_record_of_another_type_is_an_error() {
    let redis = TestRedis::start();
    let subject = Subject::new("record of another type", redis.url());
    let record = subject.add().await;
    order(&redis, &["DEL", &key(record.id)]);
    order(&redis, &["HSET", &key(record.id), "h", "active"]);
    subject.fails_to_write(&record).await;
    subject.read(record.id).await.unwrap_err();
    subject.call(subject.store.ping()).await.unwrap();
}

#[tokio::test]
async fn a_record_of_another_type_is_unexpected() {
    let redis = TestRedis::start();
    let subject = Subject::new("record of another type", redis.url());
    let record = subject.add().await;
    order(&redis, &["DEL", &key(record.id)]);
    order(&redis, &["HSET", &key(record.id), "h", "active"]);
    let read = subject.read(record.id).await;
    assert!(matches!(read, Err(StoreError::Unexpected(_))), "{read:?}");
}

/// A session without its constraints could do more than it was granted.
#[tokio::test]
async fn constraints_that_were_cut_off_are_an_error() {
    let redis = TestRedis::start();
    let subject = Subject::new("lost constraints", redis.url());
    let mut long = session(agent(), NOW);
    long.record.constraints = constraints(65);
    subject.create(&long).await.unwrap();
    let record = &long.record;
    assert_eq!(subject.read(record.id).await.unwrap().as_ref(), Some(record));
    let cut = "redis.call('SET', KEYS[1], redis.call('GET', KEYS[1]):sub(1, -1 - ARGV[1]))";
    for bytes in ["1", "64"] {
        order(&redis, &["EVAL", cut, "1", &key(record.id), bytes]);
        reads_are_unexpected(&subject, record, "constraints").await;
    }
    // It can still be revoked.
    let revoked = subject.call(subject.store.revoke(record.id, NOW)).await;
    assert!(revoked.unwrap());
}
