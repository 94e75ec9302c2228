//! Servers that answer with an error: out of memory, or read-only.

use std::time::Duration;

use session_auth_tests::{
    fixtures::{CREATED, NOW, agent, renewal, session},
    redis::TestRedis,
};
use tower_session_auth::store::{SessionStore as _, StoreError, SwapOutcome};

use super::{execute, timed_store::TimedStore};

const ROUNDS: usize = 20;

fn fill(redis: &TestRedis) {
    // Less than an empty server uses.
    execute(redis, &["CONFIG", "SET", "maxmemory", "100kb"]);
}

#[tokio::test]
async fn full_server_rejects_writes_and_answers_reads() {
    let redis = TestRedis::start();
    let subject = TimedStore::new("full server", redis.url());
    let record = subject.add().await;
    fill(&redis);
    for _ in 0..ROUNDS {
        let full = subject.create(&session(agent(), NOW)).await.unwrap_err();
        assert!(matches!(full, StoreError::Unavailable(_)), "{full:?}");
        let swap = renewal(&record, "1", NOW);
        let full = subject
            .call(subject.store.replace_token(&swap))
            .await
            .unwrap_err();
        assert!(matches!(full, StoreError::Unavailable(_)), "{full:?}");
        assert_eq!(subject.read(record.id).await.unwrap(), Some(record.clone()));
    }
    execute(&redis, &["CONFIG", "SET", "maxmemory", "0"]);
    subject.add().await;
}

#[tokio::test]
async fn full_server_stores_no_session() {
    let redis = TestRedis::start();
    let subject = TimedStore::new("full server", redis.url());
    subject.add().await;
    fill(&redis);
    let rejected = session(agent(), NOW);
    subject.create(&rejected).await.unwrap_err();
    assert_eq!(subject.read(rejected.record.id).await.unwrap(), None);
    execute(&redis, &["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(subject.create(&rejected).await.unwrap(), CREATED);
}

#[tokio::test]
async fn full_server_still_revokes() {
    let redis = TestRedis::start();
    let subject = TimedStore::new("full server", redis.url());
    let (one, two) = (subject.add().await, subject.add().await);
    fill(&redis);
    let revoked = subject.call(subject.store.revoke(one.id, NOW)).await;
    assert!(revoked.unwrap().is_some());
    let revoked = subject.call(subject.store.revoke_agent(two.agent_id, NOW)).await;
    assert_eq!(revoked.unwrap().active, 1);
    for record in [one, two] {
        let read = subject.read(record.id).await.unwrap().unwrap();
        assert_eq!(read.revoked_at, Some(NOW));
    }
}

/// Makes the server a replica of an address where no server listens.
fn demote(redis: &TestRedis) {
    execute(redis, &["REPLICAOF", "127.0.0.1", "1"]);
}

#[tokio::test]
async fn replica_rejects_writes_until_it_is_promoted() {
    let redis = TestRedis::start();
    let subject = TimedStore::new("read-only replica", redis.url());
    let record = subject.add().await;
    demote(&redis);
    for _ in 0..ROUNDS {
        subject.create(&session(agent(), NOW)).await.unwrap_err();
        subject.fails_to_write(&record).await;
        if let Ok(read) = subject.read(record.id).await {
            assert_eq!(read.as_ref(), Some(&record));
        }
    }
    execute(&redis, &["REPLICAOF", "NO", "ONE"]);
    assert_eq!(subject.recovers(record.id).await.as_ref(), Some(&record));
    let swap = renewal(&record, "1", NOW);
    let swapped = subject.call(subject.store.replace_token(&swap)).await;
    assert_eq!(swapped.unwrap(), SwapOutcome::Replaced);
    subject.add().await;
}

/// A replica may lack a revocation.
#[tokio::test]
async fn replica_is_not_read_after_a_failed_write_revealed_it() {
    let redis = TestRedis::start();
    let subject = TimedStore::new("read-only replica", redis.url());
    let record = subject.add().await;
    demote(&redis);
    subject.fails_to_write(&record).await;
    // Longer than a reconnection takes.
    subject.fails_for(record.id, Duration::from_secs(1)).await;
    execute(&redis, &["REPLICAOF", "NO", "ONE"]);
    assert_eq!(subject.recovers(record.id).await.as_ref(), Some(&record));
}
