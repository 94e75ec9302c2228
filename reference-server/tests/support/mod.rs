//! The server as a process.

// Each test binary uses a part of this module.
#![allow(dead_code)]

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStderr, ChildStdin, Command, Output, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use http::Method;
use session_auth_tests::api::Api;
// Each test binary uses a part of these.
#[allow(unused_imports)]
pub(crate) use session_auth_tests::{folder::Folder, free_address::free_port};

/// The server's command, without the environment variables of this machine.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_session-auth-server"));
    command.args(arguments).env_clear();
    command
}

pub(crate) fn run(command: &mut Command, input: &str) -> Output {
    let command = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("a process");
    let mut stdin: ChildStdin = child.stdin.take().expect("a pipe");
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("an output")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A running server process, killed on drop.
pub(crate) struct RunningServer {
    child: Child,
    pub(crate) output: BufReader<std::process::ChildStdout>,
    log: Arc<Mutex<String>>,
}

impl RunningServer {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a server");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let log = Arc::default();
        collect(child.stderr.take().expect("a pipe"), Arc::clone(&log));
        Self { child, output, log }
    }

    /// The lines of the log so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("a log").clone()
    }

    /// Waits until the log contains a text.
    pub(crate) fn expect_log(&self, text: &str) {
        let started = Instant::now();
        while !self.log().contains(text) {
            let log = self.log();
            assert!(
                started.elapsed() < Duration::from_secs(15),
                "no {text:?} in the log: {log}"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status();
        assert!(status.expect("kill").success());
    }

    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a status") {
                return status.code();
            }
            assert!(
                started.elapsed() < Duration::from_secs(15),
                "the server does not stop"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Reads the log until the process ends, so that the pipe never fills.
fn collect(stderr: ChildStderr, log: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let mut log = log.lock().expect("a log");
            log.push_str(&line);
            log.push('\n');
        }
    });
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) async fn wait_until_ready(api: &Api) {
    let started = Instant::now();
    while api
        .try_anonymous(Method::GET, "/readyz")
        .await
        .is_none_or(|reply| reply.status != 200)
    {
        assert!(
            started.elapsed() < Duration::from_secs(15),
            "the server does not become ready"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
