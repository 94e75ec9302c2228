//! `/v1/auth`.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::json;
use session_auth_tests::{on_both_stores, server::TestServer};

on_both_stores! {
    async fn admitted_request_has_its_session_in_the_headers(server: TestServer) {
        let agent = server.api.agent().await;
        let request = json!({ "agentId": agent, "ttl": 600, "scopes": ["reports:read", "reports:write"] });
        let session = server.api.create(request).await.expect(201).issued();
        for method in ["GET", "POST", "DELETE", "PUT", "PATCH", "OPTIONS", "HEAD", "PROPFIND"] {
            for path in ["/v1/auth", "/v1/auth/", "/v1/auth/a/b?c=d"] {
                let reply = server.api.bearer(method.parse().expect("a method"), path, &session.token).await.expect(200);
                assert!(reply.body.is_null());
                assert_eq!(reply.header("x-session-id"), session.id);
                assert_eq!(reply.header("x-agent-id"), agent);
                assert_eq!(reply.header("x-session-expires-at"), session.body["expiresAt"].to_string());
                assert_eq!(reply.header("x-session-scopes"), "reports:read reports:write");
                assert_eq!(reply.header("cache-control"), "no-store");
                assert!(!reply.header("x-request-id").is_empty());
            }
        }
        // No method has changed the session.
        server.api.access(&session.token).await.expect(200);
    }

    async fn rejected_request_has_the_challenge_and_the_problem(server: TestServer) {
        let agent = server.api.agent().await;
        let missing = server.api.anonymous(Method::GET, "/v1/auth").await;
        missing.rejected(401, "INVALID_TOKEN");
        assert_eq!(missing.header("www-authenticate"), "Bearer realm=\"session\"");
        let session = server.api.create(json!({ "agentId": agent, "ttl": 600 })).await.expect(201).issued();
        server.advance(400);
        let renewed = server.api.renew(&session.id, &session.token).await.expect(200).issued();
        server.api.bearer(Method::GET, "/v1/auth", &session.token).await.rejected(401, "TOKEN_SUPERSEDED");
        server.advance(600);
        server.api.bearer(Method::GET, "/v1/auth", &renewed.token).await.rejected(401, "TOKEN_EXPIRED");
        let session = server.api.session(&agent).await;
        server.api.revoke(&session.id).await.expect(200);
        let revoked = server.api.bearer(Method::POST, "/v1/auth/x", &session.token).await;
        revoked.rejected(401, "SESSION_REVOKED");
        assert_eq!(revoked.header("www-authenticate"), "Bearer realm=\"session\", error=\"invalid_token\"");
    }

    async fn demanded_scopes_are_required(server: TestServer) {
        let agent = server.api.agent().await;
        let session = server.api.create(json!({ "agentId": agent, "scopes": ["a", "b"] })).await.expect(201).issued();
        let auth = async |query: &str| server.api.bearer(Method::GET, &format!("/v1/auth{query}"), &session.token).await;
        for query in ["?scope=a", "?scope=b%20a", "/x?y=z&scope=a+b"] {
            auth(query).await.expect(200);
        }
        let reply = auth("?scope=a%20admin").await;
        reply.rejected(403, "INSUFFICIENT_SCOPE");
        let challenge = "Bearer realm=\"session\", error=\"insufficient_scope\", scope=\"a admin\"";
        assert_eq!(reply.header("www-authenticate"), challenge);
        auth("?scope=").await.rejected(400, "VALIDATION_FAILED");
        let none = server.api.session(&agent).await;
        server.api.bearer(Method::GET, "/v1/auth?scope=a", &none.token).await.rejected(403, "INSUFFICIENT_SCOPE");
        let reply = server.api.bearer(Method::GET, "/v1/auth", &none.token).await.expect(200);
        assert_eq!(reply.headers["x-session-scopes"], "");
    }
}

#[tokio::test]
async fn body_is_not_read() {
    let server = TestServer::memory().await;
    let session = server.api.session(&server.api.agent().await).await;
    for (token, status) in [(&*session.token, 200), ("x", 401)] {
        let request = Request::post("/v1/auth")
            .header("authorization", format!("Bearer {token}"))
            .body(Full::from(Bytes::from(vec![b'x'; 10 << 20])));
        let reply = server.api.send(request.expect("a request")).await;
        assert_eq!(reply.status, status);
    }
}
