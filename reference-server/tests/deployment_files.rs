//! The files in `examples/deployment` are accepted by the programs that read them, and agree with the settings of the server.
//!
//! A check by a program that this machine does not have is left out, with a line that says so.

#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use session_auth_server::config::{Flags, SETTINGS, Sources};
use session_auth_tests::prometheus;
use support::{Folder, command, run, text};

const PROGRAM: &str = env!("CARGO_BIN_EXE_session-auth-server");
const SERVICE: &str = include_str!("../../examples/deployment/session-auth-server.service");
const SOCKET: &str = include_str!("../../examples/deployment/session-auth-server.socket");
const COMPOSE: &str = include_str!("../../examples/deployment/compose.yaml");
const CONFIG: &str = include_str!("../../examples/deployment/config.toml");
const DOCKERFILE: &str = include_str!("../../examples/deployment/Dockerfile");

fn deployment() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/deployment")
}

/// The output of a program. `None` if this machine does not have it.
fn output_of(command: &mut Command) -> Option<Output> {
    let name = command.get_program().to_string_lossy().into_owned();
    match command.stdin(Stdio::null()).output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // Not `eprintln!`, which the test runner captures.
            let line = format!("deployment files: not checked with {name}, which is not installed\n");
            let _ = std::io::stderr().write_all(line.as_bytes());
            None
        }
        Err(error) => panic!("{name}: {error}"),
    }
}

#[track_caller]
fn accepted(output: &Output) -> String {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    out + &err
}

/// The units with the program under test, in a temporary folder.
fn units(name: &str) -> (Folder, String, String) {
    let folder = Folder::new(name);
    let service = SERVICE.replace("/usr/local/bin/session-auth-server", PROGRAM);
    let service = folder.write("session-auth-server.service", &service);
    let socket = folder.write("session-auth-server.socket", SOCKET);
    (folder, service, socket)
}

#[test]
fn systemd_accepts_the_units_without_a_remark() {
    let (_folder, service, socket) = units("units");
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no", &service, &socket]);
    if let Some(output) = output_of(&mut verify) {
        let remarks = accepted(&output);
        // Other units of the machine may have faults.
        let own: Vec<_> = remarks
            .lines()
            .filter(|line| line.contains("session-auth"))
            .collect();
        assert!(own.is_empty(), "{own:?}");
    }
}

#[test]
fn systemd_rates_the_exposure_of_the_service_below_two_of_ten() {
    let (_folder, service, _) = units("exposure");
    let mut security = Command::new("systemd-analyze");
    security.args([
        "security",
        "--offline=true",
        "--no-pager",
        "--threshold=20",
        &service,
    ]);
    if let Some(output) = output_of(&mut security) {
        accepted(&output);
    }
}

#[test]
fn compose_accepts_its_file() {
    let mut config = Command::new("docker-compose");
    config.args(["--file", "compose.yaml", "config", "--quiet"]);
    if let Some(output) = output_of(config.current_dir(deployment())) {
        accepted(&output);
    }
}

#[test]
fn prometheus_accepts_its_configuration_and_the_alerts() {
    if !prometheus::is_wanted() {
        return;
    }
    let mut check = Command::new("promtool");
    check.args(["check", "config", "prometheus.yml"]);
    if let Some(output) = output_of(check.current_dir(deployment())) {
        let report = accepted(&output);
        assert!(report.contains("rules found"), "{report}");
    }
}

/// A page of the documentation lists all metrics, and a test compares it with the code.
#[test]
fn alerts_use_documented_metrics_and_cover_every_documented_alert() {
    let page = fs::read_to_string(deployment().join("../../docs/metrics.md")).expect("a page");
    let alerts = fs::read_to_string(deployment().join("alerts.yml")).expect("a file");
    let metrics: BTreeSet<_> = words(&alerts, "session_auth_").collect();
    assert!(metrics.len() >= 6, "{metrics:?}");
    for metric in metrics {
        assert!(page.contains(&format!("`{metric}`")), "{metric}");
    }
    let (_, documented) = page.split_once("\n## Alerts\n").expect("a section");
    let documented = documented.split("\n## ").next().expect("a section");
    for metric in words(documented, "session_auth_") {
        assert!(alerts.contains(metric), "no alert about {metric}");
    }
    let names: Vec<_> = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    let rows = documented
        .lines()
        .filter_map(|line| line.strip_prefix("| `SessionAuth"));
    let rows: Vec<_> = rows
        .filter_map(|row| row.split('`').next())
        .map(|name| format!("SessionAuth{name}"))
        .collect();
    assert_eq!(rows, names, "the page and the file, in the same order");
}

