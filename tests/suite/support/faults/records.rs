//! Records that nobody understands: an error, never a session, and never a missing one.

use session_auth_tests::redis::TestRedis;
use tower_session_auth::{PageRequest, SessionRecord, SessionStore as _, StoreError};

use crate::{
    fixtures::{NOW, agent, constraints, key, session},
    order,
    subject::Subject,
};

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
async fn a_field_that_is_not_understood_is_an_error() {
    let redis = TestRedis::start();
    let subject = Subject::new("garbage in fields", redis.url());
    for (field, value) in [
        ("h", ""),
        ("h", &*"x".repeat(31)),
        ("h", &*"x".repeat(33)),
        ("a", "15 bytes, no id"),
        ("n", "one"),
        ("n", "-1"),
        ("n", "4294967296"),
        ("o", "x"),
        ("x", ""),
        ("t", "1e3"),
        ("e", "never"),
        ("e", "1760000000.5"),
        ("e", "18446744073709551616"),
        ("l", " 1"),
        ("u", "?"),
        ("r", ""),
        ("r", "no"),
        ("c", "null"),
        ("c", ""),
        ("c", "{"),
    ] {
        let record = subject.add().await;
        order(&redis, &["HSET", &key("session", record.id), field, value]);
        reads_are_unexpected(&subject, &record, &format!("{field} = {value:?}")).await;
    }
}

#[tokio::test]
async fn a_field_that_is_missing_is_an_error() {
    let redis = TestRedis::start();
    let subject = Subject::new("missing fields", redis.url());
    for field in ["h", "a", "x", "t", "e", "l"] {
        let record = subject.add().await;
        order(&redis, &["HDEL", &key("session", record.id), field]);
        reads_are_unexpected(&subject, &record, field).await;
    }
}

/// It must not begin at 0 again.
#[tokio::test]
async fn a_renewal_count_that_is_missing_is_an_error() {
    let redis = TestRedis::start();
    let subject = Subject::new("missing renewal count", redis.url());
    let record = subject.add().await;
    order(&redis, &["HDEL", &key("session", record.id), "n"]);
    reads_are_unexpected(&subject, &record, "n").await;
}

#[tokio::test]
async fn a_record_of_another_type_is_an_error() {
    let redis = TestRedis::start();
    let subject = Subject::new("record of another type", redis.url());
    let record = subject.add().await;
    order(&redis, &["SET", &key("session", record.id), "active"]);
    subject.fails_to_write(&record).await;
    subject.read(record.id).await.unwrap_err();
    subject.call(subject.store.ping()).await.unwrap();
}

#[tokio::test]
async fn a_record_of_another_type_is_unexpected() {
    let redis = TestRedis::start();
    let subject = Subject::new("record of another type", redis.url());
    let record = subject.add().await;
    order(&redis, &["SET", &key("session", record.id), "active"]);
    reads_are_unexpected(&subject, &record, "a string").await;
}

#[tokio::test]
async fn constraints_that_vanished_are_an_error() {
    let redis = TestRedis::start();
    let subject = Subject::new("lost constraints", redis.url());
    let mut long = session(agent(), NOW);
    long.record.constraints = constraints(65);
    subject.create(&long).await.unwrap();
    let (record, apart) = (&long.record, key("constraints", long.record.id));
    assert_eq!(subject.read(record.id).await.unwrap().as_ref(), Some(record));
    order(&redis, &["SET", &apart, "null"]);
    reads_are_unexpected(&subject, record, "no object").await;
    order(&redis, &["DEL", &apart]);
    reads_are_unexpected(&subject, record, "nothing").await;
    // It can still be revoked.
    let revoked = subject.call(subject.store.revoke(record.id, NOW)).await;
    assert!(revoked.unwrap());
}
