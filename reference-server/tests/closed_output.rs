//! Standard output or standard error without a reader, as in `session-auth-server | true`: nothing panics.

#![cfg(unix)]
#![allow(clippy::expect_used, clippy::disallowed_methods, clippy::panic)]

mod support;

use std::{
    io::{PipeWriter, Read as _},
    process::{Child, Command, Stdio},
};

use session_auth_tests::api::Api;

use support::{command, free_port, run, text, wait_until_ready};

/// A pipe without a reader.
fn closed() -> PipeWriter {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer
}

/// A server process, killed on drop.
struct Server(Child);

impl Server {
    /// Waits until the server has started, stops it, and returns its exit code.
    async fn serve_and_stop(&mut self, listen: &str) -> Option<i32> {
        wait_until_ready(&Api::new(listen.parse().expect("an address"), "")).await;
        let kill = ["-TERM", &self.0.id().to_string()];
        run(Command::new("kill").args(kill), "");
        self.0.wait().expect("a status").code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn first_run_without_a_reader_serves_and_logs_that_nothing_was_printed() {
    let listen = format!("127.0.0.1:{}", free_port());
    let mut command = command(&["--listen", &listen]);
    let server = command.stdout(closed()).stderr(Stdio::piped()).spawn();
    let mut server = Server(server.expect("a server"));
    assert_eq!(server.serve_and_stop(&listen).await, Some(0));
    let mut log = String::new();
    let mut stderr = server.0.stderr.take().expect("a pipe");
    stderr.read_to_string(&mut log).expect("a log");
    assert!(log.contains("the text of a first run was not printed"), "{log}");
    assert!(!log.contains("panicked"), "{log}");
}

#[tokio::test]
async fn server_without_a_reader_of_its_log_serves() {
    let listen = format!("127.0.0.1:{}", free_port());
    let mut command = command(&["--listen", &listen]);
    let server = command.stdout(closed()).stderr(closed()).spawn();
    let mut server = Server(server.expect("a server"));
    assert_eq!(server.serve_and_stop(&listen).await, Some(0));
}

#[test]
fn command_without_a_reader_ends_without_a_panic() {
    for arguments in [
        &["keygen"][..],
        &["check-config"],
        &["example-config"],
        &["admin-key", "ci", "--rights", "list"],
    ] {
        let mut command = command(arguments);
        let child = command.stdout(closed()).stderr(Stdio::piped()).spawn();
        let output = child.expect("a process").wait_with_output().expect("an output");
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {message}");
        assert!(
            message.starts_with("cannot write to standard output"),
            "{message}"
        );
    }
    for (arguments, code) in [
        (&["keygen"][..], 0),
        (&["check-config", "--listen", "nonsense"], 2),
        (&["--listen", "nonsense"], 2),
        // The secret is written there, and only there.
        (&["admin-key", "ci", "--rights", "list"], 1),
    ] {
        let mut command = command(arguments);
        let status = command.stdout(Stdio::null()).stderr(closed()).status();
        assert_eq!(status.expect("a status").code(), Some(code), "{arguments:?}");
    }
}
