//! Keys that Redis has evicted, and values that were changed by hand: revocations hold, places are free, and damage is refused.

mod damaged;
mod damaged_lists;
mod evicted;
mod places;
mod revoking;

use session_auth_tests::{
    fixtures::{NOW, layout::LayoutStore},
    redis::TestRedis,
};
use tower_session_auth::{
    AgentId, RedisStore, SessionId,
    clock::Timestamp,
    store::{SessionStore as _, StoreError},
};

/// The key of the epochs of an agent's bucket.
fn epochs_key(agent: AgentId) -> String {
    format!("gone:{{{:04x}}}", agent.bucket())
}

/// Sets a key to these bytes.
fn set(redis: &TestRedis, key: &str, value: &[u8]) {
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    let mut set = redis::cmd("SET");
    set.arg(key).arg(value).exec(&mut connection).unwrap();
}

/// Makes a key a hash.
fn set_hash(layout: &LayoutStore, key: &str) {
    layout.query::<i64>(&["DEL", key]);
    layout.query::<i64>(&["HSET", key, "h", "active"]);
}

async fn revoked_at(store: &RedisStore, id: SessionId) -> Option<Timestamp> {
    let record = store.read(id).await.unwrap().expect("a record");
    record.revoked_at
}

/// True if the session was revoked by the epoch of its agent: the server's clock gives its time, which is after that of the tests.
async fn is_revoked_by_epoch(store: &RedisStore, id: SessionId) -> bool {
    revoked_at(store, id)
        .await
        .is_some_and(|at| at > NOW.plus(86_400))
}

/// Asserts that a call failed, and that the error names a key.
#[track_caller]
fn names<T: std::fmt::Debug>(outcome: Result<T, StoreError>, key: &str, what: &str) {
    match outcome {
        Err(StoreError::Unexpected(problem)) => assert!(problem.contains(key), "{what}: {problem}"),
        other => panic!("{what}: {other:?}"),
    }
}
