//! The command line of `session-auth-server`.

#![allow(clippy::expect_used, clippy::disallowed_methods, clippy::panic)]

mod support;

use std::{
    io::{BufRead, Read},
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use http::Method;
use serde_json::{Value, json};
use session_auth_tests::{
    api::Api,
    fixtures::renewal,
    redis::{self, TestRedis},
    server::{PASSWORD, cheap_hash},
};
use tower_session_auth::{
    RedisStore, SessionManager, SigningKey,
    session::{CreateSession, OnReuse, RetryHash},
    store::{RedisStoreConfig, SessionStore as _, SwapOutcome},
    token::TokenSigner,
};

use support::{Folder, RunningServer, command, free_port, run, text, wait_until_ready};

/// Starts a first run. Returns the server and the walk-through that it prints.
async fn first_run() -> (RunningServer, String) {
    let listen = format!("127.0.0.1:{}", free_port());
    let mut server = RunningServer::start(&mut command(&["--listen", &listen, "--min-ttl", "6"]));
    let mut script = String::new();
    let mut lines = server.output.by_ref().lines().map(|line| line.expect("a line"));
    let first = lines
        .by_ref()
        .find(|line| line.starts_with("( set -e"))
        .expect("a walk-through");
    for line in std::iter::once(first).chain(lines.take_while(|line| !line.is_empty())) {
        script += &line;
        script.push('\n');
    }
    wait_until_ready(&Api::new(listen.parse().expect("an address"), "")).await;
    (server, script)
}

/// Runs a script as if it was pasted into a shell.
async fn paste(shell: &'static str, script: &str) -> Output {
    let script = script.to_owned();
    let shell = tokio::task::spawn_blocking(move || run(Command::new(shell).arg("-s"), &script));
    shell.await.expect("a shell")
}

#[tokio::test]
async fn first_run_prints_a_walk_through_that_can_be_pasted_into_sh_and_bash() {
    let (_server, script) = first_run().await;
    for shell in ["sh", "bash"] {
        walks_through(&paste(shell, &script).await);
    }
}

fn walks_through(output: &Output) {
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    let output = text(&output.stdout);
    let codes: Vec<_> = output
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
        .map(|body| {
            (
                body["status"].clone(),
                body["code"].as_str().unwrap_or_default().to_owned(),
            )
        })
        .collect();
    let expected = [
        (json!("ACTIVE"), ""),
        (json!(403), "RENEWAL_TOO_EARLY"),
        (json!(401), "TOKEN_SUPERSEDED"),
        (json!("ACTIVE"), ""),
        (json!("REVOKED"), ""),
        (json!(401), "SESSION_REVOKED"),
    ];
    assert_eq!(
        codes,
        expected.map(|(status, code)| (status, code.to_owned())),
        "{output}"
    );
}

#[tokio::test]
async fn walk_through_stops_at_the_first_unexpected_answer_and_prints_it() {
    let (_server, script) = first_run().await;
    let lines = script.lines().map(|line| match line.starts_with("PASSWORD=") {
        true => "PASSWORD=wrong\n".to_owned(),
        false => format!("{line}\n"),
    });
    let script = lines.collect::<String>() + "echo \"status $?, and the shell goes on\"\n";
    assert!(script.contains("PASSWORD=wrong"));
    for shell in ["sh", "bash"] {
        let output = paste(shell, &script).await;
        assert_eq!(
            text(&output.stdout),
            "An agent, and a session for it:\nstatus 1, and the shell goes on\n"
        );
        let error = text(&output.stderr);
        assert!(error.starts_with("stopped: expected 201, got {"), "{error}");
        assert!(error.contains("\"code\":\"INVALID_MASTER_PASSWORD\""), "{error}");
        assert!(error.ends_with(" 401\n"), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[tokio::test]
async fn server_uses_the_configured_redis_and_keys_and_stops_on_sigterm() {
    let (redis, folder) = (TestRedis::shared(), Folder::new("serve"));
    let key = run(&mut command(&["keygen"]), "");
    let hash = run(&mut command(&["hash-password"]), &format!("{PASSWORD}\n"));
    let keys = folder.write("keys", &text(&key.stdout));
    let hash = folder.write("hash", &text(&hash.stdout));
    let listen = format!("127.0.0.1:{}", free_port());
    let config = format!(
        "redis_url = '{}'\nkey_file = '{keys}'\nmax_ttl = 700\nsession_ttl = 650\n",
        redis.fresh_database()
    );
    let config = folder.write("config.toml", &config);
    let mut server = RunningServer::start(
        command(&["--config", &config, "--listen", &listen, "--max-ttl", "650"])
            .env("SESSION_AUTH_MASTER_PASSWORD_HASH_FILE", &hash)
            .env("SESSION_AUTH_SESSION_TTL", "600")
            .env("SESSION_AUTH_MAX_TTL", "640"),
    );
    let api = Api::new(listen.parse().expect("an address"), PASSWORD);
    wait_until_ready(&api).await;
    let agent = api.agent().await;
    let session = api.session(&agent).await;
    let lifetime = session.body["expiresAt"]
        .as_u64()
        .zip(session.body["absoluteExpiresAt"].as_u64());
    let (expires, absolute) = lifetime.expect("times");
    assert_eq!(
        absolute - expires,
        2_592_000 - 600,
        "the environment overrides the file"
    );
    api.create(json!({ "agentId": agent, "ttl": 650 }))
        .await
        .expect(201);
    api.create(json!({ "agentId": agent, "ttl": 651 }))
        .await
        .rejected(400, "VALIDATION_FAILED");

    server.signal("-TERM");
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn invalid_configuration_exits_with_2_and_lists_every_error() {
    let folder = Folder::new("wrong");
    let bad_keys = folder.write("keys", "k4.secret.hunter2");
    let unknown = folder.write("unknown.toml", "listen = '127.0.0.1:0'\nredis = 'x'\n");
    let secret = folder.write("secret.toml", "redis_url = redis://:hunter2@x\n");
    let reuse = folder.write("reuse.toml", "# renewal\non_reuse = \"no\"\n");
    let redis = ["--redis-url", "redis://:hunter2@127.0.0.1:1"];
    for (arguments, expected) in [
        (
            &redis[..],
            &["--master-password-hash", "--key-file", "keygen", "hash-password"][..],
        ),
        (&["--redis-url", "http://:hunter2@x"], &["--redis-url"]),
        (&["--redis-url", ""], &["--redis-url", "empty"]),
        (
            &["--redis-url", "redis://x", "--store-timeout-ms", "10000"],
            &["--store-timeout-ms"],
        ),
        (&["--key-file", &bad_keys], &["--key-file", "line 1"]),
        (&["--key-file", "/nowhere/keys"], &["--key-file", "/nowhere/keys"]),
        (
            &["--master-password-hash", "hunter2"],
            &["--master-password-hash", "Argon2id"],
        ),
        (
            &["--session-ttl", "299", "--token-prefix", "a b"],
            &["--session-ttl", "--token-prefix"],
        ),
        (&["--min-ttl", "10", "--max-ttl", "5"], &["--min-ttl"]),
        (&["--session-ttl", "x"], &["--session-ttl"]),
        (&["--renewal-retry-window", "86401"], &["--renewal-retry-window"]),
        (
            &["--previous-token-overlap", "86401"],
            &["--previous-token-overlap"],
        ),
        (&["--on-reuse", "no"], &["--on-reuse", "reject", "revoke"]),
        (
            &["--on-session-limit", "no"],
            &["on-session-limit", "refuse", "evict_oldest"],
        ),
        (
            &["--config", &reuse],
            &["reuse.toml", "line 2", "reject", "revoke"],
        ),
        (&["--freshness", "fresh"], &["freshness", "strict", "bounded"]),
        (&["--freshness-bound-ms", "49"], &["--freshness-bound-ms"]),
        (&["--log", "inof"], &["--log", "did you mean info?"]),
        (&["--no-such-flag"], &["no-such-flag"]),
        (&["--config", &unknown], &["unknown.toml", "redis"]),
        (&["--config", &secret], &["secret.toml", "line 1"]),
        (&["--config", "/nowhere.toml"], &["/nowhere.toml"]),
    ] {
        for check in [&["check-config"][..], &[]] {
            let arguments: Vec<_> = check.iter().chain(arguments).copied().collect();
            let output = run(&mut command(&arguments), "");
            let message = text(&output.stderr) + &text(&output.stdout);
            assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
            for part in expected {
                assert!(message.contains(part), "{arguments:?}: {message}");
            }
            assert!(!message.contains("hunter2"), "{arguments:?}: {message}");
        }
    }
}

#[tokio::test]
async fn renewal_settings_are_read_from_flags_environment_and_file() {
    let folder = Folder::new("renewal");
    let file = folder.write(
        "renewal.toml",
        "on_session_limit = \"evict_oldest\"\non_reuse = \"reject\"\nmin_ttl = 6\n",
    );
    let listen = format!("127.0.0.1:{}", free_port());
    let mut server = command(&[
        "--listen",
        &listen,
        "--config",
        &file,
        "--max-sessions-per-agent",
        "1",
    ]);
    let _server = RunningServer::start(
        server
            .env("SESSION_AUTH_ON_REUSE", "revoke")
            .env("SESSION_AUTH_RENEWAL_RETRY_WINDOW", "0")
            .args(["--previous-token-overlap", "0"])
            .env("SESSION_AUTH_MASTER_PASSWORD_HASH", cheap_hash()),
    );
    let api = Api::new(listen.parse().expect("an address"), PASSWORD);
    wait_until_ready(&api).await;
    let agent = api.agent().await;
    let oldest = api.session(&agent).await;
    let second = api
        .create(json!({ "agentId": agent, "ttl": 6 }))
        .await
        .expect(201);
    assert_eq!(second.body["evictedSessionIds"], json!([oldest.id]));

    let first = second.issued();
    let renewed = loop {
        let reply = api.renew_with(&first.id, &first.token, "the-same-key").await;
        if reply.code() != "RENEWAL_TOO_EARLY" {
            break reply.expect(200).issued();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let repeated = api.renew_with(&first.id, &first.token, "the-same-key").await;
    assert_eq!(repeated.code(), "SESSION_RENEWAL_MISMATCH", "{}", repeated.body);
    let after = api.access(&renewed.token).await;
    assert_eq!(after.code(), "SESSION_REVOKED", "{}", after.body);
}

#[test]
fn subcommands_accept_the_output_of_each_other() {
    let folder = Folder::new("fit");
    let key = run(&mut command(&["keygen"]), "");
    assert!(text(&key.stdout).starts_with("k4.secret."));
    assert!(text(&key.stderr).contains("k4.public.") && text(&key.stderr).contains("k4.pid."));
    let key_file = folder.write("keys", &text(&key.stdout));
    let good = [
        "check-config",
        "--redis-url",
        "redis://127.0.0.1",
        "--key-file",
        &key_file,
    ];
    let good = run(
        command(&good).env("SESSION_AUTH_MASTER_PASSWORD_HASH", cheap_hash()),
        "",
    );
    assert!(good.status.success(), "{}", text(&good.stderr));
    assert!(text(&good.stdout).contains("store redis, freshness strict"));
    let unknown = run(
        command(&["check-config"]).env("SESSION_AUTH_COLOUR", "hunter2"),
        "",
    );
    assert!(unknown.status.success());
    assert_eq!(
        text(&unknown.stderr),
        "warning: the environment variable SESSION_AUTH_COLOUR looks like a setting, but is unknown and ignored\n"
    );
    for (url, says) in [
        ("redis://127.0.0.1", "store redis, freshness bounded (300 ms)"),
        (
            "",
            "store memory, freshness bounded (no effect without redis_url)",
        ),
    ] {
        let mut check = command(&[
            "check-config",
            "--freshness",
            "bounded",
            "--freshness-bound-ms",
            "300",
        ]);
        if !url.is_empty() {
            check.args(["--redis-url", url, "--key-file", &key_file]);
        }
        let said = run(check.env("SESSION_AUTH_MASTER_PASSWORD_HASH", cheap_hash()), "");
        let said = text(&said.stdout);
        assert!(said.contains(says), "{said}");
        assert_ne!(said.contains("accepted key"), url.is_empty(), "{said}");
    }

    for (input, code) in [
        ("secret\n", 0),
        ("\u{feff}secret\r\n", 0),
        ("", 2),
        ("two\nlines\n", 2),
        ("gehe\u{ef}m\n", 2),
    ] {
        let output = run(&mut command(&["hash-password"]), input);
        assert_eq!(output.status.code(), Some(code), "{input:?}");
        assert_eq!(text(&output.stdout).starts_with("$argon2id$"), code == 0);
        assert_eq!(
            text(&output.stderr).starts_with("the password on standard input "),
            code != 0
        );
    }
    assert!(Path::new(&key_file).exists());
}

/// Makes an admin key. Returns its table and its secret.
fn admin_key(arguments: &[&str]) -> (String, String) {
    let output = run(command(&["admin-key"]).args(arguments), "");
    assert!(output.status.success(), "{}", text(&output.stderr));
    (text(&output.stdout), text(&output.stderr).trim_end().to_owned())
}

#[tokio::test]
async fn admin_key_prints_a_table_for_the_key_file_and_its_secret_to_standard_error() {
    const AGENT: &str = "6f1c7a52-2f39-4b0e-9c55-0b7f3e3d2a11";
    let folder = Folder::new("admin-key");
    let (first, ops) = admin_key(&["ops", "--rights", "agents,open"]);
    let (second, tenant) = admin_key(&[
        "tenant.1",
        "--rights=list",
        "--agents",
        AGENT,
        "--expires-at",
        "2999-12-31",
    ]);
    assert!(
        second.contains(&format!("agents = [\"{AGENT}\"]\nexpires_at = \"2999-12-31\"\n")),
        "{second}"
    );
    let file = folder.write(
        "admin-keys.toml",
        &format!("\u{feff}# administrators\r\n{first}{second}"),
    );
    assert!(ops.starts_with("wai_admin_") && !file.contains(&ops));

    let key = run(&mut command(&["keygen"]), "");
    let key_file = folder.write("keys", &text(&key.stdout));
    let redis = TestRedis::shared();
    let listen = format!("127.0.0.1:{}", free_port());
    // Without a master password.
    let settings = [
        "--redis-url",
        &redis.fresh_database(),
        "--key-file",
        &key_file,
        "--admin-keys-file",
        &file,
        "--listen",
        &listen,
    ];
    let checked = run(command(&["check-config"]).args(settings), "");
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    assert!(text(&checked.stdout).contains("admin keys: ops, tenant.1\n"));
    let _server = RunningServer::start(&mut command(&settings));
    let api = Api::new(listen.parse().expect("an address"), "");
    wait_until_ready(&api).await;
    let list = format!("/v1/sessions?agentId={AGENT}");
    api.bearer(Method::GET, &list, &tenant).await.expect(200);
    let foreign = api.bearer(Method::GET, "/v1/agents", &tenant).await;
    foreign.rejected(403, "FORBIDDEN");
    api.bearer(Method::GET, "/v1/agents", &ops).await.expect(200);
}

#[test]
fn every_mistake_in_admin_keys_is_reported_without_the_secret() {
    let folder = Folder::new("wrong-admin-keys");
    let hash = "0".repeat(64);
    let toml = |name: &str, content: &str| folder.write(name, content);
    for (file, expected) in [
        (
            toml("empty", "# none\n"),
            &["no [[admin_key]] table", "admin-key"][..],
        ),
        (
            toml("type", "\n[[admin_key]]\nname = \"ci\"\nrights = \"hunter2\"\n"),
            &["line 4"],
        ),
        (
            toml("field", "[[admin_key]]\nscopes = [\"hunter2\"]\n"),
            &["line 2", "scopes"],
        ),
        (toml("syntax", "[[admin_key]]\nname = hunter2\n"), &["line 2"]),
        (
            toml(
                "entries",
                &format!(
                    "[[admin_key]]\nname = 'ci'\nhash = 'wai_admin_hunter2'\nrights = ['opne', 'list']\n\
                     [[admin_key]]\nname = 'ci'\nhash = '{hash}'\nrights = []\nexpires_at = 2027-01-31T12:00:00\n\
                     [[admin_key]]\nname = 'ok'\nhash = '{hash}'\nrights = ['list']\nexpires_at = 2027-01-31 12:00:00Z\n"
                ),
            ),
            &[
                "(ci): hash: is the secret itself",
                "(ci): rights: \"opne\" must be one of open,",
                "admin key 2 (ci): name: is also the name of admin key 1",
                "admin key 2 (ci): rights: must name",
                "admin key 2 (ci): expires_at: \"2027-01-31T12:00:00\" must be",
                "admin key 3 (ok): hash: is also the hash of admin key 2",
            ],
        ),
        ("/nowhere/admin-keys".to_owned(), &["/nowhere/admin-keys"]),
    ] {
        let check = [
            "check-config",
            "--redis-url",
            "redis://x",
            "--admin-keys-file",
            &file,
        ];
        let output = run(&mut command(&check), "");
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{message}");
        for part in expected {
            assert!(message.contains(part), "{part}: {message}");
        }
        assert!(
            message.contains("--admin-keys-file: ") && !message.contains("hunter2"),
            "{message}"
        );
        assert!(!message.contains("--master-password-hash"), "{message}");
        assert!(!message.contains("(ok): expires_at"), "{message}");
    }
    for arguments in [
        &["ci"][..],
        &["ci", "--rights", "opne"],
        &["c i", "--rights", "open"],
        &["master", "--rights", "open"],
        &["ci", "--rights", "open", "--agents", "x"],
        &["ci", "--rights", "open", "--expires-at", "tomorrow"],
    ] {
        let output = run(command(&["admin-key"]).args(arguments), "");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
        assert!(!text(&output.stderr).contains("wai_admin_"), "{arguments:?}");
    }
}

#[test]
fn check_config_connects_to_redis_and_prints_what_it_found() {
    let (redis, folder) = (TestRedis::shared(), Folder::new("connect"));
    let key = run(&mut command(&["keygen"]), "");
    let keys = folder.write("keys", &text(&key.stdout));
    let check = |url: &str| {
        let arguments = [
            "check-config",
            "--connect",
            "--redis-url",
            url,
            "--key-file",
            &keys,
        ];
        let mut check = command(&arguments);
        run(check.env("SESSION_AUTH_MASTER_PASSWORD_HASH", cheap_hash()), "")
    };
    let found = check(&redis.fresh_database());
    assert_eq!(found.status.code(), Some(0), "{}", text(&found.stderr));
    assert!(
        text(&found.stdout).contains("role master"),
        "{}",
        text(&found.stdout)
    );
    assert!(
        text(&found.stderr).contains("append-only file is off"),
        "{}",
        text(&found.stderr)
    );

    let nowhere = check(&format!("redis://:hunter2@127.0.0.1:{}", free_port()));
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(text(&nowhere.stderr).contains("--redis-url: Redis cannot be used"));
    assert!(!text(&nowhere.stderr).contains("hunter2"));
}

#[test]
fn example_and_effective_configuration_are_valid_files() {
    let folder = Folder::new("print");
    let example = folder.write(
        "example.toml",
        &text(&run(&mut command(&["example-config"]), "").stdout),
    );
    let hash = cheap_hash();
    let print = |file: &str| {
        let mut print = command(&["check-config", "--print", "--config", file, "--max-ttl", "900"]);
        run(print.env("SESSION_AUTH_MASTER_PASSWORD_HASH", &hash), "")
    };
    let printed = print(&example);
    assert_eq!(printed.status.code(), Some(0), "{}", text(&printed.stderr));
    let effective = text(&printed.stdout);
    assert!(effective.contains("max_ttl = 900  # --max-ttl\n"), "{effective}");
    assert!(effective.contains("min_ttl = 300  # default\n"), "{effective}");
    assert!(
        effective.contains("# master_password_hash is set  # SESSION_AUTH_MASTER_PASSWORD_HASH\n"),
        "{effective}"
    );
    assert!(!effective.contains("argon2"), "{effective}");
    let again = print(&folder.write("effective.toml", &effective));
    assert_eq!(again.status.code(), Some(0), "{}", text(&again.stderr));
}

#[test]
fn address_in_use_exits_with_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let output = run(&mut command(&["--listen", &address]), "");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains(&address));
}

#[test]
fn metrics_address_in_use_exits_with_1_and_is_no_mistake_in_the_configuration() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let flags = ["--listen", "127.0.0.1:0", "--metrics-listen", &address];
    let output = run(&mut command(&flags), "");
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(
        message.contains(&format!("metrics_listen: cannot listen on {address}")),
        "{message}"
    );
    assert!(!message.contains("the configuration is invalid"), "{message}");
}

#[tokio::test]
async fn inspect_prints_a_record_of_redis() {
    let redis = TestRedis::shared();
    let url = redis.fresh_database();
    let store = RedisStore::open(&RedisStoreConfig::new(&*url)).expect("a store");
    let signer = TokenSigner::new(SigningKey::generate().expect("a key"));
    let sessions = SessionManager::for_any_agent(store.clone(), signer);
    let agent = "6f1c7a52-2f39-4b0e-9c55-0b7f3e3d2a11".parse().expect("an id");
    let issued = sessions
        .create(CreateSession::new(agent))
        .await
        .expect("a session");
    let id = issued.record.id.to_string();

    let inspect = |id: &str| run(&mut command(&["inspect", id, "--redis-url", &url]), "");
    let shown = inspect(&id);
    assert_eq!(shown.status.code(), Some(0), "{}", text(&shown.stderr));
    let shown: Value = serde_json::from_str(&text(&shown.stdout)).expect("JSON");
    assert_eq!(shown["id"], id);
    assert_eq!(shown["agentId"], agent.to_string());
    assert_eq!(shown["status"], "ACTIVE");
    assert_eq!(shown["key"], store.session_key(issued.record.id));
    assert_eq!(shown["maxRenewals"], 30);
    assert_eq!(shown["expiresAt"], issued.record.expires_at().0);
    for absent in ["repeatableUntil", "previousTokenUntil", "onReuse"] {
        assert_eq!(shown.get(absent), Some(&Value::Null), "{absent}");
    }

    let renewed_at = issued.record.created_at().plus(10);
    let mut swap = renewal(&issued.record, "renewed", renewed_at);
    let last_renewal = swap.next.last_renewal.as_mut().expect("a renewal");
    last_renewal.replaced.previous_token_overlap = 5;
    last_renewal.replaced.on_reuse = OnReuse::Revoke;
    last_renewal.previous_token_hash = Some(issued.record.token_hash);
    let key = "a-key-of-a-client".parse().expect("a key");
    let proof = RetryHash::of(&issued.record.token_hash, &swap.next.token_hash, &key);
    last_renewal.retry_hash = Some(proof);
    let swapped = store.replace_token(&swap).await.expect("a renewal");
    assert_eq!(swapped, SwapOutcome::Replaced);
    let shown: Value = serde_json::from_str(&text(&inspect(&id).stdout)).expect("JSON");
    assert_eq!(shown["repeatableUntil"], renewed_at.plus(60).0);
    assert_eq!(shown["previousTokenUntil"], renewed_at.plus(5).0);
    assert_eq!(shown["onReuse"], "revoke");
    assert_eq!(shown["renewalCount"], 1);
    assert_eq!(shown["lastRenewedAt"], renewed_at.0);
    sessions.revoke(issued.record.id).await.expect("a revocation");
    let shown: Value = serde_json::from_str(&text(&inspect(&id).stdout)).expect("JSON");
    assert_eq!(shown["status"], "REVOKED");

    let none = inspect("0190f3a1-7c1e-7d2a-9b3c-4d5e6f709b1f");
    assert_eq!(none.status.code(), Some(1));
    assert!(text(&none.stderr).contains("session:{9b1f}:0190f3a17c1e7d2a9b3c4d5e6f70"));
    assert_eq!(inspect("not-an-id").status.code(), Some(2));

    let key = store.session_key(issued.record.id);
    redis::command::<()>(&url, &["SET", &key, "no record"]).expect("a write");
    let spoilt = inspect(&id);
    assert_eq!(spoilt.status.code(), Some(1));
    assert!(text(&spoilt.stderr).contains(&key), "{}", text(&spoilt.stderr));
    let hasty = run(
        &mut command(&["inspect", &id, "--redis-url", &url, "--store-timeout-ms", "0"]),
        "",
    );
    assert_eq!(hasty.status.code(), Some(2));
    assert!(text(&hasty.stderr).contains("--store-timeout-ms"));
    let nowhere = run(&mut command(&["inspect", &id]), "");
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(text(&nowhere.stderr).contains("redis_url"));
}
