//! Reading settings from flags, variables and the file.

mod admin_keys;
mod mistakes;

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Command, FromArgMatches};
use session_auth_tests::folder::Folder;

use super::*;

fn sources(flags: &[&str], variables: &[(&str, &str)]) -> Sources {
    let command = Flags::augment_args(Command::new("session-auth-server").no_binary_name(true));
    let matches = command.try_get_matches_from(flags).unwrap();
    let variables = variables
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Sources::new(Flags::from_arg_matches(&matches).unwrap(), variables)
}

fn load(flags: &[&str], variables: &[(&str, &str)]) -> Loaded<Config> {
    sources(flags, variables).load().unwrap()
}

fn errors(flags: &[&str], variables: &[(&str, &str)]) -> Vec<String> {
    sources(flags, variables).load().unwrap_err().0
}

#[test]
fn lists_may_have_blanks_and_bare_addresses() {
    for text in ["10.0.0.0/8, 10.1.2.3", " 10.0.0.0/8 ,10.1.2.3,\n"] {
        let loaded = load(&[], &[("SESSION_AUTH_TRUSTED_PROXIES", text)]);
        let networks: Vec<_> = loaded
            .config
            .trusted_proxies
            .networks()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(networks, ["10.0.0.0/8", "10.1.2.3/32"]);
    }
    let folder = Folder::new("lists");
    let file = folder.write("lists.toml", "trusted_proxies = ['10.0.0.0/8', '::1']\n");
    let loaded = load(&["--config", &file], &[]);
    assert_eq!(loaded.config.trusted_proxies.networks().len(), 2);
    let repeated = load(
        &["--trusted-proxies", "10.0.0.1", "--trusted-proxies", "10.0.0.2"],
        &[],
    );
    assert_eq!(repeated.config.trusted_proxies.networks().len(), 2);
}

#[test]
fn variables_are_trimmed_and_empty_ones_are_not_set() {
    let loaded = load(
        &[],
        &[
            ("SESSION_AUTH_MAX_TTL", " 900\n"),
            ("SESSION_AUTH_TRUSTED_PROXIES", ""),
            ("SESSION_AUTH_REDIS_URL", " \n"),
            ("SESSION_AUTH_CONFIG", ""),
        ],
    );
    assert_eq!(loaded.config.policy.max_ttl, 900);
    assert!(matches!(loaded.config.store, Store::Memory));
    assert_eq!(loaded.warnings, Vec::<String>::new());
}

#[test]
fn secrets_and_urls_are_read_from_files_without_mark_and_newline() {
    let folder = Folder::new("secrets");
    let url = folder.write("url", "\u{feff}redis://:hunter2@127.0.0.1:6380/1\r\n");
    let hash =
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$WFXMnDdAUAWzKxjo4CUJEHe8hdlxZHJGIjAqAQFSRrE";
    let hash_file = folder.write("hash", &format!("{hash}\n"));
    let key = tower_session_auth::SigningKey::generate().unwrap().to_paserk();
    let keys = folder.write("keys", &format!("\u{feff}{key}\r\n"));
    let toml = folder.write(
        "config.toml",
        &format!("\u{feff}master_password_hash_file = '{hash_file}'\n"),
    );
    let loaded = load(
        &["--config", &toml, "--key-file", &keys],
        &[("SESSION_AUTH_REDIS_URL_FILE", &url)],
    );
    assert!(matches!(loaded.config.store, Store::Redis(_)));
    assert!(loaded.config.master_password.is_some());
    for file in [&url, &hash_file, &keys, &toml] {
        assert!(loaded.files.contains(&PathBuf::from(file)), "{file}");
    }
    let printed = loaded.config.print(&loaded.settings);
    assert!(
        !printed.contains("hunter2") && !printed.contains("argon2"),
        "{printed}"
    );
    assert!(
        printed.contains(&format!(
            "\"redis://127.0.0.1:6380/1\"  # SESSION_AUTH_REDIS_URL_FILE ({url})"
        )),
        "{printed}"
    );
}

