//! Counts and failures of a soak test, shared by all of its parts.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// More of them are counted only.
const KEPT_FAILURES: usize = 30;

#[derive(Default)]
pub(super) struct Tally {
    stopped: AtomicBool,
    requests: Mutex<BTreeMap<&'static str, u64>>,
    failures: Mutex<Failures>,
    changes: Mutex<Changes>,
}

/// What has gone wrong.
#[derive(Default, Clone)]
pub(super) struct Failures {
    /// The number of failures of each kind.
    pub(super) counts: BTreeMap<&'static str, u64>,
    /// The first ones in words.
    pub(super) texts: Vec<String>,
}

/// What the operator has done.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Changes {
    pub(super) hang_ups: u64,
    pub(super) admin_keys: u64,
    pub(super) broken: u64,
    /// Complete rotations of the signing key.
    pub(super) rotations: u64,
    pub(super) restarts: u64,
    /// The longest time until a server had loaded a change.
    pub(super) slowest_reload: Duration,
}

impl Tally {
    pub(super) fn count(&self, kind: &'static str) {
        *lock(&self.requests).entry(kind).or_default() += 1;
    }

    pub(super) fn fail(&self, kind: &'static str, text: String) {
        let mut failures = lock(&self.failures);
        *failures.counts.entry(kind).or_default() += 1;
        if failures.texts.len() < KEPT_FAILURES {
            failures.texts.push(format!("{kind}: {text}"));
        }
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Changes)) {
        change(&mut lock(&self.changes));
    }

    pub(super) fn changes(&self) -> Changes {
        *lock(&self.changes)
    }

    pub(super) fn requests(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.requests).clone()
    }

    pub(super) fn failures(&self) -> Failures {
        lock(&self.failures).clone()
    }

    pub(super) fn has_failed(&self) -> bool {
        !lock(&self.failures).counts.is_empty()
    }

    /// Tells the agents to end after their requests.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    pub(super) fn has_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
