//! The admin keys that the agents use.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tower_session_auth::master_auth::AdminSecret;

/// The admin key in use, and the last one that was removed.
pub(super) struct Admins {
    current: Mutex<Arc<AdminSecret>>,
    removed: Mutex<Arc<AdminSecret>>,
}

impl Admins {
    /// Starts with a key in use, and one that no server knows.
    pub(super) fn new(current: AdminSecret, unknown: AdminSecret) -> Self {
        Self {
            current: Mutex::new(Arc::new(current)),
            removed: Mutex::new(Arc::new(unknown)),
        }
    }

    /// The key in use. A request holds it until its response has arrived.
    pub(super) fn current(&self) -> Arc<AdminSecret> {
        lock(&self.current).clone()
    }

    /// A key that every server must reject.
    pub(super) fn removed(&self) -> Arc<AdminSecret> {
        lock(&self.removed).clone()
    }

    /// Returns the key that was in use.
    pub(super) fn replace(&self, key: Arc<AdminSecret>) -> Arc<AdminSecret> {
        std::mem::replace(&mut lock(&self.current), key)
    }

    pub(super) fn set_removed(&self, key: Arc<AdminSecret>) {
        *lock(&self.removed) = key;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
