//! gRPC: a stock Python client sees gRPC statuses, not HTTP errors.

use http::{Method, Request, StatusCode, Version, header};
use tokio::net::TcpListener;
use tonic::transport::{Server, server::TcpIncoming};
use tower::ServiceExt as _;
use tower_session_auth::{
    KeySet, MasterAuthLayer, MemoryStore, SessionAuthority, SigningKey, testing::TestAuthority,
};

use session_auth_tests::{python, server::cheap_hash};

/// Calls the health service with each token of the command line (`-` for none) and prints the status of each call.
const CLIENT: &str = r#"
import sys, grpc
channel = grpc.insecure_channel(sys.argv[1])
check = channel.unary_unary("/grpc.health.v1.Health/Check", request_serializer=bytes, response_deserializer=bytes)
for token in sys.argv[2:]:
    metadata = [] if token == "-" else [("authorization", "Bearer " + token)]
    try:
        check(b"", metadata=metadata, timeout=20)
        print("OK")
    except grpc.RpcError as error:
        challenge = dict(error.initial_metadata() or error.trailing_metadata() or {}).get("www-authenticate")
        print(error.code().name, error.details(), challenge, sep="|")
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_client_sees_unauthenticated_for_missing_forged_and_revoked_tokens() {
    let python = tokio::task::spawn_blocking(|| python::with_packages(&["grpcio==1.76.0"]));
    let python = python.await.expect("a Python interpreter");
    let authority = TestAuthority::new();
    let (_reporter, health) = tonic_health::server::health_reporter();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let server = Server::builder().layer(authority.layer()).add_service(health);
    let server = tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));

    let good = authority.create_session(authority.agent()).await;
    let revoked = authority.create_session(authority.agent()).await;
    authority
        .manager()
        .revoke(revoked.record.id)
        .await
        .expect("a revocation");
    let tokens = [
        good.token.expose(),
        "-",
        "wai_sess_forged",
        revoked.token.expose(),
    ]
    .map(str::to_owned);
    let output = tokio::task::spawn_blocking(move || {
        let [good, none, forged, revoked] = &tokens;
        python::output(&python, CLIENT, &[&address, good, none, forged, revoked])
    });
    let output = output.await.expect("the client");
    server.abort();

    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines[0], "OK");
    for (line, code, error) in [
        (lines[1], "INVALID_TOKEN", ""),
        (lines[2], "INVALID_TOKEN", ", error=\"invalid_token\""),
        (lines[3], "SESSION_REVOKED", ", error=\"invalid_token\""),
    ] {
        assert!(line.starts_with(&format!("UNAUTHENTICATED|{code}: ")), "{line}");
        assert!(
            line.ends_with(&format!("|Bearer realm=\"session\"{error}")),
            "{line}"
        );
    }
}

/// A proxy may judge by the HTTP status, and a client chooses the content type.
#[tokio::test]
async fn endpoints_answer_with_http_statuses_whatever_the_content_type_is() {
    let keys = KeySet::single(SigningKey::generate().expect("a key"));
    let authority = SessionAuthority::builder(keys, MemoryStore::new())
        .build()
        .expect("an authority");
    let admin = MasterAuthLayer::new(&cheap_hash()).expect("a layer");
    for (method, path) in [
        (Method::GET, "/v1/session"),
        (Method::POST, "/v1/sessions"),
        (Method::POST, "/v1/sessions/x/rotate"),
        (Method::DELETE, "/v1/session"),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .version(Version::HTTP_2)
            .header(header::CONTENT_TYPE, "application/grpc")
            .body(String::new())
            .expect("a request");
        let response = authority
            .endpoints(admin.clone())
            .oneshot(request)
            .await
            .expect("a response");
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
}
