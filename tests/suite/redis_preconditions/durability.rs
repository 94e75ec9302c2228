//! Servers that may lose sessions or revocations: a warning in `/readyz`, and not ready if a durable server is required.

use http::Method;
use serde_json::{Value, json};
use session_auth_server::config::Settings;
use session_auth_tests::{
    folder::Folder,
    redis::TestRedis,
    server::{START, TestServer},
};
use tower_session_auth::clock::{ManualClock, Timestamp};

use super::execute;

/// The status and the body of `/readyz`.
async fn readiness(url: String, require_durable_store: bool) -> (u16, Value) {
    let settings = Settings {
        redis_url: Some(url),
        require_durable_store: Some(require_durable_store),
        ..Settings::default()
    };
    let server = TestServer::start(settings, None, ManualClock::new(Timestamp(START))).await;
    let reply = server.api.anonymous(Method::GET, "/readyz").await;
    let mut body = reply.body;
    // The server has a manual clock.
    if let Some(warnings) = body["warnings"].as_array_mut() {
        warnings.retain(|warning| warning != "clock_skew");
    }
    (
        reply.status,
        body["reason"]
            .as_str()
            .map_or(body.clone(), |reason| json!(reason)),
    )
}

#[tokio::test]
async fn evicting_policy_and_missing_persistence_are_warnings_or_reasons() {
    let folder = Folder::new("durability");
    let redis = TestRedis::start_in(&folder, &[]);
    let policy = |policy| execute(&redis, &["CONFIG", "SET", "maxmemory-policy", policy]);
    policy("allkeys-lru");
    let (status, body) = readiness(redis.url(), false).await;
    assert_eq!((status, &body["status"]), (200, &json!("ready")));
    assert_eq!(body["warnings"], json!(["evicting_policy", "no_persistence"]));
    let (status, reason) = readiness(redis.url(), true).await;
    assert_eq!(status, 503);
    for part in ["allkeys-lru", "noeviction", "appendonly yes"] {
        assert!(reason.as_str().unwrap().contains(part), "{reason}");
    }
    policy("noeviction");
    execute(&redis, &["CONFIG", "SET", "appendonly", "yes"]);
    let (status, body) = readiness(redis.url(), true).await;
    assert_eq!((status, &body["status"]), (200, &json!("ready")));
    assert!(body["warnings"].as_array().is_none_or(Vec::is_empty), "{body}");
}

#[tokio::test]
async fn server_that_refuses_writes_and_is_not_durable_is_not_ready() {
    let redis = TestRedis::start_with(&["--min-replicas-to-write", "1"]);
    let (status, body) = readiness(redis.url(), false).await;
    assert_eq!(status, 200, "{body}");
    let (status, reason) = readiness(redis.url(), true).await;
    assert_eq!(status, 503);
    assert!(reason.as_str().unwrap().contains("appendonly yes"), "{reason}");
}

#[tokio::test]
async fn unknown_durability_is_no_warning_and_is_a_reason_if_it_is_required() {
    let redis = TestRedis::start();
    execute(
        &redis,
        &[
            "ACL", "SETUSER", "plain", "on", ">secret", "~*", "&*", "+@all", "-info",
        ],
    );
    let url = redis.url().replace("://", "://plain:secret@");
    let (status, body) = readiness(url.clone(), false).await;
    assert_eq!(status, 200);
    assert!(body["warnings"].as_array().is_none_or(Vec::is_empty), "{body}");
    let (status, reason) = readiness(url, true).await;
    assert_eq!(status, 503);
    assert!(reason.as_str().unwrap().contains("INFO"), "{reason}");
}
