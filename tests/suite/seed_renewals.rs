//! The 11 renewal cases of the verified predecessor system, over HTTP, on both stores.

use http::Method;
use serde_json::json;
use session_auth_tests::{
    on_both_stores,
    server::{START, TestServer},
};

const DAY: u64 = 86_400;

on_both_stores! {
    async fn r01_renewal_after_half_of_the_ttl_returns_a_new_token(server: TestServer) {
        let session = server.api.session(&server.api.agent().await).await;
        server.advance(DAY / 2);
        let reply = server.api.renew(&session.id, &session.token).await.expect(200);
        assert_ne!(reply.text("token"), session.token);
        assert_eq!(reply.body["id"], session.id.as_str());
        assert_eq!(reply.number("expiresAt"), START + DAY / 2 + DAY);
        let renew_after = reply.number("renewAfter") - server.now();
        assert!((DAY / 2..=DAY / 10 * 8).contains(&renew_after), "{renew_after}");
        assert_eq!(reply.number("absoluteExpiresAt"), START + 30 * DAY);
        assert_eq!((reply.number("renewalCount"), reply.number("maxRenewals")), (1, 30));
        assert_eq!(reply.header("cache-control"), "no-store");
        server.api.access(&reply.text("token")).await.expect(200);
    }

    async fn r02_replaced_token_is_rejected_by_renewal_and_api(server: TestServer) {
        let session = server.api.session(&server.api.agent().await).await;
        server.advance(DAY / 2);
        server.api.renew(&session.id, &session.token).await.expect(200);
        server.api.access(&session.token).await.rejected(401, "TOKEN_SUPERSEDED");
        let again = server.api.renew(&session.id, &session.token).await;
        again.rejected(403, "SESSION_RENEWAL_MISMATCH");
    }

    async fn r03_renewal_past_the_limit_is_rejected(server: TestServer) {
        let agent = server.api.agent().await;
        let request = json!({ "agentId": agent, "ttl": 600, "maxRenewals": 1 });
        let session = server.api.create(request).await.expect(201).issued();
        server.advance(300);
        let renewed = server.api.renew(&session.id, &session.token).await.expect(200).issued();
        server.advance(300);
        let reply = server.api.renew(&session.id, &renewed.token).await;
        reply.rejected(403, "RENEWAL_LIMIT_REACHED");
        server.api.access(&renewed.token).await.expect(200);
    }

    async fn r04_renewal_past_the_absolute_lifetime_is_rejected(server: TestServer) {
        let agent = server.api.agent().await;
        let request = json!({ "agentId": agent, "ttl": 600, "absoluteLifetime": 900 });
        let session = server.api.create(request).await.expect(201).issued();
        server.advance(500);
        let renewed = server.api.renew(&session.id, &session.token).await.expect(200).issued();
        server.advance(399);
        server.api.access(&renewed.token).await.expect(200);
        server.advance(1);
        let reply = server.api.renew(&session.id, &renewed.token).await;
        reply.rejected(403, "SESSION_ABSOLUTE_LIFETIME_EXCEEDED");
        server.api.access(&renewed.token).await.rejected(401, "TOKEN_EXPIRED");
    }

    async fn r05_renewal_before_half_of_the_ttl_is_rejected(server: TestServer) {
        let session = server.api.session(&server.api.agent().await).await;
        server.advance(DAY / 2 - 1);
        let reply = server.api.renew(&session.id, &session.token).await;
        reply.rejected(403, "RENEWAL_TOO_EARLY");
        assert_eq!(reply.header("retry-after"), "1");
        assert_eq!(reply.body["retryable"], true);
        server.api.access(&session.token).await.expect(200);
    }

    async fn r06_renewal_of_a_revoked_session_is_rejected(server: TestServer) {
        let session = server.api.session(&server.api.agent().await).await;
        server.advance(DAY / 2);
        server.api.revoke(&session.id).await.expect(200);
        server.api.renew(&session.id, &session.token).await.rejected(401, "SESSION_REVOKED");
    }

    async fn r07_token_two_generations_old_is_rejected(server: TestServer) {
        let session = server.api.session(&server.api.agent().await).await;
        server.advance(DAY / 2);
        let second = server.api.renew(&session.id, &session.token).await.expect(200).issued();
        server.advance(DAY / 2 - 1);
        let early = server.api.renew(&session.id, &second.token).await;
        early.rejected(403, "RENEWAL_TOO_EARLY");
        let stale = server.api.renew(&session.id, &session.token).await;
        stale.rejected(403, "SESSION_RENEWAL_MISMATCH");
        server.advance(1);
        let third = server.api.renew(&session.id, &second.token).await.expect(200).issued();
        server.api.access(&second.token).await.rejected(401, "TOKEN_SUPERSEDED");
        server.api.access(&third.token).await.expect(200);
    }

    async fn r08_only_its_own_token_renews_a_session(server: TestServer) {
        let agent = server.api.agent().await;
        let mine = server.api.session(&agent).await;
        let other = server.api.session(&agent).await;
        server.advance(DAY / 2);
        server.api.renew(&other.id, &mine.token).await.rejected(404, "SESSION_NOT_FOUND");
        server.api.access(&other.token).await.expect(200);
    }

    async fn r09_renewal_count_increases_and_is_listed(server: TestServer) {
        let agent = server.api.agent().await;
        let mut session = server.api.session(&agent).await;
        for count in 1..=3 {
            server.advance(DAY / 2);
            let reply = server.api.renew(&session.id, &session.token).await.expect(200);
            assert_eq!(reply.number("renewalCount"), count);
            session = reply.issued();
        }
        let list = server.api.list(&format!("?agentId={agent}")).await.expect(200);
        assert_eq!(list.body[0]["renewalCount"], 3);
        assert_eq!(list.body[0]["lastRenewedAt"], server.now());
    }

    async fn r10_new_expiry_never_exceeds_the_absolute_lifetime(server: TestServer) {
        let agent = server.api.agent().await;
        let request = json!({ "agentId": agent, "ttl": 600, "absoluteLifetime": 1000 });
        let session = server.api.create(request).await.expect(201).issued();
        server.advance(500);
        let reply = server.api.renew(&session.id, &session.token).await.expect(200);
        assert_eq!(reply.number("expiresAt"), START + 1000);
        let renew_after = reply.number("renewAfter") - server.now();
        assert!((250..=400).contains(&renew_after), "{renew_after}");
    }

    async fn r11_renewal_does_not_accept_the_master_password(server: TestServer) {
        let session = server.api.session(&server.api.agent().await).await;
        server.advance(DAY / 2);
        let path = format!("/v1/sessions/{}/renew", session.id);
        let by_master = server.api.master(Method::PUT, &path, None).await;
        by_master.rejected(401, "INVALID_TOKEN");
        server.api.renew(&session.id, &session.token).await.expect(200);
    }
}
