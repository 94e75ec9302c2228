//! Authlib, an OAuth library: its client, and its protection of a resource server.

use serde_json::{Value, json};
use session_auth_tests::{
    admin_keys::{KeyFile, rights},
    server::{START, TestServer},
};

use super::run;

/// A server with the key `gateway`. Returns its secret.
async fn server_with_gateway() -> (TestServer, String) {
    let (file, [secret]) = KeyFile::new([("gateway", rights(&["introspect", "revoke"]))]);
    (
        TestServer::memory_with(|settings| file.set(settings)).await,
        secret,
    )
}

#[tokio::test]
async fn authlib_client_introspects_and_revokes() {
    let (server, secret) = server_with_gateway().await;
    let agent = server.api.agent().await;
    let request = json!({ "agentId": agent, "ttl": 600, "scopes": ["tickets:read"] });
    let session = server.api.create(request).await.expect(201).issued();
    let own = server.api.session(&agent).await;

    let report = run(
        "oauth_client.py",
        [server.api.base(), &secret, &session.token, &own.token],
    )
    .await;
    assert_eq!(
        report["before"],
        json!({
            "active": true, "sub": agent, "client_id": agent, "jti": session.id, "token_type": "Bearer",
            "iat": START, "exp": START + 600, "scope": "tickets:read", "iss": "tower-session-auth",
        })
    );
    // A client with a wrong secret learns nothing, and revokes nothing.
    let rejected = json!({ "status": 401, "error": "invalid_client", "challenged": true });
    assert_eq!(report["wrong_secret"], json!([rejected, rejected]));
    assert_eq!(report["after_wrong_secret"], report["before"]);
    assert_eq!(report["revoked"], json!([200, 200]));
    assert_eq!(report["after"], json!({ "active": false }));
    // A public client (`client_id` without a secret) revokes its own token.
    assert_eq!(report["own_before"]["active"], true);
    assert_eq!(report["own_revoked"], 200);
    assert_eq!(report["own_after"], json!({ "active": false }));
    server
        .api
        .access(&session.token)
        .await
        .rejected(401, "SESSION_REVOKED");
    server
        .api
        .access(&own.token)
        .await
        .rejected(401, "SESSION_REVOKED");
}

#[tokio::test]
async fn authlib_protects_a_resource_server() {
    let (server, secret) = server_with_gateway().await;
    let agent = server.api.agent().await;
    let create = async |scopes: Value| {
        let request = json!({ "agentId": agent, "scopes": scopes });
        server.api.create(request).await.expect(201).issued()
    };
    let scoped = create(json!(["tickets:read", "tickets:write"])).await;
    let plain = create(json!([])).await;
    let revoked = create(json!(["tickets:read"])).await;
    server.api.revoke(&revoked.id).await.expect(200);

    let report = run(
        "resource_server.py",
        [
            server.api.base(),
            &secret,
            &scoped.token,
            &plain.token,
            &revoked.token,
        ],
    )
    .await;
    let expected = json!({
        "all scopes": [200, agent],
        "one scope": [200, agent],
        "missing scope": [403, "insufficient_scope"],
        "one scope of two": [403, "insufficient_scope"],
        "token without scopes": [403, "insufficient_scope"],
        "token without scopes, none required": [200, agent],
        "revoked token": [401, "invalid_token"],
        "forged token": [401, "invalid_token"],
        "no token": [401, "missing_authorization"],
    });
    for (case, response) in expected.as_object().expect("cases") {
        assert_eq!(report[case], *response, "{case}");
    }
}
