//! Threads for Argon2, at the lowest priority, so that requests with other credentials are served at their usual speed.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use subtle::ConstantTimeEq;
use tokio::sync::oneshot;
use tracing::Span;

use super::queue::{Entered, Queue};
use crate::{
    clock::Clock,
    error::{AuthError, ErrorKind, RejectionReason},
    telemetry::Argon2Metrics,
};

/// The maximum number of threads. Each uses one core and the memory of one computation.
const MAX_THREADS: usize = 2;

/// The maximum number of requests that share a computation. Each of them holds a connection of the server while it waits.
pub(super) const MAX_SHARED: usize = 128;

/// A password that waits for Argon2.
pub(super) struct Job {
    pub(super) password: Vec<u8>,
    pub(super) client: Option<IpAddr>,
    pub(super) clock: Arc<dyn Clock>,
    /// The span of the first request, for log lines of the thread.
    pub(super) span: Span,
    /// The requests that wait for the result. More than one if a client sent the same password several times at once.
    waiting: Vec<oneshot::Sender<Verdict>>,
}

/// The result of a computation.
pub(super) type Verdict = Result<(), AuthError>;

/// The queue and its threads. A thread ends when the queue is empty.
pub(super) struct Argon2Threads {
    state: Mutex<State>,
    pub(super) limit: usize,
    pub(super) metrics: Argon2Metrics,
    /// Held by a test that delays all computations.
    #[cfg(test)]
    pub(super) gate: tokio::sync::Mutex<()>,
}

struct State {
    queue: Queue<Job>,
    running: usize,
}

impl Job {
    pub(super) fn new(
        password: &[u8],
        client: Option<IpAddr>,
        clock: Arc<dyn Clock>,
    ) -> (Self, oneshot::Receiver<Verdict>) {
        let (sender, receiver) = oneshot::channel();
        let job = Self {
            password: password.to_vec(),
            client,
            clock,
            span: Span::current(),
            waiting: vec![sender],
        };
        (job, receiver)
    }

    pub(super) fn answer(self, verdict: &Verdict) {
        for waiting in self.waiting {
            // An error means that the request was cancelled.
            let _ = waiting.send(verdict.clone());
        }
    }

    /// True if all of its requests were cancelled.
    fn is_abandoned(&self) -> bool {
        self.waiting.iter().all(oneshot::Sender::is_closed)
    }
}

impl Argon2Threads {
    pub(super) fn new() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self {
            state: Mutex::new(State {
                queue: Queue::new(),
                running: 0,
            }),
            // One core stays free for requests.
            limit: cores.saturating_sub(1).clamp(1, MAX_THREADS),
            metrics: Argon2Metrics::default(),
            #[cfg(test)]
            gate: tokio::sync::Mutex::default(),
        }
    }

    /// Queues a job, and starts a thread with `run` unless all are running. `network` is the unit of the queue's shares. A job with
    /// the same password and client as a waiting one shares its computation.
    pub(super) fn submit<R>(self: &Arc<Self>, mut job: Job, network: Option<IpAddr>, failures: u32, run: R)
    where
        R: Fn(Job) + Send + 'static,
    {
        let mut state = self.lock();
        state.queue.retain(|waiting| !waiting.is_abandoned());
        let same = state.queue.of_client(network);
        let same = same.filter(|waiting| waiting.password.ct_eq(&job.password).into());
        if let Some(waiting) = same.last() {
            waiting.waiting.retain(|request| !request.is_closed());
            if waiting.waiting.len() < MAX_SHARED {
                waiting.waiting.append(&mut job.waiting);
                return;
            }
            return job.answer(&overloaded());
        }
        let overloaded = overloaded();
        match state.queue.enter(network, failures, job) {
            Entered::Waits => {}
            Entered::Displaced(job) => job.answer(&overloaded),
            Entered::Refused(job) => return job.answer(&overloaded),
        }
        self.metrics.waiting(state.queue.len());
        if state.running < self.limit {
            let threads = self.clone();
            let thread = thread::Builder::new().name("argon2".to_owned());
            match thread.spawn(move || threads.work(run)) {
                Ok(_) => state.running += 1,
                Err(error) => tracing::error!(%error, "cannot start a thread for Argon2"),
            }
            if state.running == 0 {
                while let Some(job) = state.queue.next() {
                    job.answer(&overloaded);
                }
            }
        }
    }

    fn work(&self, run: impl Fn(Job)) {
        let mut running = Running {
            threads: self,
            counted: true,
        };
        lower_priority();
        while let Some(job) = self.next(&mut running) {
            #[cfg(test)]
            drop(self.gate.blocking_lock());
            run(job);
        }
    }

    /// Takes the next job. If there is none, the thread no longer counts as running.
    fn next(&self, running: &mut Running<'_>) -> Option<Job> {
        let mut state = self.lock();
        state.queue.retain(|waiting| !waiting.is_abandoned());
        let job = state.queue.next();
        self.metrics.waiting(state.queue.len());
        if job.is_none() {
            state.running -= 1;
            running.counted = false;
        }
        job
    }

    /// The numbers of waiting jobs and of threads.
    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize) {
        let state = self.lock();
        (state.queue.len(), state.running)
    }

    /// Ignores poisoning: no critical section can panic halfway through a change.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn overloaded() -> Verdict {
    Err(AuthError::new(ErrorKind::Overloaded).with_reason(RejectionReason::Argon2QueueFull))
}

/// Counts a thread as running until it ends, also by a panic.
struct Running<'a> {
    threads: &'a Argon2Threads,
    counted: bool,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if self.counted {
            self.threads.lock().running -= 1;
        }
    }
}

/// Gives the current thread the lowest priority of normal scheduling. Elsewhere than on Linux, a priority belongs to the whole
/// process and is not changed.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    {
        // On Linux, `setpriority` for the process 0 changes the calling thread only (setpriority(2), section "C library/kernel
        // differences"). If the call fails, the threads keep normal priority.
        let _ = rustix::process::setpriority_process(None, 19);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    #[test]
    fn only_the_calling_thread_gets_the_lowest_priority() {
        let before = getpriority_process(None).unwrap();
        let lowered = thread::spawn(|| {
            lower_priority();
            getpriority_process(None).unwrap()
        });
        assert_eq!(lowered.join().unwrap(), 19);
        assert_eq!(getpriority_process(None).unwrap(), before);
    }
}
