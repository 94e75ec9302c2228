//! Redis with exactly the documented configuration and users keeps sessions and revocations over a restart.
//!
//! Redis replays its append-only file as the default user. If that user may not write, Redis drops the changes of all scripts, without an
//! error.

#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod redis;
#[path = "../support/mod.rs"]
mod support;

use std::process::Command;

use http::Method;
use redis::{COMPOSE, OPERATOR, Redis, SECRET, compose, configuration_file, documented_lines};
use session_auth_tests::{
    api::Api,
    free_address::free_address,
    server::{PASSWORD, cheap_hash},
};
use support::{Folder, RunningServer, command, free_port, run, text, wait_until_ready};

#[tokio::test]
async fn documented_configuration_of_redis_keeps_sessions_and_revocations_over_restarts() {
    if let Some(redis) = Redis::start("restart-conf", configuration_file) {
        keeps_sessions_and_revocations(redis).await;
    }
}

#[tokio::test]
async fn redis_of_compose_keeps_sessions_and_revocations_over_restarts() {
    if let Some(redis) = Redis::start("restart-compose", compose) {
        keeps_sessions_and_revocations(redis).await;
    }
}

async fn keeps_sessions_and_revocations(mut redis: Redis) {
    let files = Folder::new("restart-server");
    let keys = text(&run(&mut command(&["keygen"]), "").stdout);
    let (keys, hash) = (files.write("keys", &keys), files.write("hash", &cheap_hash()));
    let url = format!("redis://sessions:{SECRET}@127.0.0.1:{}", redis.port);
    let listen = free_address();
    let _server = RunningServer::start(&mut command(&[
        "--listen",
        &listen.to_string(),
        "--redis-url",
        &url,
        "--key-file",
        &keys,
        "--master-password-hash-file",
        &hash,
        "--store-timeout-ms",
        "5000",
    ]));
    let api = Api::new(listen, PASSWORD);
    wait_until_ready(&api).await;
    let agent = api.agent().await;
    let kept = api.session(&agent).await;
    let mut revoked = Vec::new();
    for is_rewritten in [false, true, true] {
        let ended = api.session(&agent).await;
        if is_rewritten {
            redis.rewrite_the_append_only_file();
        }
        let path = format!("/v1/sessions/{}", ended.id);
        api.master(Method::DELETE, &path, None).await.expect(200);
        revoked.push(ended);
        redis.restart();
        wait_until_ready(&api).await;
        for session in &revoked {
            let reply = api.access(&session.token).await;
            reply.rejected(401, "SESSION_REVOKED");
        }
        api.access(&kept.token).await.expect(200);
        assert!(!redis.log().contains("NOPERM"), "{}", redis.log());
    }
}

/// The warnings of `check-config --connect` as this user of Redis.
fn warnings(redis: &Redis, user: &str) -> String {
    let files = Folder::new("restart-check");
    let keys = text(&run(&mut command(&["keygen"]), "").stdout);
    let (keys, hash) = (files.write("keys", &keys), files.write("hash", &cheap_hash()));
    let url = format!("redis://{user}@127.0.0.1:{}", redis.port);
    let mut check = command(&["check-config", "--connect", "--redis-url", &url]);
    check.args(["--key-file", &keys, "--master-password-hash-file", &hash]);
    let output = run(check.args(["--store-timeout-ms", "5000"]), "");
    let answer = text(&output.stdout);
    assert!(answer.contains("found: "), "{answer}{}", text(&output.stderr));
    text(&output.stderr)
}

#[test]
fn check_config_warns_about_a_restricted_default_user_if_it_may_ask() {
    const ADMINISTRATOR: &str = "user administrator on >secret ~* &* +@all\n";
    let with = |more: &'static str| {
        move |folder: &Folder| {
            let lines = documented_lines() + OPERATOR + ADMINISTRATOR;
            let lines = lines.replace("user default off resetpass ~* &* +@all\n", more);
            vec![folder.write("redis.conf", &lines)]
        }
    };
    let sessions = format!("sessions:{SECRET}");
    let documented = "user default off resetpass ~* &* +@all\n";
    for (default, is_restricted) in [(documented, false), ("user default off\n", true)] {
        let Some(redis) = Redis::start("restart-warning", with(default)) else {
            return;
        };
        let found = warnings(&redis, "administrator:secret");
        assert_eq!(
            found.contains("the default user is restricted"),
            is_restricted,
            "{found}"
        );
        assert!(!warnings(&redis, &sessions).contains("default user"));
    }
}

#[test]
fn documented_health_check_passes_without_a_password_and_fails_without_redis() {
    let Some(redis) = Redis::start("restart-health", compose) else {
        return;
    };
    let (_, test) = COMPOSE
        .split_once(r#"test: ["CMD-SHELL", ""#)
        .expect("a health check");
    let (check, _) = test.split_once(r#""]"#).expect("an end");
    let page = include_str!("../../../docs/redis.md");
    assert!(page.contains(&format!("`{check}`")), "{check}");
    let is_healthy = |port: u16| {
        let check = check.replace("redis-cli ", &format!("redis-cli -p {port} "));
        let output = Command::new("sh").args(["-c", &check]).output();
        output.expect("a shell").status.success()
    };
    assert!(is_healthy(redis.port));
    assert!(!is_healthy(free_port()));
}
