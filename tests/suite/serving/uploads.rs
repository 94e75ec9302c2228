//! Responses to uploads that the server refuses before it has read them.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Channel};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use session_auth_tests::{
    raw_http::{RawClient, SOON},
    server::TestServer,
};
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};

const SIZE: usize = 10 * 1024 * 1024;

#[tokio::test]
async fn client_that_sends_a_refused_upload_to_its_end_reads_the_response() {
    let server = TestServer::memory().await;
    let head = "POST /v1/agents HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let body = vec![b' '; SIZE];
    for (encoding, status) in [
        (format!("content-length: {SIZE}\r\n\r\n"), "413 Payload Too Large"),
        (
            format!("transfer-encoding: chunked\r\n\r\n{SIZE:x}\r\n"),
            "401 Unauthorized",
        ),
    ] {
        let mut client = RawClient::connect(server.address).await;
        client.send(format!("{head}{encoding}")).await;
        // As from a slow network: the response comes before the end of the upload.
        for part in body.chunks(SIZE / 10) {
            client.send_all(part).await;
            sleep(Duration::from_millis(5)).await;
        }
        let (response, clean) = client.rest().await;
        assert!(
            response.contains(status) && response.contains("requestId"),
            "{response}"
        );
        assert!(clean, "a reset");
    }
}

#[tokio::test]
async fn connection_of_a_refused_upload_ends_soon_after_the_client_stops() {
    let server = TestServer::memory().await;
    let mut client = RawClient::connect(server.address).await;
    let response = client
        .request("POST /v1/agents HTTP/1.1\r\nhost: x\r\ncontent-length: 10000000\r\n\r\n{")
        .await;
    assert!(response.contains("413 Payload Too Large"));
    assert_eq!(
        client.rest().await,
        (String::new(), true),
        "the write side is closed"
    );
    drop(client);
    super::metric_falls_to(&server, "session_auth_connections_in_use", 1.0).await;
}

#[tokio::test]
async fn client_that_expects_100_continue_gets_the_refusal_instead() {
    let server = TestServer::memory().await;
    for (length, status) in [(SIZE, "413 Payload Too Large"), (10, "401 Unauthorized")] {
        let mut client = RawClient::connect(server.address).await;
        client
            .send(format!(
                "POST /v1/agents HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
            ))
            .await;
        let (response, clean) = timeout(SOON, client.rest()).await.expect("an end");
        assert!(response.starts_with(&format!("HTTP/1.1 {status}")), "{response}");
        assert!(clean);
    }
}

/// The server must not reset the stream: some clients fail then, and never read the response.
#[tokio::test]
async fn http2_client_can_send_a_refused_upload_to_its_end_after_the_response() {
    let server = TestServer::memory().await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let (mut upload, body) = Channel::<Bytes>::new(1);
    let request = Request::post("http://localhost/v1/agents").header("content-type", "application/json");
    let response = sender.send_request(request.body(body).unwrap()).await.unwrap();
    assert_eq!(response.status(), 401);
    let answer = response.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&answer).contains("requestId"));
    // More than the window of the stream: it ends only if the server reads it.
    for _ in 0..64 {
        let part = Bytes::from(vec![b' '; 16 * 1024]);
        timeout(SOON, upload.send_data(part))
            .await
            .expect("space")
            .expect("an open stream");
    }
}
