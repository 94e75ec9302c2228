//! The metrics of the server: the page that lists them, their values, and the listener that serves nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{SocketAddr, TcpListener},
    time::{Duration, Instant},
};

use http::Method;
use session_auth_server::config::Settings;
use session_auth_tests::{
    api::{Api, Reply},
    free_address::free_address,
    raw_http::RawClient,
    redis::TestRedis,
    server::{START, TestServer},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};
use tower_session_auth::{
    clock::{ManualClock, Timestamp},
    session_auth::Freshness,
};

const PAGE: &str = include_str!("../../docs/metrics.md");

/// The types and the labels of metrics, by name.
type Listed = BTreeMap<String, (String, BTreeSet<String>)>;

/// A server with the listener for metrics, and a client of that listener.
async fn with_listener() -> (TestServer, Api) {
    let address = free_address();
    let server = TestServer::memory_with(|settings| settings.metrics_listen = Some(address)).await;
    let metrics = Api::new(address, "");
    // The server binds the address in its own task.
    let began = Instant::now();
    while metrics.try_anonymous(Method::GET, "/metrics").await.is_none() {
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "the listener does not start"
        );
        sleep(Duration::from_millis(5)).await;
    }
    (server, metrics)
}

async fn scrape(server: &TestServer) -> String {
    let reply = server.api.master(Method::GET, "/metrics", None).await.expect(200);
    reply.body.as_str().unwrap().to_owned()
}

/// The table of the page.
fn documented() -> Listed {
    let (_, list) = PAGE.split_once("\n## List\n").unwrap();
    let list = list.split("\n## ").next().unwrap();
    let rows = list.lines().filter(|line| line.starts_with("| `session_auth_"));
    rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let labels = cells[2]
            .split(", ")
            .map(|label| label.trim_matches('`').to_owned());
        let labels = labels.filter(|label| !label.is_empty()).collect();
        (
            cells[0].trim_matches('`').to_owned(),
            (cells[1].to_owned(), labels),
        )
    })
    .collect()
}

/// The metrics of a scrape.
fn exported(text: &str) -> Listed {
    let mut listed = Listed::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            let (name, kind) = declared.split_once(' ').unwrap();
            current = name.to_owned();
            listed.insert(current.clone(), (kind.to_owned(), BTreeSet::new()));
        } else if let Some((_, labels)) = line.split_once('{').filter(|_| !line.starts_with('#')) {
            let (labels, _) = labels.rsplit_once('}').unwrap();
            let names = labels.split(',').filter_map(|label| label.split('=').next());
            let names = names.filter(|name| *name != "le").map(str::to_owned);
            listed.get_mut(&current).unwrap().1.extend(names);
        }
    }
    listed
}

#[tokio::test]
async fn page_lists_exactly_the_metrics_that_a_server_exports() {
    let server = TestServer::redis_with(|settings: &mut Settings| {
        settings.freshness = Some(Freshness::Bounded);
    })
    .await;
    let text = scrape(&server).await;
    assert_eq!(exported(&text), documented());
    for name in documented().keys() {
        assert!(
            text.contains(&format!("# HELP {name} ")),
            "{name} has no description"
        );
    }
}

