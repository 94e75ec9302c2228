//! The back-end that runs an installed binary.

use std::{
    env,
    io::Read as _,
    path::{Path, PathBuf},
    thread::{self, JoinHandle},
};

use super::server::{OPTIONS, Server, Watchdog, log_tail};

/// Starts the command given as arguments and prints its process id. Then reads signal names and sends each signal to that
/// process. Only the server keeps standard error open, so the end of that stream is the end of the server's log.
const WATCH: &str = r#"
"$@" </dev/null >&2 &
exec 2>/dev/null
echo $!
while read -r signal; do kill -s "$signal" $!; echo; done
kill -s KILL $!
wait $!
"#;

pub(crate) struct Process {
    command: Vec<String>,
    running: Option<Running>,
}

struct Running {
    id: Option<u32>,
    log: Option<JoinHandle<String>>,
    watchdog: Watchdog,
}

impl Process {
    pub(super) fn new(program: &Path, port: u16, options: &[String]) -> Self {
        let port = port.to_string();
        let folder = env::temp_dir();
        let own = ["--port", &port, "--bind", "127.0.0.1", "--dir"].map(str::to_owned);
        let command = [PathBuf::from(program).display().to_string()]
            .into_iter()
            .chain(own)
            .chain([folder.display().to_string()])
            .chain(OPTIONS.map(str::to_owned))
            .chain(options.iter().cloned())
            .collect();
        Self::of(command)
    }

    /// A server that this command starts.
    pub(crate) const fn of(command: Vec<String>) -> Self {
        Self {
            command,
            running: None,
        }
    }

    fn signal(&mut self, signal: &str) {
        if let Some(running) = &mut self.running {
            running.watchdog.send_line(signal);
        }
    }
}

impl Server for Process {
    fn launch(&mut self) -> Result<(), String> {
        let mut watchdog = Watchdog::spawn(WATCH, &self.command)?;
        let mut log = watchdog.take_stderr();
        // Reads continuously, because a full pipe would stop the server.
        let log = thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = log.read_to_end(&mut bytes);
            log_tail(&bytes)
        });
        let id = watchdog.reply().trim().parse().ok();
        self.running = Some(Running {
            id,
            log: Some(log),
            watchdog,
        });
        Ok(())
    }

    fn has_process_id(&self, process_id: u32) -> bool {
        self.running
            .as_ref()
            .is_some_and(|running| running.id == Some(process_id))
    }

    fn exit_log(&mut self) -> Option<String> {
        let log = &mut self.running.as_mut()?.log;
        log.take_if(|log| log.is_finished())?.join().ok()
    }

    fn kill(&mut self) {
        self.running = None;
    }

    fn pause(&mut self) {
        self.signal("STOP");
    }

    fn resume(&mut self) {
        self.signal("CONT");
    }
}
