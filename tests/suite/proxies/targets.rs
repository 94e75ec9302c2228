//! Request targets that an upstream could resolve to another path than the proxy does.

use bytes::Bytes;
use http::Request;
use session_auth_tests::{api::Reply, proxies::ProxyKind};

use super::{Setup, with_token};

/// A proxy may reject these, or pass the path that it has selected a rule for.
const TARGETS: [&str; 27] = [
    "/admin/x%zz",
    "/admin/%",
    "/public/../admin/x%zz",
    "/public/../admin/x",
    "/public/..%2fadmin/x",
    "/public%2fx",
    "/public/..;/admin/x",
    "/public/..\\admin/x",
    "/public/%2e%2e/admin/x",
    "/admin/../public/x",
    "/admin/..%2fpublic/x",
    "/admin%2f..%2fpublic%2fx",
    "/admin//../public/x",
    "/admin/%2e%2E/public/x",
    "/admin\\..\\public/x",
    "/admin%5c..%5cpublic/x",
    "http://app.example/admin/../public/x",
    "/admin/../x",
    "/admin/..%2fx",
    "/admin/.%2e/x",
    "/admin/..",
    "/./admin/x",
    "//admin/x",
    "/%61dmin/x",
    "/admin;x",
    "/admin;/x",
    "/admin%3bx",
];

pub async fn ambiguous_target_does_not_skip_the_check(kind: &ProxyKind) {
    let setup = Setup::memory(kind).await;
    let session = setup.server.api.session(&setup.server.api.agent().await).await;
    for target in TARGETS {
        let request = Request::get(target).body(Bytes::new());
        let before = setup.upstream.seen().len();
        let reply = setup.proxy.send(request.expect("a request")).await;
        assert_reached(&setup, before, &reply, target, &["/public/x"]);

        let request = with_token(Request::get(target), &session.token).body(Bytes::new());
        let before = setup.upstream.seen().len();
        let reply = setup.proxy.send(request.expect("a request")).await;
        assert_reached(&setup, before, &reply, target, &["/public/x", "/x", "/"]);
    }
}

pub async fn query_is_not_part_of_the_path(kind: &ProxyKind) {
    let setup = Setup::memory(kind).await;
    let session = setup.server.api.session(&setup.server.api.agent().await).await;
    let path = "/a?b=//../%2f%5c%3b%zz";
    let reply = setup.get(path, &session.token).await.expect(200);
    assert_eq!(reply.body["path"], path);
    // Traefik replaces this `;` with `&`.
    setup.get("/a?b;c", &session.token).await.expect(200);
}

/// Asserts that the upstream has got nothing since, or one of these paths.
fn assert_reached(setup: &Setup, before: usize, reply: &Reply, target: &str, allowed: &[&str]) {
    let seen = setup.upstream.seen();
    for request in &seen[before..] {
        let path = request.path.as_str();
        assert!(allowed.contains(&path), "{target} is {path} at the upstream");
    }
    let status = reply.status;
    let expected = if seen.len() > before {
        status == 200
    } else {
        matches!(status, 400 | 401 | 403)
    };
    assert!(expected, "{target}: {status}");
}
