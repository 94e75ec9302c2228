//! Deployment: restarts, several servers on one Redis, key rotation, and Redis outages.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;
use session_auth_server::config::{Config, Settings, Store};
use session_auth_tests::{
    redis::TestRedis,
    server::{START, TestServer, cheap_hash},
};
use tower_session_auth::{
    KeySet, SigningKey,
    clock::{ManualClock, Timestamp},
    session_auth::Freshness,
    store::RedisStoreConfig,
};

const HALF_A_DAY: u64 = 43_200;

fn clock() -> ManualClock {
    ManualClock::new(Timestamp(START))
}

/// Starts a server on this Redis with these keys.
async fn server(url: &str, keys: KeySet, clock: ManualClock) -> TestServer {
    server_with(Settings::default(), url, keys, clock).await
}

async fn server_with(mut settings: Settings, url: &str, keys: KeySet, clock: ManualClock) -> TestServer {
    settings.master_password_hash = Some(cheap_hash());
    let mut config = Config::resolve(settings).expect("a configuration");
    config.store = Store::Redis(RedisStoreConfig::new(url));
    config.keys = keys;
    TestServer::run(config, None, clock).await
}

fn generate_key() -> SigningKey {
    SigningKey::generate().expect("a key")
}

#[tokio::test]
async fn restarted_server_with_the_same_redis_and_keys_accepts_existing_sessions() {
    let redis = TestRedis::shared();
    let (url, keys, clock) = (redis.fresh_database(), KeySet::single(generate_key()), clock());
    let before = server(&url, keys.clone(), clock.clone()).await;
    let agent = before.api.agent().await;
    let session = before.api.session(&agent).await;
    before.stop().await;

    let after = server(&url, keys, clock).await;
    after.api.access(&session.token).await.expect(200);
    after.advance(HALF_A_DAY);
    let renewed = after
        .api
        .renew(&session.id, &session.token)
        .await
        .expect(200)
        .issued();
    after.api.access(&renewed.token).await.expect(200);
    assert_eq!(
        after.api.list(&format!("?agentId={agent}")).await.body[0]["id"],
        session.id.as_str()
    );
}

#[tokio::test]
async fn servers_on_one_redis_see_changes_on_the_next_request() {
    let redis = TestRedis::shared();
    let (url, keys, clock) = (redis.fresh_database(), KeySet::single(generate_key()), clock());
    let one = server(&url, keys.clone(), clock.clone()).await;
    let other = server(&url, keys, clock).await;
    let session = one.api.session(&one.api.agent().await).await;
    other.api.access(&session.token).await.expect(200);
    one.advance(HALF_A_DAY);
    let renewed = other
        .api
        .renew(&session.id, &session.token)
        .await
        .expect(200)
        .issued();
    one.api
        .access(&session.token)
        .await
        .rejected(401, "TOKEN_SUPERSEDED");
    one.api.access(&renewed.token).await.expect(200);
    other.api.revoke(&session.id).await.expect(200);
    one.api
        .access(&renewed.token)
        .await
        .rejected(401, "SESSION_REVOKED");
}

