//! Rejected requests.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use serde_json::json;

use session_auth_tests::{proxies::ProxyKind, server::TestServer};
use tokio::time::sleep;
use tower_session_auth::session_auth::Freshness;

use super::{Setup, with_token};

/// Far longer than an invalidation takes, for machines under load.
const BOUND: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(5);

fn get(path: &str, token: &str) -> Request<Bytes> {
    let request = with_token(Request::get(path), token).body(Bytes::new());
    request.expect("a request")
}

pub async fn rejected_request_does_not_reach_the_upstream(kind: &ProxyKind) {
    let setup = Setup::memory(kind).await;
    let api = &setup.server.api;
    let request = || Request::get("/a").body(Bytes::new()).expect("a request");
    setup.assert_rejected(request(), 401, "INVALID_TOKEN").await;
    setup.assert_rejected(get("/a", "x"), 401, "INVALID_TOKEN").await;

    let request = json!({ "agentId": api.agent().await, "ttl": 600 });
    let first = api.create(request).await.expect(201).issued();
    setup.get("/a", &first.token).await.expect(200);
    setup.server.advance(400);
    let second = api.renew(&first.id, &first.token).await.expect(200).issued();
    setup
        .assert_rejected(get("/a", &first.token), 401, "TOKEN_SUPERSEDED")
        .await;
    setup.get("/a", &second.token).await.expect(200);
    setup.server.advance(600);
    for path in ["/a", "/admin/a", "/public/../a", "/"] {
        if path.contains("..") {
            // A proxy may also reject the path.
            let reply = setup.get(path, &second.token).await;
            assert!(matches!(reply.status, 400 | 401), "{}", reply.status);
            continue;
        }
        setup
            .assert_rejected(get(path, &second.token), 401, "TOKEN_EXPIRED")
            .await;
    }
}

pub async fn revoked_session_is_rejected_at_once(kind: &ProxyKind) {
    let setup = Setup::memory(kind).await;
    let session = setup.server.api.session(&setup.server.api.agent().await).await;
    setup.get("/a", &session.token).await.expect(200);
    setup.server.api.revoke(&session.id).await.expect(200);
    setup
        .assert_rejected(get("/a", &session.token), 401, "SESSION_REVOKED")
        .await;
}

pub async fn revoked_session_is_rejected_within_the_bound(kind: &ProxyKind) {
    let server = TestServer::redis_with(|settings| {
        settings.freshness = Some(Freshness::Bounded);
        settings.freshness_bound_ms = Some(BOUND.as_millis().try_into().expect("a bound"));
    });
    let setup = Setup::new(kind, server.await).await;
    let session = setup.server.api.session(&setup.server.api.agent().await).await;
    let hits = async || {
        let hits = setup
            .server
            .api
            .metric("session_auth_near_cache_hits_total")
            .await;
        hits.unwrap_or_default()
    };
    let began = Instant::now();
    while hits().await < 1.0 {
        assert!(began.elapsed() < BOUND, "no cache hit");
        setup.get("/a", &session.token).await.expect(200);
    }
    setup.server.api.revoke(&session.id).await.expect(200);
    let revoked = Instant::now();
    while setup.get("/a", &session.token).await.status != 401 {
        assert!(revoked.elapsed() < BOUND, "a revoked session is admitted");
        sleep(POLL).await;
    }
    setup
        .assert_rejected(get("/a", &session.token), 401, "SESSION_REVOKED")
        .await;
}

pub async fn response_to_head_has_no_body(kind: &ProxyKind) {
    let setup = Setup::memory(kind).await;
    let session = setup.server.api.session(&setup.server.api.agent().await).await;
    let request = with_token(Request::head("/a"), &session.token).body(Bytes::new());
    let reply = setup.proxy.send(request.expect("a request")).await.expect(200);
    assert!(reply.body.is_null(), "{}", reply.body);
    assert_eq!(setup.upstream.seen().last().expect("a request").method, "HEAD");
    let request = Request::head("/a").body(Bytes::new()).expect("a request");
    setup.assert_rejected(request, 401, "INVALID_TOKEN").await;
    let request = with_token(Request::head("/admin/a"), &session.token).body(Bytes::new());
    let request = request.expect("a request");
    setup.assert_rejected(request, 403, "INSUFFICIENT_SCOPE").await;
}
