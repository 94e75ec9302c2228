//! The HTTP contract: endpoints, headers, pages.

use std::collections::BTreeSet;

use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};
use session_auth_tests::{
    on_both_stores,
    server::{PASSWORD, START, TestServer},
};

on_both_stores! {
    async fn agent_can_be_registered_read_listed_and_deleted(server: TestServer) {
        let api = &server.api;
        let id = "6f1c7a52-2f39-4b0e-9c55-0b7f3e3d2a11";
        let bot = json!({ "id": id, "name": "build-bot", "createdAt": START });
        let request = Some(json!({ "id": id, "name": "build-bot" }));
        let created = api.master(Method::POST, "/v1/agents", request.clone()).await.expect(201);
        assert_eq!(created.body, bot);
        server.advance(5);
        let repeated = api.master(Method::POST, "/v1/agents", request).await.expect(201);
        assert_eq!(repeated.body, bot, "repeating a registration changes nothing");
        let renamed = Some(json!({ "id": id, "name": "other" }));
        let renamed = api.master(Method::POST, "/v1/agents", renamed).await;
        renamed.rejected(400, "VALIDATION_FAILED");
        assert_eq!(renamed.issue_paths(), ["id"]);

        let path = format!("/v1/agents/{id}");
        assert_eq!(api.master(Method::GET, &path, None).await.expect(200).body, bot);
        let unnamed = api.agent().await;
        let list = api.master(Method::GET, "/v1/agents", None).await.expect(200);
        assert_eq!(list.body.as_array().map(Vec::len), Some(2));
        assert!(list.body.as_array().is_some_and(|agents| agents.contains(&bot)));

        let session = api.session(id).await;
        let deleted = api.master(Method::DELETE, &path, None).await.expect(200);
        assert_eq!(deleted.body, json!({ "id": id, "revokedSessions": 1 }));
        api.access(&session.token).await.rejected(401, "SESSION_REVOKED");
        for method in [Method::GET, Method::DELETE] {
            api.master(method, &path, None).await.rejected(404, "AGENT_NOT_FOUND");
        }
        api.create(json!({ "agentId": id })).await.rejected(404, "AGENT_NOT_FOUND");
        let list = api.master(Method::GET, "/v1/agents", None).await.expect(200);
        assert_eq!(list.body[0]["id"], unnamed.as_str());
        assert_eq!(list.body[0]["name"], Value::Null);
    }

    async fn one_request_revokes_all_sessions_of_an_agent(server: TestServer) {
        let api = &server.api;
        let (agent, other) = (api.agent().await, api.agent().await);
        let sessions = [api.session(&agent).await, api.session(&agent).await];
        let untouched = api.session(&other).await;
        let path = format!("/v1/sessions?agentId={agent}");
        let reply = api.master(Method::DELETE, &path, None).await.expect(200);
        assert_eq!(reply.body, json!({ "agentId": agent, "revokedSessions": 2 }));
        for session in sessions {
            api.access(&session.token).await.rejected(401, "SESSION_REVOKED");
        }
        api.access(&untouched.token).await.expect(200);
        let again = api.master(Method::DELETE, &path, None).await.expect(200);
        assert_eq!(again.number("revokedSessions"), 0);
        let unknown = "/v1/sessions?agentId=0190f3a1-7c1e-7d2a-9b3c-4d5e6f708192";
        api.master(Method::DELETE, unknown, None).await.rejected(404, "AGENT_NOT_FOUND");
    }

    async fn agent_can_revoke_its_own_session(server: TestServer) {
        let session = server.api.session(&server.api.agent().await).await;
        let reply = server.api.bearer(Method::DELETE, "/v1/session", &session.token).await.expect(200);
        assert_eq!(reply.body, json!({ "id": session.id, "status": "REVOKED" }));
        server.api.access(&session.token).await.rejected(401, "SESSION_REVOKED");
    }

    async fn expired_session_is_listed_as_expired_and_does_not_count(server: TestServer) {
        let agent = server.api.agent().await;
        let mut token = String::new();
        for _ in 0..5 {
            let request = json!({ "agentId": agent, "ttl": 300 });
            token = server.api.create(request).await.expect(201).text("token");
        }
        server.advance(299);
        server.api.access(&token).await.expect(200);
        server.api.create(json!({ "agentId": agent })).await.rejected(403, "SESSION_LIMIT_EXCEEDED");
        server.advance(1);
        server.api.access(&token).await.rejected(401, "TOKEN_EXPIRED");
        let own = server.api.list(&format!("?agentId={agent}")).await.expect(200);
        assert!(own.body.as_array().is_some_and(|all| all.iter().all(|one| one["status"] == "EXPIRED")));
        server.api.session(&agent).await;
    }

    async fn pages_list_every_session_once_newest_first_within_an_agent(server: TestServer) {
        let mut all = BTreeSet::new();
        for _ in 0..4 {
            let agent = server.api.agent().await;
            for _ in 0..3 {
                server.advance(1);
                all.insert(server.api.session(&agent).await.id);
            }
        }
        server.api.agent().await;
        for limit in [1, 2, 5, 12, 500] {
            let mut seen: Vec<(String, String)> = Vec::new();
            let mut query = Some(format!("?limit={limit}"));
            while let Some(next) = query {
                let page = server.api.list(&next).await.expect(200);
                let items = page.body.as_array().expect("an array");
                assert!(items.len() <= limit);
                seen.extend(items.iter().map(|item| {
                    let text = |name: &str| item[name].as_str().expect("a text").to_owned();
                    (text("agentId"), text("id"))
                }));
                query = page.next();
            }
            let ids: BTreeSet<_> = seen.iter().map(|(_, id)| id.clone()).collect();
            assert_eq!((ids, seen.len()), (all.clone(), 12), "limit {limit}");
            for pair in seen.windows(2) {
                assert!(pair[0].0 < pair[1].0 || (pair[0].0 == pair[1].0 && pair[0].1 > pair[1].1));
            }
        }
    }

    async fn scopes_are_returned_and_no_renewal_or_rotation_changes_them(server: TestServer) {
        let agent = server.api.agent().await;
        for scopes in [json!(["reports:read", "reports:write"]), json!("reports:read reports:write")] {
            let request = json!({ "agentId": agent, "ttl": 600, "scopes": scopes });
            let created = server.api.create(request).await.expect(201);
            let expected = json!(["reports:read", "reports:write"]);
            assert_eq!(created.body["scopes"], expected);
            let session = created.issued();
            server.advance(400);
            let renewed = server.api.renew(&session.id, &session.token).await.expect(200).issued();
            assert_eq!(server.api.access(&renewed.token).await.expect(200).body["scopes"], expected);
            let rotated = server.api.rotate(&session.id).await.expect(200).issued();
            assert_eq!(server.api.access(&rotated.token).await.expect(200).body["scopes"], expected);
            let list = server.api.list(&format!("?agentId={agent}")).await.expect(200);
            assert_eq!(list.body[0]["scopes"], expected);
            server.api.revoke(&session.id).await.expect(200);
        }
        for none in [json!([]), json!(null)] {
            let created = server.api.create(json!({ "agentId": agent, "scopes": none })).await.expect(201);
            assert_eq!(created.body.get("scopes"), None);
            let own = server.api.access(&created.issued().token).await.expect(200);
            assert_eq!(own.body.get("scopes"), None);
        }
    }

    async fn constraints_are_returned_unchanged(server: TestServer) {
        let agent = server.api.agent().await;
        for length in [0, 40, 56, 57, 4_000] {
            let constraints = json!({ "text": "ü".repeat(length / 2) });
            let request = json!({ "agentId": agent, "constraints": constraints });
            let session = server.api.create(request).await.expect(201).issued();
            let own = server.api.access(&session.token).await.expect(200);
            assert_eq!(own.body["constraints"], constraints, "{length}");
            let list = server.api.list(&format!("?agentId={agent}")).await.expect(200);
            assert_eq!(list.body[0]["constraints"], constraints, "{length}");
            server.api.revoke(&session.id).await.expect(200);
        }
    }
}

