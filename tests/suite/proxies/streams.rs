//! Large bodies and WebSockets.

use bytes::Bytes;
use http::{Request, request::Builder};
use session_auth_tests::proxies::{ACCEPTED_KEY, ProxyKind, WEBSOCKET_KEY};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Setup, identity, with_token};

/// Bytes without a short period.
fn large_body() -> Bytes {
    let words = (0..10 << 18).map(|number: u32| number.wrapping_mul(0x9e37_79b9).to_le_bytes());
    words.flatten().collect()
}

pub async fn upload_arrives_unharmed(kind: &ProxyKind) {
    let setup = Setup::memory(kind).await;
    let session = setup.server.api.session(&setup.server.api.agent().await).await;
    let body = large_body();
    let request = with_token(Request::put("/a"), &session.token).body(body.clone());
    let reply = setup.proxy.send(request.expect("a request")).await.expect(200);
    assert_eq!(reply.body["bodyLength"], body.len());
    let seen = setup.upstream.seen();
    assert!(
        seen.last().expect("a request").body == body,
        "the body is damaged"
    );
}

pub async fn rejected_upload_does_not_reach_the_upstream(kind: &ProxyKind) {
    let setup = Setup::memory(kind).await;
    let request = Request::put("/a").body(large_body()).expect("a request");
    setup.assert_rejected(request, 401, "INVALID_TOKEN").await;
    let session = setup.server.api.session(&setup.server.api.agent().await).await;
    let request = with_token(Request::post("/admin/a"), &session.token).body(large_body());
    let request = request.expect("a request");
    setup.assert_rejected(request, 403, "INSUFFICIENT_SCOPE").await;
}

pub async fn websocket_needs_a_token(kind: &ProxyKind) {
    let setup = Setup::memory(kind).await;
    let session = setup.server.api.session(&setup.server.api.agent().await).await;
    let handshake = || {
        Request::get("/socket")
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", WEBSOCKET_KEY)
            .header("x-session-scopes", "forged")
    };
    let complete = |request: Builder| request.body(Bytes::new()).expect("a request");
    setup
        .assert_rejected(complete(handshake()), 401, "INVALID_TOKEN")
        .await;

    let request = complete(with_token(handshake(), &session.token));
    let (reply, mut socket) = setup.proxy.send_and_keep(request).await;
    assert_eq!(reply.status, 101, "{}", reply.body);
    assert_eq!(reply.header("sec-websocket-accept"), ACCEPTED_KEY);
    let seen = setup.upstream.seen();
    let headers = &seen.last().expect("a request").headers;
    assert_eq!(identity(headers), setup.identity(&session.token).await);
    // "Hello" of RFC 6455, section 5.7, with a mask and without.
    for _ in 0..2 {
        let sent = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        socket.write_all(&sent).await.expect("an open connection");
        let mut received = [0; 7];
        socket.read_exact(&mut received).await.expect("an answer");
        assert_eq!(&received, b"\x81\x05Hello");
    }
}

pub async fn upgrade_headers_of_the_client_are_replaced(kind: &ProxyKind) {
    let setup = Setup::memory(kind).await;
    let session = setup.server.api.session(&setup.server.api.agent().await).await;
    let expected = setup.identity(&session.token).await;
    let paths: [(&str, &[(String, String)]); 2] = [("/a", &expected), ("/public/a", &[])];
    let upgrades: [&[&str]; 5] = [
        &["websocket"],
        &["h2c"],
        &["websocket, h2c"],
        &["websocket", "h2c"],
        &["h2c", "websocket"],
    ];
    for upgrade in upgrades {
        for (path, identified) in paths {
            // An upstream that removes the headers which `Connection` names would lose the identity.
            let request = with_token(Request::get(path), &session.token)
                .header("connection", "Upgrade, HTTP2-Settings, X-Agent-Id, X-Session-Id")
                .header("http2-settings", "AAMAAABkAAQCAAAAAAIAAAAA")
                .header("sec-websocket-version", "13")
                .header("sec-websocket-key", WEBSOCKET_KEY);
            let add = |request: Builder, protocol: &&str| request.header("upgrade", *protocol);
            let request = upgrade.iter().fold(request, add).body(Bytes::new());
            let before = setup.upstream.seen().len();
            let reply = setup.proxy.send(request.expect("a request")).await;
            if upgrade == ["websocket"] {
                assert_eq!(reply.status, 101, "{path}: {}", reply.body);
            }
            for seen in &setup.upstream.seen()[before..] {
                let values = |name: &str| -> Vec<_> {
                    let values = seen.headers.get_all(name).iter();
                    values
                        .map(|value| value.to_str().expect("text").to_lowercase())
                        .collect()
                };
                let (protocols, connection) = (values("upgrade"), values("connection"));
                assert!(
                    protocols.is_empty() || protocols == ["websocket"],
                    "{upgrade:?}: {protocols:?}"
                );
                let allowed = ["upgrade", "keep-alive", "close"];
                assert!(
                    connection.iter().all(|value| allowed.contains(&value.as_str())),
                    "{upgrade:?}: {connection:?}"
                );
                assert_eq!(identity(&seen.headers), identified, "{upgrade:?}");
            }
        }
    }
}