/// The value of a series. The labels are in any order.
fn value(text: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    let has = |line: &str, (label, value): &(&str, &str)| line.contains(&format!("{label}=\"{value}\""));
    let mut lines = text.lines().filter(|line| {
        let named = line
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(['{', ' ']));
        named && labels.iter().all(|label| has(line, label))
    });
    let line = lines.next().unwrap_or_else(|| panic!("no {name}{labels:?}"));
    assert_eq!(lines.next(), None, "{name}{labels:?} is ambiguous");
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[tokio::test]
async fn requests_renewals_store_calls_and_argon2_are_counted() {
    let server = TestServer::redis().await;
    let session = server.api.session(&server.api.agent().await).await;
    for _ in 0..3 {
        server.api.access(&session.token).await.expect(200);
    }
    server.api.access("wai_sess_x").await.expect(401);
    let path = format!("/v1/sessions/{}/renew", session.id);
    server
        .api
        .bearer(Method::PUT, &path, &session.token)
        .await
        .expect(403);
    server.advance(43_200);
    let renewed = server
        .api
        .renew_with(&session.id, &session.token, "key-0123456789abcdef")
        .await;
    renewed.expect(200);
    let repeated = server
        .api
        .renew_with(&session.id, &session.token, "key-0123456789abcdef")
        .await;
    repeated.expect(200);
    let wrong = server.api.with_password("wrong");
    wrong.master(Method::GET, "/v1/agents", None).await.expect(401);

    let text = scrape(&server).await;
    let requests = |layer, outcome, code| {
        let labels = [("layer", layer), ("outcome", outcome), ("code", code)];
        value(&text, "session_auth_requests_total", &labels)
    };
    let exactly =
        |actual: f64, expected: f64, what: &str| assert!((actual - expected).abs() < 0.5, "{what}: {actual}");
    exactly(requests("session", "admitted", "OK"), 3.0, "admitted");
    exactly(requests("session", "rejected", "INVALID_TOKEN"), 1.0, "rejected");
    exactly(requests("renewal", "admitted", "OK"), 3.0, "renewals");
    exactly(
        requests("admin", "rejected", "INVALID_MASTER_PASSWORD"),
        1.0,
        "admin",
    );
    let reason = value(
        &text,
        "session_auth_rejections_total",
        &[("reason", "malformed_token")],
    );
    exactly(reason, 1.0, "reason");
    // An endpoint behind a layer rejects it.
    let reason = value(
        &text,
        "session_auth_rejections_total",
        &[("reason", "renewal_too_early")],
    );
    exactly(reason, 1.0, "reason of an endpoint");
    for (outcome, code) in [
        ("renewed", "OK"),
        ("repeated", "OK"),
        ("rejected", "RENEWAL_TOO_EARLY"),
    ] {
        let labels = [("outcome", outcome), ("code", code)];
        exactly(value(&text, "session_auth_renewals_total", &labels), 1.0, outcome);
    }
    let runs = |result| value(&text, "session_auth_argon2_runs_total", &[("result", result)]);
    exactly(runs("wrong"), 1.0, "wrong");
    assert!(runs("right") >= 1.0);
    let reads = value(
        &text,
        "session_auth_store_duration_seconds_count",
        &[("operation", "read")],
    );
    // Three requests and three renewals.
    exactly(reads, 6.0, "reads");
    let too_early = value(
        &text,
        "session_auth_http_responses_total",
        &[("code", "RENEWAL_TOO_EARLY")],
    );
    exactly(too_early, 1.0, "responses");
}

const STORE_UP: &str = "session_auth_store_up";