/// A server applies its own changes immediately, and those of another server after the invalidation.
#[tokio::test]
async fn servers_with_a_near_cache_see_changes_of_each_other() {
    let redis = TestRedis::start();
    let (url, keys, clock) = (redis.url(), KeySet::single(generate_key()), clock());
    let settings = || Settings {
        freshness: Some(Freshness::Bounded),
        ..Settings::default()
    };
    let one = server_with(settings(), &url, keys.clone(), clock.clone()).await;
    let other = server_with(settings(), &url, keys, clock).await;
    for own in [true, false] {
        let session = one.api.session(&one.api.agent().await).await;
        // Until both servers have cached the session.
        for _ in 0..50 {
            one.api.access(&session.token).await.expect(200);
            other.api.access(&session.token).await.expect(200);
        }
        one.advance(HALF_A_DAY);
        let renewed = one.api.renew(&session.id, &session.token).await;
        let renewed = renewed.expect(200).issued();
        other.api.access(&renewed.token).await.expect(200);
        one.api
            .access(&session.token)
            .await
            .rejected(401, "TOKEN_SUPERSEDED");
        for _ in 0..50 {
            one.api.access(&renewed.token).await.expect(200);
            other.api.access(&renewed.token).await.expect(200);
        }
        let (revoking, observing) = if own { (&one, &other) } else { (&other, &one) };
        revoking.api.revoke(&session.id).await.expect(200);
        revoking
            .api
            .access(&renewed.token)
            .await
            .rejected(401, "SESSION_REVOKED");
        let revoked = Instant::now();
        while observing.api.access(&renewed.token).await.status == 200 {
            assert!(revoked.elapsed() < Duration::from_secs(5), "never rejected");
        }
        observing
            .api
            .access(&renewed.token)
            .await
            .rejected(401, "SESSION_REVOKED");
        one.advance(HALF_A_DAY);
    }
}

#[tokio::test]
async fn metrics_report_whether_the_near_cache_is_coherent() {
    let mut redis = TestRedis::start();
    let settings = Settings {
        freshness: Some(Freshness::Bounded),
        ..Settings::default()
    };
    let server = server_with(settings, &redis.url(), KeySet::single(generate_key()), clock()).await;
    let near_cache = async |name: &str| {
        let name = format!("session_auth_near_cache_{name}");
        server.api.metric(&name).await
    };
    let started = Instant::now();
    while near_cache("coherent").await != Some(1.0) {
        assert!(started.elapsed() < Duration::from_secs(5), "never coherent");
    }
    let session = server.api.session(&server.api.agent().await).await;
    let began = Instant::now();
    while near_cache("hits_total").await.is_none_or(|hits| hits < 10.0) {
        server.api.access(&session.token).await.expect(200);
        assert!(began.elapsed() < Duration::from_secs(5), "never cached");
    }
    assert_eq!(near_cache("coherent").await, Some(1.0));
    assert_eq!(near_cache("bound_seconds").await, Some(0.25));
    assert_eq!(near_cache("entries").await, Some(1.0));

    redis.pause();
    let paused = Instant::now();
    while near_cache("coherent").await != Some(0.0) {
        assert!(paused.elapsed() < Duration::from_secs(5), "still coherent");
    }
    redis.resume();
    let resumed = Instant::now();
    while near_cache("coherent").await != Some(1.0) {
        assert!(
            resumed.elapsed() < Duration::from_secs(10),
            "never coherent again"
        );
    }
}

#[tokio::test]
async fn key_rotation_keeps_sessions_and_rejects_removed_keys() {
    let redis = TestRedis::shared();
    let (url, clock) = (redis.fresh_database(), clock());
    let (old, new) = (generate_key(), generate_key());
    let rotated = format!("{}\n{}\n", new.to_paserk(), old.verifying_key().to_paserk());
    let rotated = KeySet::parse(&rotated).expect("keys");

    let before = server(&url, KeySet::single(old), clock.clone()).await;
    let session = before.api.session(&before.api.agent().await).await;
    let during = server(&url, rotated, clock.clone()).await;
    during.api.access(&session.token).await.expect(200);
    during.advance(HALF_A_DAY);
    let renewed = during
        .api
        .renew(&session.id, &session.token)
        .await
        .expect(200)
        .issued();
    before
        .api
        .access(&renewed.token)
        .await
        .rejected(401, "INVALID_TOKEN");
    let after = server(&url, KeySet::single(new), clock).await;
    after.api.access(&renewed.token).await.expect(200);
    after
        .api
        .access(&session.token)
        .await
        .rejected(401, "INVALID_TOKEN");
}

