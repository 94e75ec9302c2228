//! The handle of a follower, and the state that it shares with the task.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::{Instant, timeout},
};

use super::{builder::Limits, fetch::KeysUrl, lifetime, task};
use crate::token::{KeyRefresh, KeySource, Refreshing, TokenVerifier};

/// The maximum number of requests that wait for a fetch.
const MAX_WAITING: usize = 1024;

/// Follows the keys that a session server publishes. Clones share one background task. See [`key_follower`](super) for the rules.
#[derive(Clone)]
pub struct KeyFollower {
    running: Arc<Running>,
}

/// The state of a [`KeyFollower`], for health checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyFollowerStatus {
    /// The time since the server has confirmed the keys, or since the start with given keys.
    pub age: Duration,
    /// The number of failed fetches since then.
    pub failures: u32,
    /// True if the keys were dropped because they are too old.
    pub stale: bool,
}

/// Keeps the task running. The follower and its verifiers own it.
struct Running {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// Shared with the task, which must not own [`Running`].
pub(super) struct Shared {
    pub(super) limits: Limits,
    pub(super) verifier: TokenVerifier,
    state: Mutex<State>,
    /// Wakes the task for an early fetch.
    pub(super) early: Notify,
    /// Counts the finished fetches.
    pub(super) finished: watch::Sender<u64>,
}

pub(super) struct State {
    /// True from the decision to fetch until the keys are set.
    pub(super) fetching: bool,
    /// When the last fetch has started.
    pub(super) started: Instant,
    /// When the last successful fetch has started.
    pub(super) confirmed: Instant,
    pub(super) failures: u32,
    pub(super) stale: bool,
    waiting: usize,
}

impl KeyFollower {
    /// `freshness` is that of the first keys. `None` if they were not fetched.
    pub(super) fn new(
        url: KeysUrl,
        verifier: TokenVerifier,
        limits: Limits,
        started: Instant,
        freshness: Option<Duration>,
    ) -> Self {
        let shared = Arc::new(Shared {
            limits,
            verifier,
            state: Mutex::new(State {
                fetching: freshness.is_none(),
                started,
                confirmed: started,
                failures: 0,
                stale: false,
                waiting: 0,
            }),
            early: Notify::new(),
            finished: watch::Sender::new(0),
        });
        let pause = freshness
            .map(|freshness| lifetime::refresh_after(freshness, limits.refresh, lifetime::random_part()));
        let first = started + pause.unwrap_or_default();
        let task = tokio::spawn(task::run(shared.clone(), url, first));
        Self {
            running: Arc::new(Running { shared, task }),
        }
    }

    /// A verifier with the followed keys, for a layer. It keeps the follower running.
    #[must_use]
    pub fn verifier(&self) -> TokenVerifier {
        let verifier = self.running.shared.verifier.clone();
        verifier.with_source(self.running.clone())
    }

    /// The age of the keys, and the failures to refresh them.
    #[must_use]
    pub fn status(&self) -> KeyFollowerStatus {
        let state = self.running.shared.state();
        KeyFollowerStatus {
            age: state.confirmed.elapsed(),
            failures: state.failures,
            stale: state.stale,
        }
    }
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    const fn outcome(&self) -> KeyRefresh {
        if self.failures == 0 && !self.stale {
            KeyRefresh::UpToDate
        } else {
            KeyRefresh::Unavailable
        }
    }
}

impl KeySource for Running {
    fn refresh(&self) -> Refreshing {
        // Before the state is read, so that the end of a running fetch is not missed.
        let mut finished = self.shared.finished.subscribe();
        let mut state = self.shared.state();
        if !state.fetching {
            if state.started.elapsed() < self.shared.limits.early_refresh_interval {
                return Box::pin(std::future::ready(state.outcome()));
            }
            tracing::debug!("a token has an unknown key: the keys are fetched");
            state.fetching = true;
            state.started = Instant::now();
            self.shared.early.notify_one();
        }
        if state.waiting >= MAX_WAITING {
            return Box::pin(std::future::ready(KeyRefresh::Unavailable));
        }
        state.waiting += 1;
        drop(state);
        let waiting = Waiting(self.shared.clone());
        Box::pin(async move {
            let shared = &waiting.0;
            match timeout(shared.limits.max_wait, finished.changed()).await {
                Ok(_) => shared.state().outcome(),
                Err(_) => KeyRefresh::Unavailable,
            }
        })
    }
}

/// One waiting request, counted until it is dropped.
struct Waiting(Arc<Shared>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.state().waiting -= 1;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for KeyFollower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFollower")
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
