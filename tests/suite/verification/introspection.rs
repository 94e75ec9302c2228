//! `POST /v1/introspect` (RFC 7662).

use http::Request;
use http_body_util::Full;
use serde_json::json;
use session_auth_tests::{
    admin_keys::{KeyFile, basic, rights},
    server::{START, TestServer},
};

use super::{is_oauth_error, post_form, server_with_keys};

const PATH: &str = "/v1/introspect";

#[tokio::test]
async fn active_token_is_described() {
    let (server, [introspector, ..]) = server_with_keys().await;
    let agent = server.api.agent().await;
    let request = json!({ "agentId": agent, "ttl": 600, "scopes": ["b", "a"] });
    let session = server.api.create(request).await.expect(201).issued();
    let form = format!("token={}&token_type_hint=refresh_token&x=1", session.token);
    for authorization in [
        format!("Bearer {introspector}"),
        basic("introspector", &introspector),
    ] {
        let reply = post_form(&server, PATH, Some(&authorization), &form)
            .await
            .expect(200);
        assert_eq!(
            reply.body,
            json!({
                "active": true, "sub": agent, "client_id": agent, "jti": session.id, "token_type": "Bearer",
                "iat": START, "exp": START + 600, "scope": "b a", "iss": "tower-session-auth",
            })
        );
        assert_eq!(reply.header("content-type"), "application/json");
        assert_eq!(reply.header("cache-control"), "no-store");
    }
    let plain = server.api.session(&agent).await;
    let reply = post_form(
        &server,
        PATH,
        Some(&format!("Bearer {introspector}")),
        &format!("token={}", plain.token),
    )
    .await;
    assert_eq!(reply.expect(200).body.get("scope"), None);
}

#[tokio::test]
async fn every_other_token_is_inactive_and_nothing_else_is_said() {
    let (server, [introspector, ..]) = server_with_keys().await;
    let authorization = format!("Bearer {introspector}");
    let agent = server.api.agent().await;
    let create = async || {
        let request = json!({ "agentId": agent, "ttl": 600 });
        server.api.create(request).await.expect(201).issued()
    };
    let revoked = create().await;
    server.api.revoke(&revoked.id).await.expect(200);
    let superseded = create().await;
    let expired = create().await;
    server.advance(400);
    server
        .api
        .renew(&superseded.id, &superseded.token)
        .await
        .expect(200);
    server.advance(200);
    let tampered = format!("{}x", create().await.token);
    for token in [
        &*revoked.token,
        &superseded.token,
        &expired.token,
        &tampered,
        "x",
        "wai_sess_v4.public.x",
        &introspector,
    ] {
        let reply = post_form(&server, PATH, Some(&authorization), &format!("token={token}")).await;
        assert_eq!(reply.expect(200).body, json!({ "active": false }), "{token}");
    }
}

#[tokio::test]
async fn key_that_is_restricted_to_agents_sees_their_tokens_only() {
    let permitted = uuid();
    let fields = format!("{}\nagents = ['{permitted}']", rights(&["introspect"]));
    let (file, [secret]) = KeyFile::new([("restricted", fields)]);
    let server = TestServer::memory_with(|settings| file.set(settings)).await;
    let request = json!({ "id": permitted });
    server
        .api
        .master(http::Method::POST, "/v1/agents", Some(request))
        .await
        .expect(201);
    for (agent, active) in [(permitted, true), (server.api.agent().await, false)] {
        let token = server.api.session(&agent).await.token;
        let reply = post_form(
            &server,
            PATH,
            Some(&format!("Bearer {secret}")),
            &format!("token={token}"),
        )
        .await;
        assert_eq!(reply.expect(200).body["active"], active);
    }
}

fn uuid() -> String {
    tower_session_auth::AgentId::generate()
        .expect("an id")
        .to_string()
}

#[tokio::test]
async fn client_that_is_not_authenticated_learns_nothing() {
    let (server, [introspector, revoker, _]) = server_with_keys().await;
    let token = server.api.session(&server.api.agent().await).await.token;
    let form = format!("token={token}");
    for authorization in [
        None,
        Some("Bearer x".to_owned()),
        Some(format!("Bearer {token}")),
        Some(format!("Bearer {introspector}x")),
        Some(basic("revoker", &introspector)),
        Some(basic("client", "secret")),
    ] {
        let reply = post_form(&server, PATH, authorization.as_deref(), &form).await;
        is_oauth_error(&reply, 401, "invalid_client");
        let challenges: Vec<_> = reply.headers.get_all("www-authenticate").iter().collect();
        assert!(
            challenges
                .iter()
                .any(|challenge| challenge.as_bytes().starts_with(b"Basic ")),
            "{challenges:?}"
        );
    }
    let reply = post_form(&server, PATH, Some(&format!("Bearer {revoker}")), &form).await;
    is_oauth_error(&reply, 403, "unauthorized_client");
}

#[tokio::test]
async fn malformed_form_is_an_invalid_request() {
    let (server, [introspector, ..]) = server_with_keys().await;
    let authorization = format!("Bearer {introspector}");
    for form in [
        "",
        "token=",
        "x=y",
        "token=a&token=b",
        "token=a&x=1&x=2",
        "<token>=1&<token>=2",
    ] {
        let reply = post_form(&server, PATH, Some(&authorization), form).await;
        is_oauth_error(&reply, 400, "invalid_request");
        assert!(!reply.body.to_string().contains("<token>"), "{}", reply.body);
    }
    // Before, each name was compared with all others.
    let many: String = (0..1_300).map(|number| format!("{number:04}&")).collect();
    let reply = post_form(&server, PATH, Some(&authorization), &many).await;
    is_oauth_error(&reply, 400, "invalid_request");
    let long = format!("token={}", "x".repeat(9 * 1024));
    let reply = post_form(&server, PATH, Some(&authorization), &long).await;
    is_oauth_error(&reply, 413, "invalid_request");
    let request = Request::post(PATH)
        .header("authorization", &authorization)
        .header("content-type", "application/json")
        .body(Full::from("{\"token\":\"x\"}"));
    let reply = server.api.send(request.expect("a request")).await;
    is_oauth_error(&reply, 400, "invalid_request");
}