#[tokio::test]
async fn each_operation_sends_a_constant_number_of_commands() {
    let redis = TestRedis::start();
    let server = server(&redis.url(), KeySet::single(generate_key()), clock()).await;
    let agent = server.api.agent().await;
    // Loads the scripts.
    let warm_up = server.api.session(&agent).await;
    server.advance(HALF_A_DAY);
    server.api.renew(&warm_up.id, &warm_up.token).await.expect(200);
    server.api.revoke(&warm_up.id).await.expect(200);

    let mut monitor = redis.monitor();
    let mut commands = || -> Vec<String> {
        let lines = monitor.lines();
        let own = lines.iter().filter(|line| !line.contains(" lua] "));
        own.map(|line| line.split('"').nth(1).unwrap_or_default().to_uppercase())
            .collect()
    };
    commands();
    let mut session = server.api.session(&agent).await;
    assert_eq!(commands(), ["HMGET", "ZADD", "EVALSHA"], "a creation");
    server.api.session(&agent).await;
    assert_eq!(commands(), ["HMGET", "ZADD", "EVALSHA"], "another creation");
    server.api.access(&session.token).await.expect(200);
    assert_eq!(commands(), ["MGET"], "an authentication");
    server.advance(HALF_A_DAY);
    session = server
        .api
        .renew(&session.id, &session.token)
        .await
        .expect(200)
        .issued();
    assert_eq!(commands(), ["MGET", "EVALSHA"], "a renewal");
    server
        .api
        .renew(&session.id, &session.token)
        .await
        .rejected(403, "RENEWAL_TOO_EARLY");
    assert_eq!(commands(), ["MGET"], "a rejected renewal");
    server.api.revoke(&session.id).await.expect(200);
    assert_eq!(commands(), ["GETRANGE", "EVALSHA"], "a revocation");
    server
        .api
        .access("wai_sess_v4.public.AAAA.AAAA")
        .await
        .rejected(401, "INVALID_TOKEN");
    assert_eq!(commands(), Vec::<String>::new(), "a forged token");
}

