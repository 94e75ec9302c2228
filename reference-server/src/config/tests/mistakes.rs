//! Mistakes: all of them at once, each one for the setting that is wrong, and no further ones that follow from them.

use session_auth_tests::folder::Folder;

use super::{errors, load, sources};

#[test]
fn all_wrong_elements_of_a_list_are_named() {
    assert_eq!(
        errors(&["--trusted-proxies", "10.0.0.0/33,10.0.0.1,foo"], &[]),
        [
            "--trusted-proxies: expected a list of addresses or networks, such as 10.0.0.7, 192.168.0.0/16, \
             not \"10.0.0.0/33\" and \"foo\""
        ]
    );
    let listen = errors(&["--listen", "nonsense", "--listen", "127.0.0.1"], &[]);
    assert!(
        listen[0].ends_with("not \"nonsense\" and \"127.0.0.1\""),
        "{listen:?}"
    );
    let log = errors(&["--log", "inof,tower_htp=debug"], &[]);
    assert_eq!(log.len(), 2, "{log:?}");
    assert!(log[0].starts_with("--log: \"inof\" is no level"), "{log:?}");
}

#[test]
fn log_filter_is_kept_without_blanks() {
    let loaded = load(&["--log", "warn, tower_http=debug"], &[]);
    assert_eq!(loaded.config.log, "warn,tower_http=debug");
}

#[test]
fn waiting_for_replicas_must_fit_into_a_request() {
    let redis = ["--redis-url", "redis://localhost", "--ack-timeout-ms", "7750"];
    let expected = "--ack-timeout-ms: with store_timeout_ms and the time to connect, a revocation can take 10000 ms, which must be less \
                    than request_timeout_ms";
    for (more, mistakes) in [
        (&["--min-replicas-ack", "1"][..], 1),
        (&["--ack-local-disk", "true"], 1),
        (&["--min-replicas-ack", "0"], 0),
        (&["--min-replicas-ack", "1", "--store-timeout-ms", "249"], 0),
    ] {
        let found = errors(&[&redis, more].concat(), &[]);
        let found = found.iter().filter(|error| *error == expected).count();
        assert_eq!(found, mistakes, "{more:?}");
    }
}

#[test]
fn checks_against_a_wrong_limit_are_left_out() {
    for (flags, expected) in [
        (
            &["--min-ttl", "900000"][..],
            "--min-ttl: must be between 1 and 604800, not 900000",
        ),
        (
            &["--max-ttl", "0", "--session-ttl", "900"],
            "--max-ttl: must be between 1 and 315360000, not 0",
        ),
        (
            &["--max-ttl", "x", "--min-ttl", "700000"],
            "--max-ttl: expected a whole number from 0 on, not \"x\"",
        ),
        (
            &["--min-ttl", "x", "--max-ttl", "100"],
            "--min-ttl: expected a whole number from 0 on, not \"x\"",
        ),
        (
            &["--request-timeout-ms", "0"],
            "--request-timeout-ms: must be between 1 and 86400000, not 0",
        ),
        (
            &[
                "--store-timeout-ms",
                "x",
                "--request-timeout-ms",
                "200",
                "--redis-url",
                "redis://h",
            ],
            "--store-timeout-ms: expected a whole number from 0 on, not \"x\"",
        ),
        (
            &["--max-connections", "9000000"],
            "--max-connections: must be between 1 and 1000000, not 9000000",
        ),
    ] {
        let mut found = errors(flags, &[]);
        found.retain(|mistake| !mistake.contains(": is missing; --redis-url requires it"));
        assert_eq!(found, [expected], "{flags:?}");
    }
}

#[test]
fn setting_that_cannot_be_read_is_not_reported_as_missing_too() {
    let folder = Folder::new("unreadable");
    let key = tower_session_auth::SigningKey::generate().unwrap().to_paserk();
    let keys = folder.write("keys", &key);
    let file = folder.write(
        "config.toml",
        &format!("key_file = '{keys}'\nmaster_password_hash = 1.5\n"),
    );
    let redis = ["--redis-url", "redis://127.0.0.1"];
    let wrong_type = errors(&[&redis[..], &["--config", &file]].concat(), &[]);
    assert_eq!(wrong_type.len(), 1, "{wrong_type:?}");
    let unreadable = [
        &redis[..],
        &[
            "--key-file",
            &keys,
            "--master-password-hash-file",
            "/nowhere/hash",
        ],
    ]
    .concat();
    let unreadable = errors(&unreadable, &[]);
    assert_eq!(unreadable.len(), 1, "{unreadable:?}");
    assert!(
        unreadable[0].starts_with("--master-password-hash-file: /nowhere/hash: "),
        "{unreadable:?}"
    );
}

