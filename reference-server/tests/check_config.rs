//! The command `check-config`: what it found, and what it did not look at.

#![allow(clippy::expect_used, clippy::disallowed_methods, clippy::panic)]

mod support;

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::Arc,
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use session_auth_tests::{
    redis::{Cluster, Sentinels, TestRedis},
    server::cheap_hash,
};

use support::{Folder, command, free_port, run, text};

/// The exit code, the output and the messages of `check-config`.
fn check(flags: &[&str]) -> (Option<i32>, String, String) {
    let output = run(command(&["check-config"]).args(flags), "");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// The flags of a server with Redis.
struct Complete {
    folder: Folder,
    key: String,
    hash: String,
}

impl Complete {
    fn new(name: &str) -> Self {
        let folder = Folder::new(name);
        let key = folder.write("keys", &text(&run(&mut command(&["keygen"]), "").stdout));
        let hash = folder.write("hash", &cheap_hash());
        Self { folder, key, hash }
    }

    /// Leaves out the warnings about the modes of these files.
    fn connect(&self, url: &str) -> (Option<i32>, String, String) {
        self.connect_with(url, &[])
    }

    /// The same, with further flags.
    fn connect_with(&self, url: &str, more: &[&str]) -> (Option<i32>, String, String) {
        let flags = ["--connect", "--redis-url", url, "--key-file", &self.key];
        let flags = [&flags[..], &["--master-password-hash-file", &self.hash], more].concat();
        let (code, output, messages) = check(&flags);
        let messages: Vec<_> = messages
            .lines()
            .filter(|line| !line.contains(" has mode "))
            .collect();
        (code, output, messages.join("\n"))
    }
}

#[test]
fn check_without_any_setting_says_that_nothing_was_configured() {
    let (code, output, _) = check(&[]);
    assert_eq!(code, Some(0));
    for part in [
        "no setting was given, so the defaults apply",
        "store memory",
        "SESSION_AUTH_…",
        "No configuration file was named by --config or SESSION_AUTH_CONFIG",
    ] {
        assert!(output.contains(part), "{part}: {output}");
    }
    assert!(!output.contains("is good"), "{output}");
    let folder = Folder::new("empty-config");
    let file = folder.write("config.toml", "# max_ttl = 900\n");
    let (code, output, _) = check(&["--config", &file]);
    assert_eq!(code, Some(0));
    assert!(
        output.contains("no setting was given") && output.contains(&file),
        "{output}"
    );
    let (_, output, _) = check(&["--max-ttl", "900"]);
    assert!(
        output.starts_with("the configuration is good (nothing was contacted)"),
        "{output}"
    );
}

#[test]
fn connecting_without_a_redis_url_is_no_success() {
    for flags in [
        &["--connect"][..],
        &["--connect", "--print"],
        &["--connect", "--max-ttl", "900"],
    ] {
        let (code, output, message) = check(flags);
        assert_eq!(code, Some(2), "{output}");
        assert_eq!(output, "");
        assert!(
            message.starts_with("nothing was contacted. redis_url is missing: set --redis-url, "),
            "{message}"
        );
        assert!(message.contains("SESSION_AUTH_CONFIG"), "{message}");
    }
}

#[test]
fn unreachable_redis_is_one_message_and_no_success() {
    let complete = Complete::new("unreachable");
    let (code, output, message) = complete.connect(&format!("redis://:hunter2@127.0.0.1:{}", free_port()));
    assert_eq!((code, &*output), (Some(1), ""));
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(
        message.starts_with("--redis-url: Redis cannot be used: "),
        "{message}"
    );
    assert!(
        message.contains("The settings themselves have no mistake"),
        "{message}"
    );
    assert!(!message.contains("hunter2"), "{message}");
}

#[test]
fn url_with_tls_to_a_port_without_it_is_recognized() {
    let (redis, complete) = (TestRedis::shared(), Complete::new("no-tls"));
    let url = redis.fresh_database().replace("redis://", "rediss://");
    let (code, output, message) = complete.connect(&url);
    assert_eq!((code, &*output), (Some(1), ""), "{message}");
    assert!(message.contains("the port has no TLS: use redis://"), "{message}");

    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address");
    let (code, _, message) = complete.connect(&format!("rediss://{address}"));
    assert_eq!(code, Some(1));
    assert!(
        message.contains("the TLS handshake did not finish; the port may have no TLS"),
        "{message}"
    );
    let (code, _, message) = complete.connect(&format!("redis://{address}"));
    assert_eq!(code, Some(1));
    assert!(!message.contains("TLS"), "{message}");
}

#[test]
fn refused_login_is_a_mistake_of_the_settings() {
    let complete = Complete::new("login");
    let redis = TestRedis::start_with(&["--requirepass", "secret"]);
    let without = format!("redis://127.0.0.1:{}", redis.port());
    let wrong = format!("redis://:hunter2@127.0.0.1:{}", redis.port());
    for (url, expected) in [(&without, "the server wants a password"), (&wrong, "WRONGPASS")] {
        let (code, output, message) = complete.connect(url);
        assert_eq!((code, &*output), (Some(1), ""));
        assert!(message.starts_with("--redis-url: "), "{message}");
        assert!(
            message.contains(expected) && !message.contains("no mistake"),
            "{message}"
        );
    }
}

#[test]
fn refused_login_to_a_sentinel_names_the_password_of_the_sentinels() {
    let complete = Complete::new("sentinel-login");
    let sentinels = Sentinels::start_with(Some("secret"));
    let wrong = ["--sentinel-password", "hunter2"];
    for (flags, setting) in [
        (&[][..], "sentinel_password: "),
        (&wrong, "--sentinel-password: "),
    ] {
        let (code, _, message) = complete.connect_with(&sentinels.url(0), flags);
        assert_eq!(code, Some(1), "{message}");
        assert!(
            message.starts_with(setting) && !message.contains("no mistake"),
            "{message}"
        );
    }
    let (code, output, message) =
        complete.connect_with(&sentinels.url(0), &["--sentinel-password", "secret"]);
    assert_eq!(code, Some(0), "{message}");
    let master = format!("role master, address 127.0.0.1:{}", sentinels.master.port());
    assert!(output.contains(&master), "{output}");

    let url = sentinels
        .url_of_a_sentinel()
        .replace("redis://", "redis+cluster://");
    let (code, _, message) = complete.connect(&url);
    assert_eq!(code, Some(1));
    assert!(message.contains("write redis+sentinel://"), "{message}");
}

#[test]
fn server_that_is_not_durable_or_refuses_writes_is_no_success() {
    let complete = Complete::new("unusable");
    let redis = TestRedis::start();
    let durable = ["--require-durable-store", "true"];
    let (code, output, message) = complete.connect_with(&redis.url(), &durable);
    assert_eq!((code, &*output), (Some(1), ""), "{message}");
    assert!(message.starts_with("--require-durable-store: "), "{message}");
    assert!(message.contains("append-only file is off"), "{message}");

    let redis = TestRedis::start_with(&["--min-replicas-to-write", "1"]);
    let (code, output, message) = complete.connect(&redis.url());
    assert_eq!((code, &*output), (Some(1), ""), "{message}");
    assert!(
        message.contains("it refuses writes: ") && message.contains("NOREPLICAS"),
        "{message}"
    );
}

#[test]
fn number_of_masters_of_a_cluster_is_printed() {
    let complete = Complete::new("cluster");
    let cluster = Cluster::builder().without_replicas().start();
    let (code, output, message) = complete.connect(&cluster.url());
    assert_eq!(code, Some(0), "{message}");
    let found = "cluster with 3 masters, role master, address 127.0.0.1:";
    assert!(output.contains(found), "{output}");
}

/// Starts a port with TLS, which closes each connection after its handshake.
fn tls_port() -> u16 {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            let chain = vec![made.cert.der().clone()];
            builder.with_no_client_auth().with_single_cert(chain, key)
        });
    let config = Arc::new(config.expect("a configuration"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = ServerConnection::new(Arc::clone(&config)).expect("a connection");
            let mut stream = StreamOwned::new(connection, stream);
            // The handshake runs within the first read.
            let _ = stream.read(&mut [0]);
            let _ = stream.flush();
        }
    });
    port
}