/// The file has series of metrics, and the alerts that they must raise.
#[test]
fn alerts_are_raised_by_what_they_are_for() {
    if !prometheus::is_wanted() {
        return;
    }
    let folder = Folder::new("alerts");
    folder.write(
        "alerts.yml",
        &fs::read_to_string(deployment().join("alerts.yml")).expect("a file"),
    );
    let tests = folder.write("alerts.test.yml", include_str!("alerts.test.yml"));
    let mut test = Command::new("promtool");
    if let Some(output) = output_of(test.args(["test", "rules", &tests])) {
        accepted(&output);
    }
}

#[test]
fn every_setting_in_the_files_exists() {
    let mut known: BTreeSet<String> = ["SESSION_AUTH_CONFIG".into()].into();
    for setting in SETTINGS {
        known.insert(setting.variable());
        if setting.secret {
            known.insert(format!("{}_FILE", setting.variable()));
        }
    }
    for (file, least) in [(SERVICE, 1), (COMPOSE, 2), (DOCKERFILE, 0)] {
        let variables: Vec<_> = words(file, "SESSION_AUTH_")
            .filter(|&name| name != "SESSION_AUTH_IMAGE")
            .collect();
        assert!(variables.len() >= least, "{variables:?}");
        for variable in variables {
            assert!(known.contains(variable), "{variable}");
        }
    }
}

/// A variable of the image would override the configuration file that is mounted into it.
#[test]
fn image_sets_no_variable() {
    assert!(!DOCKERFILE.lines().any(|line| line.starts_with("ENV ")));
}

/// The words of a text that begin so.
fn words<'a>(text: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        .filter(move |word| word.starts_with(start))
}

#[test]
fn configuration_is_accepted_with_the_files_that_the_commands_of_the_server_make() {
    let (folder, config) = configuration("deployment-config");
    let url = folder.0.join("redis-url");
    let mut check = command(&["check-config", "--config", &config, "--redis-url-file"]);
    let output = run(check.arg(url), "");
    let report = accepted(&output);
    assert!(report.contains("admin keys: alice, bob"), "{report}");
    drop(folder);
}

/// The configuration with its files, in a temporary folder.
fn configuration(name: &str) -> (Folder, String) {
    let folder = Folder::new(name);
    let made = |arguments: &[&str], input: &str| text(&run(&mut command(arguments), input).stdout);
    folder.write("keys.txt", &made(&["keygen"], ""));
    folder.write(
        "master.hash",
        &made(&["hash-password"], "correct horse battery staple\n"),
    );
    let alice = made(&["admin-key", "alice", "--rights", "open,list"], "");
    let bob = made(&["admin-key", "bob", "--rights", "agents,revoke"], "");
    folder.write("admin-keys.toml", &(alice + &bob));
    folder.write("redis-url", "redis://sessions:secret@127.0.0.1:6379\n");
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    folder.write("tls.crt", &certificate.cert.pem());
    folder.write("tls.key", &certificate.signing_key.serialize_pem());
    let path = folder.0.to_str().expect("a path");
    let config = folder.write("config.toml", &CONFIG.replace("/etc/session-auth", path));
    (folder, config)
}

#[test]
fn service_and_container_have_more_time_to_stop_than_the_server_takes() {
    let (_folder, config) = configuration("deployment-stop");
    let variables = [("SESSION_AUTH_CONFIG".into(), config.into())];
    let loaded = Sources::new(Flags::default(), variables).load();
    let limits = loaded.expect("a configuration").config.limits;
    let needed = limits.shutdown_delay + limits.shutdown;
    for (file, key) in [(SERVICE, "TimeoutStopSec="), (COMPOSE, "stop_grace_period: ")] {
        let value = file
            .split(key)
            .nth(1)
            .and_then(|rest| rest.lines().next())
            .expect("a value");
        let seconds: u64 = value.trim_end_matches('s').parse().expect("seconds");
        assert!(Duration::from_secs(seconds) > needed, "{key}{value}");
    }
}