#[test]
fn two_listeners_on_one_port_are_a_mistake() {
    for (flags, variables, expected) in [
        (
            &["--listen", "127.0.0.1:3100", "--metrics-listen", "127.0.0.1:3100"][..],
            &[][..],
            "--metrics-listen: needs another port than 127.0.0.1:3100, an address of --listen",
        ),
        (
            &["--metrics-listen", "0.0.0.0:3100"],
            &[],
            "--metrics-listen: needs another port than 127.0.0.1:3100, an address of listen",
        ),
        (
            &[],
            &[("SESSION_AUTH_LISTEN", "127.0.0.1:1, 127.0.0.1:2, 0.0.0.0:1")],
            "SESSION_AUTH_LISTEN: 127.0.0.1:1 and 0.0.0.0:1 need the same port",
        ),
        (
            &[
                "--listen",
                "unix:/run/x.sock,unix:/run/x.sock",
                "--metrics-listen",
                "127.0.0.1:9",
            ],
            &[],
            "--listen: unix:/run/x.sock is listed twice",
        ),
    ] {
        assert_eq!(errors(flags, variables), [expected], "{flags:?}");
    }
    let free = load(
        &[
            "--listen",
            "127.0.0.1:0,127.0.0.1:0",
            "--metrics-listen",
            "127.0.0.1:0",
        ],
        &[],
    );
    assert_eq!(free.config.listen.len(), 2);
    let wrong = errors(&["--listen", "x", "--metrics-listen", "127.0.0.1:3100"], &[]);
    assert_eq!(wrong.len(), 1, "{wrong:?}");
}

#[test]
fn mistake_in_a_tls_file_names_the_setting_and_the_file_that_are_wrong() {
    let folder = Folder::new("tls-mistakes");
    let [one, other] =
        [(); 2].map(|()| rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap());
    let cert = folder.write("tls.crt", &one.cert.pem());
    let key = folder.write("tls.key", &one.signing_key.serialize_pem());
    let foreign = folder.write("foreign.key", &other.signing_key.serialize_pem());
    let encrypted = folder.write(
        "encrypted.key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let tls = |cert: &str, key: &str| errors(&["--tls-cert-file", cert, "--tls-key-file", key], &[]);
    assert!(
        load(&["--tls-cert-file", &cert, "--tls-key-file", &key], &[])
            .config
            .certificate
            .is_some()
    );

    let toml = folder.write(
        "config.toml",
        &format!("tls_cert_file = '{cert}'\ntls_key_file = '{cert}'\n"),
    );
    assert_eq!(
        errors(&["--config", &toml], &[]),
        [format!(
            "{toml}, line 2: tls_key_file: {cert}: no private key in PEM form; it contains a certificate"
        )]
    );
    assert_eq!(
        tls(&key, &cert),
        [
            format!("--tls-cert-file: {key}: no certificate in PEM form; it contains a private key"),
            format!("--tls-key-file: {cert}: no private key in PEM form; it contains a certificate"),
        ]
    );
    let nowhere = tls("/nowhere/crt", "/nowhere/key");
    assert_eq!(nowhere.len(), 2, "{nowhere:?}");
    assert!(
        nowhere[1].starts_with("--tls-key-file: /nowhere/key: "),
        "{nowhere:?}"
    );
    assert_eq!(
        tls(&cert, &foreign),
        [format!(
            "--tls-key-file: {foreign} is not the key of the certificate in {cert} (--tls-cert-file)"
        )]
    );
    assert_eq!(
        tls(&cert, &encrypted),
        [format!(
            "--tls-key-file: {encrypted}: the private key is encrypted; the server needs a key without a password"
        )]
    );
    let unreadable = errors(&["--tls-cert-file", &cert, "--tls-key-file", ""], &[]);
    assert_eq!(unreadable, ["--tls-key-file: is set, but empty"]);
}

#[test]
fn password_with_reserved_characters_in_a_url_must_be_percent_encoded() {
    for url in [
        "redis://:hun/ter2@127.0.0.1:6379/0",
        "rediss://user:hun?ter2@redis.example",
        "redis://:hun#ter2@redis.example",
        "redis://hunter2#@redis.example",
        "redis://:p@ss/hunter2@127.0.0.1",
    ] {
        let found = sources(&["--redis-url", url], &[]).load_store().unwrap_err().0;
        let [message] = &found[..] else {
            panic!("{url}: {found:?}");
        };
        assert!(
            message.starts_with("--redis-url: not a usable Redis URL: "),
            "{message}"
        );
        assert!(
            message.contains("in a user name or password, write %2F for /"),
            "{message}"
        );
        assert!(!message.contains("hun") && !message.contains("ter2"), "{message}");
    }
    for url in [
        "redis://:hun%2Fter2@127.0.0.1:6379/0",
        "redis://:p@ss@127.0.0.1",
        "redis://h",
    ] {
        assert!(sources(&["--redis-url", url], &[]).load_store().is_ok(), "{url}");
    }
    let database = sources(&["--redis-url", "redis://:hunter2@h/x"], &[])
        .load_store()
        .unwrap_err();
    assert!(
        database.0[0].contains("the database must be a number"),
        "{database}"
    );
}

#[test]
fn mistake_in_a_certificate_for_redis_names_its_setting() {
    let folder = Folder::new("redis-tls-mistakes");
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let cert = folder.write("tls.crt", &pair.cert.pem());
    let key = folder.write("tls.key", &pair.signing_key.serialize_pem());
    for (ca, client, setting) in [
        (&key, (&cert, &key), "--redis-ca-file: "),
        (&cert, (&key, &key), "--redis-client-cert-file: "),
    ] {
        let arguments = [
            ["--redis-url", "rediss://localhost"],
            ["--redis-ca-file", ca],
            ["--redis-client-cert-file", client.0],
            ["--redis-client-key-file", client.1],
        ];
        let wrong = errors(&arguments.concat(), &[]);
        assert!(wrong.iter().any(|error| error.starts_with(setting)), "{wrong:?}");
        assert!(
            !wrong.iter().any(|error| error.starts_with("--redis-url")),
            "{wrong:?}"
        );
    }
}
