//! The store suite on both stores, and the rules that only one of them has.

use std::time::Duration;

use session_auth_tests::{
    fixtures::{CREATED, NOW, RETENTION, TTL, agent, constraints, key, open, register, renewal, session},
    redis::{Guard, TestRedis, Topology, command},
};
use tower_session_auth::{
    MemoryStore, RedisStore,
    store::{AgentStore as _, CreateOutcome, RedisStoreConfig, SessionStore as _},
};

/// Far longer than any call takes: these tests do not cover deadlines.
const DEADLINE: Duration = Duration::from_secs(10);

mod memory {
    use tower_session_auth::MemoryStore;

    async fn open_empty() -> (MemoryStore, ()) {
        (MemoryStore::new(), ())
    }

    session_auth_tests::store_suite!(open_empty);
}

mod redis {
    use std::sync::Arc;

    use session_auth_tests::{fixtures::open, redis::TestRedis};
    use tower_session_auth::RedisStore;

    async fn open_empty() -> (RedisStore, Arc<TestRedis>) {
        let redis = TestRedis::shared();
        (open(redis.fresh_database(), super::DEADLINE), redis)
    }

    session_auth_tests::store_suite!(open_empty);
}

/// With a prefix of its keys.
mod redis_with_prefix {
    use std::sync::Arc;

    use session_auth_tests::redis::TestRedis;
    use tower_session_auth::{RedisStore, store::RedisStoreConfig};

    async fn open_empty() -> (RedisStore, Arc<TestRedis>) {
        let redis = TestRedis::shared();
        let mut config = RedisStoreConfig::new(redis.fresh_database());
        config.timeout = super::DEADLINE;
        config.key_prefix = "app1:".to_owned();
        (RedisStore::open(&config).unwrap(), redis)
    }

    session_auth_tests::store_suite!(open_empty);
}

/// A store in an unused keyspace, or `None` if the tests about Valkey are skipped.
fn open_in(topology: Topology) -> Option<(RedisStore, Guard)> {
    let keyspace = topology.keyspace()?;
    let mut config = keyspace.config();
    config.timeout = DEADLINE;
    Some((RedisStore::open(&config).unwrap(), keyspace.server))
}

/// A cluster of three masters with a replica each.
mod redis_cluster {
    use super::*;

    async fn open_empty() -> Option<(RedisStore, Guard)> {
        open_in(Topology::Cluster)
    }

    session_auth_tests::store_suite!(open_empty);
}

mod valkey {
    use super::*;

    async fn open_empty() -> Option<(RedisStore, Guard)> {
        open_in(Topology::Valkey)
    }

    session_auth_tests::store_suite!(open_empty);
}

mod valkey_cluster {
    use super::*;

    async fn open_empty() -> Option<(RedisStore, Guard)> {
        open_in(Topology::ValkeyCluster)
    }

    session_auth_tests::store_suite!(open_empty);
}

#[tokio::test]
async fn two_stores_with_different_prefixes_share_a_database() {
    let redis = TestRedis::shared();
    let url = redis.fresh_database();
    let store = |prefix: &str| {
        let mut config = RedisStoreConfig::new(&url);
        config.timeout = DEADLINE;
        config.key_prefix = prefix.to_owned();
        RedisStore::open(&config).unwrap()
    };
    let (one, other) = (store("one:"), store("other:"));
    let created = session(agent(), NOW);
    one.create(&created).await.unwrap();
    assert!(one.read(created.record.id).await.unwrap().is_some());
    assert!(other.read(created.record.id).await.unwrap().is_none());
    let keys: Vec<String> = command(&url, &["KEYS", "*"]).unwrap();
    assert!(!keys.is_empty());
    for key in keys {
        assert!(key.starts_with("one:"), "{key}");
    }
}

