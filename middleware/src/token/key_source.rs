//! The source of a verifier's keys, for verifiers that follow the keys of a server.

use std::{fmt, pin::Pin, sync::Arc};

/// The source of the keys of a verifier. A verifier keeps its source running.
pub(crate) trait KeySource: Send + Sync {
    /// Looks up an unknown key. Starts a refresh, or joins the running one. The source bounds the number of refreshes.
    ///
    /// A refresh runs even if its future is dropped.
    fn look_up(&self, key_id: &str) -> KeyLookup;
}

/// The result of looking up an unknown key.
#[cfg_attr(not(feature = "key-follower"), expect(dead_code, reason = "made by a source"))]
pub(crate) enum KeyLookup {
    /// The last refresh has shown that the key does not exist.
    Absent,
    /// The key may exist, and no refresh is permitted now.
    Unavailable {
        /// Seconds until the next refresh.
        retry_after: u64,
    },
    /// The key may exist, and a refresh is running.
    Pending(Refreshing),
}

/// Resolves after a refresh, within the time limit of the source: to true if the key does not exist.
pub(crate) type Refreshing = Pin<Box<dyn Future<Output = bool> + Send>>;

/// A handle of a source. `Debug` shows only its type.
#[derive(Clone)]
pub(super) struct SourceHandle(pub(super) Arc<dyn KeySource>);

impl fmt::Debug for SourceHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySource")
    }
}
