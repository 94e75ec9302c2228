//! Verification for others: forward auth over HTTP and gRPC, and the OAuth endpoints.

mod ext_authz;
mod forward_auth;
mod introspection;
mod resource_metadata;
mod revocation;

use std::time::Duration;

use http::Request;
use http_body_util::Full;
use session_auth_tests::{
    admin_keys::{KeyFile, rights},
    api::Reply,
    raw_http::{HEALTH, RawClient},
    server::TestServer,
};

/// A server with the keys `introspector`, `revoker` and `opener`. Returns their secrets.
async fn server_with_keys() -> (TestServer, [String; 3]) {
    let (file, secrets) = KeyFile::new([
        ("introspector", rights(&["introspect"])),
        ("revoker", rights(&["revoke"])),
        ("opener", rights(&["open"])),
    ]);
    (
        TestServer::memory_with(|settings| file.set(settings)).await,
        secrets,
    )
}

/// Sends a form.
async fn post_form(server: &TestServer, path: &str, authorization: Option<&str>, form: &str) -> Reply {
    let mut request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    let request = request.body(Full::from(form.to_owned()));
    server.api.send(request.expect("a request")).await
}

/// Asserts an error in the shape of RFC 6749, section 5.2.
#[track_caller]
fn is_oauth_error(reply: &Reply, status: u16, error: &str) {
    assert_eq!(
        (reply.status, reply.body["error"].as_str()),
        (status, Some(error)),
        "{}",
        reply.body
    );
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(reply.header("cache-control"), "no-store");
    assert!(reply.body["error_description"].is_string(), "{}", reply.body);
    assert_eq!(reply.body.as_object().map(|members| members.len()), Some(2));
}

/// Clients such as `requests` send the body after the head. hyper closes the connection if a response precedes the body, and the next request
/// of the client fails.
#[tokio::test]
async fn connection_outlives_a_rejection_whose_form_arrives_late() {
    let (server, _) = server_with_keys().await;
    for path in ["/v1/introspect", "/v1/revoke"] {
        let mut client = RawClient::connect(server.address).await;
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer x\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: 7\r\n\r\n"
        );
        client.send(head).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let response = client.request("token=x").await;
        assert!(response.starts_with("HTTP/1.1 401"), "{response}");
        let response = client.request(HEALTH).await;
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    }
}
