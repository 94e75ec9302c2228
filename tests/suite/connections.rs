//! Connection limits, timeouts, and graceful shutdown.

use std::time::Duration;

use http::Method;
use session_auth_server::config::Config;
use session_auth_tests::server::{PASSWORD, TestServer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Far longer than any step takes.
const SOON: Duration = Duration::from_secs(10);

async fn server(adjust: impl FnOnce(&mut Config)) -> TestServer {
    TestServer::configured(adjust).await
}

async fn connect(server: &TestServer, bytes: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.expect("a connection");
    stream.write_all(bytes.as_bytes()).await.expect("a write");
    stream
}

/// Reads until the server closes the connection.
async fn rest(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let read = timeout(SOON, stream.read_to_end(&mut answer))
        .await
        .expect("an end");
    let _ = read;
    String::from_utf8_lossy(&answer).into_owned()
}

/// A request with a complete head and half of its body.
fn unfinished() -> String {
    format!(
        "POST /v1/agents HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-master-password: {PASSWORD}\r\n\
         content-type: application/json\r\ncontent-length: 2\r\n\r\n{{"
    )
}

#[tokio::test]
async fn connection_with_an_unfinished_head_is_closed() {
    let server = server(|config| config.limits.head = Duration::from_millis(50)).await;
    for bytes in ["", "GET /healthz HTTP/1.1\r\nhost: x\r\n"] {
        let answer = rest(connect(&server, bytes).await).await;
        assert!(!answer.contains("200"), "{answer}");
    }
    server.api.anonymous(Method::GET, "/healthz").await.expect(200);
}

#[tokio::test]
async fn connection_over_the_limit_replaces_the_oldest_that_has_sent_nothing() {
    let server = server(|config| config.limits.connections = 2).await;
    let [first, mut second] = [connect(&server, "").await, connect(&server, "").await];
    let request = "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let third = connect(&server, request).await;
    assert!(rest(third).await.contains("200 OK"));
    assert_eq!(rest(first).await, "");
    second.write_all(request.as_bytes()).await.expect("a write");
    assert!(rest(second).await.contains("200 OK"));
}

#[tokio::test]
async fn in_flight_request_completes_during_shutdown() {
    let server = server(|_| {}).await;
    let mut stream = connect(&server, &unfinished()).await;
    server.api.anonymous(Method::GET, "/healthz").await.expect(200);
    let address = server.address;
    let stopped = tokio::spawn(server.stop());
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    stream.write_all(b"}").await.expect("a write");
    assert!(rest(stream).await.contains("201 Created"));
    timeout(SOON, stopped)
        .await
        .expect("a stop")
        .expect("a clean stop");
}

#[tokio::test]
async fn shutdown_does_not_wait_for_a_request_that_never_completes() {
    let server = server(|config| config.limits.shutdown = Duration::from_millis(50)).await;
    let _stream = connect(&server, &unfinished()).await;
    server.api.anonymous(Method::GET, "/healthz").await.expect(200);
    timeout(SOON, server.stop())
        .await
        .expect("a stop within its bound");
}

#[tokio::test]
async fn malformed_http_does_not_affect_other_connections() {
    let server = server(|_| {}).await;
    for bytes in [
        "\0\0\0\0\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET /x y HTTP/1.1\r\n\r\n",
    ] {
        let answer = rest(connect(&server, bytes).await).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
            "{bytes:?}: {answer}"
        );
    }
    server.api.anonymous(Method::GET, "/healthz").await.expect(200);
}
