//! Verification for others: forward auth over HTTP and gRPC, and the OAuth endpoints.

mod ext_authz;
mod forward_auth;
mod introspection;
mod resource_metadata;
mod revocation;

use http::Request;
use http_body_util::Full;
use session_auth_tests::{
    admin_keys::{KeyFile, rights},
    api::Reply,
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
