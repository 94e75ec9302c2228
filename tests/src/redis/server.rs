//! What both back-ends can do, and the watchdog that lets neither outlive the tests.

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::process::CommandExt as _,
    process::{Child, ChildStderr, ChildStdout, Command, Stdio},
};

/// One server on one port. Dropping it ends it.
pub(super) trait Server: Send + Sync {
    /// Starts it, again after `kill`; it need not answer yet.
    fn launch(&mut self) -> Result<(), String>;
    /// Whether it is the one that answers with this process id: another's server may have taken the port first.
    fn is(&self, process_id: u32) -> bool;
    /// Its last words, once it has ended by itself.
    fn ended(&mut self) -> Option<String>;
    /// Returns when its port is closed.
    fn kill(&mut self);
    fn pause(&mut self);
    fn resume(&mut self);
}

/// The command of either back-end, but for the port. No persistence: a server that was killed comes back empty.
#[rustfmt::skip]
pub(super) const OPTIONS: [&str; 6] = ["--save", "", "--appendonly", "no", "--databases", "1024"];

/// A shell that ends what it watches when its standard input closes. The kernel closes that however this process ends,
/// SIGKILL included.
pub(super) struct Watchdog {
    shell: Child,
    replies: BufReader<ChildStdout>,
}

impl Watchdog {
    /// `script` answers each line of its input with a line, and cleans up after the last.
    pub(super) fn spawn<A: AsRef<OsStr>>(script: &str, arguments: &[A]) -> Result<Self, String> {
        let mut shell = Command::new("sh")
            // Ignored: HUP comes to a paused server's process group when this process dies.
            .args(["-c", &format!("trap '' HUP INT TERM\n{script}"), "watchdog"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Out of the terminal's group: Ctrl-C must not reach it before its input closes.
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
        // An ended shell replies nothing; its server has ended with it, and the tests see that.
        let _ = self.replies.read_line(&mut line);
        line
    }

    /// Returns when the shell has done it.
    pub(super) fn tell(&mut self, order: &str) {
        if let Some(stdin) = &mut self.shell.stdin
            && writeln!(stdin, "{order}").is_ok()
        {
            self.reply();
        }
    }

    /// Ends the shell without its last command.
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
pub(super) fn last_words(log: &[u8]) -> String {
    let log = String::from_utf8_lossy(log);
    let lines: Vec<&str> = log.lines().filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(4)..].join("; ")
}
