//! Admitted requests, and their identity headers.

use bytes::Bytes;
use http::{Request, request::Builder};
use serde_json::json;
use session_auth_tests::proxies::ProxyKind;

use super::{Setup, headers_at_upstream, identity, with_token};

/// Identity headers that a client could send, also in spellings that many upstreams read as the same name.
const FORGED: [&str; 10] = [
    "x-session-id",
    "x-agent-id",
    "x-session-expires-at",
    "x-session-scopes",
    "x_agent_id",
    "x-agent_id",
    "x_session_id",
    "x_session_scopes",
    "x-session_scopes",
    "x.agent.id",
];

pub async fn admitted_request_carries_the_identity_of_its_session(kind: &ProxyKind) {
    let setup = Setup::memory(kind).await;
    let agent = setup.server.api.agent().await;
    let request = json!({ "agentId": agent, "scopes": ["read", "write"] });
    let session = setup.server.api.create(request).await.expect(201).issued();
    let expected = setup.identity(&session.token).await;
    assert_eq!(expected.len(), 4);
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let request = Request::builder().method(method).uri("/a/b?c=d&scope=admin");
        let request = with_token(request, &session.token).header("x-other", "kept");
        let body = Bytes::from(if method == "POST" { "hello" } else { "" });
        let reply = setup
            .proxy
            .send(request.body(body.clone()).expect("a request"))
            .await;
        let reply = reply.expect(200);
        assert_eq!(reply.body["method"], method);
        assert_eq!(reply.body["path"], "/a/b?c=d&scope=admin");
        assert_eq!(reply.body["bodyLength"], body.len());
        let headers = headers_at_upstream(&reply);
        assert_eq!(identity(&headers), expected, "{method}");
        assert_eq!(headers["x-other"], "kept");
    }
    // No method has changed the session.
    setup.server.api.access(&session.token).await.expect(200);
    let reply = setup.get("/public/a", "unknown").await.expect(200);
    assert_eq!(identity(&headers_at_upstream(&reply)), []);
}

pub async fn forged_identity_headers_are_replaced(kind: &ProxyKind) {
    let setup = Setup::memory(kind).await;
    // A session without scopes: the proxy has no value that replaces a forged one.
    let session = setup.server.api.session(&setup.server.api.agent().await).await;
    let expected = setup.identity(&session.token).await;
    assert_eq!(expected.len(), 3);
    for request in forged_requests("/a") {
        let request = with_token(request, &session.token).body(Bytes::new());
        assert_identity(&setup, request.expect("a request"), &expected).await;
    }
    // A proxy removes each header that `Connection` names. That must not remove the identity.
    let request = with_token(Request::get("/a"), &session.token);
    let request = request.header("connection", "close, x-agent-id, x-session-id, x-session-scopes");
    let request = request.body(Bytes::new());
    assert_identity(&setup, request.expect("a request"), &expected).await;
}

pub async fn forged_identity_headers_are_removed_on_public_paths(kind: &ProxyKind) {
    let setup = Setup::memory(kind).await;
    for request in forged_requests("/public/a") {
        let request = request.body(Bytes::new()).expect("a request");
        assert_identity(&setup, request, &[]).await;
    }
}

pub async fn scope_is_required_below_admin(kind: &ProxyKind) {
    let setup = Setup::memory(kind).await;
    let agent = setup.server.api.agent().await;
    let session = async |scopes: &[&str]| {
        let request = json!({ "agentId": agent, "scopes": scopes });
        setup.server.api.create(request).await.expect(201).issued().token
    };
    let (reader, administrator) = (session(&["read"]).await, session(&["read", "admin"]).await);
    for path in ["/admin", "/admin/", "/admin/a?b=c", "/admin/a?scope=read"] {
        let request = |token: &str| {
            let request = with_token(Request::get(path), token);
            // A scope that the client claims has no effect.
            let request = request.header("x-session-scopes", "admin");
            request.body(Bytes::new()).expect("a request")
        };
        setup
            .assert_rejected(request(&reader), 403, "INSUFFICIENT_SCOPE")
            .await;
        let reply = setup.proxy.send(request(&administrator)).await.expect(200);
        assert_eq!(reply.body["path"], path);
        let scopes = &headers_at_upstream(&reply)["x-session-scopes"];
        assert_eq!(scopes, "read admin");
    }
    setup.get("/administrators", &reader).await.expect(200);
}

/// A request for each forged header, and one with all that a proxy may not reject.
fn forged_requests(path: &str) -> Vec<Builder> {
    let forge = |request: Builder, name: &&str| request.header(*name, "forged");
    let mut requests: Vec<_> = FORGED
        .iter()
        .map(|name| forge(Request::get(path), name))
        .collect();
    requests.push(FORGED.iter().fold(Request::get(path), forge));
    requests
}

/// Asserts that a request arrives with this identity.
async fn assert_identity(setup: &Setup, request: Request<Bytes>, expected: &[(String, String)]) {
    let sent = format!("{:?}", request.headers());
    let reply = setup.proxy.send(request).await;
    assert_eq!(reply.status, 200, "{sent}: {}", reply.body);
    assert_eq!(identity(&headers_at_upstream(&reply)), expected, "{sent}");
}
