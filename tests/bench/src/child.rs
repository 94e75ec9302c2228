//! This program's own server and load processes. Each ends when its standard input closes, which the kernel does however
//! this process ends.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    process::{Child, ChildStdout, Command, Stdio},
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    load::{Outcome, Plan},
    machine,
    server::{Kind, Setup, Started},
};

/// A process that is asked with one line of JSON and answers with one.
struct Asked {
    child: Child,
    replies: BufReader<ChildStdout>,
}

impl Asked {
    fn spawn(part: &str, cores: Option<&str>, question: &impl Serialize) -> Self {
        let program = env::current_exe().expect("the program's path");
        let mut command = match cores {
            Some(cores) => {
                let mut command = Command::new("taskset");
                command.args(["-c", cores]).arg(program);
                command
            }
            None => Command::new(program),
        };
        let mut child = command
            .arg(part)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let mut line = serde_json::to_vec(question).expect("JSON");
        line.push(b'\n');
        let input = child.stdin.as_mut().expect("its standard input");
        input.write_all(&line).expect("a process that listens");
        let replies = BufReader::new(child.stdout.take().expect("its standard output"));
        Self { child, replies }
    }

    fn reply<T: DeserializeOwned>(&mut self) -> T {
        let mut line = String::new();
        self.replies.read_line(&mut line).expect("a reply");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("the process ended early: {line:?}"))
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// A running server. It ends when dropped.
pub(crate) struct Server {
    process: Asked,
    pub(crate) address: SocketAddr,
    /// Where its clock is moved, if it has one that can be.
    pub(crate) clock: Option<SocketAddr>,
}

impl Server {
    pub(crate) fn start(setup: &Setup, pinned: bool) -> Self {
        let cores = match setup.kind {
            Kind::Reference => machine::BOTH_CORES,
            Kind::Variant(_) | Kind::StrictAndSignature => machine::SERVER_CORE,
        };
        let mut process = Asked::spawn("serve", pinned.then_some(cores), setup);
        let Started { address, clock } = process.reply();
        Self {
            process,
            address,
            clock,
        }
    }

    /// `taskset` becomes the program it starts, so this is the server's own.
    pub(crate) fn id(&self) -> u32 {
        self.process.child.id()
    }
}

/// Runs a load to its end.
pub(crate) fn load(plan: &Plan, pinned: bool) -> Outcome {
    Asked::spawn("load", pinned.then_some(machine::LOAD_CORE), plan).reply()
}
