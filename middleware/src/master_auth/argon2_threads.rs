//! The threads that take master passwords from the queue.
//!
//! A thread keeps its usual priority, since it holds locks that requests need. Only the hash is computed at the lowest priority: see
//! [`lowest_priority`](super::lowest_priority).

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use super::{
    job::{Job, Verdict},
    queue::{Entered, Queue},
};
use crate::{
    error::{AuthError, ErrorKind, RejectionReason},
    telemetry::Argon2Metrics,
};

/// The maximum number of threads. Each uses one core and the memory of one computation.
const MAX_THREADS: usize = 2;

/// The queue and its threads. A thread ends when the queue has no job for it.
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
    /// The threads for all jobs.
    running: usize,
    /// True while the thread for clients that have proved the password runs.
    running_for_proven: bool,
}

/// The jobs that a thread takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    All,
    /// Only those of clients that have proved the password, so that they do not wait until a guess was computed.
    Proven,
}

impl Argon2Threads {
    pub(super) fn new() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self {
            state: Mutex::new(State {
                queue: Queue::new(),
                running: 0,
                running_for_proven: false,
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
    pub(super) fn submit<R>(self: &Arc<Self>, job: Job, network: Option<IpAddr>, run: R)
    where
        R: Fn(Job) + Send + 'static,
    {
        let standing = job.standing;
        let random = random();
        let mut state = self.lock();
        state.queue.retain(|waiting| !waiting.is_abandoned());
        let mut same = state.queue.of_client(network);
        if let Some(waiting) = same.find(|waiting| waiting.has_password_of(&job)) {
            if let Some(job) = waiting.share(job) {
                job.answer(&overloaded());
            }
            return;
        }
        drop(same);
        match state.queue.enter(network, standing, random, job) {
            Entered::Waits => {}
            Entered::Displaced(job) => job.answer(&overloaded()),
            Entered::Refused(job) => return job.answer(&overloaded()),
        }
        self.metrics.waiting(state.queue.len());
        if state.running < self.limit {
            self.start(&mut state, Takes::All, run);
        } else if standing.proven && !state.running_for_proven {
            self.start(&mut state, Takes::Proven, run);
        }
    }

    fn start<R>(self: &Arc<Self>, state: &mut State, takes: Takes, run: R)
    where
        R: Fn(Job) + Send + 'static,
    {
        let threads = self.clone();
        let thread = thread::Builder::new().name("argon2".to_owned());
        match thread.spawn(move || threads.work(takes, run)) {
            Ok(_) => state.started(takes),
            Err(error) => tracing::error!(%error, "cannot start a thread for Argon2"),
        }
        if state.running == 0 && !state.running_for_proven {
            while let Some(job) = state.queue.next() {
                job.answer(&overloaded());
            }
        }
    }

    fn work(&self, takes: Takes, run: impl Fn(Job)) {
        let mut running = Running {
            threads: self,
            takes,
            counted: true,
        };
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
        let job = match running.takes {
            Takes::All => state.queue.next(),
            Takes::Proven => state.queue.next_proven(),
        };
        self.metrics.waiting(state.queue.len());
        if job.is_none() {
            state.ended(running.takes);
            running.counted = false;
        }
        job
    }

    /// The numbers of waiting jobs and of threads.
    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize) {
        let state = self.lock();
        (
            state.queue.len(),
            state.running + usize::from(state.running_for_proven),
        )
    }

    /// Ignores poisoning: no critical section can panic halfway through a change.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    const fn started(&mut self, takes: Takes) {
        match takes {
            Takes::All => self.running += 1,
            Takes::Proven => self.running_for_proven = true,
        }
    }

    const fn ended(&mut self, takes: Takes) {
        match takes {
            Takes::All => self.running -= 1,
            Takes::Proven => self.running_for_proven = false,
        }
    }
}

/// The verdict for a request without a place in the queue.
pub(super) fn overloaded() -> Verdict {
    Err(AuthError::new(ErrorKind::Overloaded).with_reason(RejectionReason::Argon2QueueFull))
}

/// A random number. Without randomness it is 0.
fn random() -> usize {
    let mut random = [0; 4];
    let number = getrandom::fill(&mut random).map_or(0, |()| u32::from_ne_bytes(random));
    usize::try_from(number).unwrap_or(0)
}

/// Counts a thread as running until it ends, also by a panic.
struct Running<'a> {
    threads: &'a Argon2Threads,
    takes: Takes,
    counted: bool,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if self.counted {
            self.threads.lock().ended(self.takes);
        }
    }
}
