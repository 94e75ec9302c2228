//! Places of connections, their reserve, and the limit of requests in flight.

use std::{net::SocketAddr, time::Duration};

use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};
use session_auth_server::config::Settings;
use session_auth_tests::{
    raw_http::{HEALTH, RawClient, SOON},
    redis::TestRedis,
    server::{PASSWORD, START, TestServer},
};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tower_session_auth::{
    clock::{ManualClock, Timestamp},
    master_auth::TrustedProxies,
};

use super::{Http2Client, closed_connections, metric_reaches, silent_http2_client};

const ATTACKER: &str = "127.0.0.2";
const CLIENT: &str = "127.0.0.3";

/// A request with a session. Unlike `/healthz`, it is not served from the reserve.
fn session_request(token: &str) -> String {
    format!("GET /v1/session HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n")
}

/// Connects and creates a session on this connection, the only one of the server. Returns a request with that session too.
async fn connect_with_session(address: SocketAddr) -> (RawClient, String) {
    let mut client = RawClient::connect_from(CLIENT, address).await;
    let agent = created(&mut client, "/v1/agents", json!({})).await;
    let session = created(&mut client, "/v1/sessions", json!({ "agentId": agent["id"] })).await;
    let token = session["token"].as_str().expect("a token");
    (client, session_request(token))
}

async fn created(client: &mut RawClient, path: &str, body: Value) -> Value {
    let (body, length) = (body.to_string(), body.to_string().len());
    let response = client
        .request(&format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nx-master-password: {PASSWORD}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
        .await;
    let (_, body) = response.split_once("\r\n\r\n").expect("a body");
    serde_json::from_str(body).expect("JSON")
}

/// Opens connections from one address. Each has sent this request and is idle now.
async fn idle(source: &str, address: SocketAddr, count: usize, request: &str) -> Vec<RawClient> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = RawClient::connect_from(source, address).await;
        serve(&mut client, request).await;
        clients.push(client);
    }
    clients
}

async fn serve(client: &mut RawClient, request: &str) {
    let response = client.request(request).await;
    assert!(response.contains("200 OK"), "{response}");
}

#[tokio::test]
async fn longest_idle_connection_of_the_largest_client_gives_way() {
    let server = TestServer::configured(|config| config.limits.connections = 4).await;
    let (mut own, request) = connect_with_session(server.address).await;
    let mut others = idle(ATTACKER, server.address, 3, &request).await;
    let mut new = idle(CLIENT, server.address, 1, &request).await;
    assert_eq!(others[0].rest().await, (String::new(), true));
    serve(&mut own, &request).await;
    for client in new.iter_mut().chain(&mut others[1..]) {
        serve(client, &request).await;
    }
}

#[tokio::test]
async fn evicted_connections_that_do_not_end_stay_within_a_bound() {
    let server = TestServer::configured(|config| config.limits.connections = 4).await;
    let mut silent = Vec::new();
    let mut most: f64 = 0.0;
    for number in 0..300 {
        silent.push(silent_http2_client(server.address, 1024).await);
        if number % 20 == 19 {
            let open = server.api.metric("session_auth_connections_in_use").await;
            most = most.max(open.expect("a gauge"));
        }
    }
    // The places, half of the bound for connections that end, and those that the runtime has not closed yet.
    assert!(most <= 4.0 + 64.0, "{most} open connections");
}

#[tokio::test]
async fn evicted_connection_that_does_not_end_in_time_is_counted_once() {
    let server = TestServer::configured(|config| config.limits.connections = 1).await;
    let mut silent = silent_http2_client(server.address, 1024).await;
    // This connection takes the place.
    server.api.anonymous(Method::GET, "/healthz").await.expect(200);
    silent.rest().await;
    assert!((closed_connections(&server.api).await - 1.0).abs() < 0.5);
}

#[tokio::test]
async fn client_above_its_maximum_replaces_its_own_connections() {
    let server = TestServer::configured(|config| config.limits.connections_per_client = 2).await;
    let (mut other, request) = connect_with_session(server.address).await;
    let mut own = idle(ATTACKER, server.address, 3, &request).await;
    assert_eq!(own[0].rest().await, (String::new(), true));
    serve(&mut other, &request).await;
}

