//! The clock skew against a real Redis: in `/readyz`, in the metrics, and for users of the store.

use std::{
    future::ready,
    sync::Arc,
    time::{Duration, Instant},
};

use http::Method;
use serde_json::json;
use session_auth_server::config::Settings;
use session_auth_tests::{
    fixtures::{NOW, agent, session},
    redis::TestRedis,
    server::TestServer,
};
use tokio::{
    task::{JoinSet, yield_now},
    time::sleep,
};
use tower_session_auth::{
    RedisStore,
    clock::{Clock as _, ManualClock, SystemClock, Timestamp},
    store::{RedisStoreConfig, SessionStore as _},
};

const HOUR: u64 = 3_600;
const HOUR_MILLIS: i64 = 3_600_000;
/// A skew is measured once a second.
const LIMIT: Duration = Duration::from_secs(10);
/// The manual clock stands still while a test runs.
const TEST_MILLIS: i64 = 15_000;

async fn server(clock: &ManualClock) -> TestServer {
    let redis = TestRedis::shared();
    let settings = Settings {
        redis_url: Some(redis.fresh_database()),
        ..Settings::default()
    };
    TestServer::start(settings, Some(redis), clock.clone()).await
}

/// Waits until `/readyz` has, or has no, warning. Returns the skew.
async fn wait_for_warning(server: &TestServer, warns: bool) -> Option<i64> {
    let began = Instant::now();
    loop {
        let ready = server.api.anonymous(Method::GET, "/readyz").await.expect(200);
        if warns && ready.body["warnings"] == json!(["no_persistence", "clock_skew"]) {
            assert_eq!(ready.body["status"], "ready");
            return ready.body["clockSkewMs"].as_i64();
        }
        if !warns && ready.body == json!({ "status": "ready", "warnings": ["no_persistence"] }) {
            return None;
        }
        assert!(began.elapsed() < LIMIT, "{}", ready.body);
        sleep(Duration::from_millis(20)).await;
    }
}

async fn skew_metric(server: &TestServer) -> f64 {
    let metric = server.api.metric("session_auth_clock_skew_seconds").await;
    metric.expect("the metric")
}

#[tokio::test]
async fn skew_of_an_hour_is_a_warning_in_readyz_and_a_metric_until_the_clock_is_right() {
    let now = SystemClock.now();
    let clock = ManualClock::new(now.plus(HOUR));
    let server = server(&clock).await;
    let ahead = wait_for_warning(&server, true).await.expect("a skew");
    assert!(
        (HOUR_MILLIS - TEST_MILLIS..=HOUR_MILLIS).contains(&ahead),
        "{ahead}"
    );
    assert!(skew_metric(&server).await > 3_500.0);

    clock.set(SystemClock.now());
    wait_for_warning(&server, false).await;
    assert!(skew_metric(&server).await.abs() <= 2.0);

    clock.set(Timestamp(SystemClock.now().0 - HOUR));
    let behind = wait_for_warning(&server, true).await.expect("a skew");
    assert!(
        (-HOUR_MILLIS - TEST_MILLIS..=-HOUR_MILLIS + 1_000).contains(&behind),
        "{behind}"
    );
    assert!(skew_metric(&server).await < -3_500.0);
}

/// Each call that is dropped counts as one without an answer in time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn skew_is_measured_while_calls_miss_their_deadline() {
    let redis = TestRedis::shared();
    let clock = ManualClock::new(SystemClock.now());
    let mut config = RedisStoreConfig::new(redis.fresh_database());
    config.timeout = LIMIT;
    config.clock = Arc::new(clock.clone());
    let store = RedisStore::open(&config).unwrap();
    store.ping().await.unwrap();
    let id = session(agent(), NOW).record.id;
    let mut calls = JoinSet::new();
    for _ in 0..2 {
        let store = store.clone();
        calls.spawn(async move {
            loop {
                tokio::select! {
                    biased;
                    _ = store.read(id) => {}
                    () = ready(()) => {}
                }
                yield_now().await;
            }
        });
    }
    clock.set(SystemClock.now().plus(HOUR));
    let began = Instant::now();
    while store
        .clock_skew()
        .is_none_or(|skew| skew.millis() < HOUR_MILLIS / 2)
    {
        assert!(began.elapsed() < LIMIT, "{:?}", store.clock_skew());
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn skew_is_unknown_if_the_user_may_not_call_time() {
    let redis = TestRedis::start();
    let rights = [
        "ACL", "SETUSER", "limited", "on", ">secret", "~*", "&*", "+@all", "-time",
    ];
    redis.command::<()>(&rights).unwrap();
    let url = format!("redis://limited:secret@127.0.0.1:{}", redis.port());
    let mut config = RedisStoreConfig::new(url);
    config.timeout = Duration::from_secs(5);
    let store = RedisStore::open(&config).unwrap();
    store.ping().await.unwrap();
    assert_eq!(store.clock_skew(), None);

    let mut config = RedisStoreConfig::new(redis.url());
    config.timeout = Duration::from_secs(5);
    let store = RedisStore::open(&config).unwrap();
    store.ping().await.unwrap();
    assert!(store.clock_skew().unwrap().is_tolerated());
}

#[tokio::test]
async fn skew_is_unknown_while_redis_cannot_be_reached() {
    let mut redis = TestRedis::start();
    let settings = Settings {
        redis_url: Some(redis.url()),
        ..Settings::default()
    };
    let clock = ManualClock::new(SystemClock.now());
    let server = TestServer::start(settings, None, clock).await;
    let reaches = async |known: bool| {
        let began = Instant::now();
        while skew_metric(&server).await.is_nan() == known {
            assert!(began.elapsed() < LIMIT, "known: {known}");
            sleep(Duration::from_millis(20)).await;
        }
    };
    reaches(true).await;
    redis.kill();
    reaches(false).await;
    redis.restart();
    reaches(true).await;
}