/// Waits for a value of `session_auth_store_up`. No request needs Redis meanwhile.
async fn wait_until_store_is(server: &TestServer, up: f64) {
    let began = Instant::now();
    loop {
        let actual = value(&scrape(server).await, STORE_UP, &[]);
        if (actual - up).abs() < 0.5 {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{actual}");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn with_redis(url: String) -> TestServer {
    let settings = Settings {
        redis_url: Some(url),
        store_timeout_ms: Some(250),
        ..Settings::default()
    };
    TestServer::start(settings, None, ManualClock::new(Timestamp(START))).await
}

#[tokio::test]
async fn idle_server_shows_whether_redis_can_be_reached() {
    let mut redis = TestRedis::start();
    let server = with_redis(redis.url()).await;
    wait_until_store_is(&server, 1.0).await;
    redis.kill();
    wait_until_store_is(&server, 0.0).await;
    redis.restart();
    wait_until_store_is(&server, 1.0).await;
    redis.pause();
    wait_until_store_is(&server, 0.0).await;
    redis.resume();
    wait_until_store_is(&server, 1.0).await;
}

#[tokio::test]
async fn store_is_neither_up_nor_down_before_the_first_attempt_has_ended() {
    // Accepts connections and never answers, so the attempt takes one second.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let began = Instant::now();
    let server = with_redis(format!("redis://{}", silent.local_addr().unwrap())).await;
    let first = value(&scrape(&server).await, STORE_UP, &[]);
    assert!(
        first.is_nan() || began.elapsed() > Duration::from_secs(1),
        "{first}"
    );
    wait_until_store_is(&server, 0.0).await;
}

#[tokio::test]
async fn servers_in_one_process_have_separate_metrics() {
    let (one, other) = (TestServer::memory().await, TestServer::memory().await);
    one.api.access("wai_sess_x").await.expect(401);
    let labels = [("layer", "session"), ("code", "INVALID_TOKEN")];
    let rejected = |text: &str| value(text, "session_auth_requests_total", &labels);
    assert!(rejected(&scrape(&one).await) > 0.5);
    assert!(rejected(&scrape(&other).await) < 0.5);
}

#[tokio::test]
async fn labels_have_no_ids_and_no_secrets() {
    let server = TestServer::memory().await;
    let agent = server.api.agent().await;
    let session = server.api.session(&agent).await;
    server.api.access(&session.token).await.expect(200);
    server.api.anonymous(Method::GET, "/hunter2").await.expect(404);
    let text = scrape(&server).await;
    for secret in [agent.as_str(), &session.id, &session.token, "hunter2", "k4.pid."] {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn listener_for_metrics_needs_no_credentials_and_serves_nothing_else() {
    let (server, metrics) = with_listener().await;
    let reply: Reply = metrics.anonymous(Method::GET, "/metrics").await.expect(200);
    assert!(reply.body.as_str().unwrap().contains("session_auth_build_info"));
    assert_eq!(reply.header("cache-control"), "no-store");
    metrics.anonymous(Method::HEAD, "/metrics").await.expect(200);
    let posted = metrics.anonymous(Method::POST, "/metrics").await.expect(405);
    assert_eq!(
        (posted.code(), posted.header("allow")),
        ("METHOD_NOT_ALLOWED", "GET, HEAD")
    );
    for path in [
        "/",
        "/healthz",
        "/v1/session",
        "/v1/sessions",
        "/metrics/",
        "/metricsx",
    ] {
        assert_eq!(
            metrics.anonymous(Method::GET, path).await.expect(404).code(),
            "NOT_FOUND"
        );
    }
    let main = server.api.anonymous(Method::GET, "/metrics").await;
    main.rejected(401, "INVALID_MASTER_PASSWORD");
}

#[tokio::test]
async fn slow_connections_keep_no_scraper_out_of_the_listener_for_metrics() {
    let (_server, metrics) = with_listener().await;
    let address: SocketAddr = metrics.base().strip_prefix("http://").unwrap().parse().unwrap();
    let mut slow = Vec::new();
    for _ in 0..64 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\n").await.unwrap();
        slow.push(stream);
    }
    let scraped = timeout(Duration::from_secs(3), metrics.anonymous(Method::GET, "/metrics"));
    scraped.await.expect("an answer in time").expect(200);
    // The oldest connection was evicted.
    let ended = timeout(Duration::from_secs(3), slow[0].read(&mut [0; 16])).await;
    assert!(matches!(ended, Ok(Ok(0) | Err(_))), "{ended:?}");
}

#[tokio::test]
async fn flood_from_one_address_does_not_close_the_connection_of_a_scraper() {
    let (_server, metrics) = with_listener().await;
    let address: SocketAddr = metrics.base().strip_prefix("http://").unwrap().parse().unwrap();
    let mut scraper = RawClient::connect_from("127.0.0.3", address).await;
    scraper.send("GET /metrics HTTP/1.1\r\n").await;
    let mut flood = Vec::new();
    for _ in 0..64 {
        let mut stranger = RawClient::connect_from("127.0.0.2", address).await;
        stranger.send("GET /metrics HTTP/1.1\r\n").await;
        flood.push(stranger);
    }
    // The first connection of the flood has ended, so the server has accepted later ones.
    flood[0].rest().await;
    let response = scraper.request("host: x\r\n\r\n").await;
    assert!(response.contains("200 OK"), "{response}");
}

#[tokio::test]
async fn server_does_not_start_if_the_listener_for_metrics_cannot_be_bound() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = Settings {
        metrics_listen: Some(taken.local_addr().unwrap()),
        ..Settings::default()
    };
    let config = session_auth_server::Config::resolve(settings).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let clock = std::sync::Arc::new(tower_session_auth::clock::SystemClock);
    let (_, reloads) = tokio::sync::mpsc::channel(1);
    let run = session_auth_server::run(
        config,
        clock,
        vec![listener.into()],
        std::future::pending(),
        reloads,
    );
    let error = timeout(Duration::from_secs(5), run).await.unwrap().unwrap_err();
    assert!(
        error.to_string().contains("metrics_listen: cannot listen on"),
        "{error}"
    );
}