#[tokio::test]
async fn trusted_proxy_has_no_maximum_of_its_own() {
    let server = TestServer::configured(|config| {
        config.limits.connections_per_client = 1;
        config.trusted_proxies = TrustedProxies::new(vec!["127.0.0.2/32".parse().expect("a network")]);
    })
    .await;
    let (_client, request) = connect_with_session(server.address).await;
    for client in &mut idle(ATTACKER, server.address, 3, &request).await {
        serve(client, &request).await;
    }
}

/// A server whose Redis is paused: each request with a token is in flight until its deadline.
struct Stuck {
    server: TestServer,
    redis: TestRedis,
    token: String,
}

impl Stuck {
    async fn start(adjust: impl FnOnce(&mut Settings)) -> Self {
        let redis = TestRedis::start();
        let mut settings = Settings {
            redis_url: Some(redis.url()),
            store_timeout_ms: Some(4_000),
            ..Settings::default()
        };
        adjust(&mut settings);
        let server = TestServer::start(settings, None, ManualClock::new(Timestamp(START))).await;
        let agent = server.api.agent().await;
        let token = server.api.session(&agent).await.token;
        Self { server, redis, token }
    }

    fn request(&self) -> String {
        session_request(&self.token)
    }

    /// Opens connections with a request in flight, each from another address. The idle connection of the harness is evicted for them.
    async fn busy(&self, count: u8) -> Vec<RawClient> {
        let mut clients = Vec::new();
        for number in 0..count {
            let source = format!("127.0.0.{}", 10 + number);
            let mut client = RawClient::connect_from(&source, self.server.address).await;
            client.send(self.request()).await;
            clients.push(client);
        }
        // The server reads them in this time.
        sleep(Duration::from_millis(100)).await;
        clients
    }
}

#[tokio::test]
async fn excess_is_refused_at_once_and_probes_and_administrators_are_served() {
    let mut stuck = Stuck::start(|settings| {
        settings.max_connections = Some(2);
        settings.max_connections_per_client = Some(2);
    })
    .await;
    let address = stuck.server.address;
    stuck.redis.pause();
    let mut busy = stuck.busy(2).await;

    let mut refused = RawClient::connect_from(CLIENT, address).await;
    let response = refused.request(&stuck.request()).await;
    for part in ["503 Service", "OVERLOADED", "retry-after: 1", "connection: close"] {
        assert!(response.contains(part), "{part}: {response}");
    }
    assert_eq!(refused.rest().await, (String::new(), true));
    let mut probe = RawClient::connect_from(CLIENT, address).await;
    assert!(probe.request(HEALTH).await.contains("200 OK"));
    assert_eq!(probe.rest().await, (String::new(), true), "not for long");
    let mut admin = RawClient::connect_from(CLIENT, address).await;
    let metrics = admin
        .request(&format!(
            "GET /metrics HTTP/1.1\r\nhost: x\r\nx-master-password: {PASSWORD}\r\n\r\n"
        ))
        .await;
    for line in [
        "session_auth_requests_refused_total{reason=\"reserve\"} 1",
        "session_auth_connections_refused_total{reason=\"server_full\"} 3",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }

    stuck.redis.resume();
    for client in &mut busy {
        assert!(client.response().await.expect("a response").contains("200 OK"));
    }
}

#[tokio::test]
async fn silent_connections_cannot_hold_the_reserve() {
    let mut stuck = Stuck::start(|settings| {
        settings.max_connections = Some(1);
        settings.max_connections_per_client = Some(1);
    })
    .await;
    let address = stuck.server.address;
    stuck.redis.pause();
    let _busy = stuck.busy(1).await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(RawClient::connect_from(ATTACKER, address).await);
    }
    for _ in 0..10 {
        let mut probe = RawClient::connect_from(CLIENT, address).await;
        assert!(probe.request(HEALTH).await.contains("200 OK"));
    }
    stuck.redis.resume();
}