#[test]
fn errors_name_each_setting_as_the_user_wrote_it_and_come_all_at_once() {
    let folder = Folder::new("names");
    let file = folder.write(
        "names.toml",
        "# first\nmax_renewals = \"many\"\non_reuse = 'no'\nfreshness = [1]\n",
    );
    let found = errors(
        &["--config", &file, "--session-ttl", "x"],
        &[
            ("SESSION_AUTH_TRUSTED_PROXIES", "10.0.0.0/8, nonsense"),
            ("SESSION_AUTH_REDIS_URL_FILE", "/nowhere/url"),
            ("SESSION_AUTH_MIN_TTL", "0"),
        ],
    );
    assert_eq!(
        found,
        [
            "SESSION_AUTH_REDIS_URL_FILE: /nowhere/url: No such file or directory (os error 2)".to_owned(),
            "--session-ttl: expected a whole number from 0 on, not \"x\"".to_owned(),
            format!("{file}, line 2: max_renewals: expected a whole number from 0 on, not \"many\""),
            format!("{file}, line 3: on_reuse: expected reject or revoke, not \"no\""),
            format!("{file}, line 4: freshness: expected strict or bounded, not \"1\""),
            "SESSION_AUTH_TRUSTED_PROXIES: expected a list of addresses or networks, such as 10.0.0.7, 192.168.0.0/16, not \"nonsense\"".to_owned(),
            "SESSION_AUTH_MIN_TTL: must be between 1 and 604800, not 0".to_owned(),
        ]
    );
}

#[test]
fn missing_setting_is_named_in_the_form_that_the_user_uses() {
    let by_variable = errors(&[], &[("SESSION_AUTH_REDIS_URL", "redis://127.0.0.1")]);
    assert_eq!(by_variable.len(), 2);
    assert!(
        by_variable[1].starts_with("SESSION_AUTH_KEY_FILE: is missing; SESSION_AUTH_REDIS_URL requires it")
    );
    let by_flag = errors(&["--redis-url", "redis://127.0.0.1"], &[]);
    assert!(by_flag[1].starts_with("--key-file: is missing; --redis-url requires it"));
}

#[test]
fn unknown_names_are_errors_when_they_resemble_a_setting() {
    for (variable, meant) in [
        ("SESSION_AUTH_REDIS_URI", "SESSION_AUTH_REDIS_URL"),
        ("SESSION_AUTH_REDIS_URL_PATH", "SESSION_AUTH_REDIS_URL"),
        ("SESSION_AUTH_redis_url", "SESSION_AUTH_REDIS_URL"),
        ("SESSION_AUTH_MAX_TTL_FILE", "SESSION_AUTH_MAX_TTL"),
        ("SESSION_AUTH_LISTEN_PORT", "SESSION_AUTH_LISTEN"),
    ] {
        let found = errors(&[], &[(variable, "hunter2")]);
        assert_eq!(
            found,
            [format!(
                "{variable}: there is no such setting; did you mean {meant}?"
            )]
        );
    }
    let folder = Folder::new("unknown");
    let file = folder.write("unknown.toml", "\nmax_tll = 5\ncolour = 'red'\n[table]\n");
    let found = errors(&["--config", &file], &[]);
    assert!(
        found.contains(&format!(
            "{file}, line 2: max_tll: there is no such setting; did you mean max_ttl?"
        )),
        "{found:?}"
    );
    assert!(
        found.contains(&format!("{file}, line 3: colour: there is no such setting")),
        "{found:?}"
    );
    assert!(
        found.contains(&format!("{file}, line 4: table: there is no such setting")),
        "{found:?}"
    );
}

#[test]
fn variables_of_a_kubernetes_service_are_ignored_and_other_unknown_ones_are_warnings() {
    let loaded = load(
        &[],
        &[
            ("SESSION_AUTH_PORT", "tcp://10.0.0.1:3100"),
            ("SESSION_AUTH_LOG_PORT", "tcp://10.0.0.1:3100"),
            ("SESSION_AUTH_LOG_SERVICE_HOST", "10.0.0.1"),
            ("SESSION_AUTH_LOG_PORT_3100_TCP_ADDR", "10.0.0.1"),
            ("SESSION_AUTH_COLOUR", "red"),
        ],
    );
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
    assert!(loaded.warnings[0].contains("SESSION_AUTH_COLOUR"));
}

#[test]
fn value_and_file_form_exclude_each_other_in_one_source_only() {
    let folder = Folder::new("both");
    let url = folder.write("url", "redis://127.0.0.1:1");
    let both = errors(&["--redis-url", "redis://x", "--redis-url-file", &url], &[]);
    assert!(both[0].contains("--redis-url and --redis-url-file"), "{both:?}");
    let file = folder.write("both.toml", "redis_url = 'redis://127.0.0.1:2'\n");
    let overridden = sources(&["--config", &file], &[("SESSION_AUTH_REDIS_URL_FILE", &url)]);
    let loaded = overridden.load_store().unwrap();
    assert_eq!(loaded.settings.redis_url.as_deref(), Some("redis://127.0.0.1:1"));
}

