//! The source of a verifier's keys, for verifiers that follow the keys of a server.

use std::{fmt, pin::Pin, sync::Arc};

/// The source of the keys of a verifier. A verifier keeps its source running.
pub(crate) trait KeySource: Send + Sync {
    /// Starts a refresh after a token of an unknown key, or joins the running one. The source bounds the number of refreshes.
    ///
    /// The refresh runs even if the future is dropped.
    fn refresh(&self) -> Refreshing;
}

/// Resolves after a refresh, within the time limit of the source.
pub(crate) type Refreshing = Pin<Box<dyn Future<Output = KeyRefresh> + Send>>;

/// The result of a refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "key-follower"), expect(dead_code, reason = "made by a source"))]
pub(crate) enum KeyRefresh {
    /// The keys are those of the source. A key that is still unknown does not exist.
    UpToDate,
    /// The source cannot be reached: a key that is still unknown may exist.
    Unavailable,
}

/// A handle of a source. `Debug` shows only its type.
#[derive(Clone)]
pub(super) struct SourceHandle(pub(super) Arc<dyn KeySource>);

impl fmt::Debug for SourceHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySource")
    }
}
