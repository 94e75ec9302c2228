//! `/.well-known/oauth-protected-resource` (RFC 9728).

use http::Method;
use serde_json::json;
use session_auth_tests::server::TestServer;

async fn server_of(resource: &str) -> TestServer {
    TestServer::memory_with(|settings| settings.resource_url = Some(resource.to_owned())).await
}

/// An MCP client sends a request without a token, and follows the challenge. `api.example` is the test's server.
#[tokio::test]
async fn client_finds_the_metadata_from_the_challenge() {
    let server = server_of("https://api.example/mcp").await;
    let rejected = server.api.anonymous(Method::POST, "/v1/auth/mcp").await;
    rejected.rejected(401, "INVALID_TOKEN");
    let challenge = rejected.header("www-authenticate");
    let (_, url) = challenge
        .split_once("resource_metadata=\"")
        .expect("the metadata");
    let url = url.trim_end_matches('"');
    let path = url.strip_prefix("https://api.example").expect("the same host");
    let metadata = server.api.anonymous(Method::GET, path).await.expect(200);
    // RFC 9728, section 3.3: the client compares the identifier with the URL that it used.
    assert_eq!(
        metadata.body,
        json!({ "resource": "https://api.example/mcp", "bearer_methods_supported": ["header"] })
    );
    assert_eq!(metadata.header("content-type"), "application/json");
    server.api.anonymous(Method::HEAD, path).await.expect(200);
}

#[tokio::test]
async fn metadata_has_one_path() {
    let server = server_of("https://api.example/mcp").await;
    let get = async |path: &str| server.api.anonymous(Method::GET, path).await;
    get("/.well-known/oauth-protected-resource/mcp").await.expect(200);
    for path in ["", "/", "/mcp/", "/other"] {
        let reply = get(&format!("/.well-known/oauth-protected-resource{path}")).await;
        reply.rejected(404, "NOT_FOUND");
    }
    let other = server_of("https://api.example/").await;
    let reply = other
        .api
        .anonymous(Method::GET, "/.well-known/oauth-protected-resource")
        .await;
    assert_eq!(reply.expect(200).body["resource"], "https://api.example/");
    let none = TestServer::memory().await;
    let reply = none
        .api
        .anonymous(Method::GET, "/.well-known/oauth-protected-resource")
        .await;
    reply.rejected(404, "NOT_FOUND");
    let reply = none.api.anonymous(Method::GET, "/v1/auth").await;
    assert!(!reply.header("www-authenticate").contains("resource_metadata"));
}

#[tokio::test]
async fn every_challenge_for_a_session_token_names_the_metadata() {
    let server = server_of("https://api.example").await;
    let metadata = "resource_metadata=\"https://api.example/.well-known/oauth-protected-resource\"";
    let token = server.api.session(&server.api.agent().await).await.token;
    let id = "0190f3a1-7c1e-7d2a-9b3c-4d5e6f708192";
    for (reply, status) in [
        (server.api.anonymous(Method::GET, "/v1/auth").await, 401),
        (server.api.access("x").await, 401),
        (server.api.renew(id, "x").await, 401),
        (
            server.api.bearer(Method::GET, "/v1/auth?scope=a", &token).await,
            403,
        ),
    ] {
        assert_eq!(reply.status, status);
        assert!(
            reply.header("www-authenticate").ends_with(metadata),
            "{:?}",
            reply.headers
        );
    }
    let admin = server.api.anonymous(Method::GET, "/v1/agents").await.expect(401);
    assert!(!admin.header("www-authenticate").contains("resource_metadata"));
}
