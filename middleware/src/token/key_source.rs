//! The source of a verifier's keys, for verifiers that follow the keys of a server.

use std::{fmt, pin::Pin, sync::Arc};

/// The source of the keys of a verifier. A verifier keeps its source running.
pub(crate) trait KeySource: Send + Sync {
    /// Asks for an unknown key. Starts a refresh, or joins the running one. The source bounds the number of refreshes.
    ///
    /// A refresh runs even if its future is dropped.
    fn find(&self, key_id: &str) -> Unknown;
}

/// The state of an unknown key.
#[cfg_attr(not(feature = "key-follower"), expect(dead_code, reason = "made by a source"))]
pub(crate) enum Unknown {
    /// The source has no such key.
    Confirmed,
    /// The source may have it, and cannot be asked now.
    Unavailable {
        /// Seconds until it can be asked.
        retry_after: u64,
    },
    /// The source is asked now. `confirmed` is true if it did not have the key the last time.
    Asked { refreshing: Refreshing, confirmed: bool },
}

/// Resolves after a refresh, within the time limit of the source.
pub(crate) type Refreshing = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A handle of a source. `Debug` shows only its type.
#[derive(Clone)]
pub(super) struct SourceHandle(pub(super) Arc<dyn KeySource>);

impl fmt::Debug for SourceHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySource")
    }
}
