//! The server and load processes. Each exits when its standard input closes. The kernel closes it even if this process
//! crashes.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    load::{LoadPlan, LoadResult, Task},
    machine,
    server::{ServerAddresses, ServerConfig, ServerKind},
};

/// A child process that reads one line of JSON and replies with one line of JSON.
struct ChildProcess {
    child: Child,
    replies: BufReader<ChildStdout>,
}

impl ChildProcess {
    fn spawn(program: &Path, role: &str, cores: Option<&str>, input: &impl Serialize) -> Self {
        let mut command = match cores {
            Some(cores) => {
                let mut command = Command::new("taskset");
                command.args(["-c", cores]).arg(program);
                command
            }
            None => Command::new(program),
        };
        let mut child = command
            .arg(role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the child process");
        let mut line = serde_json::to_vec(input).expect("valid JSON");
        line.push(b'\n');
        let stdin = child.stdin.as_mut().expect("the child's standard input");
        stdin.write_all(&line).expect("write to the child process");
        let replies = BufReader::new(child.stdout.take().expect("the child's standard output"));
        Self { child, replies }
    }

    fn reply<T: DeserializeOwned>(&mut self) -> T {
        let mut line = String::new();
        self.replies
            .read_line(&mut line)
            .expect("read the reply of the child process");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("the child process ended early: {line:?}"))
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// A running server process. Dropping it stops the server.
pub(crate) struct Server {
    process: ChildProcess,
    pub(crate) address: SocketAddr,
    /// The address that advances the clock of the reference server.
    pub(crate) clock_control: Option<SocketAddr>,
}

/// The path of this program.
pub(crate) fn this_program() -> PathBuf {
    env::current_exe().expect("the path of this program")
}

impl Server {
    pub(crate) fn start(config: &ServerConfig, pinned: bool) -> Self {
        Self::start_program(&this_program(), config, pinned)
    }

    /// Starts the server of another build of this program.
    pub(crate) fn start_program(program: &Path, config: &ServerConfig, pinned: bool) -> Self {
        let cores = match config.kind {
            ServerKind::Reference => machine::BOTH_CORES,
            _ => machine::SERVER_CORE,
        };
        let mut process = ChildProcess::spawn(program, "serve", pinned.then_some(cores), config);
        let ServerAddresses {
            address,
            clock_control,
        } = process.reply();
        Self {
            process,
            address,
            clock_control,
        }
    }

    /// The process id. `taskset` replaces itself with the server, so the id stays the same.
    pub(crate) fn process_id(&self) -> u32 {
        self.process.child.id()
    }
}

/// Runs a load process until its plan is done.
pub(crate) fn run_load(plan: &LoadPlan, pinned: bool) -> LoadResult {
    let cores = pinned.then_some(machine::LOAD_CORE);
    ChildProcess::spawn(&this_program(), "load", cores, plan).reply()
}

/// Runs a load process and requires that the server accepts every request.
pub(crate) fn run_load_without_failure(
    server: &Server,
    connections: usize,
    task: Task,
    busy_poll: bool,
    pinned: bool,
) -> LoadResult {
    let plan = LoadPlan {
        address: server.address,
        server_process: server.process_id(),
        connections,
        busy_poll,
        task,
    };
    let result = run_load(&plan, pinned);
    assert_eq!(result.failed, 0, "the server rejected valid requests");
    result
}
