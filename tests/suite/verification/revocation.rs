//! `POST /v1/revoke` (RFC 7009).

use serde_json::json;
use session_auth_tests::admin_keys::{KeyFile, basic, rights};
use session_auth_tests::{on_both_stores, redis::Replicated, server::TestServer};

use super::{is_oauth_error, post_form, server_with_keys};

const PATH: &str = "/v1/revoke";

on_both_stores! {
    async fn current_token_revokes_its_own_session(server: TestServer) {
        let session = server.api.session(&server.api.agent().await).await;
        let form = format!("token={}&token_type_hint=access_token", session.token);
        for _ in 0..2 {
            let reply = post_form(&server, PATH, None, &form).await.expect(200);
            assert!(reply.body.is_null());
            assert_eq!(reply.header("cache-control"), "no-store");
            server.api.access(&session.token).await.rejected(401, "SESSION_REVOKED");
        }
    }

    async fn token_that_is_not_the_current_one_revokes_nothing(server: TestServer) {
        let agent = server.api.agent().await;
        let request = json!({ "agentId": agent, "ttl": 600 });
        let session = server.api.create(request).await.expect(201).issued();
        server.advance(400);
        let renewed = server.api.renew(&session.id, &session.token).await.expect(200).issued();
        for token in [&*session.token, "x", "wai_sess_v4.public.x"] {
            post_form(&server, PATH, None, &format!("token={token}")).await.expect(200);
        }
        server.api.access(&renewed.token).await.expect(200);
    }
}

#[tokio::test]
async fn previous_token_that_still_works_is_an_error_and_no_revocation() {
    let server = TestServer::memory_with(|settings| settings.previous_token_overlap = Some(5)).await;
    let agent = server.api.agent().await;
    let request = json!({ "agentId": agent, "ttl": 600 });
    let session = server.api.create(request).await.expect(201).issued();
    server.advance(400);
    let renewed = server.api.renew(&session.id, &session.token).await;
    let renewed = renewed.expect(200).issued();
    let form = format!("token={}", session.token);
    let reply = post_form(&server, PATH, None, &form).await;
    is_oauth_error(&reply, 400, "invalid_request");
    server.api.access(&session.token).await.expect(200);
    server.advance(5);
    post_form(&server, PATH, None, &form).await.expect(200);
    server.api.access(&renewed.token).await.expect(200);
    let form = format!("token={}", renewed.token);
    post_form(&server, PATH, None, &form).await.expect(200);
    server
        .api
        .access(&renewed.token)
        .await
        .rejected(401, "SESSION_REVOKED");
}

#[tokio::test]
async fn administrator_revokes_by_any_token_of_the_session() {
    let (server, [_, revoker, _]) = server_with_keys().await;
    let agent = server.api.agent().await;
    for authorization in [format!("Bearer {revoker}"), basic("revoker", &revoker)] {
        let request = json!({ "agentId": agent, "ttl": 600 });
        let session = server.api.create(request).await.expect(201).issued();
        server.advance(400);
        let renewed = server
            .api
            .renew(&session.id, &session.token)
            .await
            .expect(200)
            .issued();
        let form = format!("token={}", session.token);
        post_form(&server, PATH, Some(&authorization), &form)
            .await
            .expect(200);
        server
            .api
            .access(&renewed.token)
            .await
            .rejected(401, "SESSION_REVOKED");
        post_form(&server, PATH, Some(&authorization), "token=unknown")
            .await
            .expect(200);
    }
}

#[tokio::test]
async fn invalid_credential_revokes_nothing_even_with_the_current_token() {
    let (server, [introspector, revoker, _]) = server_with_keys().await;
    let session = server.api.session(&server.api.agent().await).await;
    let form = format!("token={}", session.token);
    for (authorization, status, error) in [
        (format!("Bearer {revoker}x"), 401, "invalid_client"),
        (basic("client", "secret"), 401, "invalid_client"),
        (format!("Bearer {}", session.token), 401, "invalid_client"),
        (format!("Bearer {introspector}"), 403, "unauthorized_client"),
    ] {
        let reply = post_form(&server, PATH, Some(&authorization), &form).await;
        is_oauth_error(&reply, status, error);
    }
    for parameter in ["client_secret=x", "client_id=revoker&client_assertion=x"] {
        let reply = post_form(&server, PATH, None, &format!("{form}&{parameter}")).await;
        is_oauth_error(&reply, 401, "invalid_client");
        assert!(!reply.header("www-authenticate").is_empty());
    }
    server.api.access(&session.token).await.expect(200);
    let reply = post_form(&server, PATH, None, "").await;
    is_oauth_error(&reply, 400, "invalid_request");
}

#[tokio::test]
async fn key_that_is_restricted_to_agents_revokes_their_sessions_only() {
    let fields = format!(
        "{}\nagents = ['00000000-0000-4000-8000-000000000000']",
        rights(&["revoke"])
    );
    let (file, [secret]) = KeyFile::new([("restricted", fields)]);
    let server = TestServer::memory_with(|settings| file.set(settings)).await;
    let session = server.api.session(&server.api.agent().await).await;
    let form = format!("token={}", session.token);
    let reply = post_form(&server, PATH, Some(&format!("Bearer {secret}")), &form).await;
    is_oauth_error(&reply, 403, "unauthorized_client");
    server.api.access(&session.token).await.expect(200);
}

#[tokio::test]
async fn revocation_that_is_not_durable_is_a_503_and_can_be_repeated() {
    let mut servers = Replicated::start();
    let url = servers.master.url();
    let server = TestServer::start(
        session_auth_server::config::Settings {
            redis_url: Some(url),
            min_replicas_ack: Some(1),
            ack_timeout_ms: Some(100),
            ..Default::default()
        },
        None,
        tower_session_auth::clock::ManualClock::new(tower_session_auth::clock::Timestamp(
            session_auth_tests::server::START,
        )),
    )
    .await;
    let session = server.api.session(&server.api.agent().await).await;
    let form = format!("token={}", session.token);
    servers.replica.pause();
    let reply = post_form(&server, PATH, None, &form).await;
    is_oauth_error(&reply, 503, "temporarily_unavailable");
    assert!(!reply.header("retry-after").is_empty());
    server
        .api
        .access(&session.token)
        .await
        .rejected(401, "SESSION_REVOKED");
    let reply = post_form(&server, PATH, None, &form).await;
    is_oauth_error(&reply, 503, "temporarily_unavailable");
    servers.replica.resume();
    post_form(&server, PATH, None, &form).await.expect(200);
}