#[tokio::test]
async fn memory_store_removes_a_session_after_its_retention() {
    let store = MemoryStore::new();
    let agent = agent();
    let first = session(agent, NOW);
    assert_eq!(store.create(&first).await.unwrap(), CREATED);
    let renewed = session(agent, NOW);
    assert_eq!(store.create(&renewed).await.unwrap(), CREATED);
    let half = NOW.plus(TTL / 2);
    store
        .replace_token(&renewal(&renewed.record, "1", half))
        .await
        .unwrap();

    // The store removes old sessions when it creates one.
    for (now, first_is_there, renewed_is_there) in [
        (NOW.plus(TTL + RETENTION - 1), true, true),
        (NOW.plus(TTL + RETENTION), false, true),
        (half.plus(TTL + RETENTION - 1), false, true),
        (half.plus(TTL + RETENTION), false, false),
    ] {
        store.create(&session(self::agent(), now)).await.unwrap();
        for (session, there) in [(&first, first_is_there), (&renewed, renewed_is_there)] {
            let read = store.read(session.record.id).await.unwrap();
            assert_eq!(read.is_some(), there, "at {now}");
        }
    }
}

#[tokio::test]
async fn memory_store_removes_a_deleted_agent_after_an_hour() {
    let store = MemoryStore::new();
    let agent = register(&store, agent(), None).await.id;
    store.delete_agent(agent, NOW).await.unwrap();
    for (now, outcome) in [
        (NOW.plus(3_599), CreateOutcome::AgentDeleted),
        (NOW.plus(3_600), CREATED),
    ] {
        let created = store.create(&session(agent, now)).await.unwrap();
        assert_eq!(created, outcome, "at {now}");
    }
}

/// Asserts the ttl of each key, with 20 seconds of tolerance for the test's own time.
#[track_caller]
fn assert_ttl(url: &str, keys: &[&str], seconds: u64) {
    for key in keys {
        let left: u64 = command(url, &["TTL", key]).unwrap_or_else(|error| panic!("{key}: {error}"));
        assert!(
            (seconds - 20..=seconds).contains(&left),
            "{key} has {left} of {seconds} s"
        );
    }
}

#[tokio::test]
async fn redis_keys_of_a_session_expire_after_its_retention() {
    let redis = TestRedis::shared();
    let url = redis.fresh_database();
    let store: RedisStore = open(&*url, DEADLINE);
    let agent = register(&store, agent(), None).await.id;
    let mut long = session(agent, NOW);
    long.record.constraints = constraints(65);
    let id = long.record.id;
    let bucket = format!("{{{:04x}}}:{}", agent.bucket(), agent.as_uuid().simple());
    let index = format!("idx:{bucket}");
    let record = key(id);
    assert_eq!(store.create(&long).await.unwrap(), CREATED);
    assert_ttl(&url, &[&record, &index], TTL + RETENTION);

    // A session with an earlier expiry does not shorten the ttl of the index.
    let mut short = session(agent, NOW);
    short.record.ttl = 300;
    assert_eq!(store.create(&short).await.unwrap(), CREATED);
    assert_ttl(&url, &[&key(short.record.id)], 300 + RETENTION);
    assert_ttl(&url, &[&index], TTL + RETENTION);

    // A renewal extends every ttl; a rejected one extends none.
    let mut swap = renewal(&long.record, "1", NOW);
    swap.next.ttl = 2 * TTL;
    store.replace_token(&swap).await.unwrap();
    assert_ttl(&url, &[&record, &index], 2 * TTL + RETENTION);
    swap.next.ttl = 3 * TTL;
    store.replace_token(&swap).await.unwrap();
    assert_ttl(&url, &[&record, &index], 2 * TTL + RETENTION);

    store.revoke(id, NOW).await.unwrap();
    assert_ttl(&url, &[&record, &index], 2 * TTL + RETENTION);
    store.delete_agent(agent, NOW).await.unwrap();
    assert_ttl(&url, &[&record], 2 * TTL + RETENTION);
    assert_ttl(&url, &[&format!("agent:{bucket}")], 3_600);
    assert_eq!(command(&url, &["EXISTS", &index]), Ok(0));
}