#[test]
fn url_without_tls_to_a_port_with_it_is_recognized() {
    let complete = Complete::new("with-tls");
    let (code, _, message) = complete.connect(&format!("redis://127.0.0.1:{}", tls_port()));
    assert_eq!(code, Some(1));
    assert!(
        message.contains("the port expects TLS: use rediss://"),
        "{message}"
    );
}

#[test]
fn effective_configuration_is_printed_after_a_contact_too() {
    let (redis, complete) = (TestRedis::shared(), Complete::new("print-contact"));
    let url = redis.fresh_database();
    let flags = [
        "--connect",
        "--print",
        "--redis-url",
        &url,
        "--key-file",
        &complete.key,
    ];
    let flags = [&flags[..], &["--master-password-hash-file", &complete.hash]].concat();
    let (code, output, message) = check(&flags);
    assert_eq!(code, Some(0), "{message}");
    let file = complete.folder.write("printed.toml", &output);
    assert!(
        message.contains("found: ") && !output.contains("found: "),
        "{message}"
    );
    let (code, _, message) = check(&["--config", &file, "--master-password-hash-file", &complete.hash]);
    assert_eq!(code, Some(0), "{message}");
}

#[test]
fn expired_admin_key_is_a_warning() {
    let folder = Folder::new("expired");
    let hash = "0".repeat(64);
    let table =
        format!("[[admin_key]]\nname = 'ops'\nhash = '{hash}'\nrights = ['list']\nexpires_at = 2020-01-31\n");
    let file = folder.write("admin-keys.toml", &table);
    let (code, _, message) = check(&["--admin-keys-file", &file]);
    assert_eq!(code, Some(0), "{message}");
    let expected = "admin key ops has expired at 2020-01-31T00:00:00Z";
    assert!(
        message.contains(&format!("warning: --admin-keys-file: {expected}")),
        "{message}"
    );

    let listen = format!("127.0.0.1:{}", free_port());
    let server =
        support::RunningServer::start(&mut command(&["--listen", &listen, "--admin-keys-file", &file]));
    server.expect_log(expected);
}
