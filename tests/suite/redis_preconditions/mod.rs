//! Servers that cannot do what the store needs: the reason is in the error of each call, and in `/readyz`.

mod durability;

use std::time::{Duration, Instant};

use http::Method;
use session_auth_server::config::Settings;
use session_auth_tests::{
    fixtures::{NOW, agent, open, session},
    redis::TestRedis,
    server::{START, TestServer},
};
use tokio::time::sleep;
use tower_session_auth::{
    clock::{ManualClock, Timestamp},
    session_auth::Freshness,
    store::{CachedStore as _, RedisStoreConfig, SessionStore as _, StoreHealth},
};

const DEADLINE: Duration = Duration::from_secs(5);

fn execute(redis: &TestRedis, arguments: &[&str]) {
    redis.command::<redis::Value>(arguments).unwrap();
}

/// The reason why a store on this server does not work.
async fn reason(url: &str) -> String {
    let store = tower_session_auth::RedisStore::open(&RedisStoreConfig::new(url)).unwrap();
    store.ping().await.unwrap_err().to_string()
}

#[tokio::test]
async fn node_of_a_cluster_is_refused_with_this_reason() {
    let redis = TestRedis::start_with(&["--cluster-enabled", "yes"]);
    let reason = reason(&redis.url()).await;
    assert!(reason.contains("a node of a cluster"), "{reason}");
}

#[tokio::test]
async fn forbidden_commands_are_named() {
    let redis = TestRedis::start();
    let user = |name: &str, rules: &[&str]| {
        let mut setuser = vec!["ACL", "SETUSER", name, "on", ">secret", "~*", "&*"];
        setuser.extend(rules);
        execute(&redis, &setuser);
        redis.url().replace("://", &format!("://{name}:secret@"))
    };
    let without_writes = user("reader", &["+@all", "-zadd", "-set"]);
    let told = reason(&without_writes).await;
    assert!(
        told.contains("may not call SET, ZADD on the keys of the store"),
        "{told}"
    );
    let without_scripts = user("plain", &["+@all", "-@scripting"]);
    let told = reason(&without_scripts).await;
    assert!(
        told.contains("may not run scripts") && told.contains("evalsha"),
        "{told}"
    );
    let other_keys = user("other", &["+@all", "resetkeys", "~app:*"]);
    let told = reason(&other_keys).await;
    assert!(told.contains("may not access the keys of the store"), "{told}");
    let mut config = RedisStoreConfig::new(other_keys);
    config.key_prefix = "app:".to_owned();
    let store = tower_session_auth::RedisStore::open(&config).unwrap();
    store.ping().await.unwrap();
    // Each of them is tried, although the server has cached the scripts.
    for (forbidden, named) in [("-eval", "EVAL"), ("-script|load", "SCRIPT LOAD")] {
        let told = reason(&user("partly", &["+@all", forbidden])).await;
        assert!(told.contains(&format!("may not call {named} ")), "{told}");
    }
}

#[tokio::test]
async fn store_without_a_bounded_layer_needs_no_client_tracking() {
    let redis = TestRedis::start();
    let rules = [
        "ACL",
        "SETUSER",
        "plain",
        "on",
        ">secret",
        "~*",
        "&*",
        "+@all",
        "-client|tracking",
    ];
    execute(&redis, &rules);
    let store = open(redis.url().replace("://", "://plain:secret@"), DEADLINE);
    let created = session(agent(), NOW);
    store.create(&created).await.unwrap();
    // With one, requests read from Redis.
    store.enable_cache().unwrap();
    assert!(store.read_through(created.record.id).await.unwrap().is_some());
    assert!(!store.cache_stats().unwrap().coherent);
}

#[tokio::test]
async fn forbidden_client_tracking_is_a_warning_if_a_layer_is_bounded() {
    let redis = TestRedis::start();
    let rules = ["~*", "&*", "+@all", "-client|tracking"];
    execute(
        &redis,
        &[&["ACL", "SETUSER", "plain", "on", ">secret"], &rules[..]].concat(),
    );
    let start = async |freshness| {
        let settings = Settings {
            redis_url: Some(redis.url().replace("://", "://plain:secret@")),
            freshness: Some(freshness),
            ..Settings::default()
        };
        TestServer::start(settings, None, ManualClock::new(Timestamp(START))).await
    };
    let warns = async |server: &TestServer| {
        let ready = server.api.anonymous(Method::GET, "/readyz").await.expect(200);
        let warnings = ready.body["warnings"].as_array();
        warnings.is_some_and(|warnings| warnings.contains(&"no_tracking".into()))
    };
    let (strict, bounded) = (start(Freshness::Strict).await, start(Freshness::Bounded).await);
    for expected in [true, false] {
        let began = Instant::now();
        while warns(&bounded).await != expected {
            assert!(began.elapsed() < DEADLINE, "not {expected}");
            sleep(Duration::from_millis(30)).await;
        }
        assert!(!warns(&strict).await);
        execute(&redis, &["ACL", "SETUSER", "plain", "+client|tracking"]);
    }
}

#[tokio::test]
async fn server_or_proxy_without_resp3_is_refused_with_this_reason() {
    let redis = TestRedis::start_with(&["--rename-command", "HELLO", "\"\""]);
    let reason = reason(&redis.url()).await;
    assert!(reason.to_lowercase().contains("resp3"), "{reason}");
}

#[tokio::test]
async fn readiness_is_degraded_while_redis_refuses_writes() {
    let redis = TestRedis::start();
    for (unready_without_writes, status) in [(false, 200), (true, 503)] {
        let settings = Settings {
            redis_url: Some(redis.url()),
            unready_without_writes: Some(unready_without_writes),
            ..Settings::default()
        };
        let server = TestServer::start(settings, None, ManualClock::new(Timestamp(START))).await;
        let ready = async || server.api.anonymous(Method::GET, "/readyz").await;
        assert_eq!(ready().await.expect(200).body["status"], "ready");
        execute(&redis, &["CONFIG", "SET", "min-replicas-to-write", "1"]);
        // Requests within 20 ms share a probe.
        sleep(Duration::from_millis(30)).await;
        let body = ready().await.expect(status).body;
        assert_eq!(body["status"], "degraded");
        assert!(body["reason"].as_str().unwrap().contains("NOREPLICAS"), "{body}");
        execute(&redis, &["CONFIG", "SET", "min-replicas-to-write", "0"]);
    }
}

#[tokio::test]
async fn paused_writes_do_not_delay_reads() {
    let redis = TestRedis::start();
    let store = open(redis.url(), Duration::from_millis(250));
    let created = session(agent(), NOW);
    store.create(&created).await.unwrap();
    execute(&redis, &["CLIENT", "PAUSE", "20000", "WRITE"]);
    let began = std::time::Instant::now();
    // A health check needs a second to find it, after at most a second.
    while store.health().await.unwrap() == StoreHealth::Ready {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "the pause is not found"
        );
        assert!(store.read(created.record.id).await.unwrap().is_some());
    }
    assert!(store.read(created.record.id).await.unwrap().is_some());
    execute(&redis, &["CLIENT", "UNPAUSE"]);
}
