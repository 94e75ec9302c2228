//! Outages of the auth server and of its store.

use std::time::{Duration, Instant};

use session_auth_server::config::Settings;
use session_auth_tests::{
    api::Reply,
    proxies::{ProxyKind, RunningProxy, Upstream},
    redis::TestRedis,
    relay::Relay,
    server::{START, TestServer},
};
use tokio::{
    net::{TcpListener, TcpSocket},
    time::sleep,
};
use tower_session_auth::clock::{ManualClock, Timestamp};

use super::Setup;

/// The proxies wait 1 s. The rest is for machines under load.
const PATIENCE: Duration = Duration::from_secs(6);
/// Far longer than a recovery takes.
const LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

pub async fn store_outage_stays_a_503(kind: &ProxyKind) {
    let mut redis = TestRedis::start();
    let settings = Settings {
        redis_url: Some(redis.url()),
        // Less than the proxies wait, as by default.
        store_timeout_ms: Some(250),
        ..Settings::default()
    };
    let server = TestServer::start(settings, None, ManualClock::new(Timestamp(START))).await;
    let setup = Setup::new(kind, server).await;
    let token = setup
        .server
        .api
        .session(&setup.server.api.agent().await)
        .await
        .token;
    setup.get("/a", &token).await.expect(200);
    let before = setup.upstream.seen().len();
    redis.pause();
    for path in ["/a", "/admin/a"] {
        let reply = setup.get(path, &token).await.expect(503);
        assert!(!reply.header("retry-after").is_empty());
        assert_eq!(reply.header("cache-control"), "no-store");
        assert_eq!(reply.code() == "STORE_UNAVAILABLE", kind.passes_store_problem);
    }
    assert_eq!(setup.upstream.seen().len(), before);
    setup.get("/public/a", &token).await.expect(200);
    redis.resume();
    let began = Instant::now();
    while setup.get("/a", &token).await.status != 200 {
        assert!(began.elapsed() < LIMIT, "no recovery");
        sleep(POLL).await;
    }
}

pub async fn auth_server_that_is_down_admits_nothing(kind: &ProxyKind) {
    let setup = Setup::memory(kind).await;
    let token = setup
        .server
        .api
        .session(&setup.server.api.agent().await)
        .await
        .token;
    setup.get("/a", &token).await.expect(200);
    let Setup {
        server,
        upstream,
        proxy,
    } = setup;
    let address = server.address;
    server.stop().await;
    // Keeps the port closed, so that no other test gets it.
    let port = TcpSocket::new_v4().expect("a socket");
    port.set_reuseaddr(true).expect("an option");
    port.bind(address).expect("the port of the server");
    assert_fails_closed(&proxy, &upstream, &token).await;
}

pub async fn auth_server_that_hangs_admits_nothing_in_bounded_time(kind: &ProxyKind) {
    let server = TestServer::memory().await;
    let token = server.api.session(&server.api.agent().await).await.token;
    let relay = Relay::start(server.address.port()).await;
    let upstream = Upstream::start().await;
    let proxy = RunningProxy::start(kind, relay.address, upstream.address).await;
    get(&proxy, "/a", &token).await.expect(200);
    // Neither the connections that are open nor new ones are answered.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    relay.isolate();
    relay.redirect_to(silent.local_addr().expect("an address").port());
    assert_fails_closed(&proxy, &upstream, &token).await;
}

/// Asserts that protected paths fail soon, and that public ones work.
async fn assert_fails_closed(proxy: &RunningProxy, upstream: &Upstream, token: &str) {
    let before = upstream.seen().len();
    let began = Instant::now();
    let (one, other) = tokio::join!(get(proxy, "/a", token), get(proxy, "/admin/a", token));
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    for reply in [one, other] {
        assert!(
            matches!(reply.status, 502..=504),
            "{}: {}",
            reply.status,
            reply.body
        );
    }
    assert_eq!(upstream.seen().len(), before);
    get(proxy, "/public/a", token).await.expect(200);
}

async fn get(proxy: &RunningProxy, path: &str, token: &str) -> Reply {
    let request = super::with_token(http::Request::get(path), token).body(bytes::Bytes::new());
    proxy.send(request.expect("a request")).await
}
