//! States of a server that answers some commands, or none: what `/readyz` says, and what clients see.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use http::Method;
use serde_json::json;
use session_auth_server::config::Settings;
use session_auth_tests::{
    api::Issued,
    folder::Folder,
    redis::TestRedis,
    server::{START, TestServer},
};
use tower_session_auth::clock::{ManualClock, Timestamp};

use super::execute;

/// Far longer than a change of state takes.
const SOON: Duration = Duration::from_secs(10);

async fn server_on(redis: &TestRedis) -> TestServer {
    let settings = Settings {
        redis_url: Some(redis.url()),
        store_timeout_ms: Some(500),
        ..Settings::default()
    };
    TestServer::start(settings, None, ManualClock::new(Timestamp(START))).await
}

/// The statuses of a request with a session, and of the creation of a session.
async fn statuses(server: &TestServer, agent: &str, session: &Issued) -> (u16, u16) {
    let read = server.api.access(&session.token).await.status;
    let created = server.api.create(json!({ "agentId": agent })).await.status;
    (read, created)
}

/// Waits until `/readyz` has this status and contains this text.
async fn ready(server: &TestServer, status: u16, text: &str) {
    let began = Instant::now();
    loop {
        let reply = server.api.anonymous(Method::GET, "/readyz").await;
        let body = reply.body.to_string();
        if reply.status == status && body.contains(text) {
            return;
        }
        assert!(began.elapsed() < SOON, "never {status} with {text}: {body}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn clients_and_readiness_in_each_state_of_a_server() {
    let folder = Folder::new("states");
    let path = folder.display().to_string();
    let redis = TestRedis::start_with(&["--dir", &path]);
    let server = server_on(&redis).await;
    let agent = server.api.agent().await;
    let session = server.api.session(&agent).await;
    // Snapshots cannot be written.
    fs::remove_dir_all(&path).unwrap();
    for (enter, leave, status, reason, seen) in [
        (
            &["CONFIG SET min-replicas-to-write 1"][..],
            &["CONFIG SET min-replicas-to-write 0"][..],
            200,
            "NOREPLICAS",
            (200, 503),
        ),
        (
            &["CONFIG SET maxmemory 1"],
            &["CONFIG SET maxmemory 0"],
            200,
            "OOM",
            (200, 503),
        ),
        (
            &["CONFIG SET save 3600", "BGSAVE"],
            &["CONFIG SET stop-writes-on-bgsave-error no"],
            200,
            "MISCONF",
            (200, 503),
        ),
        (
            &["REPLICAOF 127.0.0.1 1"],
            &["REPLICAOF NO ONE"],
            503,
            "the server is a replica",
            (503, 503),
        ),
        (
            &["CLIENT PAUSE 4000 ALL"],
            &["PING"],
            503,
            "STORE_UNAVAILABLE",
            (503, 503),
        ),
    ] {
        let run = |commands: &[&str]| {
            for command in commands {
                let words: Vec<_> = match *command {
                    "CONFIG SET save 3600" => vec!["CONFIG", "SET", "save", "3600 1"],
                    words => words.split(' ').collect(),
                };
                // A paused server answers when the pause ends.
                let _ = redis.command::<redis::Value>(&words);
            }
        };
        run(enter);
        ready(&server, status, reason).await;
        assert_eq!(statuses(&server, &agent, &session).await, seen, "{reason}");
        run(leave);
        ready(&server, 200, "\"ready\"").await;
        assert_eq!(statuses(&server, &agent, &session).await.0, 200, "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_loads_its_data_is_not_ready_with_this_reason() {
    let folder = Folder::new("loading");
    let path = folder.display().to_string();
    let options = [
        "--dir",
        &path,
        "--enable-debug-command",
        "yes",
        "--loading-process-events-interval-bytes",
        "1024",
    ];
    let redis = TestRedis::start_with(&options);
    let server = server_on(&redis).await;
    let agent = server.api.agent().await;
    let session = server.api.session(&agent).await;
    execute(&redis, &["DEBUG", "POPULATE", "2000", "pop", "200"]);
    // Microseconds for each key.
    execute(&redis, &["CONFIG", "SET", "key-load-delay", "1000"]);
    let url = redis.url();
    let reload =
        thread::spawn(move || session_auth_tests::redis::command::<redis::Value>(&url, &["DEBUG", "RELOAD"]));
    ready(&server, 503, "loading").await;
    assert_eq!(statuses(&server, &agent, &session).await, (503, 503));
    // A process that starts now.
    let late = server_on(&redis).await;
    ready(&late, 503, "loading").await;
    reload.join().unwrap().unwrap();
    ready(&late, 200, "\"ready\"").await;
    ready(&server, 200, "\"ready\"").await;
    assert_eq!(server.api.access(&session.token).await.status, 200);
}
