//! The time limits of connections. The limits under test are some tens of milliseconds, all others are long.

use std::time::Duration;

use http_body_util::BodyExt as _;
use session_auth_tests::{
    raw_http::{HEALTH, RawClient, SOON},
    server::TestServer,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{sleep, timeout},
};

use super::{Http2Client, PING, advance, closed_connections, metric_reaches, silent_http2_client};

const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn idle_connection_stays_open_beyond_the_header_timeout() {
    let server = TestServer::configured(|config| config.limits.head = Duration::from_secs(10)).await;
    let mut client = RawClient::connect(server.address).await;
    assert!(client.request(HEALTH).await.contains("200 OK"));
    advance(Duration::from_secs(70)).await;
    assert!(client.request(HEALTH).await.contains("200 OK"));
}

#[tokio::test]
async fn idle_connection_is_closed_after_the_idle_timeout() {
    let server = TestServer::configured(|config| config.limits.idle = SHORT).await;
    let mut client = RawClient::connect(server.address).await;
    assert!(client.request(HEALTH).await.contains("200 OK"));
    assert_eq!(client.rest().await, (String::new(), true));
    let mut http2 = Http2Client::connect(server.address).await;
    assert_eq!(http2.fetch("/healthz").await.0, 200);
    http2.connection.await.expect("no panic").expect("GOAWAY");
    metric_reaches(
        &server,
        "session_auth_connections_closed_total{reason=\"idle\"}",
        2.0,
    )
    .await;
}

#[tokio::test]
async fn head_in_small_parts_does_not_extend_its_time() {
    let server = TestServer::configured(|config| config.limits.head = SHORT * 2).await;
    let mut client = RawClient::connect(server.address).await;
    assert!(client.request(HEALTH).await.contains("200 OK"));
    let mut sent = 0;
    while client.stream().write_all(b"\r\n").await.is_ok() {
        sent += 1;
        assert!(sent < 200, "still open");
        sleep(Duration::from_millis(10)).await;
    }
    metric_reaches(
        &server,
        "session_auth_connections_closed_total{reason=\"header\"}",
        1.0,
    )
    .await;
}

#[tokio::test]
async fn client_that_pipelines_and_reads_nothing_is_disconnected() {
    let server = TestServer::configured(|config| config.limits.write = SHORT).await;
    let mut client = RawClient::connect(server.address).await;
    let requests = HEALTH.repeat(1000);
    // Ends with an error when the server closes the connection.
    let flood = async { while client.stream().write_all(requests.as_bytes()).await.is_ok() {} };
    timeout(SOON, flood).await.expect("a closed connection");
    metric_reaches(
        &server,
        "session_auth_connections_closed_total{reason=\"write\"}",
        1.0,
    )
    .await;
}

#[tokio::test]
async fn http2_client_that_opens_no_window_is_disconnected() {
    let server = TestServer::configured(|config| config.limits.write = SHORT).await;
    let mut client = Http2Client::connect_with(server.address, |http2| {
        http2.initial_stream_window_size(0);
    })
    .await;
    let response = client.get("/healthz").await.expect("a head");
    let body = timeout(SOON, response.into_body().collect()).await;
    assert!(body.expect("the server does not wait").is_err());
    metric_reaches(
        &server,
        "session_auth_connections_closed_total{reason=\"write\"}",
        1.0,
    )
    .await;
}

#[tokio::test]
async fn old_connection_ends_with_its_next_response() {
    let server = TestServer::configured(|config| config.limits.max_age = Duration::from_secs(60)).await;
    let mut client = RawClient::connect(server.address).await;
    assert!(!client.request(HEALTH).await.contains("connection: close"));
    advance(Duration::from_secs(50)).await;
    assert!(!client.request(HEALTH).await.contains("connection: close"));
    advance(Duration::from_secs(10)).await;
    assert!(client.request(HEALTH).await.contains("connection: close"));
    assert_eq!(client.rest().await, (String::new(), true));
}

#[tokio::test]
async fn old_http2_connection_ends_with_goaway() {
    let server = TestServer::configured(|config| config.limits.max_age = SHORT).await;
    let mut client = Http2Client::connect(server.address).await;
    assert_eq!(client.fetch("/healthz").await.0, 200);
    client.connection.await.expect("no panic").expect("GOAWAY");
}

#[tokio::test]
async fn http2_client_that_pings_and_reads_no_response_is_disconnected() {
    let server = TestServer::configured(|config| config.limits.write = SHORT * 2).await;
    let mut client = silent_http2_client(server.address, 0).await;
    let mut received = [0; 1024];
    let pings = async {
        while client.stream().write_all(&PING).await.is_ok() {
            // The acknowledgement of the ping: the socket takes small frames.
            if !matches!(client.stream().read(&mut received).await, Ok(1..)) {
                return;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, pings).await.expect("a closed connection");
    metric_reaches(
        &server,
        "session_auth_connections_closed_total{reason=\"write\"}",
        1.0,
    )
    .await;
}

#[tokio::test]
async fn head_that_takes_too_long_is_answered_and_a_silent_client_is_not() {
    let server = TestServer::configured(|config| config.limits.head = SHORT).await;
    let mut slow = RawClient::connect(server.address).await;
    let mut after_a_request = RawClient::connect(server.address).await;
    assert!(after_a_request.request(HEALTH).await.contains("200 OK"));
    for client in [&mut slow, &mut after_a_request] {
        client.send("GET /healthz HT").await;
        let response = client.response().await.expect("a response");
        for part in [
            "HTTP/1.1 408 ",
            "connection: close",
            "REQUEST_TIMEOUT",
            "application/problem+json",
        ] {
            assert!(response.contains(part), "{part}: {response}");
        }
        assert_eq!(client.rest().await, (String::new(), true));
    }
    let mut silent = RawClient::connect(server.address).await;
    assert_eq!(silent.rest().await, (String::new(), true));
    let mut preface = RawClient::connect(server.address).await;
    preface.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert!(!preface.rest().await.0.contains("408"), "no HTTP/1.1 in HTTP/2");
    drop((slow, after_a_request));
    metric_reaches(
        &server,
        "session_auth_connections_closed_total{reason=\"header\"}",
        4.0,
    )
    .await;
    assert!((closed_connections(&server.api).await - 4.0).abs() < 0.5);
}

#[tokio::test]
async fn old_connection_that_becomes_idle_is_counted_once() {
    let server = TestServer::configured(|config| {
        config.limits.max_age = SHORT;
        config.limits.idle = SHORT * 2;
    })
    .await;
    let mut client = RawClient::connect(server.address).await;
    assert!(client.request(HEALTH).await.contains("200 OK"));
    assert_eq!(client.rest().await, (String::new(), true));
    metric_reaches(
        &server,
        "session_auth_connections_closed_total{reason=\"age\"}",
        1.0,
    )
    .await;
    let idle = server
        .api
        .metric("session_auth_connections_closed_total{reason=\"idle\"}")
        .await;
    assert!(idle.expect("a counter") < 0.5);
}