#[tokio::test]
async fn protected_requests_are_503_without_redis_and_recover_with_it() {
    let mut redis = TestRedis::start();
    let server = server(&redis.url(), KeySet::single(generate_key()), clock()).await;
    let agent = server.api.agent().await;
    let session = server.api.session(&agent).await;
    server.api.anonymous(Method::GET, "/readyz").await.expect(200);

    redis.kill();
    // Requests within 20 ms share the result of a probe.
    while server.api.anonymous(Method::GET, "/readyz").await.status != 503 {}
    for _ in 0..3 {
        let started = Instant::now();
        let replies = [
            server.api.access(&session.token).await,
            server.api.renew(&session.id, &session.token).await,
            server.api.create(json!({ "agentId": agent })).await,
            server.api.revoke(&session.id).await,
            server.api.list("").await,
            server.api.agent_reply().await,
            server.api.anonymous(Method::GET, "/readyz").await,
        ];
        for reply in replies {
            reply.rejected(503, "STORE_UNAVAILABLE");
            assert_eq!(
                (reply.header("retry-after"), &reply.body["retryable"]),
                ("1", &json!(true))
            );
        }
        assert!(
            started.elapsed() < Duration::from_millis(7 * 350),
            "{:?}",
            started.elapsed()
        );
    }
    server.api.anonymous(Method::GET, "/healthz").await.expect(200);
    server.api.access("nonsense").await.rejected(401, "INVALID_TOKEN");

    redis.restart();
    let back = Instant::now();
    while server.api.anonymous(Method::GET, "/readyz").await.status != 200 {
        assert!(
            back.elapsed() < Duration::from_secs(2),
            "not ready 2 s after the restart of Redis"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server
        .api
        .access(&session.token)
        .await
        .rejected(401, "SESSION_NOT_FOUND");
    let agent = server.api.agent().await;
    let session = server.api.session(&agent).await;
    server.api.access(&session.token).await.expect(200);
}

#[tokio::test]
async fn server_with_a_clock_ahead_hides_no_session_from_list_or_revocation() {
    let redis = TestRedis::shared();
    let (url, keys) = (redis.fresh_database(), KeySet::single(generate_key()));
    let right = server(&url, keys.clone(), clock()).await;
    let ahead = server(&url, keys, ManualClock::new(Timestamp(START + 86_400 + 3_000))).await;
    let agent = right.api.agent().await;
    let session = right
        .api
        .create(json!({ "agentId": agent, "ttl": 300 }))
        .await
        .expect(201)
        .issued();
    ahead.api.session(&agent).await;
    let list = right.api.list(&format!("?agentId={agent}")).await.expect(200);
    assert_eq!(list.body.as_array().map(Vec::len), Some(2));
    let path = format!("/v1/agents/{agent}");
    right.api.master(Method::DELETE, &path, None).await.expect(200);
    right
        .api
        .access(&session.token)
        .await
        .rejected(401, "SESSION_REVOKED");
}

#[tokio::test]
async fn demoted_redis_is_not_ready_and_not_read() {
    let redis = TestRedis::start();
    let server = server(&redis.url(), KeySet::single(generate_key()), clock()).await;
    let session = server.api.session(&server.api.agent().await).await;
    redis
        .command::<String>(&["REPLICAOF", "127.0.0.1", "1"])
        .expect("a replica");
    server
        .api
        .anonymous(Method::GET, "/readyz")
        .await
        .rejected(503, "STORE_UNAVAILABLE");
    server
        .api
        .access(&session.token)
        .await
        .rejected(503, "STORE_UNAVAILABLE");
    redis
        .command::<String>(&["REPLICAOF", "NO", "ONE"])
        .expect("a master");
    let promoted = Instant::now();
    while server.api.anonymous(Method::GET, "/readyz").await.status != 200 {
        assert!(
            promoted.elapsed() < Duration::from_secs(2),
            "not ready 2 s after the promotion"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.api.access(&session.token).await.expect(200);
}

#[tokio::test]
async fn damaged_record_does_not_prevent_the_revocation_of_others() {
    let redis = TestRedis::start();
    let server = server(&redis.url(), KeySet::single(generate_key()), clock()).await;
    let agent = server.api.agent().await;
    let (damaged, sound) = (server.api.session(&agent).await, server.api.session(&agent).await);
    let digits = damaged.id.replace('-', "");
    let key = format!("session:{{{}}}:{}", &digits[28..], &digits[..28]);
    redis
        .command::<String>(&["SET", &key, "damaged"])
        .expect("a damaged record");
    server
        .api
        .access(&damaged.token)
        .await
        .rejected(503, "STORE_UNAVAILABLE");
    let path = format!("/v1/sessions?agentId={agent}");
    server.api.master(Method::DELETE, &path, None).await.expect(200);
    server
        .api
        .access(&sound.token)
        .await
        .rejected(401, "SESSION_REVOKED");
    server
        .api
        .access(&damaged.token)
        .await
        .rejected(503, "STORE_UNAVAILABLE");
}

#[tokio::test]
async fn readiness_checks_share_the_probes_of_redis() {
    const CHECKS: u32 = 300;
    let redis = TestRedis::start();
    let server = server(&redis.url(), KeySet::single(generate_key()), clock()).await;
    let probes = || -> u64 {
        let stats: String = redis.command(&["INFO", "commandstats"]).expect("statistics");
        let (_, hello) = stats
            .split_once("cmdstat_hello:calls=")
            .expect("HELLO is the probe");
        let calls = hello.split_once(',').expect("more fields").0;
        calls.parse().expect("a number")
    };
    server.api.anonymous(Method::GET, "/readyz").await.expect(200);
    let (before, began) = (probes(), Instant::now());
    for _ in 0..CHECKS {
        server.api.anonymous(Method::GET, "/readyz").await.expect(200);
    }
    let sent = probes() - before;
    // One each 20 ms, the health checks of the connection, and the handshakes of this test.
    let allowed = began.elapsed().as_millis() / 20 + u128::from(began.elapsed().as_secs()) + 5;
    assert!(u128::from(sent) <= allowed, "{sent} probes, {allowed} allowed");
}
