//! Repeated creations over HTTP.

use http::{Method, Request};
use serde_json::{Value, json};
use session_auth_server::config::Settings;
use session_auth_tests::{
    api::Reply,
    on_both_stores,
    server::{PASSWORD, TestServer},
};
use tower_session_auth::session::OnSessionLimit;

const DAY: u64 = 86_400;
const KEY: &str = "0b7c2f0e-the-first";

async fn create(server: &TestServer, body: &Value) -> Reply {
    server.api.create_with(body.clone(), KEY).await
}

/// The administrator's credential is valid, so the response is no 401 and has no challenge.
#[track_caller]
fn not_repeatable(reply: &Reply, session: &str) {
    reply.rejected(400, "VALIDATION_FAILED");
    assert_eq!(reply.header("www-authenticate"), "");
    assert_eq!(reply.issue_paths(), ["Idempotency-Key"]);
    let message = reply.body["details"]["issues"][0]["message"].as_str().unwrap();
    assert!(message.contains(session), "{message}");
}

on_both_stores! {
    async fn repeated_creation_has_the_same_response_until_the_retry_window_closes(server: TestServer) {
        let agent = server.api.agent().await;
        let body = json!({ "agentId": agent, "ttl": 600, "constraints": { "a": 1 } });
        let first = create(&server, &body).await.expect(201);
        for later in [0, 30, 29] {
            server.advance(later);
            let again = create(&server, &body).await.expect(201);
            assert_eq!(again.body, first.body);
            assert_eq!(again.header("cache-control"), "no-store");
        }
        server.api.access(&first.text("token")).await.expect(200);
        server.advance(1);
        let next = create(&server, &body).await.expect(201);
        assert_ne!(next.text("id"), first.text("id"));
        let list = server.api.list(&format!("?agentId={agent}")).await.expect(200);
        assert_eq!(list.body.as_array().map(Vec::len), Some(2));
    }

    async fn five_lost_responses_leave_four_places(server: TestServer) {
        let agent = server.api.agent().await;
        let body = json!({ "agentId": agent });
        for _ in 0..5 {
            create(&server, &body).await.expect(201);
        }
        for _ in 0..4 {
            server.api.create(body.clone()).await.expect(201);
        }
        server.api.create(body.clone()).await.rejected(403, "SESSION_LIMIT_EXCEEDED");
        // A repetition needs no place.
        create(&server, &body).await.expect(201);
    }

    async fn key_with_another_body_is_rejected(server: TestServer) {
        let agent = server.api.agent().await;
        let first = create(&server, &json!({ "agentId": agent, "ttl": 600 })).await.expect(201);
        for other in [json!({ "agentId": agent }), json!({ "agentId": agent, "ttl": 601 })] {
            let reply = create(&server, &other).await;
            reply.rejected(400, "VALIDATION_FAILED");
            assert_eq!(reply.issue_paths(), ["Idempotency-Key"]);
        }
        // The order of the fields is not part of the request. Another agent is another creation.
        let text = format!("{{\"ttl\" : 600,\n\"agentId\": \"{agent}\"}}");
        let again = server.api.post_with("/v1/sessions", text, &[KEY]).await.expect(201);
        assert_eq!(again.body, first.body);
        let other = create(&server, &json!({ "agentId": server.api.agent().await })).await.expect(201);
        assert_ne!(other.text("id"), first.text("id"));
    }

    async fn token_that_is_not_current_is_not_issued_again(server: TestServer) {
        let agent = server.api.agent().await;
        let body = json!({ "agentId": agent, "ttl": 300 });
        let first = create(&server, &body).await.expect(201).issued();
        server.api.rotate(&first.id).await.expect(200);
        not_repeatable(&create(&server, &body).await, "renewed or rotated");
        server.api.revoke(&first.id).await.expect(200);
        not_repeatable(&create(&server, &body).await, "revoked");
        server.advance(60);
        create(&server, &body).await.expect(201);
    }

    async fn invalid_keys_are_rejected_as_for_a_renewal(server: TestServer) {
        let agent = server.api.agent().await;
        for (path, body) in [("/v1/sessions", json!({ "agentId": agent })), ("/v1/agents", json!({}))] {
            let long = "x".repeat(256);
            for bad in [&[""][..], &["1234567"], &["with a space"], &[&long], &[KEY, KEY]] {
                let reply = server.api.post_with(path, body.to_string(), bad).await;
                reply.rejected(400, "VALIDATION_FAILED");
                assert_eq!(reply.issue_paths(), ["Idempotency-Key"], "{bad:?}");
            }
        }
        let agents = server.api.master(Method::GET, "/v1/agents", None).await.expect(200);
        assert_eq!(agents.body.as_array().map(Vec::len), Some(1));
    }

    async fn repeated_registration_gives_the_same_agent(server: TestServer) {
        let register = async |body: Value, key| server.api.post_with("/v1/agents", body.to_string(), &[key]).await;
        let named = json!({ "name": "build-bot" });
        let first = register(named.clone(), KEY).await.expect(201);
        server.advance(59);
        assert_eq!(register(named.clone(), KEY).await.expect(201).body, first.body);
        for other in [json!({}), json!({ "name": "other" }), json!({ "id": first.text("id"), "name": "build-bot" })] {
            let reply = register(other, KEY).await;
            reply.rejected(400, "VALIDATION_FAILED");
            assert_eq!(reply.issue_paths(), ["Idempotency-Key"]);
        }
        let other = register(named.clone(), "another-key").await.expect(201);
        assert_ne!(other.text("id"), first.text("id"));
        server.advance(1);
        let later = register(named.clone(), KEY).await.expect(201);
        assert_ne!(later.text("id"), first.text("id"));

        let path = format!("/v1/agents/{}", later.text("id"));
        server.advance(1);
        server.api.master(Method::DELETE, &path, None).await.expect(200);
        register(named, KEY).await.rejected(404, "AGENT_NOT_FOUND");
        server.api.master(Method::GET, &path, None).await.rejected(404, "AGENT_NOT_FOUND");
    }

    async fn sessions_and_agents_may_have_the_same_key(server: TestServer) {
        let agent = server.api.post_with("/v1/agents", "{}".to_owned(), &[KEY]).await.expect(201);
        create(&server, &json!({ "agentId": agent.text("id") })).await.expect(201);
    }

    async fn repetition_needs_the_master_password(server: TestServer) {
        let body = json!({ "agentId": server.api.agent().await });
        create(&server, &body).await.expect(201);
        let request = Request::post("/v1/sessions")
            .header("content-type", "application/json")
            .header("idempotency-key", KEY)
            .body(body.to_string().into());
        let reply = server.api.send(request.unwrap()).await;
        reply.rejected(401, "INVALID_MASTER_PASSWORD");
        assert!(!reply.body.to_string().contains(PASSWORD));
    }
}

