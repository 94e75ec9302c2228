//! `docs/configuration.md` and the example file contain every setting, and their defaults are those of the code.
//!
//! `UPDATE_DOCS=1 cargo test -p session-auth-server --test configuration_docs` rewrites the table of the page.

#![allow(clippy::expect_used)]

use std::collections::BTreeMap;

use clap::{Args, Command, FromArgMatches};
use session_auth_server::config::{Config, Flags, Loaded, SETTINGS, Settings, Sources, example};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
const HEAD: &str = "| name | default | meaning |\n|---|---|---|\n";

/// The table of the settings.
fn table() -> String {
    let rows = SETTINGS.iter().map(|setting| {
        let form = if setting.secret {
            " [(F)](#values-in-files)"
        } else {
            ""
        };
        format!(
            "| `{}`{form} | {} | {} |\n",
            setting.name, setting.default, setting.help
        )
    });
    HEAD.to_owned() + &rows.collect::<String>()
}

#[test]
fn configuration_page_lists_every_setting_with_its_default() {
    let page = std::fs::read_to_string(PAGE).expect("the page");
    let start = page.find(HEAD).expect("a table of settings");
    let end = page[start..].find("\n\n").expect("an end of the table");
    let documented = &page[start..=start + end];
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(PAGE, page.replace(documented, &table())).expect("a page");
    } else {
        assert_eq!(documented, table());
    }
}

#[test]
fn every_default_is_the_one_that_the_server_uses() {
    let with_redis = Settings {
        redis_url: Some("redis://user:hunter2@127.0.0.1:6379/3".into()),
        ..Settings::default()
    };
    let config = Config::resolve(Settings::default()).expect("a configuration");
    let effective = |settings: &Settings| -> BTreeMap<_, _> {
        let mut config = config.clone();
        let store = tower_session_auth::store::RedisStoreConfig::new("redis://127.0.0.1");
        config.store = session_auth_server::config::Store::Redis(store);
        config.effective(settings).into_iter().collect()
    };
    let values = effective(&Settings::default());
    let names: Vec<_> = values.keys().copied().collect();
    let mut expected: Vec<_> = SETTINGS.iter().map(|setting| setting.name).collect();
    expected.sort_unstable();
    assert_eq!(names, expected);
    for setting in SETTINGS {
        match &values[setting.name] {
            Some(value) => {
                let value = value.trim_matches(['"', '[', ']']);
                // A default that depends on another setting is described, and the example has its value.
                let documented = value == setting.default || value == setting.example;
                assert!(documented, "{}: {value}", setting.name);
            }
            None => assert!(
                ["none", "generated", "an embedded store"].contains(&setting.default),
                "{}",
                setting.name
            ),
        }
    }
    assert_eq!(
        effective(&with_redis)["redis_url"].as_deref(),
        Some("\"redis://127.0.0.1:6379/3\"")
    );
}

#[test]
fn example_file_has_every_setting_with_a_value_that_parses() {
    let example = example();
    let set = example.lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if !setting.starts_with(' ') => format!("{setting}\n"),
        _ => format!("{line}\n"),
    });
    let mut set: String = set.collect();
    let keys = std::env::temp_dir().join(format!("session-auth-example-{}", std::process::id()));
    let key = tower_session_auth::SigningKey::generate()
        .expect("a key")
        .to_paserk();
    std::fs::write(&keys, key).expect("a file");
    let admin_keys = keys.with_extension("admin");
    let admin_key = format!(
        "[[admin_key]]\nname = 'a'\nhash = '{}'\nrights = ['list']\n",
        "0".repeat(64)
    );
    std::fs::write(&admin_keys, admin_key).expect("a file");
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (tls_cert, tls_key) = (keys.with_extension("crt"), keys.with_extension("key"));
    std::fs::write(&tls_cert, certificate.cert.pem()).expect("a file");
    std::fs::write(&tls_key, certificate.signing_key.serialize_pem()).expect("a file");
    // Certificates for Redis need TLS.
    set = set.replace("\"redis://", "\"rediss://");
    for pair in [
        "/etc/session-auth/tls",
        "/etc/session-auth/redis-ca",
        "/etc/session-auth/redis-client",
    ] {
        set = set.replace(pair, keys.to_str().expect("a path"));
    }
    let set = set.replace("/etc/session-auth/keys", keys.to_str().expect("a path"));
    let set = set.replace(
        "/etc/session-auth/admin-keys.toml",
        admin_keys.to_str().expect("a path"),
    );
    let file = keys.with_extension("toml");
    std::fs::write(&file, set).expect("a file");
    let loaded = load(&["--config", file.to_str().expect("a path")]);
    for path in [&keys, &admin_keys, &tls_cert, &tls_key, &file] {
        std::fs::remove_file(path).expect("a file");
    }
    let loaded = loaded.expect("a configuration");
    for setting in SETTINGS {
        assert!(
            loaded.settings.origins.get(setting.name).is_some(),
            "{}",
            setting.name
        );
    }
}

#[test]
fn help_shows_every_flag_with_its_variable() {
    let mut command = Flags::augment_args(Command::new("session-auth-server"));
    let help = command.render_long_help().to_string();
    for setting in SETTINGS {
        assert!(help.contains(&setting.flag()), "{}", setting.name);
        assert!(
            help.contains(&format!("[variable: {}]", setting.variable())),
            "{}",
            setting.name
        );
    }
    assert!(help.contains("--redis-url-file"));
    assert!(
        !help.contains("](") && !example().contains("]("),
        "links are for the page only"
    );
}

fn load(arguments: &[&str]) -> Result<Loaded<Config>, session_auth_server::config::ConfigErrors> {
    let command = Flags::augment_args(Command::new("session-auth-server").no_binary_name(true));
    let matches = command.try_get_matches_from(arguments).expect("known flags");
    Sources::new(Flags::from_arg_matches(&matches).expect("flags"), []).load()
}