#[tokio::test]
async fn health_and_readiness_need_no_credentials() {
    let server = TestServer::memory().await;
    for path in ["/healthz", "/readyz"] {
        server.api.anonymous(Method::GET, path).await.expect(200);
        server.api.anonymous(Method::HEAD, path).await.expect(200);
    }
}

#[tokio::test]
async fn metrics_need_the_master_password() {
    let server = TestServer::memory().await;
    let stranger = server.api.anonymous(Method::GET, "/metrics").await;
    stranger.rejected(401, "INVALID_MASTER_PASSWORD");
    let reply = server.api.master(Method::GET, "/metrics", None).await.expect(200);
    assert!(reply.body.as_str().expect("text").ends_with("\n"));
    assert_eq!(reply.header("cache-control"), "no-store");
    assert_eq!(
        server.api.metric("session_auth_token_reuse_total").await,
        Some(0.0)
    );
    assert_eq!(server.api.metric("session_auth_near_cache_coherent").await, None);
}

#[tokio::test]
async fn every_response_has_a_request_id_and_valid_ids_are_kept() {
    let server = TestServer::memory().await;
    let with_id = async |id: &str| {
        let request = Request::get("/healthz")
            .header("x-request-id", id)
            .body(Full::default());
        server
            .api
            .send(request.expect("a request"))
            .await
            .header("x-request-id")
            .to_owned()
    };
    assert_eq!(with_id("trace-42").await, "trace-42");
    assert_eq!(with_id(&"x".repeat(128)).await, "x".repeat(128));
    for unusable in ["", "two words", "tab\tbed", &"x".repeat(129)] {
        let made = with_id(unusable).await;
        assert_eq!(made.len(), 36, "{made}");
    }
    for path in ["/healthz", "/nowhere", "/v1/session", "/v1/sessions"] {
        let reply = server.api.anonymous(Method::GET, path).await;
        assert_eq!(reply.header("x-request-id").len(), 36);
    }
}