#[test]
fn mistakes_in_toml_are_reported_by_line_without_a_quotation() {
    let folder = Folder::new("toml");
    let file = folder.write(
        "broken.toml",
        "listen = '127.0.0.1:0'\nredis_url = redis://:hunter2@x\nmax_ttl = 0x10\n",
    );
    let found = errors(&["--config", &file], &[]);
    assert!(found[0].starts_with(&format!("{file}, line 2: ")), "{found:?}");
    assert!(!found.concat().contains("hunter2"), "{found:?}");
    let directory = errors(&["--config", folder.0.to_str().unwrap()], &[]);
    assert!(directory[0].contains("directory"), "{directory:?}");
    let latin1 = folder.write("latin1.toml", b"issuer = '\xe9'\n");
    assert!(errors(&["--config", &latin1], &[])[0].contains("UTF-8"));
}

#[test]
fn tokens_cannot_look_like_admin_keys() {
    let found = errors(&["--token-prefix", "wai_admin_x"], &[]);
    assert_eq!(found, ["--token-prefix: must not begin like an admin key"]);
}

#[test]
fn reload_generates_nothing() {
    let folder = Folder::new("generate");
    let key = tower_session_auth::SigningKey::generate().unwrap().to_paserk();
    let keys = folder.write("keys", &key);
    let hash =
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$WFXMnDdAUAWzKxjo4CUJEHe8hdlxZHJGIjAqAQFSRrE";
    let complete = format!("key_file = '{keys}'\nmaster_password_hash = '{hash}'\n");
    let file = folder.write("config.toml", &complete);
    let sources = sources(&["--config", &file], &[]);
    let before = sources.load().unwrap().config;
    folder.write("config.toml", "");
    let emptied = sources.load().unwrap().config.continue_from(&before).unwrap_err();
    assert_eq!(emptied.0.len(), 2, "{emptied}");
    folder.write(
        "config.toml",
        &format!("{complete}redis_url = 'redis://127.0.0.1'\n"),
    );
    let other_store = sources.load().unwrap().config.continue_from(&before).unwrap_err();
    assert!(other_store.0[0].starts_with("redis_url: "), "{other_store}");

    let first_run = load(&[], &[]).config;
    let mut again = load(&[], &[]).config;
    again.continue_from(&first_run).unwrap();
    let passwords = [&again, &first_run].map(|config| config.generated.as_ref().unwrap().password.clone());
    assert_eq!(passwords[0], passwords[1]);
    assert_eq!(
        again.keys.signing_key().verifying_key().id(),
        first_run.keys.signing_key().verifying_key().id()
    );
}

#[cfg(unix)]
#[test]
fn file_with_a_secret_that_others_can_read_or_write_is_a_warning() {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

    let folder = Folder::new("modes");
    let key = tower_session_auth::SigningKey::generate().unwrap().to_paserk();
    let keys = folder.write("keys", &key);
    let url = folder.write("url", "redis://127.0.0.1:6380/1");
    let hash =
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$WFXMnDdAUAWzKxjo4CUJEHe8hdlxZHJGIjAqAQFSRrE";
    let toml = folder.write("config.toml", &format!("master_password_hash = '{hash}'\n"));
    let flags = ["--config", &toml, "--key-file", &keys];
    let load = || load(&flags, &[("SESSION_AUTH_REDIS_URL_FILE", &url)]).warnings;
    let chmod = |path: &str, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    for path in [&keys, &url, &toml] {
        chmod(path, 0o600);
    }
    assert_eq!(load(), Vec::<String>::new());
    for path in [&keys, &url, &toml] {
        chmod(path, 0o446);
    }
    let line = format!("{toml}, line 1: master_password_hash");
    let expected = [
        ("--key-file", &keys),
        ("SESSION_AUTH_REDIS_URL_FILE", &url),
        (&line, &toml),
    ];
    let warnings = load();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    for (name, path) in expected {
        let end = format!("{path} has mode 0446: everyone can write the secret in it");
        let found = warnings
            .iter()
            .any(|warning| warning.starts_with(name) && warning.ends_with(&end));
        assert!(found, "{name}: {warnings:?}");
    }
}
