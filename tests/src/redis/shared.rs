//! Servers that all tests of a process share.

use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A server that starts for its first user and ends with its last one.
pub(super) struct Shared<T>(Mutex<Weak<T>>);

impl<T> Shared<T> {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Weak::new()))
    }

    #[track_caller]
    pub(super) fn get(&self, start: impl FnOnce() -> T) -> Arc<T> {
        // A start that panicked leaves nothing behind, so the next user may try again.
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let started = Arc::new(start());
            *shared = Arc::downgrade(&started);
            started
        })
    }
}

/// A server that starts for its first user and ends with the process, because it takes seconds to start.
pub(super) struct Lasting<T>(Mutex<Option<Arc<T>>>);

impl<T> Lasting<T> {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    #[track_caller]
    pub(super) fn get(&self, start: impl FnOnce() -> T) -> Arc<T> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(shared.get_or_insert_with(|| Arc::new(start())))
    }
}
