//! The client of the official Python SDK of MCP.

use serde_json::json;
use session_auth_tests::{relay::Relay, server::TestServer};

use super::run;

#[tokio::test]
async fn mcp_client_finds_the_metadata_of_the_resource() {
    // The resource's URL is part of the configuration. So the address exists before the server.
    let relay = Relay::start(0).await;
    let resource = format!("http://{}/v1/auth", relay.address);
    let server = TestServer::memory_with(|settings| settings.resource_url = Some(resource.clone())).await;
    relay.redirect_to(server.address.port());
    let token = server.api.session(&server.api.agent().await).await.token;

    let report = run("discover_resource.py", [&resource, &token]).await;
    let metadata = format!(
        "http://{}/.well-known/oauth-protected-resource/v1/auth",
        relay.address
    );
    assert_eq!(report["metadata_url"], metadata);
    // The SDK's fallback, if a proxy removes the challenge.
    assert_eq!(report["metadata_url_without_challenge"], metadata);
    assert_eq!(
        report["metadata"],
        json!({ "resource": resource, "bearer_methods_supported": ["header"] })
    );
    // RFC 9728 makes this member optional, MCP does not. See docs/oauth.md.
    assert_eq!(report["missing_for_mcp"], json!(["authorization_servers"]));
    // The rest of the document is what the SDK expects.
    assert_eq!(report["resource"], resource);
    assert_eq!(report["resource_is_allowed"], true);
    assert_eq!(
        report["missing_scope"],
        json!({ "status": 403, "error": "insufficient_scope", "scope": "tickets:read tickets:write" })
    );
}
