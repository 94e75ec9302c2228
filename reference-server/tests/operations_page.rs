//! The commands of "Set up" in `docs/operations.md` run as pasted, and give the documented answers.
//!
//! Folders and ports are replaced, and the services of systemd become processes: Redis, the server and Prometheus are real.

#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use session_auth_tests::prometheus;
use support::{Folder, free_port, text};

const PAGE: &str = include_str!("../../docs/operations.md");
const PROGRAM: &str = env!("CARGO_BIN_EXE_session-auth-server");

/// The services, as processes that end with the shell. The machine of the tests has no groups of these names.
const SERVICES: &str = r#"
set -euo pipefail
trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT
groupadd() { test "$*" = '--system session-auth'; }
chgrp() { ls "${@:2}" >/dev/null; }
redis-cli() { command redis-cli -p 6379 "$@"; }
systemctl() {
    case "$*" in
        'restart redis-server') redis-server /etc/redis/redis.conf --port 6379 --dir "$ROOT" >/dev/null &
            until redis-cli ping >/dev/null 2>&1; do command sleep 0.02; done ;;
        'enable --now session-auth-server')
            # The service cannot read the original, only the copy of systemd.
            mv /etc/session-auth/redis-url "$ROOT/credential"
            SESSION_AUTH_REDIS_URL_FILE=$ROOT/credential $(sed -n 's/^ExecStart=//p' "$UNIT") 2>"$ROOT/log" &
            until grep -q listening "$ROOT/log"; do command sleep 0.02; done ;;
        'restart prometheus') prometheus --config.file=/etc/prometheus/prometheus.yml --storage.tsdb.path="$ROOT/tsdb" \
            --web.listen-address=127.0.0.1:9090 >/dev/null 2>&1 & ;;
        daemon-reload) test -f "$UNIT" ;;
        *) echo "systemctl $*" >&2; return 1 ;;
    esac
}
# The only wait of the page is for the first scrape.
sleep() {
    for _ in {1..200}; do
        curl -sSG http://localhost:9090/api/v1/query --data-urlencode 'query=up' 2>/dev/null | grep -q '"1"' && return
        command sleep 0.1
    done
    return 1
}
"#;

/// The blocks with commands, without the first one, which installs and builds.
fn blocks() -> impl Iterator<Item = &'static str> {
    let blocks = PAGE.split("```sh\n").skip(2);
    blocks.filter_map(|rest| rest.split("```").next())
}

fn is_installed(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    found.is_ok()
}

#[test]
fn commands_of_the_operations_page_give_the_documented_answers() {
    if let Some(missing) = ["redis-server", "redis-cli", "openssl", "curl"]
        .into_iter()
        .find(|name| !is_installed(name))
    {
        // Not `eprintln!`, which the test runner captures.
        let line = format!("operations page: not run, {missing} is not installed\n");
        let _ = std::io::stderr().write_all(line.as_bytes());
        return;
    }
    let has_prometheus = prometheus::is_wanted();
    let folder = Folder::new("operations");
    let root = folder.0.to_str().expect("a path");
    let mut replaced: Vec<(String, String)> = [
        "/etc/session-auth",
        "/etc/redis",
        "/etc/prometheus",
        "/etc/systemd/system",
        "/usr/local/bin",
        "/root/session-auth",
    ]
    .map(|path| (path.to_owned(), format!("{root}{path}")))
    .into();
    for port in ["3100", "6379", "9464", "9090"] {
        replaced.push((port.to_owned(), free_port().to_string()));
    }
    let replace = |text: &str| {
        let replaced = replaced.iter();
        replaced.fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    };
    for path in [
        "etc/redis",
        "etc/prometheus",
        "etc/systemd/system",
        "usr/local/bin",
        "root",
        "deployment",
    ] {
        fs::create_dir_all(folder.0.join(path)).expect("a folder");
    }
    folder.write("etc/redis/redis.conf", "");
    std::os::unix::fs::symlink(PROGRAM, folder.0.join("usr/local/bin/session-auth-server")).expect("a link");
    let deployment = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/deployment");
    for file in fs::read_dir(deployment).expect("a folder") {
        let file = file.expect("a file");
        if file.file_type().expect("a type").is_file() {
            let content = fs::read_to_string(file.path()).expect("a text");
            let content = replace(&content)
                .replace("_interval: 15s", "_interval: 200ms")
                .replace("shutdown_delay_ms = 15000", "shutdown_delay_ms = 0");
            let name = file.file_name().into_string().expect("a name");
            folder.write(&format!("deployment/{name}"), &content);
        }
    }

    let count = if has_prometheus { 6 } else { 5 };
    let blocks: Vec<_> = blocks().collect();
    assert_eq!(blocks.len(), 6);
    let script = SERVICES.to_owned() + &blocks[..count].concat();
    let script = replace(&script)
        .replace("examples/deployment", "deployment")
        .replace(" -g session-auth ", " ");
    let path = std::env::var("PATH").expect("a path");
    let output = Command::new("timeout")
        .args(["60", "bash", "-c", &script])
        .current_dir(&folder.0)
        .env("ROOT", root)
        .env(
            "UNIT",
            folder.0.join("etc/systemd/system/session-auth-server.service"),
        )
        .env("PATH", format!("{root}/usr/local/bin:{path}"))
        .stdin(Stdio::null())
        .output()
        .expect("a shell");
    let (answers, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{answers}\n{errors}");

    let mut expected = vec![
        "PONG",
        "the configuration is good (Redis was contacted): listen 0.0.0.0:",
        "admin keys: alice, bob",
        "found: ",
        r#"{"status":"ready"}"#,
        r#""status":"ACTIVE""#,
        r#""code":"FORBIDDEN""#,
        r#""status":"REVOKED""#,
        r#""code":"SESSION_REVOKED""#,
    ];
    let alerts = fs::read_to_string("../examples/deployment/alerts.yml").expect("the alerts");
    let rules = format!("{} rules found", alerts.matches("- alert:").count());
    if has_prometheus {
        expected.extend([&*rules, r#""1"]"#]);
    }
    let mut rest = answers.as_str();
    for answer in expected {
        let place = rest.find(answer);
        let place = place.unwrap_or_else(|| panic!("no {answer} in {answers}\n{errors}"));
        rest = &rest[place + answer.len()..];
    }
    let log = fs::read_to_string(folder.0.join("log")).expect("a log");
    let log = log.split("\"stopping\"").next().unwrap_or_default();
    assert!(!log.contains("WARN"), "{log}");
}
