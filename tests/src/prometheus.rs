//! A real Prometheus server for tests: the program of Debian's package `prometheus`, or of another source in `PATH`.
//!
//! `TEST_PROMETHEUS=skip` skips the tests that need it. Otherwise a missing program fails them.

use std::{
    env, fs,
    io::Write as _,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use http::Method;
use serde_json::Value;
use tokio::time::sleep;

use crate::{api::Api, folder::Folder, free_address::free_address};

/// Far longer than a start takes, for machines under load.
const LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

/// A running Prometheus on a free address of this machine, with its data in a temporary folder. Both end when it is dropped.
pub struct Prometheus {
    process: Child,
    folder: Folder,
    api: Api,
}

/// True if the tests may run. Prints a line if they are skipped.
#[must_use]
pub fn is_wanted() -> bool {
    let skip = env::var("TEST_PROMETHEUS").is_ok_and(|value| value == "skip");
    if skip {
        // Not `eprintln!`, which the test runner captures.
        let _ = std::io::stderr().write_all(b"prometheus: skipped by TEST_PROMETHEUS=skip\n");
    }
    !skip
}

impl Prometheus {
    /// Starts a server with this list of scrape configurations (YAML).
    ///
    /// # Panics
    /// If the program is missing or does not start.
    pub async fn start(name: &str, scrape_configs: &str) -> Self {
        let folder = Folder::new(&format!("prometheus-{name}"));
        let config = format!(
            "global:\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\nscrape_configs:\n{scrape_configs}"
        );
        let config_file = folder.join("prometheus.yml");
        fs::write(&config_file, config).expect("a file");
        let address = free_address();
        let log = fs::File::create(folder.join("log")).expect("a file");
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", config_file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("prometheus: {error}: install it, run tests/run, or set TEST_PROMETHEUS=skip")
            });
        let api = Api::new(address, "");
        let mut server = Self { process, folder, api };
        server.wait_until_ready().await;
        server
    }

    async fn wait_until_ready(&mut self) {
        let began = Instant::now();
        while !self.answers("/api/v1/status/buildinfo").await {
            let ended = self.process.try_wait().expect("a status");
            let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(ended.is_none() && began.elapsed() < LIMIT, "{ended:?}: {}", log());
            sleep(POLL).await;
        }
    }

    async fn answers(&self, path: &str) -> bool {
        let reply = self.api.try_anonymous(Method::GET, path).await;
        reply.is_some_and(|reply| reply.status == 200)
    }

    /// Evaluates an expression (PromQL). Returns the values of the series.
    pub async fn query(&self, expression: &str) -> Vec<f64> {
        let query: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let path = format!("/api/v1/query?query={query}");
        let reply = self.api.anonymous(Method::GET, &path).await.expect(200);
        let series = reply.body["data"]["result"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let value = |series: &Value| series["value"][1].as_str().and_then(|value| value.parse().ok());
        series.iter().filter_map(value).collect()
    }

    /// Waits until an expression has one series whose value is accepted. Returns that value.
    ///
    /// # Panics
    /// If that takes too long.
    pub async fn wait_for(&self, expression: &str, accepts: impl Fn(f64) -> bool) -> f64 {
        let began = Instant::now();
        loop {
            let values = self.query(expression).await;
            if let [value] = values[..]
                && accepts(value)
            {
                return value;
            }
            assert!(began.elapsed() < LIMIT, "{expression}: {values:?}");
            sleep(POLL).await;
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Lints a scrape with `promtool check metrics`. Returns its complaints.
///
/// # Panics
/// If the program is missing.
#[must_use]
pub fn lint(text: &str) -> String {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool");
    let mut input = promtool.stdin.take().expect("a pipe");
    input.write_all(text.as_bytes()).expect("an open pipe");
    drop(input);
    let output = promtool.wait_with_output().expect("an output");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success() || !said.is_empty(), "{:?}", output.status);
    said
}
