//! The threads that take master passwords from the queue.
//!
//! A thread keeps its usual priority, since it holds locks that requests need. Only the hash is computed at the lowest priority: see
//! [`lowest_priority`](super::lowest_priority).

use std::{
    sync::{Arc, Mutex, MutexGuard},
    thread,
};

use super::{
    job::{Job, Verdict},
    queue::{Entered, Queue},
};
use crate::{
    error::{AuthError, ErrorKind, RejectionReason},
    sync::lock,
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
    /// True while the thread for clients with a verified password runs.
    running_for_verified: bool,
}

/// The jobs that a thread takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JobFilter {
    All,
    /// Only those of clients whose password was verified recently, so that they do not wait until a guess was computed.
    VerifiedRecently,
}

impl Argon2Threads {
    pub(super) fn new() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self {
            state: Mutex::new(State {
                queue: Queue::new(),
                running: 0,
                running_for_verified: false,
            }),
            // One core stays free for requests.
            limit: cores.saturating_sub(1).clamp(1, MAX_THREADS),
            metrics: Argon2Metrics::default(),
            #[cfg(test)]
            gate: tokio::sync::Mutex::default(),
        }
    }

    /// Queues a job, and starts a thread with `run` unless all are running.
    pub(super) fn submit<R>(self: &Arc<Self>, job: Job, run: R)
    where
        R: Fn(Job) + Send + 'static,
    {
        let status = job.status;
        let random = random();
        let mut state = self.lock();
        state.queue.retain(|waiting| !waiting.is_abandoned());
        match state.queue.enter(job.network(), status, random, job) {
            Entered::Waits => {}
            Entered::Displaced(job) => job.answer(&overloaded()),
            Entered::Refused(job) => return job.answer(&overloaded()),
        }
        self.metrics.waiting(state.queue.len());
        if state.running < self.limit {
            self.start(&mut state, JobFilter::All, run);
        } else if status.verified_recently && !state.running_for_verified {
            self.start(&mut state, JobFilter::VerifiedRecently, run);
        }
    }

    fn start<R>(self: &Arc<Self>, state: &mut State, filter: JobFilter, run: R)
    where
        R: Fn(Job) + Send + 'static,
    {
        let threads = self.clone();
        let thread = thread::Builder::new().name("argon2".to_owned());
        match thread.spawn(move || threads.work(filter, run)) {
            Ok(_) => state.started(filter),
            Err(error) => tracing::error!(%error, "cannot start a thread for Argon2"),
        }
        if state.running == 0 && !state.running_for_verified {
            while let Some(job) = state.queue.next() {
                job.answer(&overloaded());
            }
        }
    }

    fn work(&self, filter: JobFilter, run: impl Fn(Job)) {
        let mut running = Running {
            threads: self,
            filter,
            counted: true,
        };
        while let Some(job) = self.next(&mut running) {
            #[cfg(test)]
            drop(self.gate.blocking_lock());
            run(job);
        }
    }

    /// Takes the next job, and the requests that share its computation. If there is none, the thread no longer counts as running.
    fn next(&self, running: &mut Running<'_>) -> Option<Job> {
        let mut state = self.lock();
        state.queue.retain(|waiting| !waiting.is_abandoned());
        let mut job = match running.filter {
            JobFilter::All => state.queue.next(),
            JobFilter::VerifiedRecently => state.queue.next_verified(),
        };
        if let Some(job) = &mut job {
            for same in state
                .queue
                .take_of_client(job.network(), |other| other.has_password_of(job))
            {
                job.share(same);
            }
        }
        self.metrics.waiting(state.queue.len());
        if job.is_none() {
            state.ended(running.filter);
            running.counted = false;
        }
        job
    }

    /// The numbers of waiting requests and of threads.
    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize) {
        let state = self.lock();
        (
            state.queue.len(),
            state.running + usize::from(state.running_for_verified),
        )
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    const fn started(&mut self, filter: JobFilter) {
        match filter {
            JobFilter::All => self.running += 1,
            JobFilter::VerifiedRecently => self.running_for_verified = true,
        }
    }

    const fn ended(&mut self, filter: JobFilter) {
        match filter {
            JobFilter::All => self.running -= 1,
            JobFilter::VerifiedRecently => self.running_for_verified = false,
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
    filter: JobFilter,
    counted: bool,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if self.counted {
            self.threads.lock().ended(self.filter);
        }
    }
}
