//! The interface of both back-ends, and the watchdog that ends a server with the tests.

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::process::CommandExt as _,
    process::{Child, ChildStderr, ChildStdout, Command, Stdio},
};

/// One server on one port. Dropping it ends the server.
pub(crate) trait Server: Send + Sync {
    /// Starts the server, also after `kill`. It may return before the server answers.
    fn launch(&mut self) -> Result<(), String>;
    /// True if the server has this process id. Otherwise another server took the port first.
    fn has_process_id(&self, process_id: u32) -> bool;
    /// The end of the log, if the server has ended by itself.
    fn exit_log(&mut self) -> Option<String>;
    /// Kills the server. Returns when its port is closed.
    fn kill(&mut self);
    fn pause(&mut self);
    fn resume(&mut self);
}

/// The options of both back-ends, without the port. Without persistence, a killed server restarts empty.
#[rustfmt::skip]
pub(super) const OPTIONS: [&str; 6] = ["--save", "", "--appendonly", "no", "--databases", "1024"];

/// A shell that ends the server when its standard input closes. The kernel closes that input when this process ends, even by
/// SIGKILL.
pub(super) struct Watchdog {
    shell: Child,
    replies: BufReader<ChildStdout>,
}

impl Watchdog {
    /// Runs `script`, which must answer each input line with a line, and clean up at the end of input.
    pub(super) fn spawn<A: AsRef<OsStr>>(script: &str, arguments: &[A]) -> Result<Self, String> {
        let mut shell = Command::new("sh")
            // Ignores HUP, which the process group of a paused server gets when this process dies.
            .args(["-c", &format!("trap '' HUP INT TERM\n{script}"), "watchdog"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A separate process group: Ctrl-C must not end the shell before its input closes.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("sh: {error}"))?;
        let replies = BufReader::new(shell.stdout.take().expect("standard output is piped"));
        Ok(Self { shell, replies })
    }

    pub(super) fn take_stderr(&mut self) -> ChildStderr {
        self.shell.stderr.take().expect("standard error is piped")
    }

    pub(super) fn reply(&mut self) -> String {
        let mut line = String::new();
        // If the shell has ended, its server has too, and the tests notice that.
        let _ = self.replies.read_line(&mut line);
        line
    }

    /// Sends a line to the shell. Returns when the shell has answered it.
    pub(super) fn send_line(&mut self, line: &str) {
        if let Some(stdin) = &mut self.shell.stdin
            && writeln!(stdin, "{line}").is_ok()
        {
            self.reply();
        }
    }

    /// Ends the shell without its clean-up.
    pub(super) fn dismiss(mut self) {
        let _ = self.shell.kill();
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// The end of a log, as one line.
pub(super) fn log_tail(log: &[u8]) -> String {
    let log = String::from_utf8_lossy(log);
    let lines: Vec<&str> = log.lines().filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(4)..].join("; ")
}