#[tokio::test]
async fn requests_with_a_password_cannot_take_the_whole_reserve() {
    let mut stuck = Stuck::start(|settings| {
        settings.max_connections = Some(1);
        settings.max_connections_per_client = Some(1);
    })
    .await;
    let address = stuck.server.address;
    stuck.redis.pause();
    let _busy = stuck.busy(1).await;
    let request = format!("GET /v1/agents HTTP/1.1\r\nhost: x\r\nx-master-password: {PASSWORD}\r\n\r\n");
    // Each address can have 8 connections in the reserve.
    let mut responses = JoinSet::new();
    for number in 0..64 {
        let mut client = RawClient::connect_from(&format!("127.0.0.{}", 20 + number / 8), address).await;
        client.send(&request).await;
        responses.spawn(async move { client.response().await });
    }
    let mut next = async || {
        responses
            .join_next()
            .await
            .expect("a response")
            .expect("no panic")
    };
    for _ in 0..32 {
        let response = next().await.expect("a response");
        assert!(response.contains("503 Service"), "{response}");
    }
    let mut probe = RawClient::connect_from(CLIENT, address).await;
    assert!(probe.request(HEALTH).await.contains("200 OK"));
    stuck.redis.resume();
    for _ in 0..32 {
        let response = next().await.expect("a response");
        assert!(response.contains("200 OK"), "{response}");
    }
}

#[tokio::test]
async fn request_above_the_limit_is_refused_at_once() {
    let mut stuck = Stuck::start(|settings| settings.max_requests = Some(2)).await;
    stuck.redis.pause();
    let mut busy = stuck.busy(2).await;
    let reply = stuck.server.api.access(&stuck.token).await;
    reply.rejected(503, "OVERLOADED");
    assert_eq!(reply.header("retry-after"), "1");
    let health = stuck.server.api.anonymous(Method::GET, "/healthz").await;
    health.expect(200);
    stuck.redis.resume();
    for client in &mut busy {
        assert!(client.response().await.expect("a response").contains("200 OK"));
    }
    stuck.server.api.access(&stuck.token).await.expect(200);
    metric_reaches(
        &stuck.server,
        "session_auth_requests_refused_total{reason=\"overload\"}",
        1.0,
    )
    .await;
}

#[tokio::test]
async fn slow_bodies_do_not_take_the_capacity_of_requests() {
    let server = TestServer::configured(|config| config.limits.requests = 2).await;
    let head = format!(
        "POST /v1/agents HTTP/1.1\r\nhost: x\r\nx-master-password: {PASSWORD}\r\n\
         content-type: application/json\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"
    );
    // The password is verified once. A request that waits for Argon2 is in flight.
    server.api.agent().await;
    let mut slow = Vec::new();
    for _ in 0..5 {
        let mut client = RawClient::connect(server.address).await;
        // The server reads the body from now on.
        let response = client.request(&head).await;
        assert!(response.starts_with("HTTP/1.1 100 Continue"), "{response}");
        client.send("{").await;
        slow.push(client);
    }
    server.api.agent().await;
    for client in &mut slow {
        let response = client.request("}").await;
        assert!(response.contains("201 Created"), "{response}");
    }
}

#[tokio::test]
async fn client_that_resets_most_of_its_requests_is_disconnected() {
    let mut stuck = Stuck::start(|_| {}).await;
    let mut client = Http2Client::connect(stuck.server.address).await;
    stuck.redis.pause();
    for _ in 0..1000 {
        let request = Request::get("http://localhost/v1/session")
            .header("authorization", format!("Bearer {}", stuck.token))
            .body(Full::default())
            .expect("a request");
        // The request is in flight, and its stream is reset when the future is dropped.
        let _ = timeout(Duration::from_millis(1), client.sender.send_request(request)).await;
        if client.connection.is_finished() {
            break;
        }
    }
    let end = timeout(SOON, client.connection).await;
    end.expect("the server ends the connection")
        .expect("no panic")
        .ok();
    stuck.redis.resume();
    metric_reaches(
        &stuck.server,
        "session_auth_connections_closed_total{reason=\"rapid_reset\"}",
        1.0,
    )
    .await;
}
