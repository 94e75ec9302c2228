//! Faults of the server process, and of its data.

use std::time::{Duration, Instant};

use http::Method;
use session_auth_tests::{
    folder::Folder,
    redis::{TestRedis, command},
    server::START,
};
use tokio::time::sleep;
use tower_session_auth::clock::{ManualClock, Timestamp};

use super::{DEADLINE, Faulty, HEALED_WITHIN, POLL, execute, is_503, start_server};

#[tokio::test]
async fn stopped_server_is_503_until_it_continues() {
    let mut faulty = Faulty::start().await;
    faulty.redis.pause();
    faulty.is_unavailable().await;
    let last = faulty.is_unavailable_for(Duration::from_secs(2)).await;
    assert!(last < DEADLINE / 2, "{last:?}");
    faulty.redis.resume();
    faulty.heals().await;
}

#[tokio::test]
async fn killed_server_is_503_at_once_and_its_lost_sessions_are_401() {
    let mut faulty = Faulty::start().await;
    faulty.redis.kill();
    faulty.is_unavailable().await;
    let last = faulty.is_unavailable_for(Duration::from_millis(700)).await;
    assert!(last < DEADLINE / 2, "{last:?}");
    faulty.redis.restart();
    // It has no persistence.
    faulty.answers_again().await.rejected(401, "SESSION_NOT_FOUND");
    faulty.ready().await.expect(200);
}

#[tokio::test]
async fn loading_server_is_503_until_it_has_its_data() {
    let folder = Folder::new("loading");
    let options = [
        "--dbfilename",
        "sessions.rdb",
        "--key-load-delay",
        "1000",
        "--loading-process-events-interval-bytes",
        "1024",
    ];
    let faulty = Faulty::start_on(TestRedis::start_in(&folder, &options)).await;
    // 2,000 keys take at least 2 s.
    let fill = "for key = 1, 2000 do redis.call('SET', 'filler:' .. key, key) end";
    execute(&faulty.redis, &["EVAL", fill, "0"]);
    execute(&faulty.redis, &["SAVE"]);

    let Faulty {
        mut redis,
        proxy,
        server,
        agent,
        session,
        changed,
    } = faulty;
    let url = redis.url();
    let restarting = tokio::task::spawn_blocking(move || {
        redis.restart();
        redis
    });
    let is_loading = || command::<()>(&url, &["PING"]).is_err_and(|error| error.code() == Some("LOADING"));
    while !is_loading() {
        assert!(!restarting.is_finished(), "never loading");
        tokio::task::yield_now().await;
    }
    // A process that starts now.
    let late = start_server(proxy.url(), &ManualClock::new(Timestamp(START))).await;
    let mut seen = 0;
    while is_loading() {
        let access = server.api.access(&session.token).await;
        let mut ready = Vec::new();
        for server in [&server, &late] {
            ready.push(server.api.anonymous(Method::GET, "/readyz").await);
        }
        if !is_loading() {
            break;
        }
        is_503(&access);
        for reply in ready {
            is_503(&reply);
            seen += u32::from(reply.body.to_string().contains("loading"));
        }
    }
    assert!(seen > 5, "{seen}");
    let redis = restarting.await.unwrap();
    let faulty = Faulty {
        redis,
        proxy,
        server,
        agent,
        session,
        changed,
    };
    faulty.heals().await;
    let began = Instant::now();
    while late.api.anonymous(Method::GET, "/readyz").await.status != 200 {
        assert!(began.elapsed() < HEALED_WITHIN, "never ready");
        sleep(POLL).await;
    }
}

#[tokio::test]
async fn paused_clients_are_503_until_the_pause_ends() {
    let faulty = Faulty::start().await;
    execute(&faulty.redis, &["CLIENT", "PAUSE", "1500", "ALL"]);
    faulty.is_unavailable().await;
    faulty.is_unavailable_for(Duration::from_millis(300)).await;
    faulty.heals().await;
}

#[tokio::test]
async fn flushed_sessions_are_401_and_new_ones_work() {
    let faulty = Faulty::start().await;
    faulty.access().await.expect(200);
    execute(&faulty.redis, &["FLUSHALL"]);
    faulty.access().await.rejected(401, "SESSION_NOT_FOUND");
    faulty.ready().await.expect(200);
    let agent = faulty.server.api.agent().await;
    let session = faulty.server.api.session(&agent).await;
    faulty.server.api.access(&session.token).await.expect(200);
}

#[tokio::test]
async fn changed_password_is_503_until_it_is_restored() {
    let faulty = Faulty::start().await;
    execute(&faulty.redis, &["CONFIG", "SET", "requirepass", "other"]);
    let with_password = faulty.redis.url().replace("://", "://:other@");
    let execute = |arguments: &[&str]| command::<redis::Value>(&with_password, arguments).unwrap();
    execute(&["CLIENT", "KILL", "TYPE", "normal"]);
    faulty.is_unavailable().await;
    // The first reason is the lost connection.
    let began = Instant::now();
    while !faulty.ready().await.body.to_string().contains("NOAUTH") {
        assert!(began.elapsed() < HEALED_WITHIN, "the reason is not named");
        sleep(POLL).await;
    }
    execute(&["CONFIG", "SET", "requirepass", ""]);
    faulty.heals().await;
}

#[tokio::test]
async fn master_that_became_a_replica_is_503_until_it_is_promoted() {
    let faulty = Faulty::start().await;
    execute(&faulty.redis, &["REPLICAOF", "127.0.0.1", "1"]);
    // A failed write reveals the role.
    is_503(&faulty.create().await);
    faulty.is_unavailable().await;
    faulty.is_unavailable_for(Duration::from_secs(1)).await;
    let ready = faulty.ready().await;
    assert!(
        ready.body.to_string().contains("the server is a replica"),
        "{}",
        ready.body
    );
    execute(&faulty.redis, &["REPLICAOF", "NO", "ONE"]);
    faulty.heals().await;
}
