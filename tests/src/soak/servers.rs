//! All server processes.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{
    balancer::is_ready,
    files::Files,
    process::{Program, Sample, ServerProcess},
    tally::Tally,
};

const START_LIMIT: Duration = Duration::from_secs(20);

pub(super) struct Servers {
    running: Vec<Mutex<Option<ServerProcess>>>,
    ended: Mutex<Vec<Run>>,
}

/// The life of one process.
pub(super) struct Run {
    pub(super) server: usize,
    pub(super) samples: Vec<Sample>,
}

impl Servers {
    pub(super) fn new(files: &Files) -> Self {
        Self {
            running: files.servers().iter().map(|_| Mutex::default()).collect(),
            ended: Mutex::default(),
        }
    }

    /// Starts a server, and waits until it is ready.
    pub(super) async fn start(&self, number: usize, program: &Program, files: &Files) -> Result<(), String> {
        let server = &files.servers()[number];
        let process = ServerProcess::start(program, &server.config, &server.log);
        *self.running(number) = Some(process);
        let deadline = Instant::now() + START_LIMIT;
        while !is_ready(server.address).await {
            let ended = self.running(number).as_mut().is_none_or(ServerProcess::has_ended);
            if ended || Instant::now() > deadline {
                let log = std::fs::read_to_string(&server.log).unwrap_or_default();
                return Err(format!("server {number} does not start: {log}"));
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Stops a server with SIGTERM. Its exit code must be 0.
    pub(super) async fn stop(&self, number: usize, tally: &Tally) {
        let process = self.running(number).take();
        let Some(mut process) = process else { return };
        process.sample();
        match process.stop().await {
            Ok(ended) => {
                if !ended.status.success() {
                    tally.fail("restart", format!("server {number} ended with {}", ended.status));
                }
                let samples = ended.samples;
                let run = Run {
                    server: number,
                    samples,
                };
                self.ended
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(run);
            }
            Err(error) => tally.fail("restart", format!("server {number} does not end: {error}")),
        }
    }

    /// Sends a signal to every running server.
    pub(super) fn signal_all(&self, signal: &str) {
        for number in 0..self.running.len() {
            self.signal(number, signal);
        }
    }

    pub(super) fn signal(&self, number: usize, signal: &str) {
        if let Some(process) = &*self.running(number) {
            process.signal(signal);
        }
    }

    /// Measures every running server.
    pub(super) fn sample(&self) {
        for number in 0..self.running.len() {
            if let Some(process) = &mut *self.running(number) {
                process.sample();
            }
        }
    }

    pub(super) fn ended(&self) -> MutexGuard<'_, Vec<Run>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self, number: usize) -> MutexGuard<'_, Option<ServerProcess>> {
        self.running[number]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