#[tokio::test]
async fn challenges_follow_rfc_6750() {
    let server = TestServer::memory().await;
    let none = server.api.anonymous(Method::GET, "/v1/session").await;
    none.rejected(401, "INVALID_TOKEN");
    assert_eq!(none.header("www-authenticate"), "Bearer realm=\"session\"");
    let bad = server.api.access("nonsense").await;
    bad.rejected(401, "INVALID_TOKEN");
    assert_eq!(
        bad.header("www-authenticate"),
        "Bearer realm=\"session\", error=\"invalid_token\""
    );
    let session = server.api.session(&server.api.agent().await).await;
    server.api.revoke(&session.id).await.expect(200);
    let revoked = server.api.access(&session.token).await;
    assert_eq!(
        revoked.header("www-authenticate"),
        "Bearer realm=\"session\", error=\"invalid_token\""
    );
    let early = server.api.renew(&session.id, &session.token).await;
    assert_eq!(early.status, 401);
}

#[tokio::test]
async fn configured_header_carries_the_token_instead_of_authorization() {
    let server = TestServer::memory_with(|settings| {
        settings.token_header = Some("X-Session-Token".to_owned());
    })
    .await;
    let session = server.api.session(&server.api.agent().await).await;
    let with = async |method: Method, path: &str, value: &str| {
        let request = Request::builder().method(method).uri(path);
        let request = request
            .header("authorization", "Basic YTpi")
            .header("x-session-token", value);
        server
            .api
            .send(request.body(Full::default()).expect("a request"))
            .await
    };
    let bearer = format!("Bearer {}", session.token);
    for value in [&session.token, &bearer] {
        with(Method::GET, "/v1/session", value).await.expect(200);
    }
    server
        .api
        .access(&session.token)
        .await
        .rejected(401, "INVALID_TOKEN");
    server.advance(43_200);
    let renewal = format!("/v1/sessions/{}/renew", session.id);
    with(Method::PUT, &renewal, &session.token).await.expect(200);
    with(Method::GET, "/v1/session", &session.token)
        .await
        .rejected(401, "TOKEN_SUPERSEDED");
}

#[tokio::test]
async fn each_failure_doubles_the_lockout_of_the_address() {
    let server = TestServer::memory().await;
    let wrong = server.api.with_password("wrong");
    for _ in 0..5 {
        wrong.list("").await.rejected(401, "INVALID_MASTER_PASSWORD");
    }
    for seconds in [1, 2, 4] {
        let locked = server.api.list("").await;
        locked.rejected(429, "MASTER_PASSWORD_LOCKED");
        assert_eq!(locked.header("retry-after"), seconds.to_string());
        server.advance(seconds);
        wrong.list("").await.rejected(401, "INVALID_MASTER_PASSWORD");
    }
    // A success does not reset the failures: the next one doubles the lock again.
    server.advance(8);
    server.api.list("").await.expect(200);
    wrong.list("").await.rejected(401, "INVALID_MASTER_PASSWORD");
    let locked = server.api.list("").await;
    locked.rejected(429, "MASTER_PASSWORD_LOCKED");
    assert_eq!(locked.header("retry-after"), "16");
}

#[tokio::test]
async fn behind_a_trusted_proxy_lockout_applies_to_the_forwarded_address() {
    let server = TestServer::memory_with(|settings| {
        settings.trusted_proxies = Some(vec!["127.0.0.0/8".parse().expect("a network")]);
    })
    .await;
    let list = async |client: &str, password: &str| {
        let request = Request::get("/v1/sessions")
            .header("x-forwarded-for", client)
            .header("x-master-password", password);
        server
            .api
            .send(request.body(Full::default()).expect("a request"))
            .await
    };
    for _ in 0..5 {
        list("192.0.2.66", "wrong")
            .await
            .rejected(401, "INVALID_MASTER_PASSWORD");
    }
    list("192.0.2.66", PASSWORD)
        .await
        .rejected(429, "MASTER_PASSWORD_LOCKED");
    list("192.0.2.1", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn public_keys_are_published_without_credentials_and_may_be_cached() {
    let server = TestServer::memory().await;
    let reply = server.api.anonymous(Method::GET, "/v1/keys").await.expect(200);
    assert_eq!(reply.header("cache-control"), "max-age=300");
    assert_eq!(reply.header("content-type"), "application/json");
    let keys = reply.body["keys"].as_array().expect("keys");
    let members: BTreeSet<_> = keys[0]
        .as_object()
        .expect("a key")
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(members, BTreeSet::from(["kid", "paserk", "status"]));
    assert_eq!((keys.len(), &keys[0]["status"]), (1, &json!("signing")));
    assert!(
        keys[0]["paserk"]
            .as_str()
            .is_some_and(|key| key.starts_with("k4.public."))
    );
    assert!(!reply.body.to_string().contains("secret"), "{}", reply.body);
    let rejected = server.api.anonymous(Method::POST, "/v1/keys").await;
    rejected.rejected(405, "METHOD_NOT_ALLOWED");
}
