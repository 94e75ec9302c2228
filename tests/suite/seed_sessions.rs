//! The 10 session cases of the verified predecessor system, over HTTP, on both stores.

use http::Method;
use serde_json::json;
use session_auth_tests::{
    on_both_stores,
    server::{START, TestServer},
};

const DAY: u64 = 86_400;

on_both_stores! {
    async fn s01_create_returns_201_with_a_token(server: TestServer) {
        let agent = server.api.agent().await;
        let reply = server.api.create(json!({ "agentId": agent })).await.expect(201);
        assert!(reply.text("token").starts_with("wai_sess_v4.public."));
        assert_eq!(reply.body["agentId"], agent.as_str());
        assert_eq!(reply.body["tokenType"], "Bearer");
        assert_eq!(reply.number("expiresAt"), START + DAY);
        assert!((START + DAY / 2..=START + DAY / 10 * 8).contains(&reply.number("renewAfter")));
        assert_eq!(reply.number("absoluteExpiresAt"), START + 30 * DAY);
        assert_eq!(reply.number("maxRenewals"), 30);
        assert_eq!(reply.header("cache-control"), "no-store");
    }

    async fn s02_create_for_an_unknown_agent_returns_404(server: TestServer) {
        let unknown = "0190f3a1-7c1e-7d2a-9b3c-4d5e6f708192";
        server.api.create(json!({ "agentId": unknown })).await.rejected(404, "AGENT_NOT_FOUND");
    }

    async fn s03_sixth_session_of_an_agent_is_rejected(server: TestServer) {
        let agent = server.api.agent().await;
        for _ in 0..5 {
            server.api.session(&agent).await;
        }
        let sixth = server.api.create(json!({ "agentId": agent })).await;
        sixth.rejected(403, "SESSION_LIMIT_EXCEEDED");
        let other = server.api.agent().await;
        server.api.session(&other).await;
    }

    async fn s04_create_without_the_master_password_returns_401(server: TestServer) {
        let reply = server.api.anonymous(Method::POST, "/v1/sessions").await;
        reply.rejected(401, "INVALID_MASTER_PASSWORD");
        let wrong = server.api.with_password("wrong").create(json!({})).await;
        wrong.rejected(401, "INVALID_MASTER_PASSWORD");
    }

    async fn s05_list_returns_active_sessions_newest_first(server: TestServer) {
        let agent = server.api.agent().await;
        let first = server.api.session(&agent).await;
        server.advance(1);
        let second = server.api.session(&agent).await;
        let list = server.api.list(&format!("?agentId={agent}")).await.expect(200);
        assert_eq!(list.body, json!([
            {
                "id": second.id, "agentId": agent, "status": "ACTIVE", "renewalCount": 0, "maxRenewals": 30,
                "expiresAt": START + 1 + DAY, "absoluteExpiresAt": START + 1 + 30 * DAY,
                "createdAt": START + 1, "lastRenewedAt": null, "constraints": null,
            },
            {
                "id": first.id, "agentId": agent, "status": "ACTIVE", "renewalCount": 0, "maxRenewals": 30,
                "expiresAt": START + DAY, "absoluteExpiresAt": START + 30 * DAY,
                "createdAt": START, "lastRenewedAt": null, "constraints": null,
            },
        ]));
    }

    async fn s06_list_omits_revoked_sessions(server: TestServer) {
        let agent = server.api.agent().await;
        let revoked = server.api.session(&agent).await;
        let kept = server.api.session(&agent).await;
        server.api.revoke(&revoked.id).await.expect(200);
        let list = server.api.list(&format!("?agentId={agent}")).await.expect(200);
        assert_eq!(list.body.as_array().map(Vec::len), Some(1));
        assert_eq!(list.body[0]["id"], kept.id.as_str());
    }

    async fn s07_revoke_returns_the_revoked_session_each_time(server: TestServer) {
        let session = server.api.session(&server.api.agent().await).await;
        for _ in 0..2 {
            let reply = server.api.revoke(&session.id).await.expect(200);
            assert_eq!(reply.body, json!({ "id": session.id, "status": "REVOKED" }));
        }
        let one = server.api.master(Method::GET, &format!("/v1/sessions/{}", session.id), None).await;
        assert_eq!(one.expect(200).body["status"], "REVOKED");
    }

    async fn s08_revoke_of_an_unknown_session_returns_404(server: TestServer) {
        let reply = server.api.revoke("0190f3a1-7c1e-7d2a-9b3c-4d5e6f708192").await;
        reply.rejected(404, "SESSION_NOT_FOUND");
    }

    async fn s09_token_of_a_revoked_session_is_rejected_immediately(server: TestServer) {
        let session = server.api.session(&server.api.agent().await).await;
        server.api.access(&session.token).await.expect(200);
        server.api.revoke(&session.id).await.expect(200);
        server.api.access(&session.token).await.rejected(401, "SESSION_REVOKED");
    }

    async fn s10_caller_reads_its_own_session(server: TestServer) {
        let agent = server.api.agent().await;
        let constraints = json!({ "maxAmount": "10", "hosts": ["a.example"] });
        let request = json!({
            "agentId": agent, "ttl": 600, "maxRenewals": 3, "absoluteLifetime": 7200, "constraints": constraints,
        });
        let session = server.api.create(request).await.expect(201).issued();
        let own = server.api.access(&session.token).await.expect(200);
        assert_eq!(own.body, json!({
            "id": session.id, "agentId": agent, "status": "ACTIVE", "renewalCount": 0, "maxRenewals": 3,
            "expiresAt": START + 600, "absoluteExpiresAt": START + 7200, "createdAt": START,
            "lastRenewedAt": null, "constraints": constraints,
        }));
    }
}
