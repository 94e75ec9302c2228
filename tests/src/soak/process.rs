//! A server process.

use std::{
    fs::{self, File},
    io::Error,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    process::{Child, Command},
    time::{Instant, timeout},
};

/// The server drains for `shutdown_delay_ms` and `shutdown_timeout_ms` at most.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// The program of the server.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    environment: Option<(&'static str, &'static str)>,
}

impl Program {
    /// The program `session-auth-server` at this path.
    pub fn server(path: PathBuf) -> Self {
        Self {
            path,
            environment: None,
        }
    }

    /// A program that is the server if this environment variable is set.
    pub fn with_role(path: PathBuf, variable: &'static str) -> Self {
        Self {
            path,
            environment: Some((variable, "server")),
        }
    }

    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        // Settings in the environment of this machine would have an effect.
        command.env_clear().envs(self.environment).stdin(Stdio::null());
        command
    }
}

/// A running server. It is killed on drop.
pub(super) struct ServerProcess {
    child: Child,
    started: Instant,
    samples: Vec<Sample>,
}

/// What a process uses at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// Since the start of the process.
    pub(super) at: Duration,
    pub(super) rss_kib: u64,
    pub(super) open_files: usize,
}

/// A process that has ended.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) samples: Vec<Sample>,
}

impl ServerProcess {
    pub(super) fn start(program: &Program, config: &Path, log: &Path) -> Self {
        let log = File::options()
            .create(true)
            .append(true)
            .open(log)
            .expect("a log file");
        let mut command = program.command();
        command
            .arg("--config")
            .arg(config)
            .stdout(Stdio::null())
            .stderr(log);
        Self {
            child: command.kill_on_drop(true).spawn().expect("a server process"),
            started: Instant::now(),
            samples: Vec::new(),
        }
    }

    pub(super) fn signal(&self, signal: &str) {
        let Some(id) = self.child.id() else { return };
        let status = std::process::Command::new("kill")
            .args([signal, &id.to_string()])
            .status();
        assert!(
            status.expect("the command kill").success(),
            "{signal} to a running server"
        );
    }

    pub(super) fn sample(&mut self) {
        let usage = self
            .child
            .id()
            .and_then(|id| Some((rss_kib(id)?, open_files(id)?)));
        self.samples.extend(usage.map(|(rss_kib, open_files)| Sample {
            at: self.started.elapsed(),
            rss_kib,
            open_files,
        }));
    }

    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends SIGTERM, and waits for the end.
    pub(super) async fn stop(mut self) -> Result<Ended, Error> {
        self.signal("-TERM");
        let status = timeout(STOP_LIMIT, self.child.wait()).await??;
        Ok(Ended {
            status,
            samples: self.samples,
        })
    }
}

fn rss_kib(id: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

fn open_files(id: u32) -> Option<usize> {
    Some(fs::read_dir(format!("/proc/{id}/fd")).ok()?.count())
}
