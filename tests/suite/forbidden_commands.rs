//! Commands that a server forbids, as managed services do, and that the store does not need for every call.

use std::time::Duration;

use session_auth_tests::{
    fixtures::{CREATED, NOW, agent, session},
    redis::TestRedis,
};
use tower_session_auth::{
    RedisStore,
    store::{RedisStoreConfig, SessionStore as _},
};

/// A configuration for a user who may call all commands but these.
fn without(redis: &TestRedis, forbidden: &[&str]) -> RedisStoreConfig {
    let mut user = vec!["ACL", "SETUSER", "limited", "on", ">secret", "~*", "&*", "+@all"];
    user.extend(forbidden);
    redis.command::<()>(&user).unwrap();
    let mut config = RedisStoreConfig::new(redis.url().replace("://", "://limited:secret@"));
    config.timeout = Duration::from_secs(5);
    config
}

#[tokio::test]
async fn forbidden_wait_is_named_if_revocations_wait_for_replicas() {
    let redis = TestRedis::start();
    let mut config = without(&redis, &["-wait"]);
    config.min_replicas_ack = 1;
    let store = RedisStore::open(&config).unwrap();
    let told = store.ping().await.unwrap_err().to_string();
    assert!(
        told.contains("the user may not call WAIT on the keys of the store"),
        "{told}"
    );
}

#[tokio::test]
async fn store_works_without_the_commands_for_administrators() {
    let redis = TestRedis::start();
    let forbidden = [
        "-@dangerous",
        "-config",
        "-acl",
        "-info",
        "-time",
        "-client|kill",
        "-wait",
        "-role",
    ];
    let store = RedisStore::open(&without(&redis, &forbidden)).unwrap();
    let new = session(agent(), NOW);
    assert_eq!(store.create(&new).await.unwrap(), CREATED);
    assert_eq!(store.read(new.record.id).await.unwrap(), Some(new.record.clone()));
    assert!(store.revoke(new.record.id, NOW).await.unwrap().is_some());
    store.health().await.unwrap();
}