async fn both(adjust: impl Fn(&mut Settings)) -> [TestServer; 2] {
    [
        TestServer::memory_with(&adjust).await,
        TestServer::redis_with(&adjust).await,
    ]
}

#[tokio::test]
async fn retry_window_of_0_disables_repetitions() {
    for server in both(|settings| settings.renewal_retry_window = Some(0)).await {
        let body = json!({ "agentId": server.api.agent().await });
        let [first, second] = [create(&server, &body).await, create(&server, &body).await];
        assert_ne!(first.expect(201).text("id"), second.expect(201).text("id"));
        let register = || server.api.post_with("/v1/agents", "{}".to_owned(), &[KEY]);
        let [first, second] = [register().await, register().await];
        assert_ne!(first.expect(201).text("id"), second.expect(201).text("id"));
    }
}

#[tokio::test]
async fn renewed_or_expired_session_is_not_issued_again_within_a_long_window() {
    for server in both(|settings| settings.renewal_retry_window = Some(DAY)).await {
        let body = json!({ "agentId": server.api.agent().await, "ttl": 300 });
        let first = create(&server, &body).await.expect(201).issued();
        server.advance(150);
        create(&server, &body).await.expect(201);
        server.api.renew(&first.id, &first.token).await.expect(200);
        not_repeatable(&create(&server, &body).await, "renewed or rotated");
        server.advance(300);
        not_repeatable(&create(&server, &body).await, "expired");
    }
}

#[tokio::test]
async fn repetition_evicts_no_session_and_has_the_same_response() {
    let adjust = |settings: &mut Settings| {
        settings.on_session_limit = Some(OnSessionLimit::EvictOldest);
        settings.max_sessions_per_agent = Some(2);
    };
    for server in both(adjust).await {
        let body = json!({ "agentId": server.api.agent().await });
        let oldest = server.api.create(body.clone()).await.expect(201).issued();
        let other = server.api.create(body.clone()).await.expect(201).issued();
        let first = create(&server, &body).await.expect(201);
        assert_eq!(first.body["evictedSessionIds"], json!([oldest.id]));
        assert_eq!(create(&server, &body).await.expect(201).body, first.body);
        server.api.access(&other.token).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_creations_with_one_key_have_one_response() {
    for server in both(|_| {}).await {
        let body = json!({ "agentId": server.api.agent().await });
        let sent: Vec<_> = (0..64)
            .map(|_| {
                let (api, body) = (server.api.clone(), body.clone());
                tokio::spawn(async move { api.create_with(body, KEY).await })
            })
            .collect();
        let mut bodies = Vec::new();
        for reply in sent {
            bodies.push(reply.await.unwrap().expect(201).body);
        }
        bodies.dedup();
        assert_eq!(bodies.len(), 1);
        let list = server.api.list("").await.expect(200);
        assert_eq!(list.body.as_array().map(Vec::len), Some(1));
    }
}
