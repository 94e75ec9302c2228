//! The handle of a follower, and the state that it shares with the task.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::{Instant, timeout},
};

use super::{builder::Limits, fetch::KeysUrl, lifetime, task, unknown_keys::UnknownKeys};
use crate::{
    sync::lock,
    telemetry::KeyFollowerMetrics,
    token::{KeyLookup, KeySource, TokenVerifier},
};

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
    pub(super) metrics: KeyFollowerMetrics,
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
    pub(super) unknown: UnknownKeys,
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
            metrics: KeyFollowerMetrics::new(),
            state: Mutex::new(State {
                fetching: freshness.is_none(),
                started,
                confirmed: started,
                failures: 0,
                stale: false,
                unknown: UnknownKeys::default(),
                waiting: 0,
            }),
            early: Notify::new(),
            finished: watch::Sender::new(0),
        });
        if freshness.is_some() {
            shared.metrics.fetched(true);
        }
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
        lock(&self.state)
    }
}

impl State {
    /// True if the last fetch has succeeded, and has shown that this key does not exist.
    fn is_absent(&self, key_id: &str) -> bool {
        self.failures == 0 && !self.stale && self.unknown.is_absent(key_id)
    }
}

impl KeySource for Running {
    fn look_up(&self, key_id: &str) -> KeyLookup {
        // Before the state is read, so that the end of a running fetch is not missed.
        let mut finished = self.shared.finished.subscribe();
        let mut state = self.shared.state();
        state.unknown.request(key_id);
        if !state.fetching {
            let wait = self.shared.limits.early_refresh_interval;
            let wait = wait.saturating_sub(state.started.elapsed());
            if !wait.is_zero() {
                if state.is_absent(key_id) {
                    return KeyLookup::Absent;
                }
                // After a failure, back-off often retries earlier than the interval.
                let is_next_early = state.failures == 0 && !state.stale;
                let retry_after = if is_next_early { seconds_until(wait) } else { 1 };
                return KeyLookup::Unavailable { retry_after };
            }
            tracing::debug!("a token has an unknown key: the keys are fetched");
            state.fetching = true;
            state.started = Instant::now();
            self.shared.early.notify_one();
        }
        if state.waiting >= MAX_WAITING {
            return KeyLookup::Unavailable { retry_after: 1 };
        }
        state.waiting += 1;
        drop(state);
        let waiting = Waiting(self.shared.clone());
        let key_id = key_id.to_owned();
        KeyLookup::Pending(Box::pin(async move {
            let ended = timeout(waiting.0.limits.max_wait, finished.changed()).await;
            ended.is_ok() && waiting.0.state().is_absent(&key_id)
        }))
    }
}

/// Whole seconds, rounded up.
const fn seconds_until(wait: Duration) -> u64 {
    wait.as_secs() + (wait.subsec_nanos() > 0) as u64
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
