//! The stop of a server.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, channel::Channel};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use session_auth_tests::{
    raw_http::{HEALTH, RawClient, SOON},
    server::{PASSWORD, TestServer},
};
use tokio::{net::TcpStream, time::timeout};

use super::{Http2Client, advance};

/// The test advances the clock by this delay when it has seen what the server does in it.
const DELAY: Duration = Duration::from_secs(60);
const READY: &str = "GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test]
async fn stopping_server_serves_for_the_delay_and_tells_its_clients() {
    let server = TestServer::configured(|config| {
        config.limits.shutdown_delay = DELAY;
    })
    .await;
    let (api, address) = (server.api.clone(), server.address);
    let mut kept = RawClient::connect(address).await;
    assert!(kept.request(READY).await.contains("200 OK"));
    let mut http2 = Http2Client::connect(address).await;
    assert_eq!(http2.fetch("/readyz").await.0, 200);
    let stopped = tokio::spawn(server.stop());

    let mut reply = api.anonymous(Method::GET, "/readyz").await;
    while reply.status == 200 {
        reply = api.anonymous(Method::GET, "/readyz").await;
    }
    reply.rejected(503, "OVERLOADED");
    assert_eq!(reply.header("retry-after"), "1");
    let response = kept.request(HEALTH).await;
    assert!(
        response.contains("200 OK") && response.contains("connection: close"),
        "{response}"
    );
    assert_eq!(kept.rest().await, (String::new(), true));
    let mut new = RawClient::connect(address).await;
    assert!(new.request(HEALTH).await.contains("connection: close"));
    assert_eq!(http2.fetch("/healthz").await.0, 200, "during the delay");
    assert!(!stopped.is_finished());

    advance(DELAY).await;
    timeout(SOON, stopped)
        .await
        .expect("a stop")
        .expect("a clean stop");
    http2.connection.await.expect("no panic").expect("GOAWAY");
    // A process that another test starts can hold a copy of the listener for a moment.
    let closed = async { while TcpStream::connect(address).await.is_ok() {} };
    timeout(SOON, closed).await.expect("a closed listener");
}

#[tokio::test]
async fn idle_connections_close_at_once_when_the_server_stops() {
    let server = TestServer::configured(|_| {}).await;
    let mut http1 = RawClient::connect(server.address).await;
    assert!(http1.request(HEALTH).await.contains("200 OK"));
    let mut http2 = Http2Client::connect(server.address).await;
    assert_eq!(http2.fetch("/healthz").await.0, 200);
    timeout(Duration::from_secs(2), server.stop())
        .await
        .expect("a stop");
    assert_eq!(http1.rest().await, (String::new(), true));
    http2.connection.await.expect("no panic").expect("GOAWAY");
}

#[tokio::test]
async fn request_that_is_on_its_way_when_the_server_stops_is_answered() {
    let server = TestServer::configured(|_| {}).await;
    let mut client = RawClient::connect(server.address).await;
    client.send("GET /healthz HTTP/1.1\r\n").await;
    server.api.anonymous(Method::GET, "/healthz").await.expect(200);
    let address = server.address;
    let stopped = tokio::spawn(server.stop());
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let response = client.request("host: x\r\n\r\n").await;
    assert!(
        response.contains("200 OK") && response.contains("connection: close"),
        "{response}"
    );
    timeout(SOON, stopped)
        .await
        .expect("a stop")
        .expect("a clean stop");
}

#[tokio::test]
async fn http2_request_in_flight_is_answered_after_goaway() {
    let server = TestServer::configured(|_| {}).await;
    let address = server.address;
    let stream = TcpStream::connect(address).await.expect("a connection");
    let builder = http2::Builder::new(TokioExecutor::new());
    let (mut sender, connection) = builder
        .handshake(TokioIo::new(stream))
        .await
        .expect("a handshake");
    let connection = tokio::spawn(connection);
    let (mut body, sent) = Channel::<Bytes, Infallible>::new(1);
    let request = Request::post("http://localhost/v1/agents")
        .header("x-master-password", PASSWORD)
        .header("content-type", "application/json")
        .body(sent)
        .expect("a request");
    body.send_data("{".into()).await.expect("a body");
    let response = tokio::spawn(sender.send_request(request));
    server.api.anonymous(Method::GET, "/healthz").await.expect(200);
    let stopped = tokio::spawn(server.stop());
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    body.send_data("}".into()).await.expect("a body");
    drop(body);
    let response = response.await.expect("no panic").expect("a response");
    assert_eq!(response.status(), StatusCode::CREATED);
    response.into_body().collect().await.expect("a body");
    timeout(SOON, stopped)
        .await
        .expect("a stop")
        .expect("a clean stop");
    connection.await.expect("no panic").expect("GOAWAY");
}

/// Sends requests as a client behind a load balancer does, until `/readyz` is 503. Every other answer must be a 200. Returns the
/// number of answers.
async fn requests_until_not_ready(address: std::net::SocketAddr) -> usize {
    let mut answers = 0;
    let mut client = RawClient::connect(address).await;
    loop {
        for request in [READY, HEALTH] {
            let response = client.request(request).await;
            answers += 1;
            if request == READY && response.starts_with("HTTP/1.1 503") {
                return answers;
            }
            assert!(response.contains("200 OK"), "{request}{response}");
            if response.contains("connection: close") {
                client = RawClient::connect(address).await;
            }
        }
    }
}

#[tokio::test]
async fn no_request_fails_while_the_server_is_taken_out() {
    let server = TestServer::configured(|config| {
        config.limits.shutdown_delay = DELAY;
    })
    .await;
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..20 {
        clients.spawn(requests_until_not_ready(server.address));
    }
    server.api.anonymous(Method::GET, "/healthz").await.expect(200);
    let stopped = tokio::spawn(server.stop());
    assert!(clients.join_all().await.iter().sum::<usize>() > 20);
    advance(DELAY).await;
    let stopped = timeout(SOON, stopped).await.expect("a stop");
    stopped.expect("a clean stop");
}
